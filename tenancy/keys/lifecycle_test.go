package keys_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// line is a server whose clock is set by the test. Nothing is cached there, since no
// change feed vouches for it.
type line struct {
	*dbtest.Store
	svc  *keys.Service
	kms  keys.KMS
	plan *keys.Plan
	at   *time.Duration // ahead of Postgres
}

func newLine(t *testing.T, k keys.KMS) *line {
	t.Helper()
	l := &line{Store: dbtest.New(t), kms: k, plan: &keys.Plan{Algorithm: keys.ES256}, at: new(time.Duration)}
	l.svc = keys.New(keys.Options{
		Store: l.svcStore(t), KMS: k,
		Plan: func(context.Context, scope.Scope) (keys.Plan, error) { return *l.plan, nil },
	})
	return l
}

// svcStore is the database by the line's clock.
func (l *line) svcStore(t *testing.T) *db.Store {
	t.Helper()
	o := l.Options()
	o.Now = func() time.Time { return time.Now().Add(*l.at) } // set while nothing runs
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

func (l *line) tenant(t *testing.T) scope.Scope {
	t.Helper()
	sc := l.Tenant(t)
	if err := l.svc.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	return sc
}

func (l *line) maintain(t *testing.T, sc scope.Scope) {
	t.Helper()
	if err := l.svc.Maintain(t.Context(), sc); err != nil {
		t.Fatalf("Maintain = %v", err)
	}
}

// states are the tenant's keys as state=KID, oldest first.
func (l *line) states(t *testing.T, sc scope.Scope) []string {
	t.Helper()
	list, err := l.svc.SigningKeys(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list)
	var out []string
	for _, k := range list {
		out = append(out, string(k.State)+"="+k.KID)
	}
	return out
}

func (l *line) want(t *testing.T, sc scope.Scope, when string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, l.states(t, sc)); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", when, diff)
	}
}

// published is the key set as go-jose reads it, by kid.
func published(t testing.TB, r *keys.Ring) map[string]jose.JSONWebKey {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatalf("JWKS: %v", err)
	}
	out := map[string]jose.JSONWebKey{}
	for _, k := range set.Keys {
		if !k.Valid() || !k.IsPublic() {
			t.Errorf("key %s is not a valid public key", k.KeyID)
		}
		out[k.KeyID] = k
	}
	return out
}

// sign makes a JWS with the ring's active key, as any library writes it.
func sign(t testing.TB, r *keys.Ring) string {
	t.Helper()
	s := r.Signer()
	input := encoded(fmt.Sprintf(`{"alg":%q,"kid":%q}`, s.Algorithm, s.KID)) + "." + encoded(`{"sub":"ada"}`)
	token, err := s.Sign(t.Context(), []byte(input+"."), []byte(input))
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	return string(token)
}

// A key goes from published to signing to verifying to gone, each in its time, and the
// maintenance may come as often as it likes in between.
func TestSigningKeyLife(t *testing.T) {
	l := newLine(t, localKMS(t))
	acme := l.tenant(t)
	first := ring(t, l.svc, acme).Signer().KID
	made, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Reason: "yearly"})
	if err != nil || made.State != keys.Pending || made.ActivateAt == nil || made.ActivateAt.Sub(made.CreatedAt) != keys.PublishAhead {
		t.Fatalf("Rotate = %+v, %v", made, err)
	}
	second := made.KID
	old := sign(t, ring(t, l.svc, acme))

	steps := []struct {
		when      string
		at        time.Duration
		want      []string
		signs     string
		publishes int
	}{
		{"at first", 0, []string{"ACTIVE=" + first, "PENDING=" + second}, first, 2},
		{"before its time", keys.PublishAhead - 5*time.Second, []string{"ACTIVE=" + first, "PENDING=" + second}, first, 2},
		{"in its time", keys.PublishAhead + time.Second, []string{"RETIRING=" + first, "ACTIVE=" + second}, second, 2},
		{"while its tokens live", keys.PublishAhead + keys.RetireAfter - 5*time.Second, []string{"RETIRING=" + first, "ACTIVE=" + second}, second, 2},
		{"afterwards", keys.PublishAhead + keys.RetireAfter + 5*time.Second, []string{"REVOKED=" + first, "ACTIVE=" + second}, second, 1},
	}
	for _, s := range steps {
		*l.at = s.at
		l.maintain(t, acme)
		l.maintain(t, acme)
		l.want(t, acme, s.when, s.want...)
		r := ring(t, l.svc, acme)
		if got := r.Signer().KID; got != s.signs {
			t.Errorf("%s: %s signs, want %s", s.when, got, s.signs)
		}
		set := published(t, r)
		if len(set) != s.publishes {
			t.Errorf("%s: %d keys are published, want %d", s.when, len(set), s.publishes)
		}
		for name, token := range map[string]string{"an old token": old, "a new token": sign(t, r)} {
			good := verifies(token, set)
			if want := name == "a new token" || s.publishes == 2; good != want {
				t.Errorf("%s: %s verifies = %t, want %t", s.when, name, good, want)
			}
		}
	}
	var left int
	if err := l.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM signing_keys WHERE tenant_id = $1 AND private_sealed IS NOT NULL",
		acme.Tenant()).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d private halves are left, %v, want the active one's", left, err)
	}
	for action, n := range map[string]int64{"signingkey.create": 2, "signingkey.activate": 1, "signingkey.retire": 1, "signingkey.revoke": 1} {
		if got := l.AuditCount(t, acme, action); got != n {
			t.Errorf("%d audit entries %s, want %d", got, action, n)
		}
	}
	var events int
	if err := l.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM event_outbox WHERE tenant_id = $1 AND type = $2",
		acme.Tenant(), string(event.SigningKeyActivated)).Scan(&events); err != nil || events != 1 {
		t.Errorf("%d events of activation, %v, want 1", events, err)
	}
}

func verifies(token string, set map[string]jose.JSONWebKey) bool {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256})
	if err != nil {
		return false
	}
	key, ok := set[jws.Signatures[0].Header.KeyID]
	if !ok || key.Algorithm != jws.Signatures[0].Header.Algorithm {
		return false
	}
	_, err = jws.Verify(key)
	return err == nil
}

func TestRotateByPolicy(t *testing.T) {
	l := newLine(t, localKMS(t))
	acme := l.tenant(t)
	l.plan.RotateSigningAfter = 48 * time.Hour
	for _, s := range []struct {
		at   time.Duration
		want int
	}{{47 * time.Hour, 1}, {48*time.Hour + time.Minute, 2}, {48*time.Hour + 2*time.Minute, 2}} {
		*l.at = s.at
		l.maintain(t, acme)
		if n := len(l.states(t, acme)); n != s.want {
			t.Errorf("after %s: %d keys, want %d", s.at, n, s.want)
		}
	}
	l.plan.RotateSigningAfter = 0
	*l.at += time.Hour
	l.maintain(t, acme) // the successor signs
	// What somebody asked for stays, although the policy says otherwise.
	made, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Algorithm: keys.EdDSA, Now: true})
	if err != nil {
		t.Fatal(err)
	}
	*l.at += time.Hour
	l.maintain(t, acme)
	if r := ring(t, l.svc, acme); r.Signer().KID != made.KID || len(published(t, r)) > 3 {
		t.Errorf("%s signs, want the key that was asked for", r.Signer().KID)
	}
	if list, err := l.svc.SigningKeys(t.Context(), acme); err != nil || list[0].KID != made.KID {
		t.Errorf("a successor was made that nobody asked for: %v", err)
	}
	// Another algorithm of the policy's takes effect with a key of its own, and each one signs.
	now := *l.at
	for _, algorithm := range []string{keys.EdDSA, keys.RS256, keys.ES256} {
		now += time.Hour
		*l.at = now
		l.maintain(t, acme) // activates the one before
		l.plan.Algorithm, l.plan.Since = algorithm, time.Now().Add(now+time.Minute)
		now += time.Hour
		*l.at = now
		l.maintain(t, acme)
		*l.at = now + keys.PublishAhead + time.Second
		l.maintain(t, acme)
		r := ring(t, l.svc, acme)
		if got := r.Signer().Algorithm; got != algorithm {
			t.Fatalf("the policy says %s, and %s signs", algorithm, got)
		}
		token := sign(t, r)
		if !verifies(token, published(t, r)) {
			t.Errorf("%s: another library refuses our token", algorithm)
		}
		header, payload, signature := parts(token)
		if err := r.Verify(r.Signer().KID, algorithm, []byte(header+"."+payload), []byte(signature)); err != nil {
			t.Errorf("%s: Verify = %v", algorithm, err)
		}
		for _, other := range []string{keys.ES256, keys.EdDSA, keys.RS256, "HS256", "none", ""} {
			if err := r.Verify(r.Signer().KID, other, []byte(header+"."+payload), []byte(signature)); (err == nil) != (other == algorithm) {
				t.Errorf("a key for %s and a token that says %q: %v", algorithm, other, err)
			}
		}
	}
}

func TestRotateRefusals(t *testing.T) {
	l := newLine(t, localKMS(t))
	acme := l.tenant(t)
	if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Algorithm: "HS256"}); !errors.Is(err, keys.ErrAlgorithm) {
		t.Errorf("HS256: %v, want ErrAlgorithm", err)
	}
	l.plan.InKMS = true
	if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{}); !errors.Is(err, keys.ErrNoSigner) {
		t.Errorf("in a KMS that does not sign: %v, want ErrNoSigner", err)
	}
	l.plan.InKMS = false
	made, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{}); !errors.Is(err, keys.ErrKeyPending) {
		t.Errorf("a second successor: %v, want ErrKeyPending", err)
	}
	if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Now: true, Algorithm: keys.EdDSA}); !errors.Is(err, keys.ErrKeyPending) {
		t.Errorf("now, of another algorithm than the pending one's: %v, want ErrKeyPending", err)
	}
	now, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Now: true})
	if err != nil || now.KID != made.KID || now.State != keys.Active {
		t.Errorf("now: %+v, %v, want the pending key to sign", now, err)
	}
	again, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Now: true})
	if err != nil || again.KID == made.KID || again.State != keys.Active {
		t.Errorf("now, with none pending: %+v, %v, want a new one", again, err)
	}
	if _, err := l.svc.Rotate(t.Context(), l.Tenant(t), keys.RotateRequest{}); !errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("a tenant without keys: %v, want ErrNoKeys", err)
	}
}

func TestRevokeSigningKey(t *testing.T) {
	l := newLine(t, localKMS(t))
	for _, tt := range []struct {
		name    string
		pending bool // a successor is published
		which   keys.State
	}{
		{"the active one, with a successor", true, keys.Active},
		{"the active one, without", false, keys.Active},
		{"the pending one", true, keys.Pending},
		{"a retiring one", false, keys.Retiring},
	} {
		t.Run(tt.name, func(t *testing.T) {
			acme, globex := l.tenant(t), l.tenant(t)
			if tt.pending {
				if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{}); err != nil {
					t.Fatal(err)
				}
			}
			if tt.which == keys.Retiring {
				if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Now: true}); err != nil {
					t.Fatal(err)
				}
			}
			list, err := l.svc.SigningKeys(t.Context(), acme)
			if err != nil {
				t.Fatal(err)
			}
			victim := list[slices.IndexFunc(list, func(k keys.SigningKey) bool { return k.State == tt.which })].KID
			if _, err := l.svc.Revoke(t.Context(), globex, keys.RevokeKeyRequest{KID: victim}); !errors.Is(err, keys.ErrKeyNotFound) {
				t.Errorf("by another tenant: %v, want ErrKeyNotFound", err)
			}
			before := ring(t, l.svc, acme)
			token := sign(t, before)
			got, err := l.svc.Revoke(t.Context(), acme, keys.RevokeKeyRequest{KID: victim, Reason: "leaked"})
			if err != nil || got.State != keys.Revoked || got.RevokedAt == nil || got.RevokeReason != "revoked" {
				t.Fatalf("Revoke = %+v, %v", got, err)
			}
			r := ring(t, l.svc, acme)
			if r.Signer() == nil || r.Signer().KID == victim || r.Knows(victim) {
				t.Error("the revoked key is still there, or nobody signs")
			}
			if _, ok := published(t, r)[victim]; ok {
				t.Error("the revoked key is still published")
			}
			if good := verifies(token, published(t, r)); good != (tt.which != keys.Active) {
				t.Errorf("a token of the key that signed before verifies = %t", good)
			}
			again, err := l.svc.Revoke(t.Context(), acme, keys.RevokeKeyRequest{KID: victim, Reason: "other"})
			if err != nil || !again.RevokedAt.Equal(*got.RevokedAt) || l.AuditCount(t, acme, "signingkey.revoke") != 1 {
				t.Errorf("again: %+v, %v, want the first time kept", again, err)
			}
		})
	}
}

// However rotations, revocations and the maintenance meet, exactly one key signs.
// Removing LockKeys turns it red.
func TestSigningKeyRaces(t *testing.T) {
	l := newLine(t, localKMS(t))
	for range 5 {
		acme := l.tenant(t)
		first := ring(t, l.svc, acme).Signer().KID
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				var err error
				switch i % 4 {
				case 0:
					_, err = l.svc.Rotate(t.Context(), acme, keys.RotateRequest{})
				case 1:
					_, err = l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Now: true})
				case 2:
					_, err = l.svc.Revoke(t.Context(), acme, keys.RevokeKeyRequest{KID: first})
				case 3:
					err = l.svc.Maintain(t.Context(), acme)
				}
				if err != nil && !errors.Is(err, keys.ErrKeyPending) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		wg.Wait()
		list, err := l.svc.SigningKeys(t.Context(), acme)
		if err != nil {
			t.Fatal(err)
		}
		count := map[keys.State]int{}
		for _, k := range list {
			count[k.State]++
		}
		if count[keys.Active] != 1 || count[keys.Pending] > 1 {
			t.Fatalf("states = %v, want one active and at most one pending", count)
		}
		if ring(t, l.svc, acme).Signer() == nil {
			t.Fatal("nobody signs")
		}
	}
}

// Whoever can write to the database cannot have tokens verified by a key of theirs.
func TestTamperedSigningKeysDoNotOpen(t *testing.T) {
	k := &signingKMS{KMS: localKMS(t), made: map[string]crypto.Signer{}}
	l := newLine(t, k)
	for _, tt := range []struct{ name, sql string }{
		{"another algorithm", "UPDATE signing_keys SET algorithm = 'RS256' WHERE tenant_id = $1"},
		{"said to be in the KMS", "UPDATE signing_keys SET location = 'KMS' WHERE tenant_id = $1"},
		{"another kid", "UPDATE signing_keys SET kid = 'mine' WHERE tenant_id = $1"},
		{"a flipped bit", "UPDATE signing_keys SET private_sealed = set_byte(private_sealed, 40, get_byte(private_sealed, 40) # 1) WHERE tenant_id = $1"},
		{"cut", "UPDATE signing_keys SET private_sealed = substring(private_sealed FOR 60) WHERE tenant_id = $1"},
		{"another tenant's", `UPDATE signing_keys SET private_sealed = o.private_sealed FROM signing_keys o
			WHERE signing_keys.tenant_id = $1 AND o.tenant_id <> $1 AND o.private_sealed IS NOT NULL`},
	} {
		for _, inKMS := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in the KMS %t", tt.name, inKMS), func(t *testing.T) {
				l.tenant(t)
				acme := l.tenant(t)
				l.plan.InKMS = inKMS
				if inKMS {
					if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Now: true}); err != nil {
						t.Fatal(err)
					}
					if _, err := l.Superuser(t).Exec(t.Context(), "DELETE FROM signing_keys WHERE tenant_id = $1 AND location = 'SEALED'", acme.Tenant()); err != nil {
						t.Fatal(err)
					}
					if tt.name == "said to be in the KMS" {
						tt.sql = "UPDATE signing_keys SET location = 'SEALED' WHERE tenant_id = $1"
					}
				}
				ring(t, l.svc, acme)
				if _, err := l.Superuser(t).Exec(t.Context(), tt.sql, acme.Tenant()); err != nil {
					t.Fatal(err)
				}
				if _, err := l.svc.Ring(t.Context(), acme); err == nil {
					t.Error("the ring opened")
				}
			})
		}
	}
}

// The key set stays small enough for whoever reads it whole.
func TestSigningKeysAreBounded(t *testing.T) {
	l := newLine(t, localKMS(t))
	acme := l.tenant(t)
	rotated := 0
	for range 20 {
		if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Now: true}); errors.Is(err, keys.ErrTooManyKeys) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		rotated++
	}
	if n := len(published(t, ring(t, l.svc, acme))); rotated != 7 || n != 8 {
		t.Errorf("%d rotations in a row, %d keys are published; want 7 and 8", rotated, n)
	}
	// An emergency is no rotation.
	if _, err := l.svc.Revoke(t.Context(), acme, keys.RevokeKeyRequest{KID: ring(t, l.svc, acme).Signer().KID}); err != nil {
		t.Errorf("Revoke = %v", err)
	}
	*l.at = keys.RetireAfter + time.Second
	l.maintain(t, acme)
	if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Now: true}); err != nil {
		t.Errorf("after the old ones have retired: %v", err)
	}
}
