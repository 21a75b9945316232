package blob

import (
	"context"
	"sync"
	"time"
)

// keptToken is an access token and until when it is used.
type keptToken struct {
	mu    sync.Mutex
	value string
	until time.Time
}

// get returns the token that is kept, or what fetch brings, which is used until a fifth
// of its life is left.
func (k *keptToken) get(now time.Time, fetch func() (string, time.Duration, error)) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.value != "" && now.Before(k.until) {
		return k.value, nil
	}
	value, life, err := fetch()
	if err != nil {
		return "", err
	}
	k.value, k.until = value, now.Add(life*4/5)
	return value, nil
}

// once keeps fn's first success.
func once[T any](fn func() (T, error)) func() (T, error) {
	var mu sync.Mutex
	var got T
	var done bool
	return func() (T, error) {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return got, nil
		}
		v, err := fn()
		if err == nil {
			got, done = v, true
		}
		return v, err
	}
}

// within runs fn, and leaves it behind when ctx ends: for libraries that wait without
// a context, or for a lock in spite of one.
func within[T any](ctx context.Context, fn func() (T, error)) (T, error) {
	type result struct {
		got T
		err error
	}
	done := make(chan result, 1)
	go func() {
		got, err := fn()
		done <- result{got, err}
	}()
	select {
	case r := <-done:
		return r.got, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
