package session_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/idempotency"
)

func TestRevoke(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	_, other := w.SignIn(t, w.acme, w.phone)
	got, err := w.Sessions.Revoke(t.Context(), w.acme, session.RevokeRequest{ID: w.sess.ID, Reason: "signed out"})
	if err != nil || got.RevokedAt == nil || got.RevokeReason == "" {
		t.Fatalf("Revoke = %v, %q, %v, want when and why", got.RevokedAt, got.RevokeReason, err)
	}
	page, err := w.Sessions.ListOfUser(t.Context(), w.acme, w.ada.ID, all)
	if err != nil || len(page.Items) != 2 {
		t.Fatalf("ListOfUser = %d sessions, %v, want both", len(page.Items), err)
	}
	if diff := cmp.Diff(got, page.Items[1], cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("listed (-revoked +listed):\n%s", diff)
	}
	again, err := w.Sessions.Revoke(t.Context(), w.acme, session.RevokeRequest{ID: w.sess.ID, Reason: "again"})
	if diff := cmp.Diff(got, again, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
		t.Errorf("Revoke again = %v (-first +again):\n%s", err, diff)
	}
	if !active(t, w.World, w.acme, other.Access) {
		t.Error("another session of the user has ended too")
	}
	if a, e := w.AuditCount(t, w.acme, "session.revoke"), w.EventCount(t, w.acme, event.SessionRevoked); a != 1 || e != 1 {
		t.Errorf("%d audit entries and %d events, want 1 each", a, e)
	}
}

func TestRevokeAllOfUser(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	w.SignIn(t, w.acme, w.phone)
	_, bystander := w.SignIn(t, w.acme, w.Enroll(t, w.acme, w.User(t, w.acme), 1)[0])
	for _, want := range []int{2, 0} { // the second time there is nothing to end, or to record
		if n, err := w.Sessions.RevokeAllOfUser(t.Context(), w.acme, session.RevokeAllRequest{UserID: w.ada.ID}); err != nil || n != want {
			t.Errorf("RevokeAllOfUser = %d, %v, want %d", n, err, want)
		}
	}
	if !active(t, w.World, w.acme, bystander.Access) {
		t.Error("another user's session has ended too")
	}
	if a, e := w.AuditCount(t, w.acme, "session.revoke_all"), w.EventCount(t, w.acme, event.SessionRevoked); a != 1 || e != 1 {
		t.Errorf("%d audit entries and %d events, want 1 each", a, e)
	}
}

// Removing RLS turns every case red.
func TestCrossing(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	globex := w.Tenant(t)
	for _, tt := range []struct {
		name string
		call func(context.Context) error
		want error
	}{
		{"Revoke", func(ctx context.Context) error {
			_, err := w.Sessions.Revoke(ctx, globex, session.RevokeRequest{ID: w.sess.ID})
			return err
		}, session.ErrNotFound},
		{"RevokeAllOfUser", func(ctx context.Context) error {
			_, err := w.Sessions.RevokeAllOfUser(ctx, globex, session.RevokeAllRequest{UserID: w.ada.ID})
			return err
		}, user.ErrNotFound},
		{"ListOfUser", func(ctx context.Context) error {
			_, err := w.Sessions.ListOfUser(ctx, globex, w.ada.ID, all)
			return err
		}, user.ErrNotFound},
		{"Refresh", func(ctx context.Context) error {
			_, err := w.Sessions.Refresh(ctx, globex, w.tokens.Refresh)
			return err
		}, session.ErrRefreshToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.call(t.Context()); !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
	if !active(t, w.World, w.acme, w.tokens.Access) {
		t.Error("the session has ended")
	}
}

// A call with an Idempotency-Key happens once, and its answer is kept.
func TestIdempotency(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	for _, tt := range []struct {
		name string
		call func(context.Context) error
	}{
		{"Revoke", func(ctx context.Context) error {
			_, err := w.Sessions.Revoke(ctx, w.acme, session.RevokeRequest{ID: w.sess.ID})
			return err
		}},
		{"Revoke of a revoked one", func(ctx context.Context) error {
			_, err := w.Sessions.Revoke(ctx, w.acme, session.RevokeRequest{ID: w.sess.ID})
			return err
		}},
		{"RevokeAllOfUser", func(ctx context.Context) error {
			_, err := w.Sessions.RevokeAllOfUser(ctx, w.acme, session.RevokeAllRequest{UserID: w.ada.ID})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.call(keyed(t.Context(), w.acme, tt.name)); err != nil {
				t.Fatalf("first call error = %v", err)
			}
			err := tt.call(keyed(t.Context(), w.acme, tt.name))
			if r, ok := idempotency.AsReplayed(err); !ok || len(r.Response) == 0 {
				t.Errorf("second call error = %v, want the first answer", err)
			}
		})
	}
}
