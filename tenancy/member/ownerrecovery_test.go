package member_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// staff is a person of the staff, as they act in sc's tenant.
func (w *world) staff(t testing.TB, sc scope.Scope) scope.Scope {
	t.Helper()
	m, _ := w.person(t, home, member.StaffSupport)
	return as(sc, m)
}

// pass moves an owner's recovery back in time by d.
func (w *world) pass(t testing.TB, id uuid.UUID, d time.Duration) {
	t.Helper()
	_, err := w.Superuser(t).Exec(t.Context(), `UPDATE owner_recoveries SET requested_at = requested_at - $2::interval, approved_at = approved_at - $2::interval,
		ready_at = ready_at - $2::interval, expires_at = expires_at - $2::interval WHERE id = $1`, id, d)
	if err != nil {
		t.Fatal(err)
	}
}

// The drill of SECURITY 49b: two of the staff, three days, and nobody alone.
func TestOwnerRecovery(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	owner, asOwner := w.person(t, acme, member.Owner)
	_, asViewer := w.person(t, acme, member.Viewer)
	_, asStranger := w.person(t, globex, member.Owner)
	one, two := w.staff(t, acme), w.staff(t, acme)
	request := member.OwnerRecoveryRequest{MemberID: owner.ID, Reason: "lost both keys", Ticket: "T-1"}

	for name, sc := range map[string]scope.Scope{"an owner": asOwner, "another tenant's owner": as(acme, member.Member{PersonID: uuid.New()}), "the command line": acme} {
		if _, err := w.RequestOwnerRecovery(t.Context(), sc, request); !errors.Is(err, member.ErrStaff) {
			t.Errorf("RequestOwnerRecovery by %s = %v", name, err)
		}
	}
	r, err := w.RequestOwnerRecovery(t.Context(), one, request)
	if err != nil || r.State != member.OwnerRequested || r.PersonID != owner.PersonID {
		t.Fatalf("RequestOwnerRecovery = %+v, %v", r, err)
	}
	if _, err := w.RequestOwnerRecovery(t.Context(), two, request); !errors.Is(err, member.ErrOwnerRecoveryOpen) {
		t.Errorf("a second request = %v", err)
	}
	if _, err := w.ApproveOwnerRecovery(t.Context(), one, r.ID, "x"); !errors.Is(err, member.ErrSecondStaff) {
		t.Errorf("approved by who asked = %v", err)
	}
	if _, err := w.ApproveOwnerRecovery(t.Context(), asOwner, r.ID, "x"); !errors.Is(err, member.ErrStaff) {
		t.Errorf("approved by an owner = %v", err)
	}
	if _, _, err := w.ReleaseOwnerRecovery(t.Context(), two, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryWaits) {
		t.Errorf("released without approval = %v", err)
	}
	if _, err := w.ApproveOwnerRecovery(t.Context(), w.staff(t, acme), r.ID, "x"); !errors.Is(err, member.ErrSecondStaff) {
		t.Errorf("approved by who joined the staff for it = %v", err)
	}
	if r, err = w.ApproveOwnerRecovery(t.Context(), two, r.ID, "seen their passport"); err != nil || r.State != member.OwnerWaiting || r.ReadyAt.Sub(*r.ApprovedAt) != 72*time.Hour {
		t.Fatalf("ApproveOwnerRecovery = %+v, %v", r, err)
	}
	if _, err := w.ApproveOwnerRecovery(t.Context(), w.staff(t, acme), r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
		t.Errorf("approved twice = %v", err)
	}
	w.pass(t, r.ID, 72*time.Hour-time.Minute)
	if _, _, err := w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryWaits) {
		t.Errorf("released a minute early = %v", err)
	}
	if _, err := w.CancelOwnerRecovery(t.Context(), asStranger, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecovery) {
		t.Errorf("cancelled in their own tenant by another one's owner = %v", err)
	}
	if _, err := w.CancelOwnerRecovery(t.Context(), acme.WithActor(asStranger.Actor()), r.ID, "x"); !errors.Is(err, member.ErrStaff) {
		t.Errorf("cancelled by another tenant's owner = %v", err)
	}
	w.pass(t, r.ID, time.Minute)
	all, err := w.OwnerRecoveries(t.Context(), asViewer)
	if err != nil || len(all) != 1 || all[0].State != member.OwnerReady {
		t.Errorf("OwnerRecoveries = %+v, %v", all, err)
	}
	var token string
	for range 2 { // the link may have been lost on its way: it is the same one
		released, invited, err := w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "handed over")
		if err != nil || released.State != member.OwnerReleased || token != "" && invited.Token != token {
			t.Fatalf("ReleaseOwnerRecovery = %+v, %v", released, err)
		}
		token = invited.Token
	}
	// It is no invitation that members would see among theirs, or take back as such.
	if open, err := w.Invitations(t.Context(), asOwner); err != nil || len(open) != 0 {
		t.Errorf("Invitations = %+v, %v", open, err)
	}
	if _, err := w.Uninvite(t.Context(), asOwner, w.linkOf(t, r.ID)); !errors.Is(err, member.ErrInvitation) {
		t.Errorf("Uninvite = %v", err)
	}
	if _, _, err := w.Accept(t.Context(), owner.PersonID, scope.Origin{}, token); !errors.Is(err, member.ErrExists) {
		t.Errorf("accepted by who was not lost = %v", err)
	}
	back := uuid.New()
	if _, m, err := w.Accept(t.Context(), back, scope.Origin{}, token); err != nil || m.Role != member.Owner {
		t.Fatalf("Accept = %+v, %v", m, err)
	}
	// The place is one: who was lost has it no more.
	if _, err := w.Of(t.Context(), acme, owner.PersonID); !errors.Is(err, member.ErrNotFound) {
		t.Errorf("the lost owner is still there: %v", err)
	}
	if _, _, err := w.ReleaseOwnerRecovery(t.Context(), two, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
		t.Errorf("released again after it was used = %v", err)
	}
	if _, err := w.CancelOwnerRecovery(t.Context(), asViewer, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
		t.Errorf("cancelled after it was used = %v", err)
	}
	if all, err = w.OwnerRecoveries(t.Context(), asViewer); err != nil || len(all) != 1 || all[0].State != member.OwnerCompleted {
		t.Errorf("OwnerRecoveries = %+v, %v", all, err)
	}
	for action, want := range map[string]int{"ownerrecovery.request": 1, "ownerrecovery.approve": 1, "ownerrecovery.release": 2, "member.remove": 1} {
		if n := w.audited(t, acme, action); n != want {
			t.Errorf("%d audit entries %s in the tenant, want %d", n, action, want)
		}
	}
}

// openLinks are a tenant's open invitations, those of owners' recoveries among them.
func (w *world) openLinks(t testing.TB, sc scope.Scope) (n int) {
	t.Helper()
	err := w.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM invitations WHERE tenant_id = $1 AND accepted_at IS NULL AND revoked_at IS NULL", sc.Tenant()).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// linkOf is the invitation that a recovery was released by.
func (w *world) linkOf(t testing.TB, id uuid.UUID) (link uuid.UUID) {
	t.Helper()
	if err := w.Superuser(t).QueryRow(t.Context(), "SELECT invitation_id FROM owner_recoveries WHERE id = $1", id).Scan(&link); err != nil {
		t.Fatal(err)
	}
	return link
}

// What an owner's recovery opens is the one tenant: the lost person is what they were in
// every other, and on the staff.
func TestOwnerRecoveryOpensOneTenant(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	owner, _ := w.person(t, acme, member.Owner)
	elsewhere, err := w.Invite(t.Context(), globex, member.InviteRequest{Role: member.Owner, Label: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Accept(t.Context(), owner.PersonID, scope.Origin{}, elsewhere.Token); err != nil {
		t.Fatal(err)
	}
	one, two := w.staff(t, acme), w.staff(t, acme)
	r, err := w.RequestOwnerRecovery(t.Context(), one, member.OwnerRecoveryRequest{MemberID: owner.ID, Reason: "x", Ticket: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ApproveOwnerRecovery(t.Context(), two, r.ID, "x"); err != nil {
		t.Fatal(err)
	}
	w.pass(t, r.ID, member.OwnerRecoveryDelay)
	_, invited, err := w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "x")
	if err != nil {
		t.Fatal(err)
	}
	back := uuid.New()
	if _, _, err := w.Accept(t.Context(), back, scope.Origin{}, invited.Token); err != nil {
		t.Fatal(err)
	}
	if all, err := w.Memberships(t.Context(), back); err != nil || len(all) != 1 || all[0].TenantID != acme.Tenant() {
		t.Errorf("who came back is a member of %+v, %v", all, err)
	}
	if m, err := w.Of(t.Context(), globex, owner.PersonID); err != nil || m.Role != member.Owner {
		t.Errorf("elsewhere the lost owner is %+v, %v", m, err)
	}
}

// Any member says no, at any time before the link; and so does time.
func TestOwnerRecoveryIsStopped(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	owner, asOwner := w.person(t, acme, member.Owner)
	_, asViewer := w.person(t, acme, member.Viewer)
	one, two := w.staff(t, acme), w.staff(t, acme)
	ask := func() member.OwnerRecovery {
		t.Helper()
		r, err := w.RequestOwnerRecovery(t.Context(), one, member.OwnerRecoveryRequest{MemberID: owner.ID, Reason: "x", Ticket: "T-1"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	approved := func() member.OwnerRecovery {
		t.Helper()
		r, err := w.ApproveOwnerRecovery(t.Context(), two, ask().ID, "x")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ready := func() member.OwnerRecovery {
		t.Helper()
		r := approved()
		w.pass(t, r.ID, 80*time.Hour)
		return r
	}
	released := func() member.OwnerRecovery {
		t.Helper()
		r := ready()
		if _, _, err := w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "x"); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, tt := range map[string]struct {
		from func() member.OwnerRecovery
		by   scope.Scope
	}{
		"requested, by a viewer": {ask, asViewer}, "waiting, by the owner": {approved, asOwner},
		"ready, by a viewer": {ready, asViewer}, "waiting, by the staff": {approved, one}, "released, by a viewer": {released, asViewer},
	} {
		r := tt.from()
		got, err := w.CancelOwnerRecovery(t.Context(), tt.by, r.ID, "I am here")
		if err != nil || got.State != member.OwnerCancelled || got.EndReason != "I am here" {
			t.Errorf("%s: CancelOwnerRecovery = %+v, %v", name, got, err)
		}
		if _, _, err := w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
			t.Errorf("%s: released afterwards = %v", name, err)
		}
		if open := w.openLinks(t, acme); open != 0 {
			t.Errorf("%s: %d links are open", name, open)
		}
		if _, err := w.ApproveOwnerRecovery(t.Context(), two, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
			t.Errorf("%s: approved afterwards = %v", name, err)
		}
	}
	r := ask()
	w.pass(t, r.ID, 7*24*time.Hour)
	if _, err := w.ApproveOwnerRecovery(t.Context(), two, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
		t.Errorf("approved after a week = %v", err)
	}
	r = ready() // the one before is over, so that another can be asked for
	w.pass(t, r.ID, 7*24*time.Hour)
	if _, _, err := w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
		t.Errorf("released after another week = %v", err)
	}
	r = released() // whose link nobody used for a day
	w.pass(t, r.ID, 24*time.Hour)
	if _, _, err := w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
		t.Errorf("released again after a day = %v", err)
	}
	// A tenant that has helped itself is not helped.
	_, asSecond := w.person(t, acme, member.Owner)
	for name, from := range map[string]func() member.OwnerRecovery{"approved": ask, "released": ready} {
		r := from()
		if _, err := w.Change(t.Context(), asSecond, member.ChangeRequest{ID: owner.ID, Role: member.Viewer, Reason: "x"}); err != nil {
			t.Fatal(err)
		}
		var err error
		if name == "approved" {
			_, err = w.ApproveOwnerRecovery(t.Context(), two, r.ID, "x")
		} else {
			_, _, err = w.ReleaseOwnerRecovery(t.Context(), two, r.ID, "x")
		}
		if !errors.Is(err, member.ErrNotOwner) {
			t.Errorf("%s for who is no owner any more: %v", name, err)
		}
		if _, err := w.CancelOwnerRecovery(t.Context(), asSecond, r.ID, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Change(t.Context(), asSecond, member.ChangeRequest{ID: owner.ID, Role: member.Owner, Reason: "x"}); err != nil {
			t.Fatal(err)
		}
	}

	viewer, _ := w.person(t, acme, member.Viewer)
	for name, tt := range map[string]struct {
		req  member.OwnerRecoveryRequest
		want error
	}{
		"no owner":  {member.OwnerRecoveryRequest{MemberID: viewer.ID, Reason: "x", Ticket: "x"}, member.ErrNotOwner},
		"nobody":    {member.OwnerRecoveryRequest{MemberID: uuid.New(), Reason: "x", Ticket: "x"}, member.ErrNotFound},
		"no reason": {member.OwnerRecoveryRequest{MemberID: owner.ID, Ticket: "x"}, member.ErrReason},
		"no ticket": {member.OwnerRecoveryRequest{MemberID: owner.ID, Reason: "x"}, member.ErrTicket},
	} {
		if _, err := w.RequestOwnerRecovery(t.Context(), one, tt.req); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if _, err := w.ApproveOwnerRecovery(t.Context(), two, uuid.New(), "x"); !errors.Is(err, member.ErrOwnerRecovery) {
		t.Errorf("an unknown one = %v", err)
	}
}
