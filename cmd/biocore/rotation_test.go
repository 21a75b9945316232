package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
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
		// Within the quarter of an hour that is skipped every server hears of the key: in a second.
		for _, w := range both {
			for deadline := time.Now().Add(10 * time.Second); !strings.Contains(w.call(t, "GET", "/t/acme/.well-known/jwks.json", "", nil).raw, made); {
				if time.Now().After(deadline) {
					t.Fatalf("%s does not publish %s", w.url, made)
				}
				<-time.After(10 * time.Millisecond)
			}
		}
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
	for _, w := range both {
		dbtest.Seen(t, "the revocation", func() string {
			if w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access}).active() {
				return "a token of the revoked key is good"
			}
			return ""
		})
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

// A data key is replaced and destroyed while its tenant works: users keep their names,
// addresses and sessions, and nothing is sealed under the old key any more.
func TestDataKeyRotationEndToEnd(t *testing.T) {
	store := dbtest.Fresh(t)
	both := newWorlds(t, store)
	here, there := both[0], both[1]
	c := here.tenant(t, "acme")
	here.enroll(t, c, "ada")
	here.signIn(t, c)
	here.must(t, "PATCH", "/v1/users/"+c.user, c.secret, map[string]any{"email": "ada@bank.example", "phone": "+431234567"})
	for i := range 40 {
		here.must(t, "POST", "/v1/users", c.secret, map[string]any{
			"externalId": fmt.Sprint("customer-", i), "name": fmt.Sprint("Customer ", i), "email": fmt.Sprintf("c%d@bank.example", i),
		})
	}
	sc := scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	conn := store.Superuser(t)
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, c.id); err != nil {
			t.Fatal(err)
		}
	}
	works := func(when string) {
		t.Helper()
		for _, w := range both {
			if a := w.must(t, "GET", "/v1/users/"+c.user, c.secret, nil); a.text("email") != "ada@bank.example" || a.text("externalId") != "ada" {
				t.Errorf("%s: %s", when, a)
			}
			found := w.must(t, "GET", "/v1/users?filter="+url.QueryEscape(`email = "c7@bank.example"`), c.secret, nil)
			if list := found.items("users"); len(list) != 1 || list[0].text("name") != "Customer 7" {
				t.Errorf("%s: searching by e-mail finds %s", when, found)
			}
			w.must(t, "GET", "/v1/users:lookup?externalId=customer-3", c.secret, nil)
			if a := w.must(t, "GET", "/v1/users:contactSummary", c.secret, nil); a.at("email", "distinct") != 41.0 {
				t.Errorf("%s: summary %s", when, a)
			}
			a := w.must(t, "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": c.refresh})
			c.refresh = a.text("session", "refreshToken")
			if done := w.signIn(t, c); done.text("decision") != "ALLOW" {
				t.Errorf("%s: sign-in %s", when, done)
			}
		}
	}
	works("before")
	version, err := here.keys.RotateDataKey(t.Context(), sc, "test")
	if err != nil || version != 2 {
		t.Fatalf("RotateDataKey = %d, %v", version, err)
	}
	works("at once")
	exec("UPDATE data_keys SET created_at = now() - interval '2 minutes' WHERE tenant_id = $1 AND version = 2")
	here.must(t, "PATCH", "/admin/v1/tenants/"+c.id, here.platformKey, map[string]any{"name": "heard of it"}) // the servers read the keys again
	works("while both open")
	if err := there.keys.Maintain(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	works("sealed anew")
	var stale int
	if err := conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM users WHERE tenant_id = $1 AND get_byte(profile_sealed, 4) <> 2)
		+ (SELECT count(*) FROM contacts WHERE tenant_id = $1 AND key_version <> 2)
		+ (SELECT count(*) FROM signing_keys WHERE tenant_id = $1 AND get_byte(private_sealed, 4) <> 2)`, c.id).Scan(&stale); err != nil || stale != 0 {
		t.Errorf("%d values are still sealed under the old key, %v", stale, err)
	}
	exec("UPDATE data_keys SET drained_at = drained_at - interval '26 hours' WHERE tenant_id = $1")
	if err := here.keys.Maintain(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	var versions []int32
	if err := conn.QueryRow(t.Context(), "SELECT array_agg(version ORDER BY version) FROM data_keys WHERE tenant_id = $1", c.id).Scan(&versions); err != nil || !slices.Equal(versions, []int32{0, 2}) {
		t.Errorf("data keys = %v, %v, want the root and the new one", versions, err)
	}
	works("after the old one is destroyed")
}

// The maintenance is a job of the server's: what is due is done without anybody's call.
func TestKeyMaintenanceRuns(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	first := startWorld(t, store, cfg)
	c := first.tenant(t, "acme")
	made := first.must(t, "POST", "/admin/v1/signingKeys:rotate", c.secret, map[string]any{}).text("signingKey", "kid")
	if _, err := store.Superuser(t).Exec(t.Context(), "UPDATE signing_keys SET activate_at = now(), due_at = now() WHERE kid = $1", made); err != nil {
		t.Fatal(err)
	}
	// The sweep of the first server ran when it started; the next one is a minute later.
	eventually(t, "the pending key signs", func() bool {
		list := first.must(t, "GET", "/admin/v1/signingKeys", c.secret, nil).items("signingKeys")
		return list[0].text("kid") == made && list[0].text("state") == "ACTIVE"
	})
}

// Without its KMS a server goes on with the keys that it has opened, says so to its
// operators, and opens no others.
func TestKMSOutage(t *testing.T) {
	vault := newTransit(t)
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.KMSURL = "vault:" + vault.URL + "/transit/keys/biocore"
	w := startWorld(t, store, cfg)
	c, stranger := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, c, "ada")
	super := store.Superuser(t)
	eventually(t, "the other server has no entry to sequence, for which it would open a tenant's keys", func() bool {
		var waiting int
		if err := super.QueryRow(t.Context(), "SELECT count(*) FROM audit_inbox").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		return waiting == 0
	})

	cut := startWorld(t, store, w.cfgForReplica())
	cut.must(t, "GET", "/v1/users/"+c.user, c.secret, nil) // opens acme's keys
	vault.sealed.Store(true)
	person := map[string]any{"externalId": "x", "name": "x"}
	began := time.Now()
	a := cut.call(t, "POST", "/v1/users", stranger.secret, person)
	if a.status != http.StatusServiceUnavailable || a.reason() != keys.ErrKMSUnavailable.Reason || a.header.Get("Retry-After") == "" {
		t.Errorf("a tenant whose keys must be opened: %s, want 503 with Retry-After", a)
	}
	again := time.Now()
	if a := cut.call(t, "POST", "/v1/users", stranger.secret, person); a.status != http.StatusServiceUnavailable {
		t.Errorf("once more: %s", a)
	}
	if first, second := again.Sub(began), time.Since(again); first > 15*time.Second || second > 3*time.Second { // 3 s and nothing, on a fast machine
		t.Errorf("the first refusal took %s, the second %s: requests wait for a KMS that is silent", first, second)
	}
	cut.signIn(t, c)
	if a := cut.ready(t); a.status != http.StatusOK || !strings.HasPrefix(a.text("kms"), "degraded: ") {
		t.Errorf("operators are told: %s", a)
	}
	if metrics := cut.scrapeOps(t); !strings.Contains(metrics, "\nbiocore_kms_up 0\n") || !strings.Contains(metrics, "\nbiocore_kms_grace_left_seconds 3") {
		t.Error("the metrics don't tell of it")
	}
	if a := cut.call(t, "GET", "/readyz", "", nil); a.status != http.StatusOK {
		t.Errorf("load balancers are told to go away: %s", a)
	}
	vault.sealed.Store(false)
	eventually(t, "it is as it was", func() bool {
		return cut.call(t, "POST", "/v1/users", stranger.secret, person).status == http.StatusOK
	})
	if metrics := cut.scrapeOps(t); !strings.Contains(metrics, "\nbiocore_kms_up 1\n") {
		t.Error("the metrics don't tell that it is back")
	}
	if a := cut.ready(t); a.text("kms") != "ok" {
		t.Errorf("afterwards operators are told: %s", a)
	}
}

// ready is what the operations port says of each dependency.
func (w *world) ready(t *testing.T) answer {
	t.Helper()
	ops := &world{url: "http://" + w.opsPort.Addr().String()}
	return ops.call(t, "GET", "/readyz", "", nil)
}

// transit is as much of Vault's Transit engine as an outage takes; its wire form is
// tested in keys/kms.
type transit struct {
	*httptest.Server

	sealed atomic.Bool
}

func newTransit(t *testing.T) *transit {
	t.Helper()
	t.Setenv("VAULT_TOKEN", "hvs.test")
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	v := &transit{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var in struct {
			Plaintext  []byte `json:"plaintext"`
			Ciphertext string `json:"ciphertext"`
			AD         []byte `json:"associated_data"`
		}
		data := map[string]any{"ttl": 0, "renewable": false}
		switch err := json.NewDecoder(r.Body).Decode(&in); {
		case v.sealed.Load():
			rw.WriteHeader(http.StatusServiceUnavailable)
			data = nil
		case err != nil && r.Method == http.MethodPost:
			rw.WriteHeader(http.StatusBadRequest)
		case strings.Contains(r.URL.Path, "/encrypt/"):
			data["ciphertext"] = "vault:v1:" + base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, in.Plaintext, in.AD)) //nolint:gosec // no nonce: this AEAD makes a random one
		case strings.Contains(r.URL.Path, "/decrypt/"):
			raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(in.Ciphertext, "vault:v1:"))
			plain, err := aead.Open(nil, nil, raw, in.AD)
			if err != nil {
				rw.WriteHeader(http.StatusBadRequest)
			}
			data["plaintext"] = plain
		}
		_ = json.NewEncoder(rw).Encode(map[string]any{"data": data})
	}))
	t.Cleanup(v.Close)
	return v
}
