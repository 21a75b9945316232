package tail

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Event is one of three things: the others are nil.
type Event struct {
	Begun    *Begun
	Finished *Finished
	Gap      *Gap
}

// Begun is a ceremony that has begun and is not finished.
type Begun struct {
	Ref         string        `json:"id"` // names the begin, and nothing else: see Ref
	Kind        debugger.Kind `json:"kind"`
	At          time.Time     `json:"begunAt"`
	ExpiresAt   time.Time     `json:"expiresAt"`
	UserID      string        `json:"userId,omitempty"` // that it was begun for; empty for nobody, or where nobody knows
	Browser     string        `json:"browser"`
	TraceID     string        `json:"traceId"`
	RequestID   string        `json:"requestId"`
	APIKeyID    *uuid.UUID    `json:"apiKeyId,omitempty"`
	Purpose     string        `json:"purpose,omitempty"`
	Conditional bool          `json:"conditional,omitempty"` // a registration without a prompt
}

// Finished is a ceremony that is on record.
type Finished struct {
	// Position is where a stream goes on: decimal. It never goes back within a stream.
	Position string
	Ceremony debugger.Ceremony
	Begun    string // Ref of its begin; empty where no server said so
}

// Gap says that ceremonies of a time are not told here: there were too many, or they are
// too long ago. The list has them.
type Gap struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// Request says what to watch.
type Request struct {
	Filter string // as of debugger.Reader.List; what has only begun comes where no more than kind, userId and time are asked
	After  string // a Position; empty: from now on
}

// Stream is what one reader watches. It is not safe for concurrent use, but for Close.
type Stream struct {
	service *Service
	sc      scope.Scope
	match   debugger.Matcher

	floor    time.Time               // what was before it is not told
	position time.Time               // the newest that was told, or where it began
	told     map[uuid.UUID]time.Time // and those that were there before
	refs     map[uuid.UUID]string    // begins of ceremonies that are not told yet
	looked   time.Time               // by the monotonic clock
	due      bool                    // something says that there is something

	pushed chan *message
	done   chan struct{}
	once   sync.Once
	err    error // why it is done
}

// Open begins a stream under sc, by which it also reads. Close it.
// listing.ErrFilter, ErrPosition, ErrOff, ErrTooMany, ErrStopping; db.ErrUnavailable.
func (s *Service) Open(ctx context.Context, sc scope.Scope, req Request) (*Stream, error) {
	st := &Stream{
		service: s, sc: sc, told: map[uuid.UUID]time.Time{}, refs: map[uuid.UUID]string{},
		pushed: make(chan *message, maxWaiting), done: make(chan struct{}),
	}
	var err error
	if st.match, err = debugger.NewMatcher(req.Filter); err != nil {
		return nil, err
	}
	now := s.now()
	st.floor, st.position = now.Add(-Settle), now
	if req.After != "" {
		if st.position, err = parsePosition(req.After, now); err != nil {
			return nil, err
		}
		st.floor = st.position.Add(-Settle)
	}
	if !s.on(ctx, own(sc.Tenant())) {
		return nil, ErrOff
	}
	if err := s.add(ctx, st); err != nil {
		return nil, err
	}
	if req.After != "" {
		st.due = true
		return st, nil
	}
	// What is there now is no news.
	found, err := s.reader.Newer(ctx, sc, st.floor, func(uuid.UUID) bool { return true }, 0)
	if err != nil {
		s.remove(ctx, st)
		return nil, fmt.Errorf("what is there: %w", err)
	}
	st.told, st.looked = found.Places, time.Now()
	return st, nil
}

// parsePosition reads a Position: microseconds since 1970.
func parsePosition(text string, now time.Time) (time.Time, error) {
	us, err := strconv.ParseInt(text, 10, 64)
	if err != nil || us < 0 || strconv.FormatInt(us, 10) != text {
		return time.Time{}, ErrPosition
	}
	at := time.UnixMicro(us).UTC()
	if at.After(now) {
		return now, nil // clocks differ a little
	}
	return at, nil
}

// PositionOf is where a stream goes on after c.
func PositionOf(c *debugger.Ceremony) string { return strconv.FormatInt(c.At.UnixMicro(), 10) }

// Close ends the stream.
func (st *Stream) Close(ctx context.Context) {
	st.service.remove(ctx, st)
	st.end(context.Canceled)
}

func (st *Stream) end(why error) {
	st.once.Do(func() {
		st.err = why
		close(st.done)
	})
}

// push hands over what servers say; false when that ended the stream, whose reader is slow.
func (st *Stream) push(m *message) bool {
	select {
	case st.pushed <- m:
		return true
	case <-st.done:
		return true
	default:
		st.end(ErrSlow)
		return false
	}
}

// Next waits for what comes, a second at most, and returns it in order: nothing, often. What
// is finished may come twice after a stream has gone on from a Position; Ceremony.ID tells.
// Errors end the stream: ErrSlow, ErrOff, ErrStopping, ctx's. That Postgres cannot be asked is none:
// it is asked again.
func (st *Stream) Next(ctx context.Context) ([]Event, error) {
	wait := time.NewTimer(st.pause())
	defer wait.Stop()
	select {
	case <-st.done: // before what waits
		return nil, st.err
	default:
	}
	var out []Event
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-st.done:
		return nil, st.err
	case m := <-st.pushed:
		out = st.heard(out, m)
	case <-wait.C:
		out = st.drain(out) // a ceremony comes after its begin
		if err := st.look(ctx, &out); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			st.service.log.WarnContext(ctx, "a live stream could not look", "err", err)
		}
	}
	return out, nil
}

// drain takes what has been handed over by now.
func (st *Stream) drain(out []Event) []Event {
	for {
		select {
		case m := <-st.pushed:
			out = st.heard(out, m)
		default:
			return out
		}
	}
}

// pause is how long until the next look.
func (st *Stream) pause() time.Duration {
	every := lookEvery
	if st.due {
		every = lookAtMost
	}
	return max(0, every-time.Since(st.looked))
}

func (st *Stream) heard(out []Event, m *message) []Event {
	for i := range m.Begun {
		b := &m.Begun[i]
		if st.match.MatchesBegun(b.Kind, b.UserID, b.At) {
			out = append(out, Event{Begun: b})
		}
	}
	for _, e := range m.Ended {
		st.due = true
		if len(st.refs) < maxNotes {
			st.refs[e.ID] = e.Ref
		}
	}
	return out
}

// maxNotes bounds the begins that are remembered until their ceremonies are told.
const maxNotes = 4096

// look tells what is new.
func (st *Stream) look(ctx context.Context, out *[]Event) error {
	st.looked, st.due = time.Now(), false
	bounded, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	now := st.service.now()
	if earliest := now.Add(-maxBack); st.floor.Before(earliest) {
		*out = st.gap(*out, earliest)
		st.floor = earliest
	}
	found, err := st.service.reader.Newer(bounded, st.sc, st.floor, func(id uuid.UUID) bool {
		_, was := st.told[id]
		return was
	}, maxTold)
	if err != nil {
		return err
	}
	if found.Left > 0 && len(found.Ceremonies) > 0 {
		*out = st.gap(*out, found.Ceremonies[0].At)
	}
	for i := range found.Ceremonies {
		c := &found.Ceremonies[i]
		if c.At.After(st.position) {
			st.position = c.At
		}
		ref := st.refs[c.ID]
		delete(st.refs, c.ID)
		if st.match.Matches(c) {
			*out = append(*out, Event{Finished: &Finished{Position: strconv.FormatInt(st.position.UnixMicro(), 10), Ceremony: *c, Begun: ref}})
		}
	}
	st.told = found.Places
	if floor := now.Add(-Settle); st.floor.Before(floor) {
		st.floor = floor
	}
	if len(st.refs) >= maxNotes {
		clear(st.refs) // of refusals that were counted and have no row
	}
	return nil
}

func (st *Stream) gap(out []Event, until time.Time) []Event {
	st.service.stats.gaps.Add(1)
	from := st.position
	if until.Before(from) {
		from = st.floor
	}
	return append(out, Event{Gap: &Gap{From: from, Until: until}})
}

// IsEnd reports whether err is how streams end by themselves.
func IsEnd(err error) bool {
	return errors.Is(err, ErrSlow) || errors.Is(err, ErrOff) || errors.Is(err, ErrStopping)
}
