package ephemeral

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// topicID is the id of the key that a topic is named as.
const topicID = "topic"

// Publish sends body to every Listener that follows kind in sc's tenant, at most once: who
// does not listen at that moment never hears of it.
func (c *Client) Publish(ctx context.Context, sc scope.Scope, kind Kind, body []byte) error {
	return c.do(ctx, sc, func(ctx context.Context) error {
		return c.rdb.Publish(ctx, key(sc, kind, topicID), body).Err()
	})
}

// Heard is what somebody has published. Whoever reaches Redis may have made it up.
type Heard struct {
	Tenant uuid.UUID
	Kind   Kind
	Body   []byte
}

// Listener hears what is published, on a connection of its own that comes back by itself.
// Nothing tells what was missed meanwhile. It is safe for concurrent use.
type Listener struct{ pubsub *redis.PubSub }

// Listen returns a Listener that follows nothing yet. Close it.
func (c *Client) Listen(ctx context.Context) *Listener { return &Listener{c.rdb.Subscribe(ctx)} }

// Follow begins to hear of kind in sc's tenant. An error says that Redis is away: it is
// followed all the same, once Redis is back.
func (l *Listener) Follow(ctx context.Context, sc scope.Scope, kind Kind) error {
	if sc.IsZero() {
		return errors.New("ephemeral: the zero scope has no topics")
	}
	if err := l.pubsub.Subscribe(ctx, key(sc, kind, topicID)); err != nil {
		return ErrUnavailable.WithCause(err)
	}
	return nil
}

// Unfollow ends Follow.
func (l *Listener) Unfollow(ctx context.Context, sc scope.Scope, kind Kind) error {
	if err := l.pubsub.Unsubscribe(ctx, key(sc, kind, topicID)); err != nil {
		return ErrUnavailable.WithCause(err)
	}
	return nil
}

// Run calls hear with what is heard, one after the other, until ctx ends or the Listener is
// closed. hear must be quick: what comes while a hundred wait is lost.
func (l *Listener) Run(ctx context.Context, hear func(Heard)) error {
	messages := l.pubsub.Channel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, open := <-messages:
			if !open {
				return nil
			}
			if h, err := parseTopic(m.Channel); err == nil {
				h.Body = []byte(m.Payload)
				hear(h)
			}
		}
	}
}

// Close ends the connection, and Run with it.
func (l *Listener) Close() error { return l.pubsub.Close() }

// parseTopic reads what key has made.
func parseTopic(name string) (Heard, error) {
	rest, ours := strings.CutPrefix(name, "bc:{")
	id, rest, tagged := strings.Cut(rest, "}:")
	kind, last, _ := strings.Cut(rest, ":")
	tenant, err := uuid.Parse(id)
	if !ours || !tagged || last != topicID || err != nil {
		return Heard{}, fmt.Errorf("no topic of ours: %q", name)
	}
	return Heard{Tenant: tenant, Kind: Kind(kind)}, nil
}
