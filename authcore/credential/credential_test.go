package credential_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
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
	"github.com/biocore-id/biocore/tenancy/idempotency"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Removing RLS turns the crossing case red; removing the lock, TestRevokeRace.
func TestRevoke(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	for _, tt := range []struct {
		name      string
		live      int // credentials the user holds before the call
		suspended int // of them suspended, the first ones: the first is to be revoked
		allowLast bool
		caller    scope.Scope
		wantErr   error
		wantAudit int64
	}{
		{name: "one of two", live: 2, caller: acme, wantAudit: 1},
		{name: "the last is refused", live: 1, caller: acme, wantErr: credential.ErrLast},
		{name: "the last, when allowed", live: 1, allowLast: true, caller: acme, wantAudit: 1},
		{name: "a suspended one beside an active one", live: 2, suspended: 1, caller: acme, wantAudit: 1},
		{name: "one of two suspended: the other can be resumed", live: 2, suspended: 2, caller: acme, wantAudit: 1},
		{name: "the last, suspended, is refused", live: 1, suspended: 1, caller: acme, wantErr: credential.ErrLast},
		{name: "another tenant's looks absent", live: 2, caller: globex, wantErr: credential.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			creds := w.Enroll(t, acme, w.User(t, acme), tt.live)
			for _, c := range creds[:tt.suspended] {
				if _, err := w.Credentials.Suspend(t.Context(), acme, credential.StateRequest{ID: c.ID}); err != nil {
					t.Fatal(err)
				}
			}
			audits, events := w.AuditCount(t, acme, "credential.revoke"), w.EventCount(t, acme, event.CredentialRevoked)
			req := credential.RevokeRequest{ID: creds[0].ID, Reason: "lost", AllowLast: tt.allowLast}
			got, err := w.Credentials.Revoke(t.Context(), tt.caller, req)
			if !errors.Is(err, tt.wantErr) {
				t.Fatalf("Revoke error = %v, want %v", err, tt.wantErr)
			}
			if err == nil && (got.State != credential.Revoked || got.RevokedAt == nil || got.ETag == creds[0].ETag) {
				t.Errorf("Revoke = %s, %v, %q, want REVOKED, a time and another etag", got.State, got.RevokedAt, got.ETag)
			}
			if n := w.AuditCount(t, acme, "credential.revoke") - audits; n != tt.wantAudit {
				t.Errorf("audit entries = %d, want %d", n, tt.wantAudit)
			}
			if n := w.EventCount(t, acme, event.CredentialRevoked) - events; n != tt.wantAudit {
				t.Errorf("events = %d, want %d", n, tt.wantAudit)
			}
			if err != nil {
				return
			}
			again, err := w.Credentials.Revoke(t.Context(), tt.caller, req)
			if err != nil || cmp.Diff(got, again) != "" {
				t.Errorf("Revoke again = %v (-first +again):\n%s", err, cmp.Diff(got, again))
			}
		})
	}
}

// Two revocations at once never leave a user with none, nor does a revocation beside
// a suspension that it could not see.
func TestRevokeRace(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	revoke := func(c credential.Credential) error {
		_, err := w.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: c.ID})
		return err
	}
	for range 20 {
		ada := w.User(t, acme)
		creds := w.Enroll(t, acme, ada, 2)
		errs := make([]error, len(creds))
		var both sync.WaitGroup
		for i, c := range creds {
			both.Go(func() { errs[i] = revoke(c) })
		}
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), credential.ErrLast) {
			t.Fatalf("two revocations at once: %v, %v, want one refused as the last", errs[0], errs[1])
		}
	}
}

// The sessions that a credential began end with it, and no others, even one whose
// sign-in was under way. Ending sessions before the credential is written turns the
// second half red.
func TestRevokeEndsSessions(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	creds := w.Enroll(t, acme, w.User(t, acme), 3)
	_, lost := w.SignIn(t, acme, creds[0])
	_, kept := w.SignIn(t, acme, creds[1])
	if _, err := w.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: creds[0].ID}); err != nil {
		t.Fatalf("Revoke error = %v", err)
	}
	if _, err := w.Sessions.Refresh(t.Context(), acme, lost.Refresh); !errors.Is(err, session.ErrRevoked) {
		t.Errorf("Refresh of the revoked credential's session error = %v, want %v", err, session.ErrRevoked)
	}
	if _, err := w.Sessions.Refresh(t.Context(), acme, kept.Refresh); err != nil {
		t.Errorf("Refresh of another credential's session error = %v", err)
	}

	signIn := w.Hold(t)
	signIn.Exec("UPDATE credentials SET last_used_at = now() WHERE id = $1", creds[1].ID.Bytes())
	done := make(chan error, 1)
	go func() {
		_, err := w.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: creds[1].ID})
		done <- err
	}()
	signIn.Await()
	signIn.Exec(`INSERT INTO sessions (tenant_id, id, user_id, credential_id, aal, user_verified, created_at, last_used_at, expires_at)
		VALUES ($1, $2, $3, $4, 2, true, now(), now(), now() + interval '1 day')`,
		acme.Tenant(), uuid.New(), creds[1].UserID.UUID(), creds[1].ID.Bytes())
	signIn.Commit()
	if err := <-done; err != nil {
		t.Fatalf("Revoke error = %v", err)
	}
	var open int
	if err := w.Superuser(t).QueryRow(t.Context(),
		"SELECT count(*) FROM sessions WHERE credential_id = $1 AND revoked_at IS NULL", creds[1].ID.Bytes()).Scan(&open); err != nil || open != 0 {
		t.Errorf("open sessions = %d, %v, want none", open, err)
	}
}

func TestRename(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	c := w.Enroll(t, acme, w.User(t, acme), 1)[0]
	got, err := w.Credentials.Rename(t.Context(), acme, credential.RenameRequest{ID: c.ID, Nickname: " My\u200b  phone ", IfMatch: c.ETag})
	if err != nil || got.Nickname != "My phone" || got.ETag == c.ETag {
		t.Fatalf("Rename = %q, %q, %v, want it cleaned, with another etag", got.Nickname, got.ETag, err)
	}
	if stored, err := w.Credentials.Get(t.Context(), acme, c.ID); err != nil || cmp.Diff(got, stored) != "" {
		t.Errorf("Get = %v (-renamed +got):\n%s", err, cmp.Diff(got, stored))
	}
	if again, err := w.Credentials.Rename(t.Context(), acme, credential.RenameRequest{ID: c.ID, Nickname: "My phone"}); err != nil || again.ETag != got.ETag {
		t.Errorf("Rename to the same = %q, %v, want no change", again.ETag, err)
	}
	if _, err := w.Credentials.Rename(t.Context(), acme, credential.RenameRequest{ID: c.ID, Nickname: "x", IfMatch: c.ETag}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("Rename with an old etag error = %v, want %v", err, etag.ErrMismatch)
	}
	if _, err := w.Credentials.Rename(t.Context(), acme, credential.RenameRequest{ID: c.ID, Nickname: strings.Repeat("x", 65)}); !errors.Is(err, credential.ErrNickname) {
		t.Errorf("Rename to too long a name error = %v, want %v", err, credential.ErrNickname)
	}
	if a, e := w.AuditCount(t, acme, "credential.update"), w.EventCount(t, acme, event.CredentialUpdated); a != 1 || e != 1 {
		t.Errorf("%d audit entries and %d events, want 1 each", a, e)
	}
}

// Of renames that hold one etag one goes through. Removing the lock turns it red.
func TestRenameRace(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	for range 10 {
		c := w.Enroll(t, acme, w.User(t, acme), 1)[0]
		var renamed [4]error
		var all sync.WaitGroup
		for i := range renamed {
			all.Go(func() {
				_, renamed[i] = w.Credentials.Rename(t.Context(), acme, credential.RenameRequest{ID: c.ID, Nickname: string(rune('a' + i)), IfMatch: c.ETag})
			})
		}
		all.Wait()
		won := 0
		for _, err := range renamed {
			if err == nil {
				won++
			} else if !errors.Is(err, etag.ErrMismatch) {
				t.Errorf("Rename error = %v, want %v", err, etag.ErrMismatch)
			}
		}
		if won != 1 {
			t.Fatalf("renames that went through = %d, want 1", won)
		}
	}
}

func TestSuspendAndResume(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	c := w.Enroll(t, acme, w.User(t, acme), 1)[0]
	for _, step := range []struct {
		name    string
		call    func(context.Context, scope.Scope, credential.StateRequest) (credential.Credential, error)
		want    credential.State
		changes bool
	}{
		{"resume an active one", w.Credentials.Resume, credential.Active, false},
		{"suspend the last", w.Credentials.Suspend, credential.Suspended, true},
		{"suspend again", w.Credentials.Suspend, credential.Suspended, false},
		{"resume", w.Credentials.Resume, credential.Active, true},
	} {
		got, err := step.call(t.Context(), acme, credential.StateRequest{ID: c.ID, Reason: "test"})
		if err != nil || got.State != step.want || (got.ETag != c.ETag) != step.changes {
			t.Fatalf("%s = %s, etag %q after %q, %v, want %s, changed = %t", step.name, got.State, got.ETag, c.ETag, err, step.want, step.changes)
		}
		c = got
	}
	for action, typ := range map[string]event.Type{"credential.suspend": event.CredentialSuspended, "credential.resume": event.CredentialResumed} {
		if a, e := w.AuditCount(t, acme, action), w.EventCount(t, acme, typ); a != 1 || e != 1 {
			t.Errorf("%s: %d audit entries and %d events, want 1 each", action, a, e)
		}
	}
	if _, err := w.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: c.ID, AllowLast: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Credentials.Suspend(t.Context(), acme, credential.StateRequest{ID: c.ID}); !errors.Is(err, credential.ErrRevoked) {
		t.Errorf("Suspend of a revoked one error = %v, want %v", err, credential.ErrRevoked)
	}
	if _, err := w.Credentials.Resume(t.Context(), acme, credential.StateRequest{ID: c.ID}); !errors.Is(err, credential.ErrRevoked) {
		t.Errorf("Resume of a revoked one error = %v, want %v", err, credential.ErrRevoked)
	}
}

// Removing RLS turns every case red.
func TestCrossing(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	ada := w.User(t, acme)
	c := w.Enroll(t, acme, ada, 2)[0]
	for _, tt := range []struct {
		name string
		call func(context.Context) error
		want error
	}{
		{"Get", func(ctx context.Context) error { _, err := w.Credentials.Get(ctx, globex, c.ID); return err }, credential.ErrNotFound},
		{"Rename", func(ctx context.Context) error {
			_, err := w.Credentials.Rename(ctx, globex, credential.RenameRequest{ID: c.ID, Nickname: "mine", IfMatch: c.ETag})
			return err
		}, credential.ErrNotFound},
		{"Revoke", func(ctx context.Context) error {
			_, err := w.Credentials.Revoke(ctx, globex, credential.RevokeRequest{ID: c.ID, AllowLast: true})
			return err
		}, credential.ErrNotFound},
		{"Suspend", func(ctx context.Context) error {
			_, err := w.Credentials.Suspend(ctx, globex, credential.StateRequest{ID: c.ID})
			return err
		}, credential.ErrNotFound},
		{"Resume", func(ctx context.Context) error {
			_, err := w.Credentials.Resume(ctx, globex, credential.StateRequest{ID: c.ID})
			return err
		}, credential.ErrNotFound},
		{"ListOfUser", func(ctx context.Context) error {
			_, err := w.Credentials.ListOfUser(ctx, globex, ada.ID, all)
			return err
		}, user.ErrNotFound},
		{"Signals", func(ctx context.Context) error {
			_, err := w.Credentials.Signals(ctx, globex, ada.ID)
			return err
		}, user.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.call(t.Context()); !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
	if got, err := w.Credentials.Get(t.Context(), acme, c.ID); err != nil || cmp.Diff(c, got) != "" {
		t.Errorf("the credential has changed: %v (-before +after):\n%s", err, cmp.Diff(c, got))
	}
}

// Suspended credentials stay on authenticators, revoked ones go.
func TestSignals(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	ada := w.User(t, acme)
	creds := w.Enroll(t, acme, ada, 3)
	if _, err := w.Credentials.Suspend(t.Context(), acme, credential.StateRequest{ID: creds[1].ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: creds[2].ID}); err != nil {
		t.Fatal(err)
	}
	got, err := w.Credentials.Signals(t.Context(), acme, ada.ID)
	if err != nil {
		t.Fatalf("Signals error = %v", err)
	}
	slices.Sort(got.Accepted)
	want := credential.Signals{
		RPID: "localhost", UserHandle: ada.Handle, Name: ada.Name, DisplayName: ada.DisplayName,
		Accepted: slices.Sorted(slices.Values([]credential.ID{creds[0].ID, creds[1].ID})),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Signals (-want +got):\n%s", diff)
	}
}

// A call with an Idempotency-Key happens once, and its answer is kept.
func TestIdempotency(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	c := w.Enroll(t, acme, w.User(t, acme), 2)[0]
	for _, tt := range []struct {
		name string
		call func(context.Context) error
	}{
		{"Rename", func(ctx context.Context) error {
			_, err := w.Credentials.Rename(ctx, acme, credential.RenameRequest{ID: c.ID, Nickname: "x"})
			return err
		}},
		{"Suspend", func(ctx context.Context) error {
			_, err := w.Credentials.Suspend(ctx, acme, credential.StateRequest{ID: c.ID})
			return err
		}},
		{"Resume", func(ctx context.Context) error {
			_, err := w.Credentials.Resume(ctx, acme, credential.StateRequest{ID: c.ID})
			return err
		}},
		{"Revoke", func(ctx context.Context) error {
			_, err := w.Credentials.Revoke(ctx, acme, credential.RevokeRequest{ID: c.ID})
			return err
		}},
		{"Revoke of a revoked one", func(ctx context.Context) error {
			_, err := w.Credentials.Revoke(ctx, acme, credential.RevokeRequest{ID: c.ID})
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
			if r, ok := idempotency.AsReplayed(err); !ok || len(r.Response) == 0 {
				t.Errorf("second call error = %v, want the first answer", err)
			}
		})
	}
}

// What a server caches of a credential it forgets when another server changes it.
func TestChangesAreAnnounced(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.Tenant(t)
	c := w.Enroll(t, acme, w.User(t, acme), 2)[0]
	sess, _ := w.SignIn(t, acme, c)
	replica := w.Replica(t)
	things := map[db.Noun]string{db.NounCredential: c.ID.String(), db.NounUser: c.UserID.String()}
	more := map[db.Noun]string{db.NounCredential: c.ID.String(), db.NounUser: c.UserID.String(), db.NounSession: sess.ID.String()}
	for _, tt := range []struct {
		name   string
		things map[db.Noun]string
		change func() error
	}{
		{"suspend", things, func() error {
			_, err := w.Credentials.Suspend(t.Context(), acme, credential.StateRequest{ID: c.ID})
			return err
		}},
		{"rename", things, func() error {
			_, err := w.Credentials.Rename(t.Context(), acme, credential.RenameRequest{ID: c.ID, Nickname: "x"})
			return err
		}},
		{"revoke", more, func() error {
			_, err := w.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: c.ID})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forgotten := authcoretest.Forgets(t, replica, acme, tt.things)
			if err := tt.change(); err != nil {
				t.Fatal(err)
			}
			forgotten()
		})
	}
}
