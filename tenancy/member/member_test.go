package member_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

type world struct {
	*dbtest.Store
	*member.Service

	keys *keys.Service
}

func newWorld(t testing.TB) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.Open(t.Context(), "local:"+path)
	if err != nil {
		t.Fatal(err)
	}
	store := dbtest.Fresh(t) // the reserved tenant is one for all
	w := &world{Store: store, keys: keys.New(keys.Options{Store: store.Store, KMS: k})}
	w.Service = member.New(member.Options{Store: store.Store, Keys: w.keys})
	w.ensure(t, home)
	return w
}

// home is the reserved tenant, at the command line.
var home = scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "cli", Name: "root"})

func (w *world) ensure(t testing.TB, sc scope.Scope) {
	t.Helper()
	if err := w.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
}

// tenant is a new one with keys, as the command line acts in it.
func (w *world) tenant(t testing.TB) scope.Scope {
	t.Helper()
	sc := w.Store.Tenant(t)
	w.ensure(t, sc)
	return sc.WithActor(home.Actor())
}

// person is somebody of the console with a role in sc's tenant, and sc as they act in it.
func (w *world) person(t testing.TB, sc scope.Scope, role member.Role) (member.Member, scope.Scope) {
	t.Helper()
	made, err := w.Invite(t.Context(), sc.WithActor(home.Actor()), member.InviteRequest{Role: role, Label: "somebody"})
	if err != nil {
		t.Fatalf("Invite: %v", err)
	}
	id := uuid.New()
	tenantID, m, err := w.Accept(t.Context(), id, scope.Origin{}, made.Token)
	if err != nil || tenantID != sc.Tenant() {
		t.Fatalf("Accept = %v, %v", tenantID, err)
	}
	return m, as(sc, m)
}

func as(sc scope.Scope, m member.Member) scope.Scope {
	return sc.WithActor(scope.Actor{Kind: scope.ActorOperator, ID: m.PersonID.String()})
}

func (w *world) audited(t testing.TB, sc scope.Scope, action string) (n int) {
	t.Helper()
	err := w.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM audit_records WHERE tenant_id = $1 AND action = $2", sc.Tenant(), action).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// An invitation makes one member, once, in its tenant.
func TestInvitation(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	made, err := w.Invite(t.Context(), acme, member.InviteRequest{Role: member.Owner, Label: "Ana Sousa"})
	if err != nil || !made.Invitation.Open || made.Invitation.Role != member.Owner {
		t.Fatalf("Invite = %+v, %v", made.Invitation, err)
	}
	if s := fmt.Sprintf("%+v", made); strings.Contains(s, made.Token) {
		t.Errorf("the token prints: %s", s)
	}
	tenantID, looked, err := w.Look(t.Context(), made.Token)
	if err != nil || tenantID != acme.Tenant() || looked.Label != "Ana Sousa" {
		t.Errorf("Look = %v, %+v, %v", tenantID, looked, err)
	}
	if list, err := w.Invitations(t.Context(), acme); err != nil || len(list) != 1 || list[0].Token != made.Token {
		t.Errorf("Invitations = %d, %v", len(list), err)
	}
	if list, err := w.Invitations(t.Context(), globex); err != nil || len(list) != 0 {
		t.Errorf("another tenant's = %d, %v", len(list), err)
	}
	if _, err := w.Uninvite(t.Context(), globex, made.Invitation.ID); !errors.Is(err, member.ErrInvitation) {
		t.Errorf("Uninvite by another tenant = %v", err)
	}
	ana := uuid.New()
	if _, m, err := w.Accept(t.Context(), ana, scope.Origin{}, made.Token); err != nil || m.Role != member.Owner || m.PersonID != ana {
		t.Fatalf("Accept = %+v, %v", m, err)
	}
	if _, _, err := w.Accept(t.Context(), uuid.New(), scope.Origin{}, made.Token); !errors.Is(err, member.ErrInvitationClosed) {
		t.Errorf("Accept again = %v", err)
	}
	if _, _, err := w.Look(t.Context(), made.Token); !errors.Is(err, member.ErrInvitationClosed) {
		t.Errorf("Look afterwards = %v", err)
	}
	if m, err := w.Of(t.Context(), acme, ana); err != nil || m.Role != member.Owner {
		t.Errorf("Of = %+v, %v", m, err)
	}
	if _, err := w.Of(t.Context(), globex, ana); !errors.Is(err, member.ErrNotFound) {
		t.Errorf("Of in another tenant = %v", err)
	}
	if all, err := w.Memberships(t.Context(), ana); err != nil || len(all) != 1 || all[0].TenantID != acme.Tenant() || all[0].Role != member.Owner {
		t.Errorf("Memberships = %+v, %v", all, err)
	}
	second, err := w.Invite(t.Context(), acme, member.InviteRequest{Role: member.Viewer, Label: "Ana again"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Accept(t.Context(), ana, scope.Origin{}, second.Token); !errors.Is(err, member.ErrExists) {
		t.Errorf("Accept by a member = %v", err)
	}
	if _, err := w.Uninvite(t.Context(), acme, second.Invitation.ID); err != nil {
		t.Errorf("Uninvite = %v", err)
	}
	if _, _, err := w.Accept(t.Context(), uuid.New(), scope.Origin{}, second.Token); !errors.Is(err, member.ErrInvitationClosed) {
		t.Errorf("Accept of what was taken back = %v", err)
	}
	for action, want := range map[string]int{"member.invite": 2, "member.join": 1, "member.uninvite": 1} {
		if n := w.audited(t, acme, action); n != want {
			t.Errorf("%d audit entries %s, want %d", n, action, want)
		}
	}
}

// What is no token, or a token that was touched, opens nothing and makes no tenant's keys.
func TestInvitationTokens(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	made, err := w.Invite(t.Context(), acme, member.InviteRequest{Role: member.Admin, Label: "x"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := w.Invite(t.Context(), globex, member.InviteRequest{Role: member.Admin, Label: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"empty": "", "short": made.Token[:80], "line break": made.Token[:85] + "\n", "another alphabet": strings.Repeat("+", 86),
		"another tenant's half": other.Token[:22] + made.Token[22:], "another's id": made.Token[:22] + other.Token[22:],
		"nobody's tenant": strings.Repeat("A", 86), "a bit": flip(made.Token, 30), "a bit of the MAC": flip(made.Token, 60),
	} {
		if _, _, err := w.Look(t.Context(), token); !errors.Is(err, member.ErrInvitation) {
			t.Errorf("%s: Look = %v, want ErrInvitation", name, err)
		}
		if _, _, err := w.Accept(t.Context(), uuid.New(), scope.Origin{}, token); !errors.Is(err, member.ErrInvitation) {
			t.Errorf("%s: Accept = %v, want ErrInvitation", name, err)
		}
	}
	if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE invitations SET expires_at = now() WHERE id = $1", made.Invitation.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Accept(t.Context(), uuid.New(), scope.Origin{}, made.Token); !errors.Is(err, member.ErrInvitationClosed) {
		t.Errorf("Accept when it is over = %v", err)
	}
}

func flip(token string, at int) string {
	b := []byte(token)
	if b[at]++; b[at] == 'Z'+1 || b[at] == 'z'+1 || b[at] == '9'+1 {
		b[at] = 'A'
	}
	return string(b)
}

func TestInviteRefuses(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	for name, tt := range map[string]struct {
		sc   scope.Scope
		req  member.InviteRequest
		want error
	}{
		"no role":                {acme, member.InviteRequest{Label: "x"}, member.ErrRole},
		"a role of the staff":    {acme, member.InviteRequest{Role: member.StaffAdmin, Label: "x"}, member.ErrRole},
		"a customer's, at home":  {home, member.InviteRequest{Role: member.Owner, Label: "x"}, member.ErrRole},
		"nobody":                 {acme, member.InviteRequest{Role: member.Viewer}, member.ErrLabel},
		"a long name":            {acme, member.InviteRequest{Role: member.Viewer, Label: strings.Repeat("ä", 101)}, member.ErrLabel},
		"not UTF-8":              {acme, member.InviteRequest{Role: member.Viewer, Label: "\xff"}, member.ErrLabel},
		"too short":              {acme, member.InviteRequest{Role: member.Viewer, Label: "x", Life: time.Minute}, member.ErrLife},
		"too long":               {acme, member.InviteRequest{Role: member.Viewer, Label: "x", Life: 15 * 24 * time.Hour}, member.ErrLife},
		"by somebody of nowhere": {acme.WithActor(scope.Actor{Kind: scope.ActorOperator, ID: uuid.NewString()}), member.InviteRequest{Role: member.Viewer, Label: "x"}, member.ErrTooMighty},
	} {
		if _, err := w.Invite(t.Context(), tt.sc, tt.req); !errors.Is(err, tt.want) {
			t.Errorf("%s: Invite = %v, want %v", name, err, tt.want)
		}
	}
}

// Nobody gives or takes what is above their own role: each pair of roles. And a tenant is
// never without an owner.
func TestRolesAreGivenFromAbove(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	w.person(t, acme, member.Owner)
	for _, giver := range member.Roles() {
		_, sc := w.person(t, acme, giver)
		for _, given := range member.Roles() {
			may := giver == member.Owner || giver == member.Admin && given != member.Owner
			_, err := w.Invite(t.Context(), sc, member.InviteRequest{Role: given, Label: "x"})
			if (err == nil) != may || err != nil && !errors.Is(err, member.ErrTooMighty) {
				t.Errorf("%s invites %s: %v", giver, given, err)
			}
			target, _ := w.person(t, acme, given)
			_, err = w.Change(t.Context(), sc, member.ChangeRequest{ID: target.ID, Reason: "leaves"})
			if (err == nil) != may || err != nil && !errors.Is(err, member.ErrTooMighty) {
				t.Errorf("%s removes %s: %v", giver, given, err)
			}
			low, _ := w.person(t, acme, member.Viewer)
			_, err = w.Change(t.Context(), sc, member.ChangeRequest{ID: low.ID, Role: given, Reason: "rises"})
			if (err == nil) != may || err != nil && !errors.Is(err, member.ErrTooMighty) {
				t.Errorf("%s makes a viewer %s: %v", giver, given, err)
			}
		}
	}
	globex := w.tenant(t)
	owner, sc := w.person(t, globex, member.Owner)
	for _, to := range []member.Role{"", member.Admin} {
		if _, err := w.Change(t.Context(), sc, member.ChangeRequest{ID: owner.ID, Role: to, Reason: "x"}); !errors.Is(err, member.ErrLastOwner) {
			t.Errorf("the last owner becomes %q: %v", to, err)
		}
	}
	second, other := w.person(t, globex, member.Owner)
	if m, err := w.Change(t.Context(), sc, member.ChangeRequest{ID: owner.ID, Role: member.Admin, Reason: "steps down"}); err != nil || m.Role != member.Admin {
		t.Errorf("Change = %+v, %v", m, err)
	}
	if _, err := w.Change(t.Context(), other, member.ChangeRequest{ID: second.ID, Reason: "x"}); !errors.Is(err, member.ErrLastOwner) {
		t.Errorf("the last owner leaves: %v", err)
	}
	for name, req := range map[string]member.ChangeRequest{
		"MEMBER_UNKNOWN": {ID: uuid.New(), Role: member.Admin, Reason: "x"}, "REASON_REQUIRED": {ID: owner.ID, Role: member.Admin},
		"ROLE_INVALID": {ID: owner.ID, Role: "king", Reason: "x"},
	} {
		if _, err := w.Change(t.Context(), other, req); err == nil || !strings.Contains(fmt.Sprintf("%#v", err), name) {
			t.Errorf("Change = %#v, want %s", err, name)
		}
	}
	// Another tenant's member is nobody.
	if _, err := w.Change(t.Context(), acme, member.ChangeRequest{ID: owner.ID, Reason: "x"}); !errors.Is(err, member.ErrNotFound) {
		t.Errorf("Change by another tenant = %v", err)
	}
	if n := w.audited(t, globex, "member.update"); n != 1 {
		t.Errorf("%d audit entries of changed roles, want 1", n)
	}
}

// Nobody comes back, or up again, by a link that they made, that a key of theirs made, or that
// they could copy; and nobody copies one that gives more than they may.
func TestLinksAreTakenBack(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	_, asOwner := w.person(t, acme, member.Owner)
	bob, asBob := w.person(t, acme, member.Owner)
	_, asAdmin := w.person(t, acme, member.Admin)
	key := w.key(t, acme, bob.PersonID, apikey.ScopeAuthPlane, apikey.ScopeAdminPlane)
	for _, to := range []member.Role{member.Admin, ""} {
		byKey, err := w.Invite(t.Context(), key, member.InviteRequest{Role: member.Security, Label: "of his key"})
		if err != nil {
			t.Fatal(err)
		}
		spare, err := w.Invite(t.Context(), asBob, member.InviteRequest{Role: member.Admin, Label: "spare"})
		if err != nil {
			t.Fatal(err)
		}
		kept, err := w.Invite(t.Context(), asOwner, member.InviteRequest{Role: member.Owner, Label: "of somebody else"})
		if err != nil {
			t.Fatal(err)
		}
		if open, err := w.Invitations(t.Context(), asAdmin); err != nil || len(open) != 3 || open[0].Token != "" || open[1].Token != spare.Token {
			t.Errorf("an admin sees %+v, %v: want an owner's invitation without its link", open, err)
		}
		if _, err := w.Change(t.Context(), asOwner, member.ChangeRequest{ID: bob.ID, Role: to, Reason: "x"}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Accept(t.Context(), bob.PersonID, scope.Origin{}, spare.Token); !errors.Is(err, member.ErrInvitationClosed) {
			t.Errorf("made %q, he accepts his own invitation: %v", to, err)
		}
		for name, one := range map[string]member.Invited{"an owner's, which he could copy": kept, "one of his key's": byKey} {
			_, _, err := w.Look(t.Context(), one.Token)
			// As an admin he invites security people as before, and reads no owner's link any more.
			gone := (to == member.Admin) == (one.Invitation.Role == member.Owner)
			if gone != errors.Is(err, member.ErrInvitationClosed) {
				t.Errorf("made %q, %s: %v", to, name, err)
			}
		}
		if _, err := w.Uninvite(t.Context(), asOwner, byKey.Invitation.ID); to != "" && err != nil {
			t.Error(err)
		}
	}
}

// No key makes a member who may more than the key.
func TestKeyGivesNoMoreThanItHas(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	ana, _ := w.person(t, acme, member.Owner)
	carl, _ := w.person(t, acme, member.Viewer)
	small := w.key(t, acme, ana.PersonID, apikey.ScopeMembersWrite, apikey.ScopeMembersRead)
	for _, role := range []member.Role{member.Admin, member.Security, member.Viewer} {
		if _, err := w.Invite(t.Context(), small, member.InviteRequest{Role: role, Label: "x"}); !errors.Is(err, member.ErrTooMighty) {
			t.Errorf("a key of members alone invites a %s: %v", role, err)
		}
	}
	if _, err := w.Change(t.Context(), small, member.ChangeRequest{ID: carl.ID, Role: member.Security, Reason: "x"}); !errors.Is(err, member.ErrTooMighty) {
		t.Errorf("and makes one: %v", err)
	}
	if _, err := w.Change(t.Context(), small, member.ChangeRequest{ID: carl.ID, Reason: "has left"}); err != nil {
		t.Errorf("it removes who has left: %v", err)
	}
	viewing := w.key(t, acme, ana.PersonID, append(member.Viewer.Grants(apikey.Secret), apikey.ScopeMembersWrite)...)
	if _, err := w.Invite(t.Context(), viewing, member.InviteRequest{Role: member.Viewer, Label: "x"}); err != nil {
		t.Errorf("a key with what viewers may invites one: %v", err)
	}
	for _, kind := range []scope.ActorKind{scope.ActorPlatform, scope.ActorUser} {
		if _, err := w.Invite(t.Context(), acme.WithActor(scope.Actor{Kind: kind, ID: ana.PersonID.String()}), member.InviteRequest{Role: member.Viewer, Label: "x"}); !errors.Is(err, member.ErrTooMighty) {
			t.Errorf("%s invites: %v", kind, err)
		}
	}
}

// What a platform key made with the tenant sets it up, and is nobody's once there is an owner.
func TestKeyOfTheStaff(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	first := w.keyBy(t, acme, scope.Actor{Kind: scope.ActorPlatform, ID: uuid.NewString()}, apikey.ScopeAuthPlane, apikey.ScopeAdminPlane)
	for _, role := range []member.Role{member.Admin, member.Viewer} {
		if _, err := w.Invite(t.Context(), first, member.InviteRequest{Role: role, Label: "x"}); err != nil {
			t.Errorf("a %s is invited before there is an owner: %v", role, err)
		}
	}
	w.person(t, acme, member.Owner)
	for _, role := range []member.Role{member.Admin, member.Viewer} {
		if _, err := w.Invite(t.Context(), first, member.InviteRequest{Role: role, Label: "x"}); !errors.Is(err, member.ErrTooMighty) {
			t.Errorf("a %s is invited after: %v", role, err)
		}
	}
}

// key is a key of the tenant's that person has made.
func (w *world) key(t *testing.T, sc scope.Scope, person uuid.UUID, scopes ...string) scope.Scope {
	t.Helper()
	return w.keyBy(t, sc, scope.Actor{Kind: scope.ActorOperator, ID: person.String()}, scopes...)
}

func (w *world) keyBy(t *testing.T, sc scope.Scope, maker scope.Actor, scopes ...string) scope.Scope {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	if _, err := w.Superuser(t).Exec(t.Context(), `INSERT INTO api_keys (tenant_id, id, key_id, kind, name, prefix, secret_hash, scopes, created_by, created_at)
		VALUES ($1, $2, $3, 'SECRET', 'k', 'bk_', $4, $5, $6, now())`, sc.Tenant(), id, rand.Int64(), append(id[:], id[:]...), scopes, maker.String()); err != nil {
		t.Fatal(err)
	}
	return sc.WithActor(scope.Actor{Kind: scope.ActorAPIKey, ID: id.String()})
}

// Two owners who remove each other at the same time: one stays.
func TestOwnersRemoveEachOther(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		acme := w.tenant(t)
		a, asA := w.person(t, acme, member.Owner)
		b, asB := w.person(t, acme, member.Owner)
		done := make(chan error, 2)
		go func() {
			_, err := w.Change(t.Context(), asA, member.ChangeRequest{ID: b.ID, Reason: "x"})
			done <- err
		}()
		go func() {
			_, err := w.Change(t.Context(), asB, member.ChangeRequest{ID: a.ID, Reason: "x"})
			done <- err
		}()
		one, two := <-done, <-done
		if (one == nil) == (two == nil) {
			t.Fatalf("%v and %v, want one that is refused", one, two)
		}
		if all, err := w.List(t.Context(), acme); err != nil || len(all) != 1 {
			t.Fatalf("List = %+v, %v, want one owner", all, err)
		}
	}
}

// The table names every role and every scope of keys that a customer's console works by,
// an owner may all of a tenant's, and reading comes before writing.
func TestPermissions(t *testing.T) {
	table := member.Permissions()
	for i, p := range table {
		if p.Says == "" || len(p.Roles) == 0 || slices.ContainsFunc(table[:i], func(q member.Permission) bool { return q.Scope == p.Scope }) {
			t.Errorf("line %d: %+v", i, p)
		}
		staff := slices.ContainsFunc(p.Roles, member.Role.IsStaff)
		if staff == member.Owner.May(p.Scope) || staff && slices.ContainsFunc(p.Roles, func(r member.Role) bool { return !r.IsStaff() }) {
			t.Errorf("%s is the staff's and a tenant's: %v", p.Scope, p.Roles)
		}
		if read, ok := strings.CutSuffix(p.Scope, ":write"); ok {
			for _, r := range p.Roles {
				if !r.May(read + ":read") {
					t.Errorf("%s writes %s and cannot read it", r, read)
				}
			}
		}
		// A report is what auditors are there for: it changes nothing that it is of.
		if strings.HasSuffix(p.Scope, ":write") && p.Scope != apikey.ScopeReportsWrite && member.Auditor.May(p.Scope) {
			t.Errorf("an auditor may %s", p.Scope)
		}
	}
	for _, s := range apikey.Scopes(apikey.Secret) {
		if !member.Owner.May(s) {
			t.Errorf("an owner may not %s, which a key may", s)
		}
	}
	for _, r := range append(member.Roles(), member.StaffRoles()...) {
		if r.Label() == "" || r.Purpose() == "" {
			t.Errorf("%s has no words", r)
		}
	}
	if member.Role("").May(apikey.ScopeMembersRead) || member.Owner.May("") || member.Owner.May(apikey.ScopeTenantsWrite) {
		t.Error("nobody's role may something, or an owner may what is the staff's")
	}
}

// Nobody gives a key what they may not do themselves, and only an owner gives what may come.
func TestGrants(t *testing.T) {
	for _, role := range member.Roles() {
		grants := role.Grants(apikey.Secret)
		if grants == nil {
			t.Errorf("%s grants nil, which is all", role)
		}
		for _, s := range apikey.Scopes(apikey.Secret) {
			if slices.Contains(grants, s) != role.May(s) {
				t.Errorf("%s grants %s: %v, may %v", role, s, slices.Contains(grants, s), role.May(s))
			}
		}
		if whole := slices.Contains(grants, apikey.ScopeAuthPlane) || slices.Contains(grants, apikey.ScopeAdminPlane); whole != (role == member.Owner) {
			t.Errorf("%s grants a whole plane: %v", role, whole)
		}
		if len(role.Grants(apikey.Platform)) != 0 {
			t.Errorf("%s grants scopes of the platform", role)
		}
	}
}
