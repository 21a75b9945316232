package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/dbtest"
	biocore "github.com/biocore-id/biocore/sdk/go"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/web/edge"
)

// Verifiers keep the key set for as long as the edge says: a key must be published for
// longer than that before it signs.
func TestKeysArePublishedAhead(t *testing.T) {
	if keys.PublishAhead < 2*edge.JWKSMaxAge {
		t.Errorf("a key is published %s before it signs, and verifiers keep the key set for %s", keys.PublishAhead, edge.JWKSMaxAge)
	}
	if keys.RetireAfter < time.Hour+time.Minute {
		t.Errorf("a key verifies for %s after it signed, and an access token lives up to an hour", keys.RetireAfter)
	}
}

// traffic refreshes sessions on two servers and verifies what it gets, on both of them and
// offline, until the test ends it. Any refusal fails the test.
type traffic struct {
	mu       sync.Mutex
	signed   map[string]int // verifications by the kid that signed
	verified atomic.Int64
}

func (l *traffic) count(kid string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.signed[kid]
}

// Signing keys are rotated thrice, through every algorithm, while two servers issue
// tokens and everybody verifies them: no token fails. Activating a key before it is
// published, or revoking one while its tokens live, turns it red.
//
// The quarter of an hour that a key waits is skipped, for the verifiers' clocks as well:
// they keep the key set for its five minutes.
func TestRotationUnderLoad(t *testing.T) {
	store := dbtest.Fresh(t)
	both := newWorlds(t, store)
	c := both[0].tenant(t, "acme")
	both[0].setPolicy(t, c, `{"accessTokenSeconds":3600}`)
	sc := scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	conn := store.Superuser(t)

	var ahead atomic.Int64 // of the verifiers' clock
	var fetches atomic.Int64
	verifiers := make([]*biocore.Verifier, 2)
	for i := range verifiers {
		var err error
		verifiers[i], err = biocore.NewVerifier(biocore.VerifierOptions{
			Issuer: "http://localhost:8080/t/acme", Audience: "example.com",
			KeysURL:    both[i].url + "/t/acme/.well-known/jwks.json",
			HTTPClient: &http.Client{Transport: counting{&fetches}},
			Now:        func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	refreshTokens := make([]string, 3)
	both[0].enroll(t, c, "ada")
	for i := range refreshTokens {
		both[0].signIn(t, c)
		refreshTokens[i] = c.refresh
	}

	l := &traffic{signed: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i, refresh := range refreshTokens {
		running.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				issuer := both[n%2]
				a, err := issuer.try(t.Context(), "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": refresh})
				if err != nil || a.status != http.StatusOK {
					t.Errorf("refresh: %s, %v", a, err)
					return
				}
				refresh = a.text("session", "refreshToken")
				token := a.text("session", "accessToken")
				for j, verifier := range verifiers {
					if _, err := verifier.Verify(t.Context(), token); err != nil {
						t.Errorf("offline %d: %v (kid %s)", j, err, kidOf(t, token))
						return
					}
					if a, err := both[j].try(t.Context(), "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": token}); err != nil || !a.active() {
						t.Errorf("online %d: %s, %v (kid %s)", j, a, err, kidOf(t, token))
						return
					}
					l.verified.Add(2)
				}
				l.mu.Lock()
				l.signed[kidOf(t, token)]++
				l.mu.Unlock()
			}
		})
	}
	awaitTokens := func(kid string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); l.count(kid) < 20; {
			if t.Failed() || time.Now().After(deadline) {
				t.Fatalf("%d tokens by key %s", l.count(kid), kid)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	old := both[0].signingKey(t, c)
	awaitTokens(old)
	for i, algorithm := range []string{"EdDSA", "RS256", "ES256"} {
		made := both[i%2].must(t, "POST", "/admin/v1/signingKeys:rotate", c.secret, map[string]any{"algorithm": algorithm}).text("signingKey", "kid")
		both[0].setPolicy(t, c, `{"accessTokenSeconds":3600,"signingAlgorithm":"`+algorithm+`"}`) // or the maintenance would want the old one back
		before := fetches.Load()
		ahead.Add(int64(6 * time.Minute)) // longer than the key set is kept
		for deadline := time.Now().Add(10 * time.Second); fetches.Load() < before+2 && time.Now().Before(deadline); {
			<-time.After(10 * time.Millisecond)
		}
		if l.count(made) != 0 {
			t.Errorf("%s: it signs before its time", algorithm)
		}
		if _, err := conn.Exec(t.Context(), "UPDATE signing_keys SET activate_at = now() WHERE kid = $1", made); err != nil {
			t.Fatal(err)
		}
		if err := both[1].keys.Maintain(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
		awaitTokens(made)
		// Its predecessor goes when nothing of its is in use any more.
		if _, err := conn.Exec(t.Context(), "UPDATE signing_keys SET revoke_at = now() WHERE kid = $1", old); err != nil {
			t.Fatal(err)
		}
		if err := both[0].keys.Maintain(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
		old = made
	}
	awaitTokens(old)
	stop()
	running.Wait()
	if n := len(l.signed); n != 4 {
		t.Errorf("%d keys have signed, want 4", n)
	}
	if n := fetches.Load(); n > 20 {
		t.Errorf("two verifiers read the key set %d times", n)
	}
	t.Logf("%d verifications, %d reads of the key set, 0 failures", l.verified.Load(), fetches.Load())
}

// active is what sessions:verify says of a token.
func (a answer) active() bool { return a.at("active") == any(true) }

// counting counts requests.
type counting struct{ n *atomic.Int64 }

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return http.DefaultTransport.RoundTrip(r)
}

func kidOf(t testing.TB, token string) string {
	t.Helper()
	part, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(part)
	var header struct{ KID string }
	if err := errors.Join(err, json.Unmarshal(text, &header)); err != nil {
		t.Errorf("header of %q: %v", token, err)
	}
	return header.KID
}

// A signing key that leaked is revoked: its tokens are refused everywhere, its sessions
// go on with tokens of the successor.
func TestEmergencyRevocation(t *testing.T) {
	both := newWorlds(t, dbtest.Fresh(t))
	c := both[0].tenant(t, "acme")
	both[0].enroll(t, c, "ada")
	both[0].signIn(t, c)
	leaked := both[0].signingKey(t, c)
	both[1].must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access})
	revoked := both[0].must(t, "POST", "/admin/v1/signingKeys/"+leaked+":revoke", c.secret, map[string]any{"reason": "leaked"})
	if revoked.text("signingKey", "state") != "REVOKED" {
		t.Fatalf("revocation: %s", revoked)
	}
	began := time.Now()
	for _, w := range both {
		for w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access}).active() {
			if time.Since(began) > time.Second {
				t.Fatal("after a second a token of the revoked key is still good")
			}
		}
		if a := w.call(t, "GET", "/t/acme/.well-known/jwks.json", "", nil); a.status != http.StatusOK || len(a.raw) == 0 || strings.Contains(a.raw, leaked) {
			t.Errorf("key set: %s", a)
		}
	}
	fresh := both[1].must(t, "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": c.refresh}).text("session", "accessToken")
	if kidOf(t, fresh) == leaked {
		t.Error("the revoked key still signs")
	}
	for _, w := range both {
		if !w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": fresh}).active() {
			t.Error("a token of the successor is refused")
		}
	}
}
