package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// told is one event of a stream.
type told struct {
	id, name string
	data     map[string]any
}

func (e *told) at(path ...string) string { return (&answer{body: e.data}).text(path...) }

// stream is what somebody watches.
type stream struct {
	answer
	events <-chan told // closed when it has ended
}

// watch opens a stream with a key.
func (w *world) watch(t testing.TB, key, query string, headers ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/admin/v1/ceremonies/events"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{answer: answer{status: res.StatusCode, header: res.Header}}
	if res.StatusCode != http.StatusOK {
		defer func() { _ = res.Body.Close() }()
		if err := json.NewDecoder(res.Body).Decode(&s.body); err != nil {
			t.Fatal(err)
		}
		return s
	}
	events := make(chan told, 64)
	s.events = events
	go func() {
		defer close(events)
		defer func() { _ = res.Body.Close() }()
		var e told
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				_ = json.Unmarshal([]byte(value), &e.data) // a test looks at what is in it
			case "":
				if e.name != "" {
					events <- e
				}
				e = told{}
			}
		}
	}()
	return s
}

// next is the next event of a stream.
func (s *stream) next(t testing.TB) told {
	t.Helper()
	if s.status != http.StatusOK {
		t.Fatalf("no stream: %s", s.answer)
	}
	select {
	case e, open := <-s.events:
		if !open {
			t.Fatal("the stream has ended without a word")
		}
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came in 20 s")
	}
	return told{}
}

// endsWith checks that a stream ends for a reason, within five seconds.
func (s *stream) endsWith(t testing.TB, what, reason string, since time.Time) {
	t.Helper()
	for {
		e := s.next(t)
		if e.name != "end" {
			continue
		}
		if e.at("reason") != reason || time.Since(since) > 5*time.Second {
			t.Errorf("%s: it ended with %v after %v, want %s within 5 s", what, e.data, time.Since(since), reason)
		}
		if _, open := <-s.events; open {
			t.Errorf("%s: something came after the end", what)
		}
		return
	}
}

// What begins and finishes at one server comes to who watches at the other: with the begin
// that it came of, nothing of another tenant, nothing that is not asked for; and a stream
// goes on from where another was.
func TestCeremonyEvents(t *testing.T) {
	both := newWorlds(t, dbtest.Fresh(t))
	here, there := both[0], both[1]
	acme, globex := here.tenant(t, "acme"), here.tenant(t, "globex")
	here.enroll(t, acme, "alice")
	here.enroll(t, globex, "bob")
	s := there.watch(t, acme.secret, "")
	failed := there.watch(t, acme.secret, "?filter="+url.QueryEscape("outcome != ALLOW"))
	// The other server knows within two seconds that somebody watches.
	for deadline := time.Now().Add(10 * time.Second); !here.tail.Watched(uuid.MustParse(acme.id)) && time.Now().Before(deadline); {
		pause(t, 10*time.Millisecond)
	}
	here.signIn(t, globex)
	here.signIn(t, acme)
	begun := s.next(t)
	if begun.name != "ceremony.begun" || begun.at("kind") != "AUTHENTICATION" || begun.at("id") == "" || begun.id != "" || begun.at("requestId") == "" {
		t.Fatalf("the first event = %+v", begun)
	}
	finished := s.next(t)
	if finished.name != "ceremony.finished" || finished.at("begunId") != begun.at("id") || finished.at("ceremony", "id") != acme.session ||
		finished.at("ceremony", "outcome") != "ALLOW" || finished.at("ceremony", "userId") != acme.user || finished.id == "" {
		t.Fatalf("the second event = %+v, want the end of %s", finished, begun.at("id"))
	}
	bad := here.assert(t, acme, acme.secret, map[string]any{"externalId": acme.external}, authenticatortest.Deviation{WrongKey: true})
	here.call(t, "POST", "/v1/authentications:finish", acme.secret, bad)
	if e := s.next(t); e.name != "ceremony.begun" || e.at("userId") != acme.user {
		t.Errorf("a sign-in that names its user = %+v", e)
	}
	for _, one := range []*stream{s, failed} {
		if e := one.next(t); e.name != "ceremony.finished" || e.at("ceremony", "reason") != "SIGNATURE_INVALID" {
			t.Errorf("the failure = %+v", e)
		}
	}
	on := here.watch(t, acme.secret, "", "Last-Event-ID", finished.id)
	seen := map[string]bool{}
	for !seen["SIGNATURE_INVALID"] {
		e := on.next(t)
		seen[e.at("ceremony", "reason")] = true
		if e.name != "ceremony.finished" {
			t.Errorf("it goes on with %+v", e)
		}
	}

	for name, tt := range map[string]struct {
		key, query, reason string
		status             int
	}{
		"a filter of nothing": {acme.secret, "?filter=colour%20%3D%20red", "FILTER_INVALID", 400},
		"an id of nothing":    {acme.secret, "?after=x", tail.ErrPosition.Reason, 400},
		"no key":              {"", "", "CREDENTIALS_MISSING", 401},
		"a publishable key":   {acme.publishable, "", "API_KEY_KIND_NOT_ALLOWED", 403},
		"a platform key":      {here.platformKey, "", "API_KEY_KIND_NOT_ALLOWED", 403},
		"a key without the scope": {here.must(t, "POST", "/admin/v1/apiKeys", acme.secret, map[string]any{
			"kind": "SECRET", "name": "x", "scopes": []string{"users:read"},
		}).text("key"), "", apikey.ErrScopeMissing.Reason, 403},
	} {
		if a := here.watch(t, tt.key, tt.query); a.status != tt.status || a.reason() != tt.reason {
			t.Errorf("%s: %s, want %d %s", name, a.answer, tt.status, tt.reason)
		}
	}
	var last *stream
	for n := 0; last == nil || last.status == http.StatusOK; n++ {
		if n > tail.PerTenant {
			t.Fatal("nobody bounds the streams of a tenant")
		}
		last = here.watch(t, acme.secret, "")
	}
	if last.status != http.StatusTooManyRequests || last.reason() != tail.ErrTooMany.Reason || last.header.Get("Retry-After") == "" {
		t.Errorf("one stream too many: %s", last.answer)
	}
}

// Streams of a tenant that is stopped, and of a key that is taken away, end on every server
// within five seconds, and say why. Without the second look at the key they go on for ever.
func TestStoppedTenantsStreamsOnTwoServers(t *testing.T) {
	both := newWorlds(t, dbtest.Fresh(t))
	here := both[0]
	other := here.tenant(t, "other")
	for name, tt := range map[string]struct {
		stop   func(c *customer, keyID string) (method, path, key string)
		reason string
	}{
		"suspended": {func(c *customer, _ string) (string, string, string) {
			return "POST", "/admin/v1/tenants/" + c.id + ":suspend", here.platformKey
		}, tenant.ErrSuspended.Reason},
		"being deleted": {func(c *customer, _ string) (string, string, string) {
			return "DELETE", "/admin/v1/tenants/" + c.id, here.platformKey
		}, tenant.ErrKeysOfDeleting.Reason},
		"key revoked": {func(c *customer, id string) (string, string, string) {
			return "POST", "/admin/v1/apiKeys/" + id + ":revoke", c.secret
		}, apikey.ErrRevoked.Reason},
		"key locked": {func(c *customer, id string) (string, string, string) {
			return "POST", "/admin/v1/apiKeys/" + id + ":lock", c.secret
		}, apikey.ErrLocked.Reason},
	} {
		t.Run(name, func(t *testing.T) {
			c := here.tenant(t, strings.ReplaceAll(name, " ", "-"))
			made := here.must(t, "POST", "/admin/v1/apiKeys", c.secret, map[string]any{"kind": "SECRET", "name": "tail", "scopes": []string{apikey.ScopeCeremoniesRead}})
			var streams []*stream
			for _, w := range both {
				streams = append(streams, w.watch(t, made.text("key"), ""))
			}
			unharmed := both[1].watch(t, other.secret, "")
			method, path, key := tt.stop(c, made.text("id"))
			since := time.Now()
			here.must(t, method, path, key, map[string]any{"reason": "a test"})
			for i, s := range streams {
				s.endsWith(t, []string{"here", "there"}[i], tt.reason, since)
			}
			if a := both[1].watch(t, made.text("key"), ""); a.reason() != tt.reason {
				t.Errorf("a new stream: %s, want %s", a.answer, tt.reason)
			}
			here.enroll(t, other, name)
			if e := unharmed.next(t); e.name == "end" {
				t.Errorf("another tenant's stream ended: %v", e.data)
			}
		})
	}
}

// A server that goes down ends its streams at once, and says so: without Stop it waits for
// them until it cuts them off.
func TestStreamsEndWithTheServer(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	cfg := w.cfgForReplica()
	cfg.DrainTimeout = time.Minute
	tel, err := startTelemetry(t.Context(), TelemetryConfig{LogOutput: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(t.Context(), cfg, tel)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s.start(ctx, s.public(nil))
	ended := make(chan error, 1)
	go func() { ended <- s.wait(ctx) }()
	there := &world{server: s, url: "http://" + s.publicPort.Addr().String()}
	watched := there.watch(t, c.secret, "")
	since := time.Now()
	stop()
	watched.endsWith(t, "a server that goes down", tail.ErrStopping.Reason, since)
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the server waits for its streams")
	}
}
