package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
)

// A run against a server in this process: its own CPU time is what is counted.
func TestLoadtest(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.NoLimits = true
	w := startWorld(t, store, cfg)
	s := newShell(t, cfg)
	t.Setenv(platformKeyVariable, w.platformKey)

	out, _, code := s.run(t, "loadtest", "--url", w.url, "--workers", "1,4", "--duration", "1s", "--warmup", "100ms", "--users", "8", "--tenants", "2", "--json")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	report := answer{raw: out}
	if err := json.Unmarshal([]byte(out), &report.body); err != nil {
		t.Fatal(err)
	}
	measurements := report.items("measurements")
	if len(measurements) != 2 {
		t.Fatalf("%d measurements, want 2\n%s", len(measurements), out)
	}
	for i, m := range measurements {
		signIns, _ := m.at("signIns").(float64)
		errors, _ := m.at("errors").(float64)
		p50, _ := m.at("totalMs", "p50").(float64)
		p99, _ := m.at("totalMs", "p99").(float64)
		cpu, _ := m.at("cpuMsPerSignIn", "server").(float64)
		if signIns < 10 || errors != 0 || p50 <= 0 || p99 < p50 || cpu <= 0 {
			t.Errorf("measurement %d = %v", i, m.body)
		}
	}
	// Its tenants are left suspended, and so are their keys.
	var open int
	if err := store.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM tenants WHERE slug LIKE 'load-%' AND state = 'ACTIVE'").Scan(&open); err != nil || open != 0 {
		t.Errorf("%d of its tenants still work, %v", open, err)
	}

	text, _, code := s.run(t, "loadtest", "--url", w.url, "--workers", "2", "--duration", "1s", "--warmup", "0s", "--users", "2", "--tenants", "1")
	if code != 0 || !strings.Contains(text, "CPU ms each") || !strings.Contains(text, "2 users of 1 tenants on "+w.url) {
		t.Errorf("exit code %d\n%s", code, text)
	}
}

// Beside a noisy tenant each measurement is taken twice: of the others, and what the noise had is told apart. Of a tenant
// that is over its limits most is refused, and that is no failure of the others.
func TestLoadtestBesideNoise(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	w := startWorld(t, store, cfg)
	s := newShell(t, cfg)
	t.Setenv(platformKeyVariable, w.platformKey)
	out, complaint, code := s.run(t, "loadtest", "--url", w.url, "--workers", "1", "--noise", "1", "--duration", "3s", "--warmup", "100ms", "--users", "400", "--tenants", "8", "--json")
	if code != 0 {
		t.Fatalf("exit code %d, %s\n%s", code, complaint, out)
	}
	report := answer{raw: out}
	if err := json.Unmarshal([]byte(out), &report.body); err != nil {
		t.Fatal(err)
	}
	measurements := report.items("measurements")
	if len(measurements) != 2 {
		t.Fatalf("%d measurements, want 2\n%s", len(measurements), out)
	}
	for i, m := range measurements {
		signIns, _ := m.at("signIns").(float64)
		errors, _ := m.at("errors").(float64)
		noise, _ := m.at("noise").(float64)
		answered, _ := m.at("noiseAnsweredPerSecond").(float64)
		refused, _ := m.at("noiseRefusedPerSecond").(float64)
		if signIns < 5 || errors != 0 || noise != float64(i) || (answered > 0) != (i == 1) || (refused > 0) != (i == 1) {
			t.Errorf("measurement %d = %v", i, m.body)
		}
	}
}

func TestLoadtestRefuses(t *testing.T) {
	s := newShell(t, defaults())
	t.Setenv(platformKeyVariable, "pf_test_x")
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no server", nil, "biocore dev is not running here"},
		{"another machine", []string{"--url", "http://example.com"}, "is not this machine"},
		{"another machine by address", []string{"--url", "http://192.0.2.1:8080"}, "is not this machine"},
		{"no URL", []string{"--url", "example"}, "http://host:port"},
		{"no workers", []string{"--url", "http://localhost:1", "--workers", "0"}, "--workers takes numbers"},
		{"a flood of workers", []string{"--url", "http://localhost:1", "--workers", "5000"}, "workers are 1 to"},
		{"a flood of noise", []string{"--url", "http://localhost:1", "--noise", "5000"}, "the noise is 0 to"},
		{"fewer users than workers", []string{"--url", "http://localhost:1", "--users", "10"}, "users are at least"},
		{"too many tenants", []string{"--url", "http://localhost:1", "--tenants", "100000"}, "tenants are 1 to"},
		{"for an hour", []string{"--url", "http://localhost:1", "--duration", "1h"}, "the duration is between"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, complaint, code := s.run(t, append([]string{"loadtest"}, tt.args...)...)
			if code == 0 || !strings.Contains(complaint, tt.want) {
				t.Errorf("exit code %d, %s%s, want %q", code, out, complaint, tt.want)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		_, complaint, code := s.run(t, "loadtest", "--url", "http://127.0.0.1:1", "--workers", "1")
		if code != 1 || !strings.Contains(complaint, "make a tenant") {
			t.Errorf("exit code %d, %s", code, complaint)
		}
	})
}

// Rate limits are an answer to know about, and a reason to fail. How many calls a second
// it takes to meet one depends on the machine, so every tenth call is refused in front of
// the server.
func TestLoadtestCountsErrors(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.NoLimits = true
	w := startWorld(t, store, cfg)
	server, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(server)
	var calls atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/authentications:begin" || calls.Add(1)%10 != 0 {
			forward.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(rw, `{"code":"resource_exhausted","message":"","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMITED","domain":"biocore"}]}`)
	}))
	t.Cleanup(front.Close)
	s := newShell(t, cfg)
	t.Setenv(platformKeyVariable, w.platformKey)
	out, complaint, code := s.run(t, "loadtest", "--url", front.URL, "--workers", "8", "--duration", "3s", "--warmup", "0s", "--users", "8", "--tenants", "1")
	if code != 1 || !strings.Contains(complaint, "RATE_LIMITED (biocore dev --no-limits turns rate limits off)") {
		t.Errorf("exit code %d\n%s%s", code, out, complaint)
	}
}
