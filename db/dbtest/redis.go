package dbtest

import (
	"context"
	"crypto/rand"
	"os"
	"sync"
	"testing"

	"github.com/biocore-id/biocore/db/embedded"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// sharedRedis is the URL of the Redis of this process, which ends with it.
var sharedRedis = sync.OnceValues(func() (string, error) {
	if given := os.Getenv(redisEnv); given != "" {
		return given, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	r, err := startRedis(ctx, embedded.RedisOptions{})
	if err != nil {
		return "", err
	}
	return r.URL(), nil
})

// Redis returns the URL of a real Redis that all tests of this process share, and
// with BIOCORE_TEST_REDIS_URL those of others. Keys are a tenant's, so tests do not
// meet; none may flush it.
func Redis(t testing.TB) string {
	t.Helper()
	url, err := sharedRedis()
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	return url
}

// startRedis starts redis-server, and never the imitation.
func startRedis(ctx context.Context, o embedded.RedisOptions) (*embedded.Redis, error) {
	bin, err := embedded.FindRedis(ctx, "")
	if err != nil {
		return nil, err
	}
	o.Bin, o.Log = bin, logger()
	return embedded.StartRedis(ctx, o)
}

// RedisServer is a Redis that one test may stop and start. It is used by one
// goroutine at a time; its URL stays the same.
type RedisServer struct {
	options embedded.RedisOptions
	url     string
	running *embedded.Redis // nil while it is down
}

// OwnRedis starts a Redis for this test alone.
func OwnRedis(t testing.TB) *RedisServer {
	t.Helper()
	dir, err := newDataDir()
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	r := &RedisServer{options: embedded.RedisOptions{Dir: dir, Password: secret.New(rand.Text())}}
	t.Cleanup(func() { r.remove(t) })
	r.Start(t)
	r.options.Port = r.running.Port
	r.url = r.running.URL()
	return r
}

// URL is where clients connect, while it runs.
func (r *RedisServer) URL() string { return r.url }

// Snapshot keeps what is in Redis now. Each later Start brings exactly that back,
// and before the first Snapshot nothing.
func (r *RedisServer) Snapshot(t testing.TB) {
	t.Helper()
	if err := r.running.Save(t.Context()); err != nil {
		t.Fatalf("dbtest: %v", err)
	}
}

// Start brings it back after Stop.
func (r *RedisServer) Start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	running, err := startRedis(ctx, r.options)
	if err != nil {
		t.Fatalf("dbtest: start redis: %v", err)
	}
	r.running = running
}

// Stop makes Redis unreachable, and forget what was written since the Snapshot.
func (r *RedisServer) Stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	if err := r.running.Stop(ctx); err != nil {
		t.Fatalf("dbtest: stop redis: %v", err)
	}
	r.running = nil
}

func (r *RedisServer) remove(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if r.running != nil {
		if err := r.running.Stop(ctx); err != nil {
			t.Errorf("dbtest: stop redis: %v", err)
		}
	}
	if err := embedded.Remove(ctx, r.options.Dir); err != nil {
		t.Errorf("dbtest: %v", err)
	}
}
