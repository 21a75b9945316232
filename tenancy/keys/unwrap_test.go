package keys

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

// moodyKMS answers as it is told.
type moodyKMS struct {
	mu    sync.Mutex
	err   error
	asked int
}

// mood is how it answers from now on.
func (k *moodyKMS) mood(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err, k.asked = err, 0
}

func (k *moodyKMS) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked
}

func (*moodyKMS) KeyName() string { return "moody:1" }

func (k *moodyKMS) Wrap(_ context.Context, key, _ []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	return bytes.Clone(key), k.err
}

func (k *moodyKMS) Unwrap(_ context.Context, _ string, wrapped, _ []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if k.err != nil {
		return nil, k.err
	}
	return bytes.Clone(wrapped), nil
}

var errRefused = errors.New("the key is disabled")

// pass lets d go by in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

// The table above unwrapper, row by row.
func TestOpenedKeysOutliveASilentKMS(t *testing.T) {
	silent := ErrKMSUnavailable.WithCause(errors.New("connection refused"))
	for _, tt := range []struct {
		name  string
		after time.Duration // since the KMS opened the key; negative: it never did
		kms   error
		asks  bool
		want  error
	}{
		{"never asked, answers", -1, nil, true, nil},
		{"never asked, silent", -1, silent, true, ErrKMSUnavailable},
		{"never asked, refuses", -1, errRefused, true, errRefused},
		{"fresh, silent", askAgainAfter - time.Second, silent, false, nil},
		{"fresh, refuses", askAgainAfter - time.Second, errRefused, false, nil},
		{"stale, answers", askAgainAfter, nil, true, nil},
		{"stale, silent", askAgainAfter, silent, true, nil},
		{"stale, refuses", askAgainAfter, errRefused, true, errRefused},
		{"at the end of grace, silent", DefaultGrace - time.Second, silent, true, nil},
		{"past grace, silent", DefaultGrace, silent, true, ErrKMSUnavailable},
		{"past grace, answers", DefaultGrace, nil, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &moodyKMS{}
				u := newUnwrapper(k, 0, slog.New(slog.DiscardHandler))
				tenant, wrapped := uuid.New(), bytes.Repeat([]byte{7}, keyBytes)
				if tt.after >= 0 {
					if _, _, err := u.open(t.Context(), tenant, 1, "moody:1", wrapped); err != nil {
						t.Fatal(err)
					}
					pass(tt.after)
				}
				k.mood(tt.kms)
				got, until, err := u.open(t.Context(), tenant, 1, "moody:1", wrapped)
				if !errors.Is(err, tt.want) || (err == nil) != bytes.Equal(got, wrapped) {
					t.Errorf("open = %d bytes, %v, want %v", len(got), err, tt.want)
				}
				if (k.count() > 0) != tt.asks {
					t.Errorf("the KMS was asked %d times", k.count())
				}
				if left := time.Until(until); err == nil && (left <= 0 || left > DefaultGrace) {
					t.Errorf("good for %s, want up to %s", left, DefaultGrace)
				}
			})
		})
	}
}

// Requests don't wait for a silent KMS one after the other, and a refusal is not
// forgotten by a later silence.
func TestASilentKMSIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &moodyKMS{err: ErrKMSUnavailable}
		u := newUnwrapper(k, 0, slog.New(slog.DiscardHandler))
		open := func() error {
			_, _, err := u.open(t.Context(), uuid.New(), 1, "moody:1", bytes.Repeat([]byte{7}, keyBytes))
			return err
		}
		for range 100 {
			if err := open(); !errors.Is(err, ErrKMSUnavailable) {
				t.Fatalf("open = %v, want ErrKMSUnavailable", err)
			}
		}
		if k.count() != 1 {
			t.Errorf("it was asked %d times, want once", k.count())
		}
		k.mood(nil)
		pass(restAfter)
		if err := open(); err != nil {
			t.Errorf("open after it is back = %v", err)
		}
	})
}

// Of those who come when it has rested, one asks, and the others don't wait for that.
func TestOneLooksWhetherTheKMSIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &hangingKMS{moodyKMS: &moodyKMS{err: ErrKMSUnavailable}}
		u := newUnwrapper(k, 0, slog.New(slog.DiscardHandler))
		open := func() error {
			_, _, err := u.open(t.Context(), uuid.New(), 1, "moody:1", bytes.Repeat([]byte{7}, keyBytes))
			return err
		}
		if err := open(); !errors.Is(err, ErrKMSUnavailable) {
			t.Fatal(err)
		}
		pass(restAfter)
		k.mood(ErrKMSUnavailable)
		k.hang = 2 * time.Second
		began := time.Now()
		var wg sync.WaitGroup
		var waited atomic.Int64
		for range 50 {
			wg.Go(func() {
				if err := open(); !errors.Is(err, ErrKMSUnavailable) {
					t.Errorf("open = %v", err)
				}
				if time.Since(began) > 0 {
					waited.Add(1)
				}
			})
		}
		wg.Wait()
		if k.count() != 1 || waited.Load() != 1 {
			t.Errorf("it was asked %d times, and %d waited for it; want one", k.count(), waited.Load())
		}
	})
}

// hangingKMS takes its time.
type hangingKMS struct {
	*moodyKMS

	hang time.Duration
}

func (k *hangingKMS) Unwrap(ctx context.Context, name string, wrapped, ad []byte) ([]byte, error) {
	pass(k.hang)
	return k.moodyKMS.Unwrap(ctx, name, wrapped, ad)
}

func TestARefusalOutlivesSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &moodyKMS{}
		u := newUnwrapper(k, 0, slog.New(slog.DiscardHandler))
		tenant, wrapped := uuid.New(), bytes.Repeat([]byte{7}, keyBytes)
		open := func() error {
			_, _, err := u.open(t.Context(), tenant, 1, "moody:1", wrapped)
			return err
		}
		if err := open(); err != nil {
			t.Fatal(err)
		}
		pass(askAgainAfter)
		k.mood(errRefused)
		if err := open(); !errors.Is(err, errRefused) {
			t.Fatalf("open = %v, want the refusal", err)
		}
		k.mood(ErrKMSUnavailable)
		if err := open(); !errors.Is(err, ErrKMSUnavailable) {
			t.Errorf("after a refusal and then silence, open = %v: a disabled key went on", err)
		}
	})
}

func TestKMSHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &moodyKMS{}
		s := &Service{kms: k, log: slog.New(slog.DiscardHandler), check: func(context.Context) error { return nil }}
		s.opened = newUnwrapper(k, 0, s.log)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		if h := s.KMSHealth(); h.Err != nil || h.Left != DefaultGrace {
			t.Errorf("well: %+v", h)
		}
		for _, fails := range []error{ErrKMSUnavailable, errRefused} {
			k.mood(fails)
			pass(2 * probeEvery)
			synctest.Wait()
			if h := s.KMSHealth(); !errors.Is(h.Err, fails) || h.Left <= DefaultGrace-4*probeEvery || h.Left >= DefaultGrace {
				t.Errorf("%v: %+v, want it with some of the grace left", fails, h)
			}
			pass(DefaultGrace)
			synctest.Wait()
			if h := s.KMSHealth(); h.Err == nil || h.Left != 0 {
				t.Errorf("%v for an hour: %+v, want nothing left", fails, h)
			}
			k.mood(nil)
			pass(2 * probeEvery)
			synctest.Wait()
			if h := s.KMSHealth(); h.Err != nil || h.Left != DefaultGrace {
				t.Errorf("well again: %+v", h)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// While tenants move from one KMS to another, one's silence is not the other's.
func TestOneSilentKMSOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, current := &moodyKMS{err: ErrKMSUnavailable}, &moodyKMS{}
		k := pairKMS{KMS: current, old: old}
		s := &Service{kms: k, log: slog.New(slog.DiscardHandler), check: func(context.Context) error { return nil }}
		s.opened = newUnwrapper(k, 0, s.log)
		open := func(kmsKey string) error {
			_, _, err := s.opened.open(t.Context(), uuid.New(), 1, kmsKey, bytes.Repeat([]byte{7}, keyBytes))
			return err
		}
		for range 5 {
			if err := open("old:1"); !errors.Is(err, ErrKMSUnavailable) {
				t.Errorf("the silent one: %v", err)
			}
			if err := open("moody:1"); err != nil {
				t.Errorf("the other: %v", err)
			}
		}
		if old.count() != 1 {
			t.Errorf("the silent one was asked %d times", old.count())
		}
		pass(10 * time.Minute)
		if err := open("moody:1"); err != nil {
			t.Fatal(err)
		}
		if h := s.KMSHealth(); h.Err == nil || h.Left > DefaultGrace-10*time.Minute {
			t.Errorf("health = %+v, want the silent one's", h)
		}
	})
}

type pairKMS struct {
	KMS

	old *moodyKMS
}

func (k pairKMS) Unwrap(ctx context.Context, name string, wrapped, ad []byte) ([]byte, error) {
	if name == "old:1" {
		return k.old.Unwrap(ctx, name, wrapped, ad)
	}
	return k.KMS.Unwrap(ctx, name, wrapped, ad)
}
