package keys

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// unwrapper opens data keys by the KMS, and goes on for a bounded time with what it has
// opened when the KMS gives no answer:
//
//	the KMS opened it last      it answers   it is silent        it refuses
//	never                       opens        an error            an error
//	less than askAgainAfter ago goes on: it is not asked
//	less than grace ago         opens        goes on             an error
//	longer ago                  opens        an error            an error
//
// A KMS that was silent is not asked by requests for restAfter, so that each of them
// doesn't wait for it in turn. There may be several while tenants move from one to
// another: each is told by the name of its key, and one's silence is not another's.
//
// Times here are of this machine's monotonic clock: they measure how long, not when.
type unwrapper struct {
	kms   KMS
	grace time.Duration
	log   *slog.Logger

	mu     sync.Mutex
	known  map[[32]byte]unwrapped // by SHA-256 of everything that Unwrap is given
	states map[string]*kmsState   // by the name of the KMS key; as many as rows name
}

// kmsState is how one KMS key was when it was last asked for.
type kmsState struct {
	asked   time.Time
	silent  error     // why it gave no answer; nil: it did
	refused error     // why it refused when it was last probed
	well    time.Time // the last time that it neither was silent nor refused
}

type unwrapped struct {
	secret []byte
	at     time.Time // when the KMS opened it last
}

const (
	// askAgainAfter is how often the KMS confirms that a data key may be opened: whoever
	// disables the KMS key stops everything within it and ringLife.
	askAgainAfter = ringLife
	restAfter     = 5 * time.Second
	// maxUnwrapped bounds what is remembered: a data key is 32 bytes.
	maxUnwrapped = 3 * maxRings
	// probeEvery is how often the KMS is asked although nobody needs it, so that an
	// outage is known before somebody does. A cloud's KMS charges for each time.
	probeEvery = 30 * time.Second
)

func newUnwrapper(k KMS, grace time.Duration, log *slog.Logger) *unwrapper {
	if grace == 0 {
		grace = DefaultGrace
	}
	return &unwrapper{kms: k, grace: grace, log: log, known: map[[32]byte]unwrapped{}, states: map[string]*kmsState{}}
}

// open returns the data key, and until when it may be used.
func (u *unwrapper) open(ctx context.Context, tenant uuid.UUID, version uint32, kmsKey string, wrapped []byte) ([]byte, time.Time, error) {
	ad := wrapAD(tenant, version)
	id := sha256.Sum256(bytes.Join([][]byte{ad, []byte(kmsKey), wrapped}, []byte{0}))
	u.mu.Lock()
	k, ok := u.known[id]
	if ok && time.Since(k.at) < askAgainAfter {
		u.mu.Unlock()
		return k.secret, k.at.Add(u.grace), nil
	}
	state := u.state(kmsKey)
	resting := state.silent
	if resting != nil && time.Since(state.asked) >= restAfter {
		resting, state.asked = nil, time.Now() // one looks whether it is back; the others don't wait with it
	}
	u.mu.Unlock()
	err := resting
	if err == nil {
		var secret []byte
		if secret, err = u.ask(ctx, kmsKey, wrapped, ad); err == nil {
			k = unwrapped{secret: secret, at: time.Now()}
			u.keep(id, k)
			return k.secret, k.at.Add(u.grace), nil
		}
	}
	if ok && errors.Is(err, ErrKMSUnavailable) && time.Since(k.at) < u.grace {
		return k.secret, k.at.Add(u.grace), nil
	}
	if ok && !errors.Is(err, ErrKMSUnavailable) {
		u.drop(id)
	}
	return nil, time.Time{}, err
}

// state returns how a KMS key is. Under mu.
func (u *unwrapper) state(kmsKey string) *kmsState {
	s, ok := u.states[kmsKey]
	if !ok {
		s = &kmsState{well: time.Now()}
		u.states[kmsKey] = s
	}
	return s
}

func (u *unwrapper) ask(ctx context.Context, kmsKey string, wrapped, ad []byte) ([]byte, error) {
	secret, err := u.kms.Unwrap(ctx, kmsKey, wrapped, ad)
	u.heard(ctx, kmsKey, err)
	if err != nil {
		return nil, err
	}
	if len(secret) != keyBytes {
		return nil, errors.New("a data key has 32 bytes")
	}
	return secret, nil
}

// heard notes how a KMS answered, and says so when that changes.
func (u *unwrapper) heard(ctx context.Context, kmsKey string, err error) {
	if errors.Is(err, context.Canceled) {
		return // the caller's doing
	}
	if !errors.Is(err, ErrKMSUnavailable) {
		err = nil // a refusal is an answer
	}
	u.mu.Lock()
	state := u.state(kmsKey)
	was := state.silent
	state.asked, state.silent = time.Now(), err
	if err == nil && state.refused == nil {
		state.well = state.asked
	}
	u.mu.Unlock()
	switch {
	case was == nil && err != nil:
		u.log.WarnContext(ctx, "the KMS gives no answer, opened keys go on", "err", err, "key_id", kmsKey)
	case was != nil && err == nil:
		u.log.InfoContext(ctx, "the KMS answers again", "key_id", kmsKey)
	}
}

func (u *unwrapper) keep(id [32]byte, k unwrapped) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.known) >= maxUnwrapped {
		for old := range u.known { // map order is random enough to evict by
			delete(u.known, old)
			break
		}
	}
	u.known[id] = k
}

// purge forgets what may not be used any more: of tenants that nobody asked for, and of
// those whose keys are destroyed.
func (u *unwrapper) purge() {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.known, func(_ [32]byte, k unwrapped) bool { return time.Since(k.at) >= u.grace })
}

func (u *unwrapper) drop(id [32]byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.known, id)
}

// Health says how a service's KMS is.
type Health struct {
	// Err is why the KMS gave no answer or refused when it was last asked; nil: it is well.
	Err error
	// Left is for how long opened keys still go on without it; 0: no longer.
	Left time.Duration
}

// KMSHealth tells how the KMS was when it was last asked, which Run sees to; of several
// the one that is worst off.
func (s *Service) KMSHealth() Health {
	u := s.opened
	u.mu.Lock()
	defer u.mu.Unlock()
	h := Health{Left: u.grace}
	for _, state := range u.states {
		err := state.silent
		if err == nil {
			err = state.refused
		}
		if left := max(0, u.grace-time.Since(state.well)); err != nil && (h.Err == nil || left < h.Left) {
			h = Health{Err: err, Left: left}
		}
	}
	return h
}

// Run asks the KMS now and then whether it is there, until ctx ends. It returns nil.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		s.probe(ctx)
		s.opened.purge()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// probe wraps and unwraps a key that is nobody's, unless the KMS was asked just now.
func (s *Service) probe(ctx context.Context) {
	name := s.kms.KeyName()
	s.opened.mu.Lock()
	state := s.opened.state(name)
	recent := state.silent == nil && time.Since(state.asked) < probeEvery/2
	s.opened.mu.Unlock()
	if recent {
		return
	}
	err := CheckKMS(ctx, s.kms)
	if err == nil {
		err = s.check(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	var refused error
	if err != nil && !errors.Is(err, ErrKMSUnavailable) {
		refused = err
		s.log.ErrorContext(ctx, "the KMS refuses its key", "err", err)
	}
	s.opened.mu.Lock()
	state.refused = refused
	s.opened.mu.Unlock()
	s.opened.heard(ctx, name, err)
}

// CheckPlatform tells whether the platform's own keys open, if it has any: a server whose
// KMS key is another than the others' must not make tenants, which they could not open.
func (s *Service) CheckPlatform(ctx context.Context) error {
	_, err := s.Ring(ctx, scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "keys"}))
	if errors.Is(err, ErrNoKeys) || errors.Is(err, db.ErrUnavailable) {
		return nil
	}
	return err
}

// CheckKMS has a KMS wrap and unwrap a key that is nobody's.
func CheckKMS(ctx context.Context, k KMS) error {
	key, ad := make([]byte, keyBytes), []byte("biocore check")
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	wrapped, err := k.Wrap(ctx, key, ad)
	if err != nil {
		return fmt.Errorf("wrap: %w", err)
	}
	got, err := k.Unwrap(ctx, k.KeyName(), wrapped, ad)
	if err != nil {
		return fmt.Errorf("unwrap: %w", err)
	}
	if subtle.ConstantTimeCompare(got, key) != 1 {
		return errors.New("what it unwraps is not what it wrapped")
	}
	return nil
}
