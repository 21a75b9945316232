package kms

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/biocore-id/biocore/tenancy/keys"
)

const (
	// callTime bounds a call. Whoever waits for it holds up a request.
	callTime = 3 * time.Second
	// firstTime bounds the first of two attempts: a lost packet or a dying server must
	// leave time for another.
	firstTime = 1500 * time.Millisecond
	// makeTime bounds the making of a signing key. An HSM looks for the primes of an RSA
	// key for seconds, and no request waits for that.
	makeTime = 20 * time.Second
	// pause is about how long the second attempt waits: what failed by overload would
	// fail again at once.
	pause = 100 * time.Millisecond
)

// unavailable returns keys.ErrKMSUnavailable for the log to say why. err goes in as
// text: a context's error in the chain would be taken for the caller's own.
func unavailable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("no answer in time")
	}
	return keys.ErrKMSUnavailable.WithCause(errors.New(printable(err.Error())))
}

// call runs attempt, and once more if the first gave no answer. attempt's ctx ends
// when its time does.
func call[T any](ctx context.Context, attempt func(context.Context) (T, error)) (T, error) {
	whole, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	first, cancelFirst := context.WithTimeout(whole, firstTime)
	defer cancelFirst()
	got, err := attempt(first)
	if !errors.Is(err, keys.ErrKMSUnavailable) {
		return got, err
	}
	select {
	case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // jitter is no secret
	case <-whole.Done():
		return got, err
	}
	return attempt(whole)
}

// callOnce is call for making a key, which must not happen twice and may take longer.
func callOnce[T any](ctx context.Context, attempt func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, makeTime)
	defer cancel()
	return attempt(ctx)
}

// printable makes a provider's text fit for a log line: short, and ASCII alone.
func printable(text string) string {
	const most = 300
	out := make([]byte, 0, min(len(text), most))
	for _, r := range text {
		switch {
		case len(out) == most:
			return string(append(out, "..."...))
		case r == '\n' || r == '\t':
			out = append(out, ' ')
		case r < ' ' || r > '~':
			out = append(out, '?')
		default:
			out = append(out, byte(r))
		}
	}
	return string(out)
}

// abandon returns the error of making a key together with that of destroying it. No row
// will name the key, so it is destroyed even for a caller who has gone.
func abandon(ctx context.Context, err error, destroy func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*callTime)
	defer cancel()
	return errors.Join(err, destroy(ctx))
}

// errNotYet is the error of an attempt that asks for a new key which is not ready.
var errNotYet = errors.New("the new key is not ready")

// await repeats attempt until a new key is ready, for makeTime at most.
func await[T any](ctx context.Context, attempt func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, makeTime)
	defer cancel()
	for {
		got, err := call(ctx, attempt)
		if !errors.Is(err, errNotYet) {
			return got, err
		}
		select {
		case <-time.After(2 * pause):
		case <-ctx.Done():
			return got, noAnswer(ctx, err)
		}
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
		return none, noAnswer(ctx, ctx.Err())
	}
}
