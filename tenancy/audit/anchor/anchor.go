// Package anchor puts the heads of all tenants' audit logs where the database's administrator cannot reach
// them: every minute, into object storage, locked where the store enforces it (ADR 0053). Whoever
// rewrites a log, and signs it anew with its own key, contradicts what lies there.
//
// Heads that have changed are appended to a log of their own, the log of heads, under a key of its own. What was added to
// it in a minute is an object: a bundle, which `biocore audit verify` reads. A piece is signed and
// committed before it is stored, and the next is not made before it is: no two objects say different things of one
// place, whatever is killed, and while the store is away nothing but time is lost.
package anchor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/auditq"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Kind is what anchors are called in object storage.
const Kind blob.Kind = "audit-heads"

// Options configures a Service. Store, Keys and Host are required.
type Options struct {
	Store   *db.Store
	Keys    *keys.Service
	Objects *blob.Bucket // nil: nothing is anchored
	Log     *slog.Logger // nil means slog.Default

	// Host begins the name of the log of heads, as those of all logs.
	Host string
	// LockFor is how long nobody is to be able to remove an anchor; 0 asks for no lock.
	LockFor time.Duration

	// MaxSkew is how far Postgres's clock may be off this server's: by one that has jumped an object could be locked
	// for years. 0 means 5 minutes.
	MaxSkew time.Duration
}

// Service anchors. Several servers may each have one. Of one, Run and Anchor are for one goroutine; the rest is safe
// beside them.
type Service struct {
	store   *db.Store
	keys    *keys.Service
	objects *blob.Bucket
	log     *slog.Logger
	host    string
	lockFor time.Duration
	maxSkew time.Duration

	began    time.Time
	failures atomic.Int64
	last     atomic.Pointer[Status]
}

// New returns a Service; call Run.
func New(o Options) *Service {
	return &Service{
		store: o.Store, keys: o.Keys, objects: o.Objects, log: cmp.Or(o.Log, slog.Default()), host: o.Host,
		lockFor: o.LockFor, maxSkew: cmp.Or(o.MaxSkew, 5*time.Minute), began: time.Now(),
	}
}

const (
	// every is how old an anchor becomes before the next is made.
	every = time.Minute
	// look is how often each server looks whether somebody has to make one.
	look = 10 * time.Second
	// storing is how long others leave an anchor to the server that stores it: a call of object storage and more.
	storing = 30 * time.Second
	// mostHeads bounds an anchor: 400 bytes each, of 8 MiB.
	mostHeads = 15_000
)

// Status is how anchoring goes, of all servers together.
type Status struct {
	On          bool // there is object storage
	StoredAt    time.Time
	Size        int64     // lines of the log of heads that are stored; 0: nothing is yet, and the rest is zero
	Bytes       int       // of the last anchor
	LockedUntil time.Time // of the last anchor; zero: it is not locked, and Problem says why
	Problem     string
	Refused     int // logs that contradict what was anchored of them
}

// Stats is what one server's metrics tell.
type Stats struct {
	Age      time.Duration // of the last anchor; while there is none, since this server began
	Locked   bool
	Refused  int
	Failures int64 // of this server
}

// Stats returns them as of the last look.
func (s *Service) Stats() Stats {
	st := Stats{Failures: s.failures.Load(), Age: time.Since(s.began)}
	if last := s.last.Load(); last != nil && last.Size > 0 {
		st.Age, st.Locked, st.Refused = max(s.store.Now().Sub(last.StoredAt), 0), !last.LockedUntil.IsZero(), last.Refused
	}
	return st
}

// Status asks for the last anchor.
func (s *Service) Status(ctx context.Context) (Status, error) {
	out := Status{On: s.objects != nil}
	err := s.store.InPlatform(ctx, "how old is the last anchor", func(tx *db.PlatformTx) error {
		row, err := tx.LastAnchor(ctx)
		if db.IsNoRows(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("last anchor: %w", err)
		}
		out.StoredAt, out.Size, out.Bytes, out.Problem, out.Refused = *row.StoredAt, row.Size, int(row.Bytes), row.Problem, int(row.Refused)
		if row.LockedUntil != nil {
			out.LockedUntil = *row.LockedUntil
		}
		return nil
	})
	return out, err
}

// Run anchors until ctx is done. Errors are logged, counted and tried again.
func (s *Service) Run(ctx context.Context) error {
	for s.objects != nil && ctx.Err() == nil {
		_, err := s.Anchor(ctx)
		if err == nil {
			var now Status
			if now, err = s.Status(ctx); err == nil {
				s.note(ctx, s.last.Swap(&now), &now)
			}
		}
		if err != nil && ctx.Err() == nil {
			s.failures.Add(1)
			s.log.ErrorContext(ctx, "heads of audit logs not anchored", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(look):
		}
	}
	<-ctx.Done()
	return nil
}

// note logs, once, that anchors are not locked.
func (s *Service) note(ctx context.Context, before, now *Status) {
	if now.Problem != "" && s.lockFor > 0 && (before == nil || before.Problem != now.Problem) {
		s.log.WarnContext(ctx, "heads of audit logs are anchored without a lock", "reason", now.Problem)
	}
}

// ErrClock says that Postgres's clock is not this server's.
var ErrClock = errors.New("the clocks of Postgres and of this server differ by minutes: nothing is anchored by either")

// Anchor stores what waits to be stored, or makes an anchor if a minute has passed and stores that. It answers
// whether it has stored one; false also while another server is at it.
func (s *Service) Anchor(ctx context.Context) (bool, error) {
	if s.objects == nil {
		return false, nil
	}
	if skew := s.store.Skew(); skew.Abs() > s.maxSkew {
		return false, fmt.Errorf("%w: %s", ErrClock, skew)
	}
	id, body, err := s.next(ctx)
	if err != nil || body == nil {
		return false, err
	}
	return true, s.put(ctx, id, body)
}

// next is the anchor that this server has to store; no body: none.
func (s *Service) next(ctx context.Context) (id uuid.UUID, body []byte, err error) {
	ring, err := s.keys.Ring(ctx, platform())
	if err != nil {
		return id, nil, fmt.Errorf("keys: %w", err)
	}
	err = s.store.InAudit(ctx, func(tx *db.AuditTx) error {
		id, body = uuid.Nil, nil // this may be the second run
		log, err := tx.LockAnchorLog(ctx)
		if db.IsNoRows(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("lock the log of heads: %w", err)
		}
		now := tx.Now()
		waiting, err := tx.WaitingAnchor(ctx)
		switch {
		case db.IsNoRows(err):
			if log.At != nil && within(now.Sub(*log.At), every) {
				return nil
			}
			id, body, err = s.make(ctx, tx, ring, log)
			return err
		case err != nil:
			return fmt.Errorf("find an anchor that waits: %w", err)
		case waiting.TriedAt != nil && within(now.Sub(*waiting.TriedAt), storing):
			return nil // somebody is at it
		}
		id, body = waiting.ID, waiting.Body
		return tx.TryAnchor(ctx, auditq.TryAnchorParams{ID: id, Now: now})
	})
	return id, body, err
}

// within reports whether less than d has passed. What is to come is not trusted: that clock was set back.
func within(passed, d time.Duration) bool { return passed >= 0 && passed < d }

func platform() scope.Scope {
	return scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "anchor"})
}

// make signs the next piece of the log of heads.
func (s *Service) make(ctx context.Context, tx *db.AuditTx, ring *keys.Ring, log auditq.LockAnchorLogRow) (uuid.UUID, []byte, error) {
	by, err := s.signer(ctx, tx, ring, log)
	if err != nil {
		return uuid.Nil, nil, err
	}
	edge, err := merkle.ParseEdge(log.Size, log.Edge)
	if err != nil {
		return uuid.Nil, nil, fmt.Errorf("log of heads: %w", err)
	}
	rows, err := tx.ListChangedHeads(ctx, mostHeads)
	if err != nil {
		return uuid.Nil, nil, fmt.Errorf("list changed heads: %w", err)
	}
	heads, refused := s.heads(ctx, rows)
	now := tx.Now()
	entries := make([]any, 1, 1+len(heads))
	entries[0] = bundle.AnchoredAt{At: now, Heads: len(heads)}
	for _, h := range heads {
		entries = append(entries, h)
	}
	at := now
	if log.At != nil && log.At.After(at) { // a clock that was set back
		at = *log.At
	}
	h := bundle.Header{
		Format: bundle.HeadsFormat, Origin: by.Name(), VerifierKey: by.VerifierKey(), From: edge.Size, To: edge.Size + int64(len(entries)),
		Edge: append([]merkle.Hash{}, edge.Roots...),
	}
	lines := make([]bundle.Line, len(entries))
	for i, e := range entries {
		text, err := json.Marshal(e)
		if err != nil {
			return uuid.Nil, nil, fmt.Errorf("encode head: %w", err)
		}
		lines[i] = bundle.Line{Seq: edge.Size, SequencedAt: at, Leaf: merkle.Leaf(edge.Size, string(text)), Entry: string(text)}
		edge.Append(lines[i].Leaf)
	}
	signed, err := merkle.Checkpoint{Origin: by.Name(), Size: edge.Size, Root: edge.Root()}.Sign(by)
	if err != nil {
		return uuid.Nil, nil, err
	}
	h.Checkpoints = []string{signed}
	body, err := encode(h, lines)
	if err != nil {
		return uuid.Nil, nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, nil, fmt.Errorf("mint an id: %w", err)
	}
	if err := tx.InsertAnchor(ctx, auditq.InsertAnchorParams{
		ID: id, Size: edge.Size, Heads: int32(len(heads)), Refused: int32(refused), At: now, Body: body, //nolint:gosec // mostHeads
	}); err != nil {
		return uuid.Nil, nil, fmt.Errorf("insert anchor: %w", err)
	}
	if err := tx.AdvanceAnchorLog(ctx, auditq.AdvanceAnchorLogParams{Size: edge.Size, Edge: edge.AppendBinary(nil), At: at}); err != nil {
		return uuid.Nil, nil, fmt.Errorf("advance the log of heads: %w", err)
	}
	return id, body, nil
}

func encode(h bundle.Header, lines []bundle.Line) ([]byte, error) {
	var b bytes.Buffer
	w, err := bundle.NewWriter(&b, h)
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		if err := w.Write(l); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// heads are those that go on from what was anchored. One that does not is somebody's doing: it is logged, counted, and
// not made part of what nobody can remove.
func (s *Service) heads(ctx context.Context, rows []auditq.ListChangedHeadsRow) (out []bundle.Head, refused int) {
	for i := range rows {
		row := &rows[i]
		c, err := merkle.Read(row.Checkpoint)
		switch {
		case err == nil && c.Size != row.SignedSize:
			err = errors.New("its checkpoint is over another size than its head says")
		case err == nil && row.SignedSize < row.AnchoredSize:
			err = fmt.Errorf("it has %d entries, and had %d when its head was anchored", row.SignedSize, row.AnchoredSize)
		case err == nil && row.SignedSize == row.AnchoredSize:
			err = errors.New("its root is another than when its head was anchored")
		}
		if err != nil {
			refused++
			s.log.ErrorContext(ctx, "an audit log contradicts what was anchored", "tenant", row.TenantID, "err", err)
			continue
		}
		out = append(out, bundle.Head{TenantID: row.TenantID.String(), Origin: c.Origin, Size: c.Size, Root: c.Root})
	}
	return out, refused
}

// put stores an anchor, and notes what the store shows of it.
func (s *Service) put(ctx context.Context, id uuid.UUID, body []byte) error {
	_, lines, err := bundle.ReadAnchor(body)
	if err != nil {
		return fmt.Errorf("anchor %s: %w", id, err)
	}
	var lock blob.Lock
	if s.lockFor > 0 {
		lock, err = s.objects.PutLocked(ctx, platform(), Kind, id, body, s.store.Now().Add(s.lockFor))
	} else {
		lock.Problem = "no lock is configured"
		err = s.objects.Put(ctx, platform(), Kind, id, body)
	}
	if err != nil {
		return fmt.Errorf("store anchor: %w", err)
	}
	to := auditq.SetAnchoredHeadsParams{AnchorID: id}
	for _, l := range lines[1:] {
		var h bundle.Head
		if err := json.Unmarshal([]byte(l.Entry), &h); err != nil {
			return fmt.Errorf("anchor %s: %w", id, err)
		}
		tenant, err := uuid.Parse(h.TenantID)
		if err != nil {
			return fmt.Errorf("anchor %s: %w", id, err)
		}
		to.Tenants, to.Sizes, to.Roots, to.Seqs = append(to.Tenants, tenant), append(to.Sizes, h.Size), append(to.Roots, h.Root[:]), append(to.Seqs, l.Seq)
	}
	return s.store.InAudit(ctx, func(tx *db.AuditTx) error {
		p := auditq.SetAnchorStoredParams{ID: id, Now: tx.Now(), Version: lock.Version, Problem: lock.Problem}
		if !lock.Until.IsZero() {
			p.LockedUntil = &lock.Until
		}
		if n, err := tx.SetAnchorStored(ctx, p); err != nil {
			return fmt.Errorf("note that an anchor is stored: %w", err)
		} else if n == 0 {
			return nil // by another server, the same bytes
		}
		if err := tx.SetAnchoredHeads(ctx, to); err != nil {
			return fmt.Errorf("note which heads are stored: %w", err)
		}
		return nil
	})
}
