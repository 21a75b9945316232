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
	if _, err := w.ReleaseOwnerRecovery(t.Context(), two, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryWaits) {
		t.Errorf("released without approval = %v", err)
	}
	if r, err = w.ApproveOwnerRecovery(t.Context(), two, r.ID, "seen their passport"); err != nil || r.State != member.OwnerWaiting || r.ReadyAt.Sub(*r.ApprovedAt) != 72*time.Hour {
		t.Fatalf("ApproveOwnerRecovery = %+v, %v", r, err)
	}
	if _, err := w.ApproveOwnerRecovery(t.Context(), w.staff(t, acme), r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
		t.Errorf("approved twice = %v", err)
	}
	w.pass(t, r.ID, 72*time.Hour-time.Minute)
	if _, err := w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryWaits) {
		t.Errorf("released a minute early = %v", err)
	}
	if _, err := w.CancelOwnerRecovery(t.Context(), asStranger, r.ID, "x"); err == nil {
		t.Error("another tenant's owner cancelled it")
	}
	w.pass(t, r.ID, time.Minute)
	all, err := w.OwnerRecoveries(t.Context(), asViewer)
	if err != nil || len(all) != 1 || all[0].State != member.OwnerReady {
		t.Errorf("OwnerRecoveries = %+v, %v", all, err)
	}
	for range 2 { // the link may have been lost on its way
		if r, err = w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "handed over"); err != nil || r.State != member.OwnerReleased {
			t.Fatalf("ReleaseOwnerRecovery = %+v, %v", r, err)
		}
	}
	if _, err := w.CancelOwnerRecovery(t.Context(), asViewer, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
		t.Errorf("cancelled after the link = %v", err)
	}
	w.pass(t, r.ID, 8*24*time.Hour)
	if _, err := w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
		t.Errorf("released again a week later = %v", err)
	}
	for action, want := range map[string]int{"owner_recovery.request": 1, "owner_recovery.approve": 1, "owner_recovery.release": 2} {
		if n := w.audited(t, acme, action); n != want {
			t.Errorf("%d audit entries %s in the tenant, want %d", n, action, want)
		}
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
	for name, tt := range map[string]struct {
		from func() member.OwnerRecovery
		by   scope.Scope
	}{
		"requested, by a viewer": {ask, asViewer}, "waiting, by the owner": {approved, asOwner},
		"ready, by a viewer": {ready, asViewer}, "waiting, by the staff": {approved, one},
	} {
		r := tt.from()
		got, err := w.CancelOwnerRecovery(t.Context(), tt.by, r.ID, "I am here")
		if err != nil || got.State != member.OwnerCancelled || got.EndReason != "I am here" {
			t.Errorf("%s: CancelOwnerRecovery = %+v, %v", name, got, err)
		}
		if _, err := w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
			t.Errorf("%s: released afterwards = %v", name, err)
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
	if _, err := w.ReleaseOwnerRecovery(t.Context(), one, r.ID, "x"); !errors.Is(err, member.ErrOwnerRecoveryOver) {
		t.Errorf("released after another week = %v", err)
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
