package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db/dbtest"
)

// Redis gone: what needs it fails closed within 200 ms, with 503 and Retry-After;
// sign-ins, tokens and reads go on. Back again, registrations work within 3 s.
func TestRedisGone(t *testing.T) {
	redis := dbtest.OwnRedis(t)
	store := dbtest.Fresh(t)
	w := startWorld(t, store, testConfig(t, store, redis.URL()))
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	redis.Stop(t)

	began := time.Now()
	a := w.call(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{"userId": c.user})
	if took := time.Since(began); a.status != http.StatusServiceUnavailable || a.reason() != "REDIS_UNAVAILABLE" || a.header.Get("Retry-After") == "" || took > 10*time.Second { // 150 ms and a slow machine; go-redis would wait for 15 s
		t.Errorf("registration without Redis: %s after %s, Retry-After %q", a, took, a.header.Get("Retry-After"))
	}
	w.signIn(t, c)
	w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access})
	w.must(t, "GET", "/v1/users/"+c.user, c.secret, nil)
	if a := w.call(t, "GET", "/readyz", "", nil); a.status != http.StatusOK {
		t.Errorf("a server that signs people in is unready: %s", a)
	}

	redis.Start(t)
	deadline := time.Now().Add(20 * time.Second)
	for {
		a := w.call(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{"userId": c.user})
		if a.status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("long after Redis is back: %s", a)
		}
		pause(t, 20*time.Millisecond)
	}
}

// Postgres gone: 503 with Retry-After for what needs it, no hang; back again, all works,
// and what was acknowledged is there.
func TestPostgresGone(t *testing.T) {
	store, postgres := dbtest.OwnPostgres(t)
	w := startWorld(t, store, testConfig(t, store, dbtest.Redis(t)))
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	w.signIn(t, c)
	finish := w.assert(t, c, c.secret, map[string]any{}, authenticatortest.Deviation{})
	postgres.Crash(t)

	for path, body := range map[string]any{
		"/v1/authentications:finish": finish,
		"/v1/users":                  map[string]any{"externalId": "bob", "name": "bob"},
	} {
		began := time.Now()
		a := w.call(t, "POST", path, c.secret, body)
		if took := time.Since(began); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || took > 15*time.Second {
			t.Errorf("%s without Postgres: %s after %s", path, a, took)
		}
	}
	if a := w.call(t, "GET", "/readyz", "", nil); a.status != http.StatusServiceUnavailable {
		t.Errorf("ready without Postgres: %s", a)
	}
	if a := w.call(t, "GET", "/healthz", "", nil); a.status != http.StatusOK {
		t.Errorf("a process that lives is restarted for Postgres's sake: %s", a)
	}

	postgres.Start(t)
	deadline := time.Now().Add(time.Minute)
	for w.call(t, "GET", "/readyz", "", nil).status != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatal("long after Postgres is back the server is still unready")
		}
		pause(t, 50*time.Millisecond)
	}
	if a := w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": c.access}); fmt.Sprint(a.at("active")) != "true" {
		t.Errorf("an acknowledged session is gone: %s", a)
	}
	w.signIn(t, c)
}

// SIGTERM: requests in flight end well, the server then is gone; while it drains it
// is unready.
func TestDrainFailsNoRequest(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	tel, err := startTelemetry(t.Context(), TelemetryConfig{LogOutput: io.Discard, LogLevel: slog.LevelError})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(t.Context(), cfg, tel)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	inside, release := make(chan struct{}), make(chan struct{})
	public := s.public(nil)
	s.start(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(inside)
			<-release
		}
		public.ServeHTTP(w, r)
	}))
	ended := make(chan error, 1)
	go func() { ended <- s.wait(ctx) }()
	url := "http://" + s.publicPort.Addr().String()

	var got int
	var wg sync.WaitGroup
	wg.Go(func() {
		res, err := http.Get(url + "/slow")
		if err != nil {
			t.Errorf("the request in flight: %v", err)
			return
		}
		got = res.StatusCode
		_ = res.Body.Close()
	})
	<-inside
	cancel() // as SIGTERM does
	for !s.draining.Load() {
		pause(t, time.Millisecond)
	}
	close(release)
	wg.Wait()
	if got != http.StatusNotFound {
		t.Errorf("the request in flight got %d", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if _, err := http.Get(url + "/healthz"); err == nil || !strings.Contains(err.Error(), "refused") { //nolint:bodyclose // of the test
		t.Errorf("the port still answers: %v", err)
	}
}
