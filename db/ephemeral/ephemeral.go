// Package ephemeral keeps what may be lost: ceremonies that can be cancelled and
// the counters of rate limits. It is the one owner of the Redis client.
//
// Nothing here decides security alone: a Redis that is restored from a snapshot
// brings back what was deleted, so whatever must happen once is spent by a row in
// Postgres. When Redis is gone, calls fail within maxWait as ErrUnavailable, and
// for pause after that without asking.
//
// Keys are built from a Scope: bc:{tenant}:kind:id. The braces are Redis Cluster's
// hash tag: all keys of a tenant live on one node and can share a script.
package ephemeral

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrUnavailable says that Redis cannot be reached. What needs it must be refused.
var ErrUnavailable = fault.New(fault.Unavailable, "REDIS_UNAVAILABLE",
	"short-lived state cannot be reached").WithRetryAfter(2 * time.Second)

// Timings. A caller learns in under 200 ms that Redis is gone (its network may
// swallow packets without a word), and after tripAfter failures in a row nobody
// waits for it again until pause has gone by.
const (
	maxWait   = 150 * time.Millisecond
	tripAfter = 3
	// maxConns a node: whoever waits for a connection waits within maxWait too.
	maxConns = 64
	pause    = 500 * time.Millisecond
)

// Kind names what a key holds: a constant of the package that stores it.
type Kind string

// Client is a connection to Redis. It is safe for concurrent use.
type Client struct {
	rdb      redis.UniversalClient
	failures atomic.Int32
	open     atomic.Int64 // until when the breaker refuses, in nanoseconds since start
}

var start = time.Now()

// Open connects to url: redis://[user:password@]host:port[/db], rediss:// for TLS,
// with ?addr=host:port for each further node of a cluster. It does not fail when
// Redis is away: a server must start without it.
func Open(url string) (*Client, error) {
	// The library writes lines of its own to stderr, past our logger and for errors
	// that it returns as well. Only this package uses it, so it is silenced here.
	logging.Disable()
	if strings.Contains(url, "addr=") {
		o, err := redis.ParseClusterURL(url)
		if err != nil {
			return nil, errors.New("the Redis URL cannot be read") // its text would show the password
		}
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = maxWait, maxWait, maxWait, maxWait
		o.ContextTimeoutEnabled, o.DisableIdentity, o.MaxRetries, o.PoolSize = true, true, -1, maxConns
		o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
		return &Client{rdb: redis.NewClusterClient(o)}, nil
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("the Redis URL cannot be read")
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = maxWait, maxWait, maxWait, maxWait
	o.ContextTimeoutEnabled, o.DisableIdentity, o.PoolSize = true, true, maxConns
	o.MaxRetries, o.DialerRetries = -1, 1 // a retry would wait twice; the caller can ask again
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return &Client{rdb: redis.NewClient(o)}, nil
}

// Close closes the connections.
func (c *Client) Close() error { return c.rdb.Close() }

// Ping reports whether Redis answers. It asks although the breaker is open.
func (c *Client) Ping(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	return c.judge(ctx, c.rdb.Ping(bounded).Err())
}

// Version returns Redis's version, as 7.0.15; empty when it does not say.
func (c *Client) Version(ctx context.Context) (string, error) {
	bounded, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	info, err := c.rdb.Info(bounded, "server").Result()
	if err := c.judge(ctx, err); err != nil {
		return "", err
	}
	for line := range strings.Lines(info) {
		if version, ok := strings.CutPrefix(line, "redis_version:"); ok {
			return strings.TrimSpace(version), nil
		}
	}
	return "", nil
}

// Put stores value under (sc, kind, id) for life, over what was there. id is
// opaque and unguessable where that matters; life is rounded to milliseconds.
func (c *Client) Put(ctx context.Context, sc scope.Scope, kind Kind, id string, value []byte, life time.Duration) error {
	return c.do(ctx, sc, func(ctx context.Context) error {
		return c.rdb.Set(ctx, key(sc, kind, id), value, life).Err()
	})
}

// Replace is Put where there is something already: what is not there stays away.
func (c *Client) Replace(ctx context.Context, sc scope.Scope, kind Kind, id string, value []byte, life time.Duration) error {
	return c.do(ctx, sc, func(ctx context.Context) error {
		return c.rdb.SetXX(ctx, key(sc, kind, id), value, life).Err()
	})
}

// Get returns what Put stored, and false when there is nothing, or nothing any more.
func (c *Client) Get(ctx context.Context, sc scope.Scope, kind Kind, id string) ([]byte, bool, error) {
	var value []byte
	err := c.do(ctx, sc, func(ctx context.Context) (err error) {
		value, err = c.rdb.Get(ctx, key(sc, kind, id)).Bytes()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	return value, err == nil, err
}

// Delete removes what Put stored, if it is there.
func (c *Client) Delete(ctx context.Context, sc scope.Scope, kind Kind, id string) error {
	return c.do(ctx, sc, func(ctx context.Context) error {
		return c.rdb.Del(ctx, key(sc, kind, id)).Err()
	})
}

// Count adds n to the counter (sc, kind, id), which lives for life from its first
// count on, and returns its value.
func (c *Client) Count(ctx context.Context, sc scope.Scope, kind Kind, id string, n int64, life time.Duration) (int64, error) {
	var total int64
	err := c.do(ctx, sc, func(ctx context.Context) error {
		k := key(sc, kind, id)
		pipe := c.rdb.Pipeline()
		count := pipe.IncrBy(ctx, k, n)
		pipe.ExpireNX(ctx, k, life) // Redis 7: only if it has none
		_, err := pipe.Exec(ctx)
		total = count.Val()
		return err
	})
	return total, err
}

func (c *Client) do(ctx context.Context, sc scope.Scope, fn func(context.Context) error) error {
	if sc.IsZero() {
		return errNoScope
	}
	return c.bounded(ctx, fn)
}

var errNoScope = errors.New("ephemeral: the zero scope has no keys")

// bounded runs fn within maxWait, unless Redis is known to be gone.
func (c *Client) bounded(ctx context.Context, fn func(context.Context) error) error {
	if int64(time.Since(start)) < c.open.Load() {
		return ErrUnavailable
	}
	bounded, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	return c.judge(ctx, fn(bounded))
}

// judge tells apart what Redis answered from that it did not, and trips or resets
// the breaker. ctx is the caller's.
func (c *Client) judge(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, redis.Nil) {
		c.failures.Store(0)
		return err
	}
	// That a caller went away or could not wait says nothing of Redis. Callers choose
	// their deadlines: counted as failures, a few short ones would shut out everybody.
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded // the connection's timer was faster than the context's
	}
	var ne net.Error
	var answered redis.Error
	if errors.As(err, &answered) && !errors.As(err, &ne) && !isAway(answered) {
		return fmt.Errorf("redis: %w", err)
	}
	if c.failures.Add(1) >= tripAfter {
		c.open.Store(int64(time.Since(start) + pause))
	}
	return ErrUnavailable.WithCause(err)
}

// isAway reports the answers of a server that cannot serve now.
func isAway(err error) bool {
	s := err.Error()
	for _, prefix := range []string{"LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "TRYAGAIN", "OOM", "MISCONF", "ERR max number of clients"} {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

func key(sc scope.Scope, kind Kind, id string) string {
	return "bc:{" + sc.Tenant().String() + "}:" + string(kind) + ":" + id
}
