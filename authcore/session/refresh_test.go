package session_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/idempotency"
)

// A refresh rotates; an old token that comes back ends the session for both holders.
// SECURITY 19.
func TestRefresh(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	first, err := w.Sessions.Refresh(t.Context(), w.acme, w.tokens.Refresh)
	if err != nil {
		t.Fatalf("Refresh error = %v", err)
	}
	if first.Session.ID != w.sess.ID || !first.Session.LastUsedAt.After(w.sess.LastUsedAt) || !first.Session.ExpiresAt.Equal(w.sess.ExpiresAt) {
		t.Errorf("session = %+v, want the same one, used later, with the same end", first.Session)
	}
	if first.Tokens.Refresh == w.tokens.Refresh || first.Tokens.Access == w.tokens.Access || !active(t, w.World, w.acme, first.Tokens.Access) {
		t.Error("want new tokens, of which the access token is good")
	}
	second, err := w.Sessions.Refresh(t.Context(), w.acme, first.Tokens.Refresh)
	if err != nil {
		t.Fatalf("Refresh of the new token error = %v", err)
	}
	if n := w.AuditCount(t, w.acme, "session.refresh"); n != 2 {
		t.Errorf("audit entries = %d, want 2", n)
	}

	if _, err := w.Sessions.Refresh(t.Context(), w.acme, w.tokens.Refresh); !errors.Is(err, session.ErrRevoked) {
		t.Fatalf("Refresh of a used token error = %v, want %v", err, session.ErrRevoked)
	}
	for name, tok := range map[string]string{"the newest": second.Tokens.Refresh, "a used one": first.Tokens.Refresh} {
		if _, err := w.Sessions.Refresh(t.Context(), w.acme, tok); !errors.Is(err, session.ErrRevoked) {
			t.Errorf("after the reuse, Refresh of %s error = %v, want %v", name, err, session.ErrRevoked)
		}
	}
	if active(t, w.World, w.acme, second.Tokens.Access) {
		t.Error("after the reuse the newest access token is active, want not")
	}
	if n := w.AuditCount(t, w.acme, "session.refresh"); n != 3 {
		t.Errorf("audit entries = %d, want one more for the reuse", n)
	}
	for _, typ := range []event.Type{event.SessionRefreshReused, event.SessionRevoked} {
		if n := w.EventCount(t, w.acme, typ); n != 1 {
			t.Errorf("%s events = %d, want 1", typ, n)
		}
	}
}

// Of many refreshes with one token one at most is answered with tokens, and the
// session does not survive. Removing the lock turns it red.
func TestRefreshRace(t *testing.T) {
	for range 5 {
		w := signedIn(t, dbtest.TenantOptions{})
		const callers = 8
		answers, errs := make([]session.Refreshed, callers), make([]error, callers)
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() { answers[i], errs[i] = w.Sessions.Refresh(t.Context(), w.acme, w.tokens.Refresh) })
		}
		all.Wait()
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
				if _, err := w.Sessions.Refresh(t.Context(), w.acme, answers[i].Tokens.Refresh); !errors.Is(err, session.ErrRevoked) {
					t.Errorf("Refresh by the winner error = %v, want %v", err, session.ErrRevoked)
				}
			} else if !errors.Is(err, session.ErrRevoked) {
				t.Errorf("Refresh error = %v, want %v", err, session.ErrRevoked)
			}
		}
		if won != 1 {
			t.Fatalf("answered with tokens = %d, want 1", won)
		}
		if n := w.EventCount(t, w.acme, event.SessionRefreshReused); n != 1 {
			t.Errorf("reuse events = %d, want 1", n)
		}
	}
}

// A refresh that meets a revocation under way waits for it and is refused. Reading the
// session without its lock turns it red.
func TestRefreshMeetsRevocation(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	revocation := w.Hold(t)
	revocation.Exec("UPDATE sessions SET revoked_at = now() WHERE id = $1", w.sess.ID.UUID())
	done := make(chan error, 1)
	go func() {
		_, err := w.Sessions.Refresh(t.Context(), w.acme, w.tokens.Refresh)
		done <- err
	}()
	revocation.Await()
	revocation.Commit()
	if err := <-done; !errors.Is(err, session.ErrRevoked) {
		t.Errorf("Refresh error = %v, want %v", err, session.ErrRevoked)
	}
}

// A session idles for 5 minutes at most and ends after 15, as the policy says; its
// last access token ends with it.
func TestRefreshExpiry(t *testing.T) {
	w := signedIn(t, short)
	if _, err := w.Later(t, 301*time.Second).Sessions.Refresh(t.Context(), w.acme, w.tokens.Refresh); !errors.Is(err, session.ErrExpired) {
		t.Errorf("Refresh after 5 idle minutes error = %v, want %v", err, session.ErrExpired)
	}
	tokens := w.tokens
	for _, after := range []time.Duration{4 * time.Minute, 8 * time.Minute, 12 * time.Minute, 14 * time.Minute} {
		later := w.Later(t, after)
		r, err := later.Sessions.Refresh(t.Context(), w.acme, tokens.Refresh)
		if err != nil {
			t.Fatalf("Refresh after %v error = %v", after, err)
		}
		if tokens = r.Tokens; after == 14*time.Minute && !tokens.AccessExpiresAt.Equal(w.sess.ExpiresAt.Truncate(time.Second)) {
			t.Errorf("the last access token expires at %v, want with the session at %v", tokens.AccessExpiresAt, w.sess.ExpiresAt)
		}
	}
	late := w.Later(t, 901*time.Second)
	if _, err := late.Sessions.Refresh(t.Context(), w.acme, tokens.Refresh); !errors.Is(err, session.ErrExpired) {
		t.Errorf("Refresh after 15 minutes error = %v, want %v", err, session.ErrExpired)
	}
	if n := w.EventCount(t, w.acme, event.SessionRefreshReused); n != 0 {
		t.Errorf("reuse events = %d, want none", n)
	}
}

func TestRefreshRefuses(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	globex := w.Tenant(t)
	for name, tok := range map[string]string{"empty": "", "garbage": "rt_x", "an access token": w.tokens.Access, "cut": w.tokens.Refresh[:90]} {
		if _, err := w.Sessions.Refresh(t.Context(), w.acme, tok); !errors.Is(err, session.ErrRefreshToken) {
			t.Errorf("%s: Refresh error = %v, want %v", name, err, session.ErrRefreshToken)
		}
	}
	if _, err := w.Sessions.Refresh(t.Context(), globex, w.tokens.Refresh); !errors.Is(err, session.ErrRefreshToken) {
		t.Errorf("another tenant's: Refresh error = %v, want %v", err, session.ErrRefreshToken)
	}
	if _, err := w.Sessions.Refresh(t.Context(), w.acme, w.tokens.Refresh); err != nil {
		t.Errorf("Refresh after all that error = %v, want the token to be good still", err)
	}
	if _, err := w.Users.Delete(t.Context(), w.acme, user.DeleteRequest{ID: w.ada.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Sessions.Refresh(t.Context(), w.acme, w.tokens.Refresh); !errors.Is(err, session.ErrRefreshToken) {
		t.Errorf("Refresh of an erased user error = %v, want %v", err, session.ErrRefreshToken)
	}
}

// The answer holds secrets, so a repeat is told that it was given, and the token is
// not taken for reused.
func TestRefreshIsNotReplayed(t *testing.T) {
	w := signedIn(t, dbtest.TenantOptions{})
	first, err := w.Sessions.Refresh(keyed(t.Context(), w.acme, "refresh"), w.acme, w.tokens.Refresh)
	if err != nil {
		t.Fatalf("Refresh error = %v", err)
	}
	if _, err := w.Sessions.Refresh(keyed(t.Context(), w.acme, "refresh"), w.acme, w.tokens.Refresh); !errors.Is(err, idempotency.ErrNotReplayable) {
		t.Errorf("Refresh again error = %v, want %v", err, idempotency.ErrNotReplayable)
	}
	if !active(t, w.World, w.acme, first.Tokens.Access) {
		t.Error("the session has ended, want it open")
	}
}
