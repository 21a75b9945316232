package user_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/idempotency"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// What identifies a person is in the row only sealed: storing any of the three plainly
// turns the dump red.
func TestCreate(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	profile := user.Profile{ExternalID: "ext-4711", Name: " ada@example.com ", DisplayName: "Zoe\u0308  Lovelace"}

	u, err := w.Users.Create(t.Context(), acme, profile, user.Contact{})
	if err != nil {
		t.Fatalf("Create error = %v", err)
	}
	if u.ExternalID != "ext-4711" || u.Name != "ada@example.com" || u.DisplayName != "Zoë Lovelace" {
		t.Errorf("names = %q, %q, %q, want them cleaned", u.ExternalID, u.Name, u.DisplayName)
	}
	if len(u.Handle) != 64 || u.State != user.Active || u.LastSignInAt != nil || u.ETag == "" || !u.UpdatedAt.Equal(u.CreatedAt) {
		t.Errorf("user = %+v, want a 64-byte handle, ACTIVE, never signed in, with an etag", u)
	}
	if got, err := w.Users.Get(t.Context(), acme, u.ID); err != nil || cmp.Diff(u, got) != "" {
		t.Errorf("Get = %v (-created +got):\n%s", err, cmp.Diff(u, got))
	}
	if got, err := w.Users.Lookup(t.Context(), acme, "ext-4711"); err != nil || cmp.Diff(u, got) != "" {
		t.Errorf("Lookup = %v (-created +got):\n%s", err, cmp.Diff(u, got))
	}
	if n := w.AuditCount(t, acme, "user.create"); n != 1 {
		t.Errorf("audit entries = %d, want 1", n)
	}
	if n := w.EventCount(t, acme, event.UserCreated); n != 1 {
		t.Errorf("events = %d, want 1", n)
	}

	if _, err := w.Users.Create(t.Context(), acme, profile, user.Contact{}); !errors.Is(err, user.ErrExists) {
		t.Errorf("Create again error = %v, want %v", err, user.ErrExists)
	}
	other, err := w.Users.Create(t.Context(), globex, profile, user.Contact{})
	if err != nil {
		t.Fatalf("Create in another tenant error = %v", err)
	}
	if bytes.Equal(other.Handle, u.Handle) || other.ID == u.ID {
		t.Error("two tenants' users share an id or a handle")
	}

	dump := dump(t, w, acme)
	for _, secret := range []string{"ext-4711", "ada@example.com", "Lovelace"} {
		if strings.Contains(dump, secret) {
			t.Errorf("the tenant's rows show %q", secret)
		}
	}
	if !strings.Contains(dump, u.ID.String()) {
		t.Error("the dump does not hold the user: it proves nothing")
	}
}

func TestCreateRefuses(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	for _, tt := range []struct {
		name string
		give user.Profile
		want error
	}{
		{"no external id", user.Profile{Name: "Ada"}, user.ErrExternalID},
		{"no name", user.Profile{ExternalID: "x"}, user.ErrName},
		{"a name that turns around", user.Profile{ExternalID: "x", Name: "Ada\u202e"}, user.ErrName},
		{"a display name that hides", user.Profile{ExternalID: "x", Name: "Ada", DisplayName: "A\u200bda"}, user.ErrName},
		{"an external id with NUL", user.Profile{ExternalID: "x\x00", Name: "Ada"}, user.ErrExternalID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := w.Users.Create(t.Context(), acme, tt.give, user.Contact{}); !errors.Is(err, tt.want) {
				t.Errorf("Create error = %v, want %v", err, tt.want)
			}
			if _, err := w.Users.Ensure(t.Context(), acme, tt.give); !errors.Is(err, tt.want) {
				t.Errorf("Ensure error = %v, want %v", err, tt.want)
			}
		})
	}
	if n := w.AuditCount(t, acme, "user.create"); n != 0 {
		t.Errorf("audit entries = %d, want none of what was refused", n)
	}
}

// Sixteen at once make one user. Answering the insert's conflict with an error, or
// looking the winner up in another transaction than the insert's, turns it red.
func TestEnsure(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	profile := user.Profile{ExternalID: "one", Name: "Ada"}
	const callers = 16
	users, errs := make([]user.User, callers), make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { users[i], errs[i] = w.Users.Ensure(t.Context(), acme, profile) })
	}
	all.Wait()
	for i := range callers {
		if errs[i] != nil || users[i].ID != users[0].ID {
			t.Errorf("Ensure %d = %s, %v, want %s", i, users[i].ID, errs[i], users[0].ID)
		}
	}
	if n := w.AuditCount(t, acme, "user.create"); n != 1 {
		t.Errorf("audit entries = %d, want 1", n)
	}
	again, err := w.Users.Ensure(t.Context(), acme, user.Profile{ExternalID: "one", Name: "Somebody else"})
	if err != nil || again.Name != "Ada" {
		t.Errorf("Ensure of a known external id = %q, %v, want the user as it is", again.Name, err)
	}
}

// Removing RLS turns every case red.
func TestCrossing(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	ada := w.User(t, acme)
	name := "Mallory"
	for _, tt := range []struct {
		name string
		call func(context.Context, scope.Scope) error
	}{
		{"Get", func(ctx context.Context, sc scope.Scope) error { _, err := w.Users.Get(ctx, sc, ada.ID); return err }},
		{"Lookup", func(ctx context.Context, sc scope.Scope) error {
			_, err := w.Users.Lookup(ctx, sc, ada.ExternalID)
			return err
		}},
		{"Update", func(ctx context.Context, sc scope.Scope) error {
			_, err := w.Users.Update(ctx, sc, user.UpdateRequest{ID: ada.ID, Name: &name})
			return err
		}},
		{"Update with the right etag", func(ctx context.Context, sc scope.Scope) error {
			_, err := w.Users.Update(ctx, sc, user.UpdateRequest{ID: ada.ID, Name: &name, IfMatch: ada.ETag})
			return err
		}},
		{"Block", func(ctx context.Context, sc scope.Scope) error {
			_, err := w.Users.Block(ctx, sc, user.BlockRequest{ID: ada.ID})
			return err
		}},
		{"Unblock", func(ctx context.Context, sc scope.Scope) error {
			_, err := w.Users.Unblock(ctx, sc, user.BlockRequest{ID: ada.ID})
			return err
		}},
		{"Delete", func(ctx context.Context, sc scope.Scope) error {
			_, err := w.Users.Delete(ctx, sc, user.DeleteRequest{ID: ada.ID})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.call(t.Context(), globex); !errors.Is(err, user.ErrNotFound) {
				t.Errorf("error = %v, want %v", err, user.ErrNotFound)
			}
		})
	}
	if got, err := w.Users.Get(t.Context(), acme, ada.ID); err != nil || cmp.Diff(ada, got) != "" {
		t.Errorf("the user has changed: %v (-before +after):\n%s", err, cmp.Diff(ada, got))
	}
	if page, err := w.Users.List(t.Context(), globex, all); err != nil || len(page.Items) != 0 {
		t.Errorf("List = %d users, %v, want none", len(page.Items), err)
	}
}

// Two users of one tenant exchange their sealed profiles in the database: neither
// opens. Leaving the row out of the associated data turns it red.
func TestMovedProfile(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	ada, bob := w.User(t, acme), w.User(t, acme)
	if _, err := w.Superuser(t).Exec(t.Context(),
		"UPDATE users SET profile_sealed = (SELECT profile_sealed FROM users WHERE id = $2) WHERE id = $1", ada.ID.UUID(), bob.ID.UUID()); err != nil {
		t.Fatal(err)
	}
	if got, err := w.Users.Get(t.Context(), acme, ada.ID); err == nil {
		t.Errorf("Get of a user with another's profile = %+v, want an error", got)
	}
}

func TestParseID(t *testing.T) {
	for _, s := range []string{
		"", "x", "0190b1c2-0000-7000-8000-00000000000", "{0190b1c2-0000-7000-8000-000000000001}",
		"urn:uuid:0190b1c2-0000-7000-8000-000000000001", "0190b1c2000070008000000000000001", "0190b1c2-0000-7000-8000-00000000000g",
	} {
		if id, err := user.ParseID(s); !errors.Is(err, user.ErrNotFound) {
			t.Errorf("ParseID(%q) = %s, %v, want %v", s, id, err, user.ErrNotFound)
		}
	}
	const good = "0190b1c2-0000-7000-8000-000000000001"
	if id, err := user.ParseID(good); err != nil || id.String() != good {
		t.Errorf("ParseID(%q) = %s, %v", good, id, err)
	}
}

// A call with an Idempotency-Key happens once, and its answer is kept.
func TestIdempotency(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	ada := w.User(t, acme)
	name := "Countess"
	for _, tt := range []struct {
		name string
		call func(context.Context) error
	}{
		{"Create", func(ctx context.Context) error {
			_, err := w.Users.Create(ctx, acme, user.Profile{ExternalID: "once", Name: "Once"}, user.Contact{Email: "once@example.com"})
			return err
		}},
		{"Ensure", func(ctx context.Context) error {
			_, err := w.Users.Ensure(ctx, acme, user.Profile{ExternalID: "ensured", Name: "Ensured"})
			return err
		}},
		{"Update", func(ctx context.Context) error {
			_, err := w.Users.Update(ctx, acme, user.UpdateRequest{ID: ada.ID, Name: &name})
			return err
		}},
		{"Block", func(ctx context.Context) error {
			_, err := w.Users.Block(ctx, acme, user.BlockRequest{ID: ada.ID})
			return err
		}},
		{"Block of a blocked user", func(ctx context.Context) error {
			_, err := w.Users.Block(ctx, acme, user.BlockRequest{ID: ada.ID})
			return err
		}},
		{"Unblock", func(ctx context.Context) error {
			_, err := w.Users.Unblock(ctx, acme, user.BlockRequest{ID: ada.ID})
			return err
		}},
		{"Delete", func(ctx context.Context) error {
			_, err := w.Users.Delete(ctx, acme, user.DeleteRequest{ID: ada.ID})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keyed := func() context.Context {
				return idempotency.NewContext(t.Context(), &idempotency.Call{
					Scope: acme, Method: "test/" + tt.name, Key: "k", Encode: json.Marshal,
				})
			}
			if err := tt.call(keyed()); err != nil {
				t.Fatalf("first call error = %v", err)
			}
			err := tt.call(keyed())
			if tt.name == "Ensure" && err == nil {
				return // finds the user without writing
			}
			if r, ok := idempotency.AsReplayed(err); !ok || len(r.Response) == 0 {
				t.Errorf("second call error = %v, want the first answer", err)
			}
		})
	}
}

// dump is all that the tenant's tables hold, as the superuser sees it.
func dump(t *testing.T, w *authcoretest.World, sc scope.Scope) string {
	t.Helper()
	var out strings.Builder
	conn := w.Superuser(t)
	for _, table := range []string{"users", "contacts", "credentials", "sessions", "audit_inbox", "event_outbox"} {
		rows, err := conn.Query(t.Context(), "SELECT t::text FROM "+table+" t WHERE tenant_id = $1", sc.Tenant())
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			out.WriteString(line)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}
