package biocore_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	biocore "github.com/biocore-id/biocore/sdk/go"
)

// pass lets time go by in a bubble, and what waited for it happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// issue is a token of this moment.
func issue(t testing.TB, k key) string {
	t.Helper()
	return k.sign(t, claimsAt(time.Now()))
}

// Half a day of rotations under continuous verification, by four callers at once: the next
// key is published ten minutes before it signs, the last one stays until its tokens have
// expired. Nothing fails, nobody waits after the first fetch though each takes a second,
// and the server is asked about as often as the keys' age says. Waiting at the end of the
// keys' age instead of renewing before turns it red, and so does a fetch for each caller.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			long, every, ahead, life = 12 * time.Hour, time.Hour, 10 * time.Minute, 10 * time.Minute
			callers                  = 4
		)
		server := newKeyServer()
		server.latency = time.Second
		v := newVerifier(t, server, nil)

		started := time.Now()
		current := newKey(t, "key-0", "ES256")
		server.publish(current)
		mustVerify(t, v, issue(t, current))
		previous, next, changed := key{}, key{}, started
		verified := 0
		for n := 1; time.Since(started) < long; {
			switch since := time.Since(changed); {
			case since >= every: // the next one signs
				previous, current, next, changed = current, next, key{}, time.Now()
				n++
			case since >= every-ahead && next.kid == "": // and before, it is published
				next = newKey(t, fmt.Sprintf("key-%d", n), algorithms[n%2])
				server.publish(current, next)
			case since >= life && previous.kid != "": // what it signed has expired
				previous = key{}
				server.publish(current)
			}
			tokens := []string{issue(t, current)}
			if previous.kid != "" { // its last tokens live on
				tokens = append(tokens, previous.sign(t, claimsAt(changed.Add(-time.Second))))
				if time.Since(changed) >= life-time.Second {
					tokens = tokens[:1]
				}
			}
			asked := time.Now()
			var callersDone sync.WaitGroup
			for range callers {
				callersDone.Go(func() {
					for _, tok := range tokens {
						if _, err := v.Verify(t.Context(), tok); err != nil {
							t.Errorf("after %v: Verify = %v", time.Since(started), err)
						}
					}
				})
			}
			callersDone.Wait()
			verified += callers * len(tokens)
			if waited := time.Since(asked); waited != 0 {
				t.Fatalf("after %v: requests waited for %v", time.Since(started), waited)
			}
			<-time.After(30 * time.Second)
		}
		// Each renewal comes after 70 to 90 % of five minutes.
		if least, most := int(long/(270*time.Second)), int(long/(210*time.Second))+1; server.count() < least-10 || server.count() > most {
			t.Errorf("%d fetches, want %d to %d", server.count(), least, most)
		}
		t.Logf("%d verifications over %d rotations, %d fetches", verified, int(long/every), server.count())
	})
}

// A key that signs without having been published ahead (the answer to a stolen one) is
// found by the first token that names it.
func TestEmergencyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stolen, fresh := newKey(t, "stolen", "ES256"), newKey(t, "fresh", "ES256")
		server := newKeyServer(stolen)
		v := newVerifier(t, server, nil)
		mustVerify(t, v, issue(t, stolen))
		pass(11 * time.Second)
		server.publish(fresh)
		mustVerify(t, v, issue(t, fresh))
		if got := server.last.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("asked for the missing key with Cache-Control %q: a cache on the way would not know it either", got)
		}
		if _, err := v.Verify(t.Context(), issue(t, stolen)); !errors.Is(err, biocore.ErrUnknownKey) {
			t.Errorf("a token of the stolen key: %v, want %v", err, biocore.ErrUnknownKey)
		}
	})
}

// Whoever invents kids makes the verifier ask once in ten seconds, whatever he sends, and
// does not touch those whose keys are known.
func TestInventedKids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, evil := newKey(t, "k1", "ES256"), newKey(t, "x", "EdDSA")
		server := newKeyServer(k)
		server.latency = time.Second
		v := newVerifier(t, server, nil)
		mustVerify(t, v, issue(t, k))

		var flood sync.WaitGroup
		for i := range 60 {
			for j := range 50 {
				flood.Go(func() {
					invented := evil
					invented.kid = fmt.Sprintf("invented-%d-%d", i, j)
					if _, err := v.Verify(t.Context(), issue(t, invented)); !errors.Is(err, biocore.ErrUnknownKey) {
						t.Errorf("an invented kid: %v, want %v", err, biocore.ErrUnknownKey)
					}
				})
			}
			asked := time.Now()
			mustVerify(t, v, issue(t, k))
			if waited := time.Since(asked); waited != 0 {
				t.Errorf("a good token waited for %v", waited)
			}
			<-time.After(time.Second)
		}
		flood.Wait()
		if got := server.count(); got < 6 || got > 7 {
			t.Errorf("%d fetches in a minute of 3,000 invented kids, want 6 or 7", got)
		}
	})
}

// A service that starts under load asks once.
func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k1", "ES256")
		server := newKeyServer(k)
		server.latency = time.Second
		v := newVerifier(t, server, nil)
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				if _, err := v.Verify(t.Context(), issue(t, k)); err != nil {
					t.Errorf("Verify = %v", err)
				}
			})
		}
		callers.Wait()
		if got := server.count(); got != 1 {
			t.Errorf("%d fetches for 100 callers, want 1", got)
		}
	})
}

// While the keys cannot be fetched, those that are held serve for their age and StaleFor.
// Then nobody knows, which is not the token's fault. When the server is back, so are we.
func TestOutage(t *testing.T) {
	for _, tt := range []struct {
		name string
		down func(*keyServer)
	}{
		{"the server answers 503", func(s *keyServer) { s.status = http.StatusServiceUnavailable }},
		{"the server hangs", func(s *keyServer) { s.hangs = true }},
		{"a proxy's page of 200", func(s *keyServer) { s.body = "<html>sorry</html>" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, unknown := newKey(t, "k1", "ES256"), newKey(t, "k2", "ES256")
				server := newKeyServer(k)
				v := newVerifier(t, server, nil)
				mustVerify(t, v, issue(t, k))
				started := time.Now()
				server.set(tt.down)
				before := server.count()

				// Just short of 5 min + 1 h.
				for time.Since(started) < 65*time.Minute-time.Second {
					asked := time.Now()
					if _, err := v.Verify(t.Context(), issue(t, k)); err != nil {
						t.Fatalf("after %v: Verify = %v", time.Since(started), err)
					}
					if waited := time.Since(asked); waited != 0 {
						t.Fatalf("after %v: waited for %v", time.Since(started), waited)
					}
					<-time.After(time.Second)
				}
				// A token of a key that may have been published since: nobody knows.
				if _, err := v.Verify(t.Context(), issue(t, unknown)); !errors.Is(err, biocore.ErrUnavailable) {
					t.Errorf("an unknown kid in an outage: %v, want %v", err, biocore.ErrUnavailable)
				}
				if tries := server.count() - before; tries > 62*6 {
					t.Errorf("%d tries in an hour, want one in ten seconds at most", tries)
				}
				pass(2 * time.Second)
				if _, err := v.Verify(t.Context(), issue(t, k)); !errors.Is(err, biocore.ErrUnavailable) || errors.Is(err, biocore.ErrInvalidToken) {
					t.Errorf("past 1 h: %v, want %v alone", err, biocore.ErrUnavailable)
				}
				if err := v.Refresh(t.Context()); !errors.Is(err, biocore.ErrUnavailable) {
					t.Errorf("Refresh = %v, want %v", err, biocore.ErrUnavailable)
				}
				server.set(func(s *keyServer) { s.status, s.hangs, s.body = http.StatusOK, false, "" })
				pass(10 * time.Second)
				mustVerify(t, v, issue(t, k))
			})
		})
	}
}

// Without StaleFor, old keys are no keys.
func TestNoStaleKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k1", "ES256")
		server := newKeyServer(k)
		v := newVerifier(t, server, func(o *biocore.VerifierOptions) { o.StaleFor = -1 })
		mustVerify(t, v, issue(t, k))
		server.set(func(s *keyServer) { s.status = http.StatusBadGateway })
		pass(5*time.Minute - time.Second)
		mustVerify(t, v, issue(t, k))
		pass(time.Second)
		if _, err := v.Verify(t.Context(), issue(t, k)); !errors.Is(err, biocore.ErrUnavailable) {
			t.Errorf("Verify = %v, want %v", err, biocore.ErrUnavailable)
		}
	})
}

// Keys are asked for again when they are as old as the server lets them be, within
// bounds: a key that was revoked meanwhile is good one second before and not one after.
// Nothing verifies in between, so nothing is renewed early.
func TestAge(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header http.Header
		want   time.Duration
	}{
		{"as the server sends", http.Header{"Cache-Control": {"public, max-age=300"}}, 5 * time.Minute},
		{"nothing is said", http.Header{}, 5 * time.Minute},
		{"half an hour", http.Header{"Cache-Control": {"Max-Age=1800"}}, 30 * time.Minute},
		{"in quotes, after others, in two lines", http.Header{"Cache-Control": {"public", "immutable, max-age=\"600\""}}, 10 * time.Minute},
		{"a year", http.Header{"Cache-Control": {"max-age=31536000"}}, time.Hour},
		{"beyond numbers", http.Header{"Cache-Control": {"max-age=99999999999999999999"}}, time.Minute},
		{"none", http.Header{"Cache-Control": {"max-age=0"}}, time.Minute},
		{"negative", http.Header{"Cache-Control": {"max-age=-5"}}, time.Minute},
		{"no-store", http.Header{"Cache-Control": {"no-store, max-age=300"}}, time.Minute},
		{"it lay in a cache", http.Header{"Cache-Control": {"max-age=300"}, "Age": {"120"}}, 3 * time.Minute},
		{"it lay there for long", http.Header{"Cache-Control": {"max-age=300"}, "Age": {"9000"}}, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				revoked, other := newKey(t, "revoked", "ES256"), newKey(t, "other", "ES256")
				for _, late := range []bool{false, true} {
					server := newKeyServer(revoked)
					server.header = tt.header
					v := newVerifier(t, server, nil)
					mustVerify(t, v, issue(t, revoked))
					server.publish(other)
					if !late {
						pass(tt.want - time.Second)
						mustVerify(t, v, issue(t, revoked))
						continue
					}
					pass(tt.want)
					if _, err := v.Verify(t.Context(), issue(t, revoked)); !errors.Is(err, biocore.ErrUnknownKey) {
						t.Errorf("a revoked key after %v: %v, want %v", tt.want, err, biocore.ErrUnknownKey)
					}
				}
				synctest.Wait()
			})
		})
	}
}

// A caller who cannot wait does not, and takes nobody's fetch away.
func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKey(t, "k1", "ES256")
		server := newKeyServer(k)
		server.latency = 2 * time.Second
		v := newVerifier(t, server, nil)
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := v.Verify(impatient, issue(t, k))
		if !errors.Is(err, biocore.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Verify = %v, want %v", err, biocore.ErrUnavailable)
		}
		mustVerify(t, v, issue(t, k))
		if got := server.count(); got != 1 {
			t.Errorf("%d fetches, want the one that the first caller left", got)
		}
	})
}

// A key that must not be used is as if it were not there, and takes no other with it.
func TestRefusedKeys(t *testing.T) {
	good := newKey(t, "good", "ES256")
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	es, ed, rs := newKey(t, "k", "ES256"), newKey(t, "k", "EdDSA"), newKey(t, "k", "RS256")
	jwk := func(k jose.JSONWebKey) string {
		text, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	as := func(k key, change func(*jose.JSONWebKey)) string {
		j := k.jwk()
		change(&j)
		return jwk(j)
	}
	for _, tt := range []struct {
		name string
		jwks []string
		by   key
		want error
	}{
		{"each algorithm: ES256", []string{jwk(es.jwk())}, es, nil},
		{"each algorithm: EdDSA", []string{jwk(ed.jwk())}, ed, nil},
		{"each algorithm: RS256", []string{jwk(rs.jwk())}, rs, nil},
		{"without use", []string{as(es, func(j *jose.JSONWebKey) { j.Use = "" })}, es, nil},
		{"private", []string{as(es, func(j *jose.JSONWebKey) { j.Key = es.private })}, es, biocore.ErrUnknownKey},
		{"private RSA", []string{as(rs, func(j *jose.JSONWebKey) { j.Key = rs.private })}, rs, biocore.ErrUnknownKey},
		{"private Ed25519", []string{as(ed, func(j *jose.JSONWebKey) { j.Key = ed.private })}, ed, biocore.ErrUnknownKey},
		{"symmetric", []string{`{"kty":"oct","alg":"HS256","kid":"k","k":"AAAA"}`}, es, biocore.ErrUnknownKey},
		{"alg none", []string{as(es, func(j *jose.JSONWebKey) { j.Algorithm = "none" })}, es, biocore.ErrUnknownKey},
		{"alg of another type", []string{as(es, func(j *jose.JSONWebKey) { j.Algorithm = "RS256" })}, es, biocore.ErrUnknownKey},
		{"alg of a larger hash", []string{as(rs, func(j *jose.JSONWebKey) { j.Algorithm = "RS512" })}, rs, biocore.ErrUnknownKey},
		{"no alg", []string{as(es, func(j *jose.JSONWebKey) { j.Algorithm = "" })}, es, biocore.ErrUnknownKey},
		{"another curve", []string{as(es, func(j *jose.JSONWebKey) { j.Key = p384.Public() })}, es, biocore.ErrUnknownKey},
		{"for encryption", []string{as(es, func(j *jose.JSONWebKey) { j.Use = "enc" })}, es, biocore.ErrUnknownKey},
		{"short RSA", []string{`{"kty":"RSA","alg":"RS256","kid":"k","n":"` + b64([]byte("\xff"+strings.Repeat("a", 127))) + `","e":"AQAB"}`}, rs, biocore.ErrUnknownKey},
		{"twice", []string{jwk(es.jwk()), jwk(es.jwk())}, es, biocore.ErrUnknownKey},
		{"three times", []string{jwk(es.jwk()), jwk(es.jwk()), jwk(es.jwk())}, es, biocore.ErrUnknownKey},
		{"two of one kid", []string{jwk(es.jwk()), jwk(ed.jwk())}, ed, biocore.ErrUnknownKey},
		{"its kid used by one that is refused", []string{`{"kty":"oct","kid":"k","k":"AAAA"}`, jwk(es.jwk())}, es, biocore.ErrUnknownKey},
		{"no kid", []string{as(es, func(j *jose.JSONWebKey) { j.KeyID = "" })}, es, biocore.ErrUnknownKey},
		{"a point off the curve", []string{`{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k","x":"` + b64(make([]byte, 32)) + `","y":"` + b64(make([]byte, 32)) + `"}`}, es, biocore.ErrUnknownKey},
		{"of a type to come", []string{`{"kty":"AKP","alg":"ML-DSA-44","kid":"k","pub":"AAAA"}`}, es, biocore.ErrUnknownKey},
		{"no object", []string{`"k"`, `null`, `1`}, es, biocore.ErrUnknownKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newKeyServer()
			server.body = `{"keys":[` + strings.Join(append(tt.jwks, jwk(good.jwk())), ",") + `]}`
			v := newVerifier(t, server, at(now))
			mustVerify(t, v, good.sign(t, claimsAt(now)))
			if _, err := v.Verify(t.Context(), tt.by.sign(t, claimsAt(now))); !errors.Is(err, tt.want) {
				t.Errorf("Verify = %v, want %v", err, tt.want)
			}
		})
	}
}

// What is no set of keys is an outage, whatever its status says; an empty set is a
// tenant without keys.
func TestKeyAnswers(t *testing.T) {
	k := newKey(t, "k1", "ES256")
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.jwk()}})
	if err != nil {
		t.Fatal(err)
	}
	large := strings.TrimSuffix(string(set), "}") + `,"more":"` + strings.Repeat("x", 64<<10) + `"}`
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		_, _ = w.Write(set)
	}))
	defer other.Close()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   error
	}{
		{"keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }, nil},
		{"a redirect on the same host", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/moved" {
				http.Redirect(w, r, "/moved", http.StatusFound)
				return
			}
			_, _ = w.Write(set)
		}, nil},
		{"a redirect to another host", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }, biocore.ErrUnavailable},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }, biocore.ErrUnavailable},
		{"more than is looked at", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(large)) }, biocore.ErrUnavailable},
		{"keys under 404", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound); _, _ = w.Write(set) }, biocore.ErrUnavailable},
		{"nothing", ok, biocore.ErrUnavailable},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, biocore.ErrUnavailable},
		{"no set", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }, biocore.ErrUnavailable},
		{"an empty set", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) }, biocore.ErrUnknownKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			v := newVerifier(t, nil, func(o *biocore.VerifierOptions) {
				at(now)(o)
				o.HTTPClient, o.KeysURL = nil, server.URL
			})
			if _, err := v.Verify(t.Context(), k.sign(t, claimsAt(now))); !errors.Is(err, tt.want) {
				t.Errorf("Verify = %v, want %v", err, tt.want)
			}
		})
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}
