package user_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

var contactField = keys.Field{Table: "contacts", Column: "value"}

func reach(t *testing.T, w *authcoretest.World, sc scope.Scope, c user.Contact) user.User {
	t.Helper()
	u := w.User(t, sc)
	u, err := w.Users.Update(t.Context(), sc, user.UpdateRequest{ID: u.ID, Email: &c.Email, Phone: &c.Phone})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// An address comes back from every call of this package, in its clean form, and stands
// in the database only sealed: storing it plainly turns the dump red.
func TestContact(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	want := user.Contact{Email: "Ada.Byron@example.com", Phone: "+4915112345678"}
	ada, err := w.Users.Create(t.Context(), acme, user.Profile{ExternalID: "ada", Name: "Ada"},
		user.Contact{Email: "Ada.Byron@EXAMPLE.com", Phone: "+49 151 123456-78"})
	if err != nil || ada.Contact != want {
		t.Fatalf("Create = %+v, %v, want %+v", ada.Contact, err, want)
	}
	without := w.User(t, acme)

	calls := map[string]func() (user.User, error){
		"Get":    func() (user.User, error) { return w.Users.Get(t.Context(), acme, ada.ID) },
		"Lookup": func() (user.User, error) { return w.Users.Lookup(t.Context(), acme, "ada") },
		"List": func() (user.User, error) {
			page, err := w.Users.List(t.Context(), acme, all)
			if err != nil || len(page.Items) != 2 || page.Items[0].Contact != (user.Contact{}) {
				t.Errorf("List = %+v, %v, want another without contacts first", page.Items, err)
			}
			return page.Items[len(page.Items)-1], err
		},
		"Update": func() (user.User, error) {
			return w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, Email: &want.Email})
		},
		"Block of nobody blocked": func() (user.User, error) {
			return w.Users.Unblock(t.Context(), acme, user.BlockRequest{ID: ada.ID})
		},
	}
	for name, call := range calls {
		if got, err := call(); err != nil || cmp.Diff(ada, got) != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, cmp.Diff(ada, got))
		}
	}
	if n := w.AuditCount(t, acme, "user.update"); n != 0 {
		t.Errorf("audit entries = %d of an update to the same address, want none", n)
	}

	text := dump(t, w, acme)
	for _, secret := range []string{"Byron", "byron", "example.com", "15112345678"} {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("the tenant's rows show %q", secret)
		}
	}

	none := ""
	got, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, Phone: &none})
	if err != nil || got.Contact != (user.Contact{Email: want.Email}) || got.ETag == ada.ETag || !got.UpdatedAt.After(ada.UpdatedAt) {
		t.Errorf("Update that removes the phone = %+v, %v, want the e-mail left, and another etag", got, err)
	}
	other := "countess@example.org"
	got, err = w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, Email: &other})
	if err != nil || got.Contact != (user.Contact{Email: other}) {
		t.Errorf("Update = %+v, %v, want the new address alone", got.Contact, err)
	}
	if entries := strings.ReplaceAll(dump(t, w, acme), `""`, `"`); !strings.Contains(entries, `"fields":["email"]`) || strings.Contains(entries, other) {
		t.Error("the audit log does not say which field, or says what it holds")
	}
	bad := "nobody"
	for _, tt := range []struct {
		req  user.UpdateRequest
		want error
	}{
		{user.UpdateRequest{ID: ada.ID, Email: &bad}, user.ErrEmail},
		{user.UpdateRequest{ID: ada.ID, Phone: &bad}, user.ErrPhone},
		{user.UpdateRequest{ID: without.ID, Email: &bad}, user.ErrEmail},
	} {
		if _, err := w.Users.Update(t.Context(), acme, tt.req); !errors.Is(err, tt.want) {
			t.Errorf("Update error = %v, want %v", err, tt.want)
		}
	}
	if _, err := w.Users.Create(t.Context(), acme, user.Profile{ExternalID: "x", Name: "x"}, user.Contact{Email: bad}); !errors.Is(err, user.ErrEmail) {
		t.Errorf("Create error = %v, want %v", err, user.ErrEmail)
	}
	if _, err := w.Users.Lookup(t.Context(), acme, "x"); !errors.Is(err, user.ErrNotFound) {
		t.Errorf("a user was made of what was refused: %v", err)
	}
}

// A row that is not what was written there does not open: SECURITY 42. Leaving a part out
// of contact_passphrase turns its case red; so do opening unauthenticated messages, and
// not comparing the index.
func TestMovedContact(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	bob := reach(t, w, acme, user.Contact{Email: "bob@example.com", Phone: "+12025550143"})
	eve := reach(t, w, globex, user.Contact{Email: "eve@example.com", Phone: "+12025550144"})
	key := w.Ring(t, acme).SQLKey(contactField).Reveal()
	const mail = "user_id = $1 AND kind = 'EMAIL'"
	for _, tt := range []struct {
		name string
		sql  string // $1: the user
		args []any
	}{
		{"from another row", "UPDATE contacts SET (sealed, match_index) = (SELECT sealed, match_index FROM contacts WHERE user_id = $2 AND kind = 'EMAIL') WHERE " + mail, []any{bob.ID.UUID()}},
		{"from another kind", "UPDATE contacts SET (sealed, match_index) = (SELECT sealed, match_index FROM contacts WHERE user_id = $1 AND kind = 'PHONE') WHERE " + mail, nil},
		{"from another tenant", "UPDATE contacts SET (sealed, match_index) = (SELECT sealed, match_index FROM contacts WHERE user_id = $2 AND kind = 'EMAIL') WHERE " + mail, []any{eve.ID.UUID()}},
		{"another's index", "UPDATE contacts SET match_index = (SELECT match_index FROM contacts WHERE user_id = $2 AND kind = 'EMAIL') WHERE " + mail, []any{bob.ID.UUID()}},
		{"a key version that is none", "UPDATE contacts SET key_version = 7 WHERE " + mail, nil},
		{"a flipped bit in the text", "UPDATE contacts SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1) WHERE " + mail, nil},
		{"a flipped bit in the salt", "UPDATE contacts SET sealed = set_byte(sealed, 7, get_byte(sealed, 7) # 1) WHERE " + mail, nil},
		{"a flipped bit in the last byte", "UPDATE contacts SET sealed = set_byte(sealed, octet_length(sealed) - 1, get_byte(sealed, octet_length(sealed) - 1) # 1) WHERE " + mail, nil},
		{"cut short", "UPDATE contacts SET sealed = substring(sealed, 1, octet_length(sealed) - 1) WHERE " + mail, nil},
		{"junk", "UPDATE contacts SET sealed = decode(repeat('c3', 80), 'hex') WHERE " + mail, nil},
		{"under the right key, but not authenticated", `UPDATE contacts SET sealed = sealing.pgp_sym_encrypt_bytea(convert_to(repeat('a', 64) || '@example.com', 'UTF8'),
			contact_passphrase(tenant_id, user_id, kind, $2), 's2k-mode=1,s2k-digest-algo=sha256,cipher-algo=aes256,compress-algo=0,disable-mdc=1') WHERE ` + mail, []any{key}},
		{"under the right key, with another cipher", `UPDATE contacts SET sealed = sealing.pgp_sym_encrypt_bytea(convert_to('ada@example.com', 'UTF8'),
			contact_passphrase(tenant_id, user_id, kind, $2), 's2k-mode=1,s2k-digest-algo=sha256,cipher-algo=bf,compress-algo=0') WHERE ` + mail, []any{key}},
		{"under the right key, and not text", `UPDATE contacts SET sealed = sealing.pgp_sym_encrypt_bytea('\xff00ff00ff00ff00ff00'::bytea,
			contact_passphrase(tenant_id, user_id, kind, $2), 's2k-mode=1,s2k-digest-algo=sha256,cipher-algo=aes256,compress-algo=0') WHERE ` + mail, []any{key}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ada := reach(t, w, acme, user.Contact{Email: "ada@example.com", Phone: "+4915112345678"})
			tag, err := w.Superuser(t).Exec(t.Context(), tt.sql, append([]any{ada.ID.UUID()}, tt.args...)...)
			if err != nil || tag.RowsAffected() != 1 {
				t.Fatalf("%d rows, %v", tag.RowsAffected(), err)
			}
			before := w.AuditCount(t, acme, "contact.open")
			got, err := w.Users.Get(t.Context(), acme, ada.ID)
			damage, ok := errors.AsType[*user.DamagedError](err)
			if !ok || !errors.Is(err, keys.ErrSealed) || damage.User != ada.ID || damage.Kind != user.Email {
				t.Fatalf("Get = %+v, %v, want a damaged e-mail of %s", got.Contact, err, ada.ID)
			}
			if strings.Contains(err.Error(), "ada@") {
				t.Errorf("the error shows a value: %v", err)
			}
			if n := w.AuditCount(t, acme, "contact.open") - before; n != 1 {
				t.Errorf("audit entries = %d, want 1", n)
			}
			if _, err := w.Users.List(t.Context(), acme, all); !errors.Is(err, keys.ErrSealed) {
				t.Errorf("List error = %v, want %v", err, keys.ErrSealed)
			}
			name, mended := "Countess", "ada@example.com"
			if _, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, Name: &name}); !errors.Is(err, keys.ErrSealed) {
				t.Errorf("Update of a name: error = %v, want %v", err, keys.ErrSealed)
			}
			mend, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, Email: &mended})
			if err != nil || mend.Contact != ada.Contact {
				t.Errorf("Update that replaces it = %+v, %v, want it mended", mend.Contact, err)
			}
			if got, err := w.Users.Get(t.Context(), acme, ada.ID); err != nil || got.Contact != ada.Contact {
				t.Errorf("Get once mended = %+v, %v", got.Contact, err)
			}
		})
	}
}

// The functions in SQL by themselves: what contact_seal made opens under the passphrase of
// its own tenant, user, kind and key, and in its own form alone. Leaving a part out of
// contact_passphrase, or a check out of contact_open, turns its case red.
func TestContactOpen(t *testing.T) {
	w := authcoretest.New(t)
	conn := w.As(t, db.RoleApp)
	const seal = `contact_seal('ada@example.com', contact_passphrase(a, b, 'EMAIL', k))`
	form := func(options string) string {
		return `sealing.pgp_sym_encrypt_bytea('ada.lovelace@example.com'::bytea, contact_passphrase(a, b, 'EMAIL', k), 's2k-digest-algo=sha256,compress-algo=0,` + options + `')`
	}
	for _, tt := range []struct{ name, sealed, passphrase, want string }{
		{"its own", seal, "contact_passphrase(a, b, 'EMAIL', k)", "ada@example.com"},
		{"another tenant", seal, "contact_passphrase(b, b, 'EMAIL', k)", ""},
		{"another user", seal, "contact_passphrase(a, a, 'EMAIL', k)", ""},
		{"another kind", seal, "contact_passphrase(a, b, 'PHONE', k)", ""},
		{"another key", seal, "contact_passphrase(a, b, 'EMAIL', 'k2')", ""},
		{"no key", seal, "contact_passphrase(a, b, 'EMAIL', NULL)", ""},
		{"the form by hand", form("s2k-mode=1,cipher-algo=aes256"), "contact_passphrase(a, b, 'EMAIL', k)", "ada.lovelace@example.com"},
		{"not authenticated", form("s2k-mode=1,cipher-algo=aes256,disable-mdc=1"), "contact_passphrase(a, b, 'EMAIL', k)", ""},
		{"a weaker cipher", form("s2k-mode=1,cipher-algo=aes128"), "contact_passphrase(a, b, 'EMAIL', k)", ""},
		{"another derivation", form("s2k-mode=0,cipher-algo=aes256"), "contact_passphrase(a, b, 'EMAIL', k)", ""},
		{"nothing", `''::bytea`, "contact_passphrase(a, b, 'EMAIL', k)", ""},
		{"too short", `'\xc30c04090108'::bytea`, "contact_passphrase(a, b, 'EMAIL', k)", ""},
	} {
		var got *string
		if err := conn.QueryRow(t.Context(), "SELECT contact_open("+tt.sealed+", "+tt.passphrase+`) FROM (SELECT
			'0190b1c2-0000-7000-8000-000000000001'::uuid AS a, '0190b1c2-0000-7000-8000-000000000002'::uuid AS b, 'k1'::bytea AS k) x`).Scan(&got); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if (got == nil) != (tt.want == "") || got != nil && *got != tt.want {
			t.Errorf("%s opens as %v, want %q", tt.name, got, tt.want)
		}
	}
	for _, role := range []string{db.RoleWriter, db.RoleControl, db.RoleJobs, db.RoleSupport} {
		for _, sql := range []string{"SELECT contact_open('', '')", "SELECT contact_seal('', '')", "SELECT sealing.hmac('', '', 'sha256')", "SELECT count(*) FROM contacts"} {
			if _, err := w.As(t, role).Exec(t.Context(), sql); err == nil {
				t.Errorf("%s may %s", role, sql)
			}
		}
	}
	if _, err := conn.Exec(t.Context(), "UPDATE contacts SET user_id = user_id"); err == nil {
		t.Error("bc_app may give a contact to another user")
	}
}

// Without its key a row tells nothing: equal addresses of two users are sealed
// differently, and an index says nothing outside of its tenant.
func TestContactsDoNotCompare(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	same := user.Contact{Email: "shared@example.com"}
	var ids []user.User
	for _, sc := range []scope.Scope{acme, acme, globex} {
		ids = append(ids, reach(t, w, sc, same))
	}
	var sealed, indexes int
	if err := w.Superuser(t).QueryRow(t.Context(), "SELECT count(DISTINCT sealed), count(DISTINCT match_index) FROM contacts WHERE user_id = ANY ($1)",
		[]string{ids[0].ID.String(), ids[1].ID.String(), ids[2].ID.String()}).Scan(&sealed, &indexes); err != nil {
		t.Fatal(err)
	}
	if sealed != 3 || indexes != 2 {
		t.Errorf("%d sealed values and %d indexes, want 3 and one of each tenant", sealed, indexes)
	}
}

func TestListByContact(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	shared := user.Contact{Email: "Family@example.com", Phone: "+4915112345678"}
	var family []user.ID
	for range 5 {
		family = append(family, reach(t, w, acme, shared).ID)
	}
	slices.Reverse(family)
	alone := reach(t, w, acme, user.Contact{Email: "family@example.com", Phone: "+12025550143"})
	reach(t, w, acme, user.Contact{Email: "other@example.com"})
	reach(t, w, globex, shared)
	if _, err := w.Users.Block(t.Context(), acme, user.BlockRequest{ID: family[0]}); err != nil {
		t.Fatal(err)
	}
	everybody := append([]user.ID{alone.ID}, family...)
	for _, tt := range []struct {
		filter string
		want   []user.ID
	}{
		{`email = "family@example.com"`, everybody},
		{`email = "FAMILY@EXAMPLE.COM"`, everybody},
		{`email = "nobody@example.com"`, nil},
		{`phone = "+49 151 12345678"`, family},
		{`phone = "+4915112345679"`, nil},
		{`email = "family@example.com" AND phone = "+4915112345678"`, family},
		{`email = "family@example.com" AND phone = "+12025550143"`, []user.ID{alone.ID}},
		{`email = "other@example.com" AND phone = "+12025550143"`, nil},
		{`email = "family@example.com" AND email = "Family@Example.com"`, everybody},
		{`email = "family@example.com" AND email = "other@example.com"`, nil},
		{`phone = "+4915112345678" AND state = BLOCKED`, family[:1]},
		{`phone = "+4915112345678" AND state != BLOCKED`, family[1:]},
		{fmt.Sprintf(`email = "family@example.com" AND externalId = %q`, alone.ExternalID), []user.ID{alone.ID}},
		{`email = "family@example.com" AND createdAt < "2020-01-01T00:00:00Z"`, nil},
	} {
		for _, size := range []int{2, 200} {
			var got []user.ID
			req := listing.Request{Filter: tt.filter, PageSize: size}
			for {
				page, err := w.Users.List(t.Context(), acme, req)
				if err != nil {
					t.Fatalf("List of %s: %v", tt.filter, err)
				}
				for _, u := range page.Items {
					got = append(got, u.ID)
					if u.Contact == (user.Contact{}) {
						t.Errorf("List of %s: a user without contacts", tt.filter)
					}
				}
				if req.PageToken = page.NextToken; req.PageToken == "" {
					break
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("List of %s, %d a page = %v, want %v", tt.filter, size, got, tt.want)
			}
		}
	}
	for _, filter := range []string{
		`email != "a@b"`, `email > "a@b"`, `email = "nobody"`, `phone = "0151"`, `phone != "+4915112345678"`, `email = ""`,
		"email = \"a\x00@b\"", `email = "' OR 1=1 --"`,
	} {
		if _, err := w.Users.List(t.Context(), acme, listing.Request{Filter: filter}); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("List of %s: error = %v, want %v", filter, err, listing.ErrFilter)
		}
	}
}

// Of two updates at once of one user each contact stays. Removing the lock turns it red.
func TestContactRace(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	for i := range 8 {
		ada := w.User(t, acme)
		want := user.Contact{Email: fmt.Sprintf("ada%d@example.com", i), Phone: fmt.Sprintf("+49151123456%02d", i)}
		errs := atOnce(
			func() error {
				_, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, Email: &want.Email})
				return err
			},
			func() error {
				_, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, Phone: &want.Phone})
				return err
			},
		)
		got, err := w.Users.Get(t.Context(), acme, ada.ID)
		if err != nil || errors.Join(errs...) != nil || got.Contact != want {
			t.Fatalf("after two updates: %+v, %v, %v, want %+v", got.Contact, errs, err, want)
		}
		// An erasure beside an update: the user is gone with everything, or was there.
		errs = atOnce(
			func() error {
				_, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, Phone: new(string)})
				return err
			},
			func() error {
				_, err := w.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID})
				return err
			},
		)
		var left int
		if err := w.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM contacts WHERE user_id = $1", ada.ID.UUID()).Scan(&left); err != nil {
			t.Fatal(err)
		}
		if left != 0 || errs[1] != nil || errs[0] != nil && !errors.Is(errs[0], user.ErrNotFound) {
			t.Fatalf("%d contacts of an erased user, errors %v", left, errs)
		}
	}
}

// Another tenant's address changes nothing here, and nothing of it is seen. Removing RLS
// from contacts turns it red.
func TestContactCrossing(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	ada := reach(t, w, acme, user.Contact{Email: "ada@example.com"})
	if page, err := w.Users.List(t.Context(), globex, listing.Request{Filter: `email = "ada@example.com"`}); err != nil || len(page.Items) != 0 {
		t.Errorf("List = %d users, %v, want none", len(page.Items), err)
	}
	if sum, err := w.Users.Summarize(t.Context(), globex); err != nil || cmp.Diff(user.ContactSummary{}, sum) != "" {
		t.Errorf("Summarize = %+v, %v, want nothing", sum, err)
	}
	other := "mallory@example.com"
	if _, err := w.Users.Update(t.Context(), globex, user.UpdateRequest{ID: ada.ID, Email: &other}); !errors.Is(err, user.ErrNotFound) {
		t.Errorf("Update error = %v, want %v", err, user.ErrNotFound)
	}
	if err := w.InTenant(t.Context(), globex, func(tx *db.TenantTx) error {
		n, err := tx.DeleteContactsOfUser(t.Context(), ada.ID.UUID())
		if n != 0 {
			t.Errorf("deleted %d contacts of another tenant", n)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Users.Get(t.Context(), acme, ada.ID); err != nil || got.Contact != ada.Contact {
		t.Errorf("Get = %+v, %v, want %+v", got.Contact, err, ada.Contact)
	}
}
