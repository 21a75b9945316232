package main

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db/dbtest"
)

// newWorlds are two servers on the same stores, without rate limits.
func newWorlds(t testing.TB, store *dbtest.Store) [2]*world {
	t.Helper()
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.NoLimits = true
	w := startWorld(t, store, cfg)
	return [2]*world{w, startWorld(t, store, w.cfgForReplica())}
}

// A ceremony that one server began, another may finish: no server holds state.
func TestFinishOnAnotherServer(t *testing.T) {
	both := newWorlds(t, dbtest.Fresh(t))
	here, there := both[0], both[1]
	c := here.tenant(t, "acme")
	begun, made := here.create(t, c, map[string]any{"user": map[string]any{"externalId": "alice", "name": "alice"}}, authenticatortest.Deviation{})
	done := there.finishRegistration(t, c, c.secret, begun, made)
	if done.status != http.StatusOK {
		t.Fatalf("registration: %s", done)
	}
	if again := here.finishRegistration(t, c, c.secret, begun, made); again.reason() != "CHALLENGE_ALREADY_USED" {
		t.Errorf("the server that began it: %s", again)
	}
	body := here.assert(t, c, c.publishable, map[string]any{}, authenticatortest.Deviation{})
	code := there.must(t, "POST", "/v1/authentications:finish", c.publishable, body).text("code")
	if again := here.call(t, "POST", "/v1/authentications:finish", c.publishable, body); again.reason() != "CHALLENGE_ALREADY_USED" {
		t.Errorf("the server that began it: %s", again)
	}
	session := here.must(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": code})
	if again := there.call(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": code}); again.reason() != "CODE_ALREADY_USED" {
		t.Errorf("a code on the other server: %s", again)
	}
	refreshed := there.must(t, "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": session.text("session", "refreshToken")})
	here.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": refreshed.text("session", "accessToken")})
	// A refresh token that is used twice ends the session, wherever that happens.
	if again := here.call(t, "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": session.text("session", "refreshToken")}); again.reason() != "SESSION_REVOKED" {
		t.Errorf("a refresh token on the other server: %s", again)
	}
}

// What one server is told, the other heeds within a second (SECURITY 47).
// TestRevocationIsSeenByEveryServer has sessions, keys and tenants.
func TestChangesAreSeenByEveryServer(t *testing.T) {
	both := newWorlds(t, dbtest.Fresh(t))
	here, there := both[0], both[1]
	for name, tt := range map[string]struct {
		change func(t *testing.T, c *customer)
		ask    func(t *testing.T, c *customer) string // of the other server
		before string
		after  string
	}{
		"a credential is revoked": {
			func(t *testing.T, c *customer) {
				t.Helper()
				here.must(t, "POST", "/v1/credentials/"+c.credential+":revoke", c.secret, map[string]any{"allowLast": true})
			},
			signInOn(there), "ALLOW", "CREDENTIAL_REVOKED",
		},
		"a credential is suspended": {
			func(t *testing.T, c *customer) {
				t.Helper()
				here.must(t, "POST", "/v1/credentials/"+c.credential+":suspend", c.secret, map[string]any{})
			},
			signInOn(there), "ALLOW", "CREDENTIAL_SUSPENDED",
		},
		"a user is blocked": {
			func(t *testing.T, c *customer) {
				t.Helper()
				here.must(t, "POST", "/v1/users/"+c.user+":block", c.secret, map[string]any{})
			},
			signInOn(there), "ALLOW", "USER_BLOCKED",
		},
		"a blocked user's session": {
			func(t *testing.T, c *customer) {
				t.Helper()
				here.must(t, "POST", "/v1/users/"+c.user+":block", c.secret, map[string]any{})
			},
			verifyOn(there), "true", "false",
		},
		"a revoked credential's session": {
			func(t *testing.T, c *customer) {
				t.Helper()
				here.must(t, "POST", "/v1/credentials/"+c.credential+":revoke", c.secret, map[string]any{"allowLast": true})
			},
			verifyOn(there), "true", "false",
		},
		"an erased user's session": {
			func(t *testing.T, c *customer) {
				t.Helper()
				here.must(t, "DELETE", "/v1/users/"+c.user, c.secret, nil)
			},
			verifyOn(there), "true", "false",
		},
		"an origin is taken away": {
			func(t *testing.T, c *customer) {
				t.Helper()
				here.must(t, "PATCH", "/admin/v1/tenants/"+c.id, here.platformKey, map[string]any{"origins": []string{"https://other.example.com"}})
			},
			func(t *testing.T, c *customer) string {
				t.Helper()
				return there.call(t, "POST", "/v1/authentications:begin", c.publishable, map[string]any{}).reason()
			}, "", "ORIGIN_NOT_ALLOWED",
		},
		"a policy is changed": {
			func(t *testing.T, c *customer) { t.Helper(); here.setPolicy(t, c, `{"userVerification":"preferred"}`) },
			func(t *testing.T, c *customer) string {
				t.Helper()
				return there.must(t, "POST", "/v1/authentications:begin", c.secret, map[string]any{}).text("options", "userVerification")
			}, "required", "preferred",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := here.tenant(t, fmt.Sprintf("tenant-%d", tenants.Add(1)))
			here.enroll(t, c, "alice")
			here.signIn(t, c)
			if got := tt.ask(t, c); got != tt.before { // it is in the other's caches now
				t.Fatalf("before: %q, want %q", got, tt.before)
			}
			tt.change(t, c)
			dbtest.Seen(t, name+" at the other server", unless(tt.after, func() string { return tt.ask(t, c) }))
		})
	}
}

var tenants atomic.Int64 // so that slugs differ

func signInOn(w *world) func(*testing.T, *customer) string {
	return func(t *testing.T, c *customer) string {
		t.Helper()
		a := w.call(t, "POST", "/v1/authentications:finish", c.secret, w.assert(t, c, c.secret, map[string]any{}, authenticatortest.Deviation{}))
		return a.text("decision") + a.reason()
	}
}

func verifyOn(w *world) func(*testing.T, *customer) string {
	return func(t *testing.T, c *customer) string {
		t.Helper()
		return fmt.Sprint(w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access}).at("active"))
	}
}

// Fifty sign-ins and ten registrations, each finished sixteen times at once on two
// servers: each succeeds exactly once, and leaves one of everything.
func TestFinishesRaceOnTwoServers(t *testing.T) {
	const each = 16
	both := newWorlds(t, dbtest.Fresh(t))
	w := both[0]
	c := w.tenant(t, "acme")
	var err error
	// Without a counter, so that the order of two sign-ins means nothing.
	if c.authenticator, err = authenticatortest.New(authenticatortest.Options{BackedUp: true, NoCounter: true}); err != nil {
		t.Fatal(err)
	}
	type race struct {
		path string
		body map[string]any
		won  atomic.Int64
	}
	var races []*race
	for i := range 10 {
		w.enroll(t, c, fmt.Sprintf("user-%d", i))
		for range 5 {
			body := w.assert(t, c, c.secret, map[string]any{"userId": c.user}, authenticatortest.Deviation{})
			races = append(races, &race{path: "/v1/authentications:finish", body: body})
		}
		newcomer := map[string]any{"user": map[string]any{"externalId": fmt.Sprintf("newcomer-%d", i), "name": "n"}}
		begun, made := w.create(t, c, newcomer, authenticatortest.Deviation{})
		races = append(races, &race{path: "/v1/registrations:finish", body: map[string]any{"registrationId": begun.text("registrationId"), "credential": made}})
	}
	// Sixty-four clients: four races are run at a time.
	type finish struct {
		*race
		on *world
	}
	finishes := make(chan finish)
	var clients sync.WaitGroup
	for range 4 * each {
		clients.Go(func() {
			for f := range finishes {
				a, err := f.on.try(t.Context(), "POST", f.path, c.secret, f.body)
				// On a machine this busy Redis may take longer than a server waits for it. Nothing
				// is spent by then: whoever asks again, as Retry-After says, races on.
				for asked := 1; err == nil && a.reason() == "REDIS_UNAVAILABLE" && asked < 10; asked++ {
					pause(t, 600*time.Millisecond)
					a, err = f.on.try(t.Context(), "POST", f.path, c.secret, f.body)
				}
				switch {
				case err != nil:
					t.Error(err)
				case a.status == http.StatusOK:
					f.won.Add(1)
				case a.reason() != "CHALLENGE_ALREADY_USED":
					t.Errorf("a loser: %s", a)
				}
			}
		})
	}
	for _, r := range races {
		for i := range each {
			finishes <- finish{r, both[i%2]}
		}
	}
	close(finishes)
	clients.Wait()
	for i, r := range races {
		if n := r.won.Load(); n != 1 {
			t.Errorf("race %d, %s: %d winners", i, r.path, n)
		}
	}
	conn := w.store.Superuser(t)
	for what, want := range map[string]int{
		"sessions": 50, "credentials": 20, "users": 20,
		"ceremonies WHERE kind = 'AUTHENTICATION' AND outcome = 'ALLOW'":                                50,
		"ceremonies WHERE kind = 'REGISTRATION' AND outcome = 'ALLOW'":                                  20,
		"audit_records WHERE entry::jsonb->>'outcome' = 'success' AND action = 'authentication.finish'": 50,
		"event_outbox WHERE type = 'authentication.succeeded'":                                          50,
		"spent_challenges": 70,
	} {
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+what).Scan(&n); err != nil || n != want {
			t.Errorf("%d in %s, %v, want %d", n, what, err, want)
		}
	}
}
