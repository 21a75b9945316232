package ephemeral_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const kind = ephemeral.Kind("test")

// newTenant is enough of a tenant for Redis, where a key's tag is all of the wall.
func newTenant() scope.Scope {
	return scope.New(uuid.New(), scope.Actor{Kind: scope.ActorSystem, ID: "test"})
}

func open(t testing.TB, url string) *ephemeral.Client {
	t.Helper()
	c, err := ephemeral.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// raw is Redis as an operator sees it, past the package under test.
func raw(t testing.TB, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// waitFor polls for what no event tells of.
func waitFor(t testing.TB, what string, within time.Duration, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(within)
	defer late.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func TestPutGetDelete(t *testing.T) {
	c, acme := open(t, dbtest.Redis(t)), newTenant()
	if got, ok, err := c.Get(t.Context(), acme, kind, "a"); got != nil || ok || err != nil {
		t.Fatalf("Get of nothing = %q, %t, %v", got, ok, err)
	}
	for _, value := range []string{"first", "", "over\x00\xffthere"} {
		if err := c.Put(t.Context(), acme, kind, "a", []byte(value), time.Minute); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := c.Get(t.Context(), acme, kind, "a"); string(got) != value || !ok || err != nil {
			t.Errorf("Get = %q, %t, %v; want %q", got, ok, err, value)
		}
	}
	if _, ok, err := c.Get(t.Context(), acme, "other", "a"); ok || err != nil {
		t.Errorf("the same id of another kind: %t, %v", ok, err)
	}
	for range 2 {
		if err := c.Delete(t.Context(), acme, kind, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, err := c.Get(t.Context(), acme, kind, "a"); ok || err != nil {
		t.Errorf("after Delete: %t, %v", ok, err)
	}
}

// Removing the tenant from key() turns this red.
// Replace writes over what is there, for as long as it says, and makes nothing.
func TestReplace(t *testing.T) {
	url := dbtest.Redis(t)
	c, acme := open(t, url), newTenant()
	if err := c.Replace(t.Context(), acme, kind, "a", []byte("new"), time.Minute); err != nil {
		t.Fatalf("of nothing: %v", err)
	}
	if got, ok, err := c.Get(t.Context(), acme, kind, "a"); ok || err != nil {
		t.Errorf("after replacing nothing: %q, %v", got, err)
	}
	if err := c.Put(t.Context(), acme, kind, "a", []byte("old"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := c.Replace(t.Context(), acme, kind, "a", []byte("new"), time.Hour); err != nil {
		t.Fatal(err)
	}
	if got, _, err := c.Get(t.Context(), acme, kind, "a"); string(got) != "new" || err != nil {
		t.Errorf("Get = %q, %v", got, err)
	}
	if left := raw(t, url).TTL(t.Context(), "bc:{"+acme.Tenant().String()+"}:"+string(kind)+":a").Val(); left <= time.Minute {
		t.Errorf("it lives for %v", left)
	}
}

func TestTenantsDoNotMeet(t *testing.T) {
	c, acme, globex := open(t, dbtest.Redis(t)), newTenant(), newTenant()
	if err := c.Put(t.Context(), acme, kind, "a", []byte("acme's"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Count(t.Context(), acme, kind, "n", 5, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := c.Get(t.Context(), globex, kind, "a"); ok || err != nil {
		t.Errorf("another tenant reads %q, %v", got, err)
	}
	if n, err := c.Count(t.Context(), globex, kind, "n", 1, time.Minute); n != 1 || err != nil {
		t.Errorf("another tenant counts on: %d, %v", n, err)
	}
	if err := c.Delete(t.Context(), globex, kind, "a"); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := c.Get(t.Context(), acme, kind, "a"); !ok || err != nil {
		t.Errorf("another tenant's Delete reached it: %t, %v", ok, err)
	}
}

func TestNoTenantNoKeys(t *testing.T) {
	c := open(t, dbtest.Redis(t))
	var nobody scope.Scope
	_, _, getErr := c.Get(t.Context(), nobody, kind, "a")
	_, countErr := c.Count(t.Context(), nobody, kind, "a", 1, time.Minute)
	for name, err := range map[string]error{
		"Put": c.Put(t.Context(), nobody, kind, "a", nil, time.Minute), "Get": getErr,
		"Delete": c.Delete(t.Context(), nobody, kind, "a"), "Count": countErr,
	} {
		if err == nil || errors.Is(err, ephemeral.ErrUnavailable) {
			t.Errorf("%s with the zero scope = %v, want a refusal", name, err)
		}
	}
}

// The form of keys is known to operators, and in a cluster the first pair of braces
// decides on which node a key lives: it must hold the tenant, whatever the id is.
func TestKeysCarryTheTenant(t *testing.T) {
	c, acme := open(t, dbtest.Redis(t)), newTenant()
	client := raw(t, dbtest.Redis(t))
	for _, id := range []string{"plain", "{elsewhere}"} {
		if err := c.Put(t.Context(), acme, kind, id, []byte("x"), time.Minute); err != nil {
			t.Fatal(err)
		}
		want := "bc:{" + acme.Tenant().String() + "}:test:" + id
		if n, err := client.Exists(t.Context(), want).Result(); n != 1 || err != nil {
			t.Errorf("no key %s: %d, %v", want, n, err)
		}
	}
}

func TestLives(t *testing.T) {
	c, acme := open(t, dbtest.Redis(t)), newTenant()
	client := raw(t, dbtest.Redis(t))
	ttl := func(id string) time.Duration {
		t.Helper()
		d, err := client.PTTL(t.Context(), "bc:{"+acme.Tenant().String()+"}:test:"+id).Result()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if err := c.Put(t.Context(), acme, kind, "a", []byte("x"), 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	if d := ttl("a"); d <= 4*time.Minute || d > 5*time.Minute {
		t.Errorf("a key lives for %v, want 5m", d)
	}
	if err := c.Put(t.Context(), acme, kind, "short", []byte("x"), 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the short-lived key is gone", 5*time.Second, func() bool {
		_, ok, err := c.Get(t.Context(), acme, kind, "short")
		return !ok && err == nil
	})

	// A counter's life begins at its first count: counting on must not prolong it.
	if n, err := c.Count(t.Context(), acme, kind, "n", 2, time.Minute); n != 2 || err != nil {
		t.Fatalf("Count = %d, %v; want 2", n, err)
	}
	if n, err := c.Count(t.Context(), acme, kind, "n", 3, time.Hour); n != 5 || err != nil {
		t.Fatalf("Count = %d, %v; want 5", n, err)
	}
	if d := ttl("n"); d <= 50*time.Second || d > time.Minute {
		t.Errorf("a counter lives for %v, want the first count's 1m", d)
	}
}

// A library's text of a bad URL quotes it, password and all.
func TestOpenKeepsThePassword(t *testing.T) {
	for _, url := range []string{
		"redis://:hunter2@localhost:port", "http://:hunter2@localhost", "redis://:hunter2@localhost/x?no=such",
		"redis://:hunter2@localhost?addr=a:1&no=such", "redis://:hunter2@\x7f",
	} {
		c, err := ephemeral.Open(url)
		if err == nil {
			_ = c.Close()
			t.Errorf("Open(%q) succeeded", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open error shows the password: %v", err)
		}
	}
}

func TestWrongPassword(t *testing.T) {
	server := dbtest.OwnRedis(t)
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("", "hunter2")
	c := open(t, u.String())
	err = c.Put(t.Context(), newTenant(), kind, "a", nil, time.Minute)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Put with a wrong password = %v", err)
	}
	if err := c.Ping(t.Context()); err == nil {
		t.Error("Ping with a wrong password succeeded")
	}
}

func TestVersion(t *testing.T) {
	c := open(t, dbtest.Redis(t))
	if v, err := c.Version(t.Context()); err != nil || strings.Count(v, ".") != 2 {
		t.Errorf("Version = %q, %v", v, err)
	}
}

func TestPing(t *testing.T) {
	if err := open(t, dbtest.Redis(t)).Ping(t.Context()); err != nil {
		t.Errorf("Ping = %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open(t, dbtest.Redis(t)).Ping(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Ping of a caller who is gone = %v", err)
	}
}
