package user_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/scope"
)

func TestUpdate(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	bob := w.User(t, acme)
	text := func(s string) *string { return &s }
	for _, tt := range []struct {
		name      string
		change    user.UpdateRequest
		want      func(*user.User) // applied to the user before
		wantErr   error
		wantAudit int64
	}{
		{
			name: "one field leaves the others", change: user.UpdateRequest{Name: text("Countess")},
			want: func(u *user.User) { u.Name = "Countess" }, wantAudit: 1,
		},
		{
			name: "an empty display name removes it", change: user.UpdateRequest{DisplayName: text("")},
			want: func(u *user.User) { u.DisplayName = "" }, wantAudit: 1,
		},
		{
			name: "the external id", change: user.UpdateRequest{ExternalID: text("new-id")},
			want: func(u *user.User) { u.ExternalID = "new-id" }, wantAudit: 1,
		},
		{name: "nothing", want: func(*user.User) {}},
		{name: "another's external id", change: user.UpdateRequest{ExternalID: &bob.ExternalID}, wantErr: user.ErrExists},
		{name: "no name", change: user.UpdateRequest{Name: text("")}, wantErr: user.ErrName},
		{name: "an old etag", change: user.UpdateRequest{Name: text("x"), IfMatch: "old"}, wantErr: etag.ErrMismatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := w.User(t, acme)
			phone := w.Enroll(t, acme, before, 1)[0]
			if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE credentials SET last_used_at = now() WHERE id = $1", phone.ID.Bytes()); err != nil {
				t.Fatal(err)
			}
			before, err := w.Users.Get(t.Context(), acme, before.ID)
			if err != nil || before.LastSignInAt == nil {
				t.Fatalf("Get = %v, %v, want a last sign-in", before.LastSignInAt, err)
			}
			audits := w.AuditCount(t, acme, "user.update")
			req := tt.change
			req.ID = before.ID
			got, err := w.Users.Update(t.Context(), acme, req)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("Update error = %v, want %v", err, tt.wantErr)
			}
			want := before
			if err == nil {
				tt.want(&want)
				if changed := tt.wantAudit > 0; (got.ETag != before.ETag) != changed {
					t.Errorf("etag before and after = %q, %q, want changed = %t", before.ETag, got.ETag, changed)
				}
				want.ETag, want.UpdatedAt = got.ETag, got.UpdatedAt
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("Update (-want +got):\n%s", diff)
				}
			}
			stored, err := w.Users.Get(t.Context(), acme, before.ID)
			if err != nil || cmp.Diff(want, stored) != "" {
				t.Errorf("Get = %v (-want +got):\n%s", err, cmp.Diff(want, stored))
			}
			if n := w.AuditCount(t, acme, "user.update") - audits; n != tt.wantAudit {
				t.Errorf("audit entries = %d, want %d", n, tt.wantAudit)
			}
		})
	}
	if n, want := w.EventCount(t, acme, event.UserUpdated), w.AuditCount(t, acme, "user.update"); n != want {
		t.Errorf("events = %d, want as many as audit entries: %d", n, want)
	}
}

// Both of two updates of different fields stay, and of two that hold one etag, one.
// Removing the lock turns it red.
func TestUpdateRace(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	for range 8 {
		ada := w.User(t, acme)
		name, display := "Countess", "Lady"
		errs := atOnce(
			func() error {
				_, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, Name: &name})
				return err
			},
			func() error {
				_, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, DisplayName: &display})
				return err
			},
		)
		got, err := w.Users.Get(t.Context(), acme, ada.ID)
		if err != nil || errs[0] != nil || errs[1] != nil || got.Name != name || got.DisplayName != display {
			t.Fatalf("after two updates: %q, %q, errors %v, %v, %v, want both", got.Name, got.DisplayName, errs[0], errs[1], err)
		}
		other := "Baroness"
		errs = atOnce(
			func() error {
				_, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, Name: &other, IfMatch: got.ETag})
				return err
			},
			func() error {
				_, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, DisplayName: &other, IfMatch: got.ETag})
				return err
			},
		)
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), etag.ErrMismatch) {
			t.Fatalf("two updates with one etag: %v, %v, want one refused", errs[0], errs[1])
		}
	}
}

func TestBlock(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	ada := w.User(t, acme)
	phones := w.Enroll(t, acme, ada, 2)
	_, tokens := w.SignIn(t, acme, phones[0])
	bystander, bystanderTokens := w.SignIn(t, acme, w.Enroll(t, acme, w.User(t, acme), 1)[0])

	got, err := w.Users.Block(t.Context(), acme, user.BlockRequest{ID: ada.ID, Reason: "fraud"})
	if err != nil || got.State != user.Blocked || got.ETag == ada.ETag {
		t.Fatalf("Block = %s, %v, want BLOCKED with another etag", got.State, err)
	}
	if n := blockedCredentials(t, w, acme, ada.ID); n != 2 {
		t.Errorf("blocked credentials = %d, want 2", n)
	}
	if _, err := w.Sessions.Refresh(t.Context(), acme, tokens.Refresh); !errors.Is(err, session.ErrRevoked) {
		t.Errorf("Refresh of a blocked user error = %v, want %v", err, session.ErrRevoked)
	}
	if v, err := w.Sessions.Verify(t.Context(), acme, bystanderTokens.Access); err != nil || !v.Active {
		t.Errorf("another user's session %s = %t, %v, want active", bystander.ID, v.Active, err)
	}

	again, err := w.Users.Block(t.Context(), acme, user.BlockRequest{ID: ada.ID})
	if err != nil || cmp.Diff(got, again) != "" {
		t.Errorf("Block again = %v (-first +again):\n%s", err, cmp.Diff(got, again))
	}
	got, err = w.Users.Unblock(t.Context(), acme, user.BlockRequest{ID: ada.ID})
	if err != nil || got.State != user.Active {
		t.Fatalf("Unblock = %s, %v, want ACTIVE", got.State, err)
	}
	if n := blockedCredentials(t, w, acme, ada.ID); n != 0 {
		t.Errorf("blocked credentials after Unblock = %d, want none", n)
	}
	if _, err := w.Sessions.Refresh(t.Context(), acme, tokens.Refresh); !errors.Is(err, session.ErrRevoked) {
		t.Errorf("Refresh after Unblock error = %v, want %v: ended sessions stay ended", err, session.ErrRevoked)
	}
	for action, typ := range map[string]event.Type{"user.block": event.UserBlocked, "user.unblock": event.UserUnblocked} {
		if a, e := w.AuditCount(t, acme, action), w.EventCount(t, acme, typ); a != 1 || e != 1 {
			t.Errorf("%s: %d audit entries and %d events, want 1 each", action, a, e)
		}
	}
}

// A sign-in is under way, and holds its credential's row, when its user is blocked or
// erased: its session does not outlive that. Ending sessions before the credentials
// are written turns it red.
func TestEndingMeetsSignIn(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	for _, tt := range []struct {
		name string
		end  func(user.ID) error
	}{
		{"block", func(id user.ID) error {
			_, err := w.Users.Block(t.Context(), acme, user.BlockRequest{ID: id})
			return err
		}},
		{"erasure", func(id user.ID) error {
			_, err := w.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: id})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ada := w.User(t, acme)
			phone := w.Enroll(t, acme, ada, 1)[0]
			signIn := w.Hold(t)
			signIn.Exec("UPDATE credentials SET last_used_at = now() WHERE id = $1", phone.ID.Bytes())
			done := make(chan error, 1)
			go func() { done <- tt.end(ada.ID) }()
			signIn.Await()
			signIn.Exec(`INSERT INTO sessions (tenant_id, id, user_id, credential_id, aal, user_verified, created_at, last_used_at, expires_at)
				VALUES ($1, $2, $3, $4, 2, true, now(), now(), now() + interval '1 day')`,
				acme.Tenant(), uuid.New(), ada.ID.UUID(), phone.ID.Bytes())
			signIn.Commit()
			if err := <-done; err != nil {
				t.Fatalf("error = %v", err)
			}
			var open int
			if err := w.Superuser(t).QueryRow(t.Context(),
				"SELECT count(*) FROM sessions WHERE user_id = $1 AND revoked_at IS NULL", ada.ID.UUID()).Scan(&open); err != nil || open != 0 {
				t.Errorf("open sessions = %d, %v, want none", open, err)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	ada, bob := w.User(t, acme), w.User(t, acme)
	phones := w.Enroll(t, acme, ada, 2)
	w.Enroll(t, acme, bob, 1)
	_, tokens := w.SignIn(t, acme, phones[0])
	if _, err := w.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: phones[1].ID}); err != nil {
		t.Fatal(err)
	}
	email, phone := "shared@example.com", "+4915112345678"
	for _, u := range []*user.User{&ada, &bob} {
		var err error
		if *u, err = w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: u.ID, Email: &email, Phone: &phone}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID, IfMatch: "old"}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("Delete with an old etag error = %v, want %v", err, etag.ErrMismatch)
	}

	got, err := w.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID, IfMatch: ada.ETag})
	want := user.Erasure{ID: ada.ID, Credentials: 2, Sessions: 1, Contacts: 2}
	if want.ErasureID = got.ErasureID; err != nil || got != want || got.ErasureID == uuid.Nil {
		t.Fatalf("Delete = %+v, %v, want %+v", got, err, want)
	}
	if _, err := w.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID}); !errors.Is(err, user.ErrNotFound) {
		t.Errorf("Delete again error = %v, want %v", err, user.ErrNotFound)
	}
	if _, err := w.Users.Lookup(t.Context(), acme, ada.ExternalID); !errors.Is(err, user.ErrNotFound) {
		t.Errorf("Lookup error = %v, want %v", err, user.ErrNotFound)
	}
	if _, err := w.Credentials.Get(t.Context(), acme, phones[0].ID); !errors.Is(err, credential.ErrNotFound) {
		t.Errorf("Get of a credential error = %v, want %v", err, credential.ErrNotFound)
	}
	if _, err := w.Sessions.Refresh(t.Context(), acme, tokens.Refresh); !errors.Is(err, session.ErrRefreshToken) {
		t.Errorf("Refresh error = %v, want %v", err, session.ErrRefreshToken)
	}
	if got, err := w.Users.Get(t.Context(), acme, bob.ID); err != nil || got.Contact != bob.Contact {
		t.Errorf("another user: Get = %+v, %v, want the contacts still there", got.Contact, err)
	}
	if a, e := w.AuditCount(t, acme, "user.delete"), w.EventCount(t, acme, event.UserDeleted); a != 1 || e != 1 {
		t.Errorf("%d audit entries and %d events, want 1 each", a, e)
	}
	// The external id is free again, for another person.
	if again, err := w.Users.Create(t.Context(), acme, user.Profile{ExternalID: ada.ExternalID, Name: "Another"}, user.Contact{}); err != nil || again.ID == ada.ID {
		t.Errorf("Create with the erased user's external id = %s, %v, want a new user", again.ID, err)
	}
}

// What a server caches of a user or its credentials it forgets when another server
// changes them.
func TestChangesAreAnnounced(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	ada := w.User(t, acme)
	phone := w.Enroll(t, acme, ada, 1)[0]
	replica := w.Replica(t)
	name := "Countess"
	for _, tt := range []struct {
		name   string
		change func() error
	}{
		{"update", func() error {
			_, err := w.Users.Update(t.Context(), acme, user.UpdateRequest{ID: ada.ID, Name: &name})
			return err
		}},
		{"block", func() error {
			_, err := w.Users.Block(t.Context(), acme, user.BlockRequest{ID: ada.ID})
			return err
		}},
		{"delete", func() error {
			_, err := w.Users.Delete(t.Context(), acme, user.DeleteRequest{ID: ada.ID})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forgotten := authcoretest.Forgets(t, replica, acme, map[db.Noun]string{
				db.NounUser: ada.ID.String(), db.NounCredential: phone.ID.String(),
			})
			if err := tt.change(); err != nil {
				t.Fatal(err)
			}
			forgotten()
		})
	}
}

func blockedCredentials(t *testing.T, w *authcoretest.World, sc scope.Scope, id user.ID) int {
	t.Helper()
	var n int
	if err := w.Superuser(t).QueryRow(t.Context(),
		"SELECT count(*) FROM credentials WHERE tenant_id = $1 AND user_id = $2 AND user_blocked", sc.Tenant(), id.UUID()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// atOnce runs the functions beside each other and returns their errors.
func atOnce(functions ...func() error) []error {
	errs := make([]error, len(functions))
	var running sync.WaitGroup
	for i, f := range functions {
		running.Go(func() { errs[i] = f() })
	}
	running.Wait()
	return errs
}
