package credential_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// recovered makes a credential what a recovery makes it.
func recovered(t *testing.T, w *authcoretest.World, c credential.Credential) {
	t.Helper()
	set(t, w, c, "lowered = true, registered_via = 'RECOVERY_CODE'")
}

func set(t *testing.T, w *authcoretest.World, c credential.Credential, columns string) {
	t.Helper()
	if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE credentials SET "+columns+" WHERE id = $1", c.ID.Bytes()); err != nil {
		t.Fatal(err)
	}
}

func TestVouch(t *testing.T) {
	w := authcoretest.New(t)
	acme, globex := w.Tenant(t), w.Tenant(t)
	u := w.User(t, acme)
	c := w.Enroll(t, acme, u, 1)[0]
	recovered(t, w, c)
	vouch := func(sc scope.Scope, req credential.VouchRequest) (credential.Credential, error) {
		return w.Credentials.Vouch(t.Context(), sc, req)
	}
	for _, tt := range []struct {
		name string
		sc   scope.Scope
		req  credential.VouchRequest
		want error
	}{
		{"another tenant's", globex, credential.VouchRequest{ID: c.ID, Reason: "x"}, credential.ErrNotFound},
		{"without a reason", acme, credential.VouchRequest{ID: c.ID}, credential.ErrReason},
		{"with a long one", acme, credential.VouchRequest{ID: c.ID, Reason: strings.Repeat("x", 257)}, credential.ErrReason},
	} {
		_, err := vouch(tt.sc, tt.req)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: error = %v, want %v", tt.name, err, tt.want)
		}
	}
	wait := authcoretest.Forgets(t, w.Replica(t), acme, map[db.Noun]string{db.NounCredential: c.ID.String()})
	before, err := w.Credentials.Get(t.Context(), acme, c.ID)
	if err != nil || !before.Lowered {
		t.Fatalf("Get = %+v, %v, want it lowered", before, err)
	}
	got, err := vouch(acme, credential.VouchRequest{ID: c.ID, Reason: "met her"})
	if err != nil || got.Lowered || got.VouchedAt == nil || got.VouchedBy != "api_key:"+acme.Actor().ID || got.ETag == before.ETag {
		t.Errorf("Vouch = %+v, %v", got, err)
	}
	wait()
	again, err := vouch(acme, credential.VouchRequest{ID: c.ID, Reason: "met her twice"})
	if err != nil || !again.VouchedAt.Equal(*got.VouchedAt) || w.AuditCount(t, acme, "credential.vouch") != 1 || w.EventCount(t, acme, event.CredentialVouched) != 1 {
		t.Errorf("Vouch again = %+v, %v, want no trace of it", again, err)
	}
	if _, err := w.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: c.ID, AllowLast: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := vouch(acme, credential.VouchRequest{ID: c.ID, Reason: "x"}); !errors.Is(err, credential.ErrRevoked) {
		t.Errorf("a revoked one: error = %v, want %v", err, credential.ErrRevoked)
	}
}

// SECURITY 49b: what was recovered is vouched for by something stronger, not by itself.
func TestVouchBySession(t *testing.T) {
	w := authcoretest.New(t)
	acme := w.TenantWith(t, dbtest.TenantOptions{Policy: `{"strongSignInMaxAgeSeconds":300}`})
	type people struct{ older, lowered, younger credential.Credential }
	three := func() people {
		list := w.Enroll(t, acme, w.User(t, acme), 3)
		recovered(t, w, list[1])
		return people{list[0], list[1], list[2]}
	}
	for _, tt := range []struct {
		name  string
		setup func(p people) uuid.UUID // the session that vouches
		later time.Duration
		cause string // "": it vouches
	}{
		{name: "an older one", setup: func(p people) uuid.UUID { return signIn(t, w, acme, p.older) }},
		{name: "just in time", later: 4 * time.Minute, setup: func(p people) uuid.UUID { return signIn(t, w, acme, p.older) }},
		{name: "itself", cause: "CREDENTIAL_TOO_WEAK", setup: func(p people) uuid.UUID { return signIn(t, w, acme, p.lowered) }},
		{name: "a younger one", cause: "CREDENTIAL_TOO_YOUNG", setup: func(p people) uuid.UUID { return signIn(t, w, acme, p.younger) }},
		{name: "a suspended one", cause: "CREDENTIAL_TOO_WEAK", setup: func(p people) uuid.UUID {
			id := signIn(t, w, acme, p.older)
			set(t, w, p.older, "state = 'SUSPENDED'")
			return id
		}},
		{name: "a lowered one", cause: "CREDENTIAL_TOO_WEAK", setup: func(p people) uuid.UUID {
			set(t, w, p.older, "lowered = true")
			return signIn(t, w, acme, p.older)
		}},
		{name: "a recovered one that was vouched for", cause: "CREDENTIAL_TOO_WEAK", setup: func(p people) uuid.UUID {
			set(t, w, p.older, "registered_via = 'ENROLLMENT_LINK'")
			return signIn(t, w, acme, p.older)
		}},
		{name: "somebody else's", cause: "SESSION_UNKNOWN", setup: func(people) uuid.UUID { return signIn(t, w, acme, three().older) }},
		{name: "nobody's", cause: "SESSION_UNKNOWN", setup: func(people) uuid.UUID { return uuid.New() }},
		{name: "an old sign-in", later: 6 * time.Minute, cause: "SIGN_IN_TOO_OLD", setup: func(p people) uuid.UUID { return signIn(t, w, acme, p.older) }},
		{name: "a weak sign-in", cause: "SIGN_IN_TOO_WEAK", setup: func(p people) uuid.UUID {
			id := signIn(t, w, acme, p.older)
			if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE sessions SET aal = 1 WHERE id = $1", id); err != nil {
				t.Fatal(err)
			}
			return id
		}},
		{name: "an ended session", cause: "SESSION_ENDED", setup: func(p people) uuid.UUID {
			id := signIn(t, w, acme, p.older)
			if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE sessions SET revoked_at = now(), revoke_reason = 'x' WHERE id = $1", id); err != nil {
				t.Fatal(err)
			}
			return id
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := three()
			sess := tt.setup(p)
			got, err := w.Later(t, tt.later).Credentials.Vouch(t.Context(), acme, credential.VouchRequest{ID: p.lowered.ID, Session: &sess})
			if tt.cause == "" {
				if err != nil || got.Lowered || got.VouchedBy != "credential:"+p.older.ID.String() {
					t.Errorf("Vouch = %+v, %v, want it vouched for", got, err)
				}
				return
			}
			f, ok := fault.As(err)
			if !ok || !errors.Is(err, credential.ErrVoucher) || f.Metadata["cause"] != tt.cause {
				t.Errorf("Vouch error = %v, want %v by %s", err, credential.ErrVoucher, tt.cause)
			}
			if c, err := w.Credentials.Get(t.Context(), acme, p.lowered.ID); err != nil || !c.Lowered {
				t.Errorf("afterwards it is %+v, %v, want it lowered", c, err)
			}
		})
	}
}

func signIn(t *testing.T, w *authcoretest.World, sc scope.Scope, c credential.Credential) uuid.UUID {
	t.Helper()
	sess, _ := w.SignIn(t, sc, c)
	return sess.ID.UUID()
}
