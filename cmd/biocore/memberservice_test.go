package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// invitation is an open one of the customer's.
func (w *world) invitation(t *testing.T, c *customer) string {
	t.Helper()
	return w.must(t, "POST", "/admin/v1/members:invite", c.secret, map[string]any{"role": "viewer", "label": "Ana of " + c.slug}).text("invitation", "id")
}

// person makes somebody of the console, with an account and no passkey.
func (w *world) newPerson(t *testing.T) uuid.UUID {
	t.Helper()
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	name := "Person " + uuid.NewString()
	u, err := w.users.Create(t.Context(), home, user.Profile{ExternalID: name, Name: name}, user.Contact{})
	if err != nil {
		t.Fatal(err)
	}
	return u.ID.UUID()
}

// joins makes somebody a member of the customer's tenant, and returns the membership.
func (w *world) joins(t *testing.T, c *customer, person uuid.UUID, role member.Role) string {
	t.Helper()
	cli := scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	made, err := w.members.Invite(t.Context(), cli, member.InviteRequest{Role: role, Label: "Somebody"})
	if err != nil {
		t.Fatal(err)
	}
	_, m, err := w.members.Accept(t.Context(), person, scope.Origin{}, made.Token)
	if err != nil {
		t.Fatal(err)
	}
	return m.ID.String()
}

// colleague is a member of the customer's tenant.
func (w *world) colleague(t *testing.T, c *customer, role member.Role) string {
	t.Helper()
	return w.joins(t, c, w.newPerson(t), role)
}

// keyBy is a server key that may all, made by who sc acts as.
func (w *world) keyBy(t *testing.T, sc scope.Scope) string {
	t.Helper()
	made, err := w.apiKeys.Create(t.Context(), sc, apikey.CreateRequest{Kind: apikey.Secret, Name: "by hand", Scopes: []string{apikey.ScopeAuthPlane, apikey.ScopeAdminPlane}})
	if err != nil {
		t.Fatal(err)
	}
	return made.Plain.Reveal()
}

// ownersKey is a server key that an owner of the customer's tenant has made.
func (w *world) ownersKey(t *testing.T, c *customer) string {
	t.Helper()
	owner := w.newPerson(t)
	w.joins(t, c, owner, member.Owner)
	return w.keyBy(t, scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorOperator, ID: owner.String()}))
}

// A key gives and takes what its maker may, as they are now, and never owner. Without
// roleOfKey each refusal turns red.
func TestMembersByKeys(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	ana := w.newPerson(t)
	anas := w.joins(t, c, ana, member.Owner)
	ben := w.colleague(t, c, member.Admin)
	asAna := scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorOperator, ID: ana.String()})
	key := w.keyBy(t, asAna)
	invite := func(key, role string) answer {
		return w.call(t, "POST", "/admin/v1/members:invite", key, map[string]any{"role": role, "label": "Somebody"})
	}
	cli := scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	if a := invite(c.secret, "viewer"); a.reason() != "ROLE_TOO_HIGH" {
		t.Errorf("by the key that the staff's key made, beside an owner: %s", a)
	}
	for _, k := range []string{key, w.keyBy(t, cli)} {
		if a := invite(k, "admin"); a.status != http.StatusOK || !strings.Contains(a.text("url"), "/console/join#") {
			t.Errorf("an admin: %s", a)
		}
		if a := invite(k, "owner"); a.reason() != "ROLE_TOO_HIGH" {
			t.Errorf("an owner: %s", a)
		}
		if a := invite(k, "staff_admin"); a.reason() != "ROLE_INVALID" {
			t.Errorf("of the staff: %s", a)
		}
		if a := w.call(t, "POST", "/admin/v1/members/"+anas+":remove", k, map[string]any{"reason": "coup"}); a.reason() != "ROLE_TOO_HIGH" {
			t.Errorf("removing an owner: %s", a)
		}
		if a := w.call(t, "PATCH", "/admin/v1/members/"+ben, k, map[string]any{"role": "owner", "reason": "coup"}); a.reason() != "ROLE_TOO_HIGH" {
			t.Errorf("making an owner: %s", a)
		}
	}
	list := w.must(t, "GET", "/admin/v1/members", key, nil)
	if all, _ := list.at("members").([]any); len(all) != 2 || !strings.Contains(list.raw, "Person ") {
		t.Errorf("members: %s", list)
	}
	if strings.Count(list.raw, `"passkeyCount":0`) != 2 || strings.Contains(list.raw, "lastSeenAt") {
		t.Errorf("who has no passkey and never came: %s", list)
	}
	open := w.must(t, "GET", "/admin/v1/invitations", key, nil)
	if all, _ := open.at("invitations").([]any); len(all) != 2 || strings.Contains(open.raw, "/join#") {
		t.Errorf("invitations: %s", open)
	}
	if a := w.call(t, "POST", "/admin/v1/members:invite", key, map[string]any{"role": "viewer", "label": "x", "email": "x@bank.example"}); a.reason() != "MAIL_NOT_CONFIGURED" {
		t.Errorf("by mail: %s", a)
	}
	// The key's key, and then both, when its maker is an owner no more.
	second := w.must(t, "POST", "/admin/v1/apiKeys", key, map[string]any{"kind": "SECRET", "name": "second", "scopes": []string{"*", "admin:*"}}).text("key")
	if a := invite(second, "admin"); a.status != http.StatusOK {
		t.Errorf("a key's key: %s", a)
	}
	w.colleague(t, c, member.Owner)
	if _, err := w.members.Change(t.Context(), cli, member.ChangeRequest{ID: uuid.MustParse(anas), Role: member.Viewer, Reason: "new job"}); err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]string{"its maker is a viewer": key, "the maker of its maker is": second} {
		if a := invite(k, "viewer"); a.reason() != "ROLE_TOO_HIGH" {
			t.Errorf("%s: %s", name, a)
		}
	}
}

// Who is blocked is no owner to count on: the last one who can sign in stays, whoever else
// has the role, and may not be blocked. Change by roles alone turns it red.
func TestLastOwnerWhoCanSignIn(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	in := scope.New(uuid.MustParse(acme.id), home.Actor())
	ana, ben := w.newPerson(t), w.newPerson(t)
	anas, bens := w.joins(t, acme, ana, member.Owner), w.joins(t, acme, ben, member.Owner)
	w.joins(t, globex, ben, member.Owner)
	block := func(person uuid.UUID) error {
		_, err := w.users.Block(t.Context(), home, user.BlockRequest{ID: user.ID(person), Reason: "lost"})
		return err
	}
	if err := block(ben); !errors.Is(err, member.ErrLastOwner) {
		t.Errorf("block the only owner of another tenant: %v", err)
	}
	w.joins(t, globex, ana, member.Owner)
	if err := block(ben); err != nil {
		t.Fatalf("block one of two owners: %v", err)
	}
	for name, role := range map[string]member.Role{"demote": member.Admin, "remove": ""} {
		if _, err := w.members.Change(t.Context(), in, member.ChangeRequest{ID: uuid.MustParse(anas), Role: role, Reason: "x"}); !errors.Is(err, member.ErrLastOwner) {
			t.Errorf("%s the only one who can sign in: %v", name, err)
		}
	}
	if err := block(ana); !errors.Is(err, member.ErrLastOwner) {
		t.Errorf("block the only one who can sign in: %v", err)
	}
	if _, err := w.users.Delete(t.Context(), home, user.DeleteRequest{ID: user.ID(ana)}); !errors.Is(err, member.ErrLastOwner) {
		t.Errorf("delete the only one who can sign in: %v", err)
	}
	if _, err := w.members.Change(t.Context(), in, member.ChangeRequest{ID: uuid.MustParse(bens), Reason: "has left"}); err != nil {
		t.Errorf("remove who is blocked: %v", err)
	}
	// The staff has to have somebody, too; who only helps is not counted on.
	sam := w.staffPerson(t, "Sam")
	if err := block(sam); err != nil {
		t.Errorf("block support of the staff: %v", err)
	}
	made, err := w.members.Invite(t.Context(), home, member.InviteRequest{Role: member.StaffAdmin, Label: "root"})
	if err != nil {
		t.Fatal(err)
	}
	root := w.newPerson(t)
	if _, _, err := w.members.Accept(t.Context(), root, scope.Origin{}, made.Token); err != nil {
		t.Fatal(err)
	}
	if err := block(root); !errors.Is(err, member.ErrLastOwner) {
		t.Errorf("block the only staff admin: %v", err)
	}
}
