package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Noun names a kind of cached thing in the change feed: its package.
type Noun string

// The nouns of the change feed.
const (
	NounTenant     Noun = "tenant" // the tenant's row, its policy, its keys
	NounAPIKey     Noun = "apikey"
	NounUser       Noun = "user" // a user or its credentials
	NounCredential Noun = "credential"
	NounSession    Noun = "session"

	NounAttestationRoot Noun = "attestationroot" // all of the tenant's
	NounSegment         Noun = "segment"         // all members of the tenant's
	NounFlag            Noun = "flag"            // all of the tenant's
	NounRisk            Noun = "risk"            // the tenant's rules
	NounRiskProvider    Noun = "riskprovider"    // the service that the tenant has asked
)

// Change says that something cached is stale. It is opaque: nouns and ids only,
// since every connection of the database may listen.
type Change struct {
	Noun   Noun
	Tenant uuid.UUID
	ID     string // base64url or uuid; may be empty
}

// String is the form that travels.
func (c Change) String() string { return string(c.Noun) + " " + c.Tenant.String() + " " + c.ID }

func parseChange(s string) (Change, error) {
	noun, rest, ok := strings.Cut(s, " ")
	tenant, id, ok2 := strings.Cut(rest, " ")
	t, err := uuid.Parse(tenant)
	if !ok || !ok2 || err != nil {
		return Change{}, errors.New("malformed change")
	}
	return Change{Noun: Noun(noun), Tenant: t, ID: id}, nil
}

// Timings of the feed. Revocation must be seen by every server within a second:
// a heartbeat twice in that time proves that the connection still delivers, and
// after maxSilence nothing cached is believed any more.
const (
	heartbeat  = 300 * time.Millisecond
	maxSilence = time.Second
)

// feedName is what the connection calls itself, with the server's version behind it: servers are told by it.
const feedName = "biocore feed"

// feed listens for changes on a connection of its own. It must reach Postgres
// directly: a transaction pooler loses LISTEN.
type feed struct {
	cfg  *pgx.ConnConfig
	log  *slog.Logger
	last atomic.Int64 // monotonic nanoseconds of the last proof of life, 0 for none

	mu   sync.Mutex
	subs []func(Change, bool)
}

func newFeed(cfg *pgx.ConnConfig, version string, log *slog.Logger) *feed {
	cfg = cfg.Copy()
	cfg.RuntimeParams["application_name"] = strings.TrimSpace(feedName + " " + version)
	cfg.RuntimeParams["statement_timeout"] = "1s"
	return &feed{cfg: cfg, log: log}
}

var epoch = time.Now() // for monotonic stamps in an atomic

// fresh reports whether the feed has been alive within maxSilence.
func (f *feed) fresh() bool {
	last := f.last.Load()
	return last != 0 && int64(time.Since(epoch))-last < int64(maxSilence)
}

// subscribe calls fn for each change, in order, from the feed's goroutine; all is
// true when changes may have been missed and everything is stale. fn must not block.
func (f *feed) subscribe(fn func(c Change, all bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs = append(f.subs, fn)
}

func (f *feed) publish(c Change, all bool) {
	f.mu.Lock()
	subs := f.subs
	f.mu.Unlock()
	for _, fn := range subs {
		fn(c, all)
	}
}

func (f *feed) run(ctx context.Context, s *Store) error {
	pause := 50 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := f.listen(ctx, s)
		if time.Since(began) > time.Second {
			pause = 50 * time.Millisecond
		}
		if ctx.Err() == nil {
			f.log.WarnContext(ctx, "change feed lost, caches are bypassed", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second)
	}
	return nil
}

func (f *feed) listen(ctx context.Context, s *Store) error {
	conn, err := pgx.ConnectConfig(ctx, f.cfg)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, "LISTEN bc_change"); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	// What changed while nobody listened is unknown: all is stale. Order matters:
	// listen first, forget second, vouch for what is read from now on third.
	f.publish(Change{}, true)
	for {
		if err := f.beat(ctx, conn, s); err != nil {
			return fmt.Errorf("heartbeat: %w", err)
		}
		wait, cancel := context.WithTimeout(ctx, heartbeat)
		for {
			n, err := conn.WaitForNotification(wait)
			if err != nil {
				break // the time is up, or the connection is gone: the next beat tells
			}
			c, err := parseChange(n.Payload)
			if err != nil {
				f.log.WarnContext(ctx, "unreadable change, all caches dropped")
				f.publish(Change{}, true)
				continue
			}
			f.publish(c, false)
		}
		cancel()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// beat proves that the connection delivers, and measures how far this machine's
// clock is from Postgres's: half a round trip is the error, milliseconds at most.
// What was notified before the beat's answer has been received before it, so the
// stamp is taken from before the question.
func (f *feed) beat(ctx context.Context, conn *pgx.Conn, s *Store) error {
	ctx, cancel := context.WithTimeout(ctx, maxSilence)
	defer cancel()
	asked := time.Now()
	var theirs time.Time
	if err := conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&theirs); err != nil {
		return err
	}
	mine := s.clock().Add(-time.Since(asked) / 2)
	skew := theirs.Sub(mine)
	if skew.Abs() < 50*time.Millisecond {
		skew = 0 // noise: two servers in step need no correction
	}
	s.skew.Store(int64(skew))
	f.last.Store(int64(asked.Sub(epoch)))
	return nil
}

// Fresh reports whether cached things may be believed: the change feed has been
// alive within the last second. When it is false, read from Postgres.
func (s *Store) Fresh() bool { return s.feed.fresh() }

// Skew is what Store.Now adds to this machine's clock.
func (s *Store) Skew() time.Duration { return time.Duration(s.skew.Load()) }
