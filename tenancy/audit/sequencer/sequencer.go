// Package sequencer moves audit entries from the inbox, where business transactions commit
// them, into their tenants' logs: in one order, hashed into a Merkle tree, under a signed
// checkpoint (ADR 0050). Until an entry is moved, some tenths of a second after it was
// committed, it is not tamper-evident.
//
// All that must be known to append is the log's head in the database, read and written in
// the transaction that moves the entries: nothing is remembered in between that could be
// stale, so servers take turns as they like, and one that is killed leaves either all of a
// batch or nothing of it.
package sequencer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/auditq"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// Options configures a Sequencer. Store, Keys and Host are required.
type Options struct {
	Store *db.Store
	Keys  *keys.Service
	Log   *slog.Logger // nil means slog.Default

	// Host begins the names of logs: host, and port where it is not the usual one, of the
	// installation's public address. A log keeps the name that it was given.
	Host string
}

// Sequencer moves entries and signs checkpoints. Several servers may each have one. Of one, Run, Move
// and Sign are for one goroutine; Stats and Reseal are safe beside them.
type Sequencer struct {
	store *db.Store
	keys  *keys.Service
	log   *slog.Logger
	host  string

	signers  signers
	unsigned map[uuid.UUID]bool      // logs that have grown since their checkpoint, as far as Run knows
	away     map[uuid.UUID]time.Time // tenants whose keys cannot be had, and until when they are not asked for again

	moved   atomic.Int64
	lag     atomic.Int64 // nanoseconds, of the oldest entry of the last batch
	movedAt atomic.Int64 // Unix nanoseconds of that batch
	drained atomic.Int64 // Unix nanoseconds at which nothing was left to this server
}

// New returns a Sequencer; call Run.
func New(o Options) *Sequencer {
	s := &Sequencer{
		store: o.Store, keys: o.Keys, log: cmp.Or(o.Log, slog.Default()), host: o.Host,
		signers: signers{}, unsigned: map[uuid.UUID]bool{}, away: map[uuid.UUID]time.Time{},
	}
	s.drained.Store(time.Now().UnixNano())
	return s
}

const (
	// every is how long the inbox is left alone when it is empty.
	every = 200 * time.Millisecond
	// most bounds a batch, and with it how long heads are locked.
	most = 1000
	// searchEvery is how often it is asked which logs another server, or one that was killed,
	// has left without a checkpoint.
	searchEvery = 30 * time.Second
	// maxPause bounds how long is waited after an error.
	maxPause = 5 * time.Second
	// lagKept is for how long a batch's lag is told: longer than metrics are gathered apart.
	lagKept = time.Minute
	// awayFor is how long entries of a tenant wait whose keys could not be had.
	awayFor = 5 * time.Second
)

// Stats is what a Sequencer has done since it was made.
type Stats struct {
	Moved int64         // entries
	Lag   time.Duration // how long an entry may not be tamper-evident, from its commit on
}

// Stats returns what was done, for metrics. The lag is that of the oldest entry of the last
// batch, if it was moved within a minute; where batches fail or do not keep up, it grows.
func (s *Sequencer) Stats() Stats {
	var lag time.Duration
	if s.store.Now().Sub(time.Unix(0, s.movedAt.Load())) < lagKept {
		lag = time.Duration(s.lag.Load())
	}
	if behind := time.Since(time.Unix(0, s.drained.Load())); behind > 2*every {
		lag = max(lag, behind)
	}
	return Stats{Moved: s.moved.Load(), Lag: lag}
}

// Run moves entries and signs checkpoints until ctx is done. Errors are logged and tried again.
func (s *Sequencer) Run(ctx context.Context) error {
	pause, searched := every, time.Time{}
	for ctx.Err() == nil {
		n, err := s.Move(ctx)
		if err == nil && time.Since(searched) > searchEvery {
			searched = time.Now()
			err = s.search(ctx)
		}
		if err == nil {
			err = s.Sign(ctx)
		}
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.ErrorContext(ctx, "audit entries not sequenced", "err", err)
			pause = min(2*pause, maxPause)
		case n == most: // there is more
			continue
		default:
			pause = every
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// errFork says that a head was written by somebody else in between, which the lock on it
// should have kept from happening: nothing of the batch is kept.
var errFork = errors.New("the head of a log has changed while it was locked")

// Move moves one batch of the oldest entries of all tenants, and answers how many: 0 also
// while another server is at it. Entries of a tenant whose keys cannot be had, because the KMS is away, wait: what
// is private of them must be sealed. Where keys are destroyed it is left out.
func (s *Sequencer) Move(ctx context.Context) (int, error) {
	var moved []auditq.ClaimEntriesRow
	var grown []uuid.UUID
	err := s.store.InAudit(ctx, func(tx *db.AuditTx) error {
		moved, grown = nil, nil
		if leads, err := tx.Lead(ctx); err != nil || !leads {
			return err
		}
		rows, err := tx.ClaimEntries(ctx, auditq.ClaimEntriesParams{NotOf: s.waiting(), Most: most})
		if err != nil {
			return fmt.Errorf("claim audit entries: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		if err := s.seal(ctx, tx, rows); err != nil {
			return err
		}
		moved = rows
		grown, err = appendAll(ctx, tx, rows)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, tenant := range grown {
		s.unsigned[tenant] = true
	}
	if len(moved) < most && len(s.away) == 0 {
		s.drained.Store(time.Now().UnixNano())
	}
	if len(moved) > 0 {
		oldest := slices.MinFunc(moved, func(a, b auditq.ClaimEntriesRow) int { return a.At.Compare(b.At) })
		s.moved.Add(int64(len(moved)))
		now := s.store.Now()
		s.lag.Store(int64(max(now.Sub(oldest.At), 0)))
		s.movedAt.Store(now.UnixNano())
	}
	return len(moved), nil
}

// head is a log while entries are appended to it.
type head struct {
	was   int64
	edge  merkle.Edge
	time  time.Time
	tiles []merkle.Node
}

// appendAll appends rows, which are ordered by tenant, to their logs, and returns the tenants.
func appendAll(ctx context.Context, tx *db.AuditTx, rows []auditq.ClaimEntriesRow) ([]uuid.UUID, error) {
	var tenants []uuid.UUID
	for i := range rows {
		if i == 0 || rows[i].TenantID != rows[i-1].TenantID {
			tenants = append(tenants, rows[i].TenantID)
		}
	}
	heads, err := lockHeads(ctx, tx, tenants)
	if err != nil {
		return nil, err
	}
	var p auditq.InsertEntriesParams
	for i := range rows {
		row := &rows[i]
		h := heads[row.TenantID]
		leaf := merkle.Leaf(h.edge.Size, row.Entry)
		p.Tenants, p.Seqs, p.Sequenced, p.Ids = append(p.Tenants, row.TenantID), append(p.Seqs, h.edge.Size), append(p.Sequenced, h.time), append(p.Ids, row.ID)
		p.Ats, p.Actions, p.Targets, p.Entries = append(p.Ats, row.At), append(p.Actions, row.Action), append(p.Targets, row.Target), append(p.Entries, row.Entry)
		p.Leaves, p.Privates = append(p.Leaves, leaf[:]), append(p.Privates, row.Private)
		grant := uuid.Nil
		if row.SupportGrantID != nil {
			grant = *row.SupportGrantID
		}
		p.Grants = append(p.Grants, grant)
		h.tiles = append(h.tiles, h.edge.Append(leaf)...)
	}
	if err := tx.InsertEntries(ctx, p); err != nil {
		return nil, fmt.Errorf("insert audit entries: %w", err)
	}
	var to auditq.AdvanceLogsParams
	for _, tenant := range tenants {
		h := heads[tenant]
		to.Tenants, to.Was, to.Sizes = append(to.Tenants, tenant), append(to.Was, h.was), append(to.Sizes, h.edge.Size)
		to.Edges, to.Sequenced = append(to.Edges, h.edge.AppendBinary(nil)), append(to.Sequenced, h.time)
		if err := insertTiles(ctx, tx, tenant, h.tiles); err != nil {
			return nil, err
		}
	}
	switch n, err := tx.AdvanceLogs(ctx, to); {
	case err != nil:
		return nil, fmt.Errorf("advance logs: %w", err)
	case n != int64(len(tenants)):
		return nil, errFork
	}
	return tenants, nil
}

func lockHeads(ctx context.Context, tx *db.AuditTx, tenants []uuid.UUID) (map[uuid.UUID]*head, error) {
	if err := tx.OpenLogs(ctx, auditq.OpenLogsParams{Tenants: tenants, Now: tx.Now()}); err != nil {
		return nil, fmt.Errorf("open logs: %w", err)
	}
	rows, err := tx.LockLogs(ctx, tenants)
	if err != nil {
		return nil, fmt.Errorf("lock logs: %w", err)
	}
	heads := make(map[uuid.UUID]*head, len(rows))
	for _, row := range rows {
		edge, err := merkle.ParseEdge(row.Size, row.Edge)
		if err != nil {
			return nil, fmt.Errorf("log of %s: %w", row.TenantID, err)
		}
		h := &head{was: row.Size, edge: edge, time: tx.Now()}
		if row.SequencedAt.After(h.time) { // a clock that was set back
			h.time = row.SequencedAt
		}
		heads[row.TenantID] = h
	}
	return heads, nil
}

// insertTiles keeps the tiles whose roots are nodes, the lower before the higher.
func insertTiles(ctx context.Context, tx *db.AuditTx, tenant uuid.UUID, nodes []merkle.Node) error {
	for _, node := range nodes {
		var err error
		if level := int16(node.Level/merkle.Height - 1); level == 0 { //nolint:gosec // a tree has 63 levels
			err = tx.InsertLeafTile(ctx, auditq.InsertLeafTileParams{Tenant: tenant, N: node.N, Root: node.Hash[:]})
		} else {
			err = tx.InsertTile(ctx, auditq.InsertTileParams{Tenant: tenant, Level: level, N: node.N, Root: node.Hash[:]})
		}
		if err != nil {
			return fmt.Errorf("insert tile: %w", err)
		}
	}
	return nil
}
