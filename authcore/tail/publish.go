package tail

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/keys"
)

const (
	// maxQueue is how many begins and ends wait to be told. Further ones are dropped and
	// counted: nobody waits for it.
	maxQueue = 1024
	// maxBatch is how many are told at once.
	maxBatch = 64

	sealTail keys.Purpose = "ceremony tail"
)

// Ref names a begin by its challenge, which it does not tell: half of the SHA-256 of 32 random
// bytes.
func Ref(challenge []byte) string {
	sum := sha256.Sum256(challenge)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// note is what the hot path leaves behind.
type note struct {
	tenant uuid.UUID
	begun  *Begun
	ended  ended
	watch  bool // it is time to say what is watched
}

// ended is that a begin came to a ceremony's row.
type ended struct {
	ID  uuid.UUID `json:"id"`
	Ref string    `json:"ref"`
}

// message is what servers tell each other of a tenant, sealed.
type message struct {
	From  string  `json:"from"`
	Begun []Begun `json:"begun,omitempty"`
	Ended []ended `json:"ended,omitempty"`
}

// Begin tells who watches that a ceremony has begun. Ask Watched first. It never waits: what
// does not fit is dropped and counted.
func (s *Service) Begin(tenant uuid.UUID, b *Begun) {
	if all := s.watched.Load(); all != nil {
		if w, ok := (*all)[tenant]; ok && !w.budget.take(time.Now()) {
			s.stats.dropped.Add(1)
			return
		}
	}
	s.put(&note{tenant: tenant, begun: b})
}

// End tells who watches that a begin came to a ceremony, whose row is committed, or will
// never be. As Begin.
func (s *Service) End(tenant uuid.UUID, ref string, ceremony uuid.UUID) {
	s.put(&note{tenant: tenant, ended: ended{ceremony, ref}})
}

func (s *Service) put(n *note) {
	select {
	case s.queue <- n:
	default:
		s.stats.dropped.Add(1)
	}
}

// Run hears and tells until ctx ends. Streams may be opened before.
func (s *Service) Run(ctx context.Context) error {
	l := s.redis.Listen(ctx)
	if err := l.Follow(ctx, home(), kindWatched); err != nil {
		s.log.WarnContext(ctx, "live streams of other servers are not known yet", "err", err)
	}
	s.mu.Lock()
	s.listener = l
	for tenant := range s.streams {
		s.follow(ctx, tenant)
	}
	s.mu.Unlock()
	heard := make(chan error, 1)
	go func() { heard <- l.Run(ctx, func(h ephemeral.Heard) { s.hear(ctx, h) }) }()
	var ending sync.WaitGroup
	ending.Go(func() { s.endOff(ctx) })
	s.tell(ctx)
	ending.Wait()
	err := errors.Join(<-heard, l.Close())
	s.mu.Lock()
	s.listener = nil
	s.mu.Unlock()
	return err
}

// tell publishes what was put, and says what is watched.
func (s *Service) tell(ctx context.Context) {
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.say(ctx)
		case n := <-s.queue:
			by, watch := s.gather(n)
			if watch {
				s.say(ctx)
			}
			for tenant, m := range by {
				s.publish(ctx, tenant, m)
			}
		}
	}
}

// gather takes what waits, by tenant.
func (s *Service) gather(n *note) (by map[uuid.UUID]*message, watch bool) {
	by = map[uuid.UUID]*message{}
	for taken := 1; ; taken++ {
		if n.watch {
			watch = true
		} else {
			m := by[n.tenant]
			if m == nil {
				m = &message{From: s.self}
				by[n.tenant] = m
			}
			if n.begun != nil {
				m.Begun = append(m.Begun, *n.begun)
			} else {
				m.Ended = append(m.Ended, n.ended)
			}
		}
		if taken == maxBatch {
			return by, watch
		}
		select {
		case n = <-s.queue:
		default:
			return by, watch
		}
	}
}

// publish tells this server's streams, and other servers.
func (s *Service) publish(ctx context.Context, tenant uuid.UUID, m *message) {
	s.deliver(tenant, m)
	size := int64(len(m.Begun) + len(m.Ended))
	ring, err := s.keys.Ring(ctx, own(tenant))
	if err == nil {
		var sealed []byte
		if sealed, err = m.seal(ring); err == nil {
			err = s.redis.Publish(ctx, own(tenant), kindTail, sealed)
		}
	}
	if err != nil {
		s.stats.dropped.Add(size)
		return
	}
	s.stats.published.Add(size)
}

func (m *message) seal(ring *keys.Ring) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return ring.SealToken(sealTail, nil, text), nil
}

func open(ring *keys.Ring, sealed []byte) (*message, error) {
	text, err := ring.OpenToken(sealTail, sealed)
	if err != nil {
		return nil, err
	}
	m := &message{}
	return m, json.Unmarshal(text, m)
}
