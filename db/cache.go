package db

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Cache keeps things of tenants that rarely change, for as long as the change
// feed vouches for them: a change that another server commits is seen here within
// a second, and when the feed is silent for longer, every Get loads.
// It is safe for concurrent use.
type Cache[V any] struct {
	store *Store
	noun  Noun
	max   int
	life  time.Duration
	limit time.Duration // of a load

	mu      sync.RWMutex
	entries map[cacheKey]cacheEntry[V]
	flights map[cacheKey]*flight[V]
	epoch   uint64 // raised by every change: a load that began before it is not kept
}

type cacheKey struct {
	tenant uuid.UUID
	id     string
}

type cacheEntry[V any] struct {
	value  V
	loaded time.Time
}

type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// NewCache returns an empty cache of at most maxEntries things named by noun.
// A Change of that noun drops the thing it names, or all of the tenant's when its
// ID is empty; so does any change of the noun tenant. life bounds the age of an
// entry even if nothing changes.
func NewCache[V any](s *Store, noun Noun, maxEntries int, life time.Duration) *Cache[V] {
	c := &Cache[V]{
		store: s, noun: noun, max: maxEntries, life: life, limit: loadLimit,
		entries: map[cacheKey]cacheEntry[V]{}, flights: map[cacheKey]*flight[V]{},
	}
	s.feed.subscribe(c.forget)
	return c
}

// loadLimit is what somebody who waits for a page or an answer can spare for what it only needs beside.
const loadLimit = 2 * time.Second

// Within gives a load that long instead of two seconds, and returns c. It is for the one who made c, before any Get.
func (c *Cache[V]) Within(limit time.Duration) *Cache[V] {
	c.limit = limit
	return c
}

func (c *Cache[V]) forget(ch Change, all bool) {
	if !all && ch.Noun != c.noun && ch.Noun != NounTenant {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	clear(c.flights) // whoever asks from now on must not join a load that began before
	switch {
	case all:
		clear(c.entries)
	case ch.Noun == c.noun && ch.ID != "":
		delete(c.entries, cacheKey{ch.Tenant, ch.ID})
	default:
		for k := range c.entries {
			if k.tenant == ch.Tenant {
				delete(c.entries, k)
			}
		}
	}
}

// Forget drops one thing here and now: for the server that changed it itself.
func (c *Cache[V]) Forget(tenant uuid.UUID, id string) {
	c.forget(Change{Noun: c.noun, Tenant: tenant, ID: id}, false)
}

// Peek returns what is cached and may be believed, without loading.
func (c *Cache[V]) Peek(tenant uuid.UUID, id string) (V, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.believed(cacheKey{tenant, id})
}

// believed returns what is cached and may be believed. Under mu.
func (c *Cache[V]) believed(k cacheKey) (V, bool) {
	e, ok := c.entries[k]
	if !ok || !c.store.feed.fresh() || time.Since(e.loaded) > c.life {
		var zero V
		return zero, false
	}
	return e.value, true
}

// Get returns the thing, loading it when it is not cached or not to be believed.
// Concurrent Gets of one thing load it once. Errors are load's and are not kept;
// load gets the first caller's context without its cancellation, so that one
// impatient client does not fail the others, and must bound itself.
func (c *Cache[V]) Get(ctx context.Context, tenant uuid.UUID, id string, load func(context.Context) (V, error)) (V, error) {
	if v, ok := c.Peek(tenant, id); ok {
		return v, nil
	}
	load = bounded(c.limit, load)
	if !c.store.feed.fresh() {
		return load(ctx) // nothing vouches for what another caller began to read
	}
	k := cacheKey{tenant, id}
	c.mu.Lock()
	// The flight that was looked for may have landed since.
	if v, ok := c.believed(k); ok {
		c.mu.Unlock()
		return v, nil
	}
	if f, ok := c.flights[k]; ok {
		c.mu.Unlock()
		select {
		case <-f.done:
			return f.value, f.err
		case <-ctx.Done():
			var zero V
			return zero, ctx.Err()
		}
	}
	f := &flight[V]{done: make(chan struct{}), err: errLoadPanicked}
	c.flights[k] = f
	before := c.epoch
	c.mu.Unlock()

	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.flights[k] == f {
			delete(c.flights, k)
		}
		if f.err == nil && c.epoch == before {
			if len(c.entries) >= c.max {
				for old := range c.entries { // map order is random enough to evict by
					delete(c.entries, old)
					break
				}
			}
			c.entries[k] = cacheEntry[V]{f.value, time.Now()}
		}
		close(f.done)
	}()
	f.value, f.err = load(ctx)
	return f.value, f.err
}

var errLoadPanicked = errors.New("loading a cached thing panicked")

// bounded detaches a load from the caller that happened to come first, and gives
// it a bound of its own.
func bounded[V any](limit time.Duration, load func(context.Context) (V, error)) func(context.Context) (V, error) {
	return func(ctx context.Context) (V, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		return load(ctx)
	}
}
