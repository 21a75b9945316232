package biocore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How the tenant's keys are kept.
const (
	// Whatever the server says of the keys' age: less than a minute would make each
	// verifier a load, more than an hour would keep a revoked key too long.
	minAge, defaultAge, maxAge = time.Minute, 5 * time.Minute, time.Hour

	defaultStaleFor = time.Hour

	// fetchPause is the least time between two fetches, whatever the reason: tokens with
	// invented kids cost the server one request in it, and no more.
	fetchPause = 10 * time.Second
	// emptyPause takes its place while no key can be used: then every request waits for one.
	emptyPause = time.Second

	fetchTimeout = 5 * time.Second
	maxSetBytes  = 64 << 10 // some fifty RSA keys; a tenant has three or four
	maxRedirects = 3
)

// keySet is the tenant's public keys as last fetched. Finding a key in a fresh set takes
// no lock.
type keySet struct {
	url      string
	client   *http.Client
	staleFor time.Duration
	now      func() time.Time

	held atomic.Pointer[heldKeys]

	mu      sync.Mutex
	running *fetch    // nil when none is
	tried   time.Time // when the last one began
	failure error     // how the last one ended
}

// heldKeys never changes; a fetch puts another in its place.
type heldKeys struct {
	keys map[string]publicKey
	// From renewAt on they are fetched again while they still serve; from oldAt on
	// requests wait for that; from deadAt on they are used for nothing.
	renewAt, oldAt, deadAt time.Time
}

// fetch is one request for the keys, which any number of callers may wait for.
type fetch struct {
	done chan struct{}
	err  error // to be read after done is closed
}

// wait returns how the fetch ended, or that ctx did.
func (f *fetch) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newKeySet(url string, client *http.Client, staleFor time.Duration, now func() time.Time) *keySet {
	if client == nil {
		client = &http.Client{}
	}
	own := *client
	own.CheckRedirect = sameHost
	switch {
	case staleFor == 0:
		staleFor = defaultStaleFor
	case staleFor < 0:
		staleFor = 0
	}
	return &keySet{url: url, client: &own, staleFor: staleFor, now: now}
}

// sameHost keeps a redirect from naming another place to trust.
func sameHost(req *http.Request, via []*http.Request) error {
	if first := via[0].URL; len(via) > maxRedirects || req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
		return fmt.Errorf("redirected to %s", req.URL.Redacted())
	}
	return nil
}

// find returns the key of that kid: ErrUnknownKey when the tenant does not publish one,
// ErrUnavailable when that cannot be found out.
func (s *keySet) find(ctx context.Context, kid string) (publicKey, error) {
	now, held := s.now(), s.held.Load()
	if key, ok := held.at(now, kid); ok {
		if now.Before(held.renewAt) {
			return key, nil
		}
		running, failure := s.begin(ctx, false)
		// Nobody waits while the keys are young, or while the last word of the server was
		// that there is none: it may hang, and each caller would hang with it.
		if now.Before(held.oldAt) || failure != nil {
			return key, nil //nolint:nilerr // the failure is the fetch's; the key is held, and good
		}
		if running != nil {
			_ = running.wait(ctx) // how it ended is in what is held
			if err := ctx.Err(); err != nil {
				return publicKey{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
		}
		now, held = s.now(), s.held.Load()
		if key, ok := held.at(now, kid); ok {
			return key, nil
		}
	}
	// The kid is unknown, or nothing is held that could know it.
	running, err := s.begin(ctx, true)
	if running != nil {
		err = running.wait(ctx)
	}
	if key, ok := s.held.Load().at(s.now(), kid); ok {
		return key, nil
	}
	if err != nil {
		return publicKey{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return publicKey{}, ErrUnknownKey
}

func (s *keySet) refresh(ctx context.Context) error {
	running, err := s.begin(ctx, true)
	if running != nil {
		err = running.wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// begin starts a fetch unless one is running or one began a moment ago. It returns the
// one that runs, if one does, and how the last one ended. Past goes by caches on the way.
func (s *keySet) begin(ctx context.Context, past bool) (*fetch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	pause := fetchPause
	if held := s.held.Load(); held == nil || !now.Before(held.deadAt) {
		pause = emptyPause
	}
	if s.running != nil || now.Sub(s.tried) < pause && !s.tried.IsZero() {
		return s.running, s.failure
	}
	if now.Sub(s.tried) > 2*fetchPause {
		s.failure = nil // of long ago, it says nothing about now: who comes after an idle time waits
	}
	f := &fetch{done: make(chan struct{})}
	s.running, s.tried = f, now
	// The fetch is everybody's, so it outlives the request that began it. It ends by itself.
	go s.run(context.WithoutCancel(ctx), f, past)
	return f, s.failure
}

func (s *keySet) run(ctx context.Context, f *fetch, past bool) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	held, err := s.get(ctx, past)
	if err == nil {
		s.held.Store(held)
	}
	s.mu.Lock()
	s.running, s.failure = nil, err
	s.mu.Unlock()
	f.err = err
	close(f.done)
}

// get asks for the keys, past every cache on the way if a key is missed.
func (s *keySet) get(ctx context.Context, past bool) (*heldKeys, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if past {
		req.Header.Set("Cache-Control", "no-cache")
	}
	asked := s.now() // keys are as old as the question, not as the answer
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", s.url, res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxSetBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSetBytes {
		return nil, errors.New("a key set without end")
	}
	keys, err := parseJWKS(text)
	if err != nil {
		return nil, err
	}
	age := ageOf(res.Header)
	old := asked.Add(age)
	return &heldKeys{
		keys: keys,
		// Not all at the same moment: servers of one service start together.
		renewAt: asked.Add(age*7/10 + rand.N(age/5)), //nolint:gosec // no secret is made of it
		oldAt:   old, deadAt: old.Add(s.staleFor),
	}, nil
}

// at returns the key of that kid if it may be used at now.
func (h *heldKeys) at(now time.Time, kid string) (publicKey, bool) {
	if h == nil || !now.Before(h.deadAt) {
		return publicKey{}, false
	}
	key, ok := h.keys[kid]
	return key, ok
}

// ageOf is how long an answer may be used (RFC 9111 §4.2), within our bounds.
func ageOf(header http.Header) time.Duration {
	age := defaultAge
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minAge
		case "max-age":
			age = seconds(value)
		}
	}
	if spent := header.Get("Age"); spent != "" {
		age -= seconds(spent) // it lay in a cache on the way
	}
	return min(max(age, minAge), maxAge)
}

// seconds reads a delta-seconds (RFC 9111 §1.2.2). What is none of it is 0, and what is more than a
// day is a day.
func seconds(text string) time.Duration {
	n, err := strconv.ParseUint(strings.Trim(text, `"`), 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, 24*time.Hour)
}
