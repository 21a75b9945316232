package trail

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Faults of proofs.
var (
	ErrNotFound = fault.New(fault.NotFound, "AUDIT_EVENT_UNKNOWN", "no such entry of the audit log")
	ErrWaiting  = fault.New(fault.Unavailable, "AUDIT_EVENT_WAITING", "the entry is not yet under a signed checkpoint: try again").WithRetryAfter(time.Second)
	ErrDamaged  = fault.New(fault.Damaged, "AUDIT_LOG_DAMAGED", "the stored audit log is not the one that its checkpoint was signed over: an operator of the installation must look")
	ErrArchived = fault.New(fault.NotFound, "AUDIT_EVENT_ARCHIVED", "the entry is no longer in the database: it is in an archive, if there was one")
	ErrBefore   = fault.New(fault.Precondition, "AUDIT_LOG_ARCHIVED", "the log is no longer in the database from there on: its beginning is in archives")
	ErrSizes    = fault.New(fault.Invalid, "AUDIT_SIZES_INVALID", "from and to are sizes of the log, from 0 on, not beyond the last checkpoint, and from is not greater than to")
)

// damage is ErrDamaged: something was changed past every lock.
func damage(cause error) error { return ErrDamaged.WithCause(cause) }

// Checkpoint is a signed statement about the log.
type Checkpoint struct {
	merkle.Checkpoint

	SignedAt    time.Time
	Note        string // as it was signed
	VerifierKey string // of the log, as signed notes have it
}

// Proof shows that an entry is in the log.
type Proof struct {
	Seq         int64 // its number; the first is 0
	SequencedAt time.Time
	Entry       string // the text that is hashed
	Checkpoint  Checkpoint
	Hashes      []merkle.Hash // audit path, from the leaf's neighbour up (RFC 6962, 2.1.1)
	Private     []Private     // one for each hash that Entry names, in its order
}

// Growth shows that one tree begins with another.
type Growth struct {
	From, To   int64 // entries
	Checkpoint Checkpoint
	Hashes     []merkle.Hash // RFC 6962, 2.1.2
}

// Checkpoint returns the log's last one. ErrWaiting when there is none yet.
func (r *Reader) Checkpoint(ctx context.Context, sc scope.Scope) (Checkpoint, error) {
	var c Checkpoint
	err := r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		c, err = lastCheckpoint(ctx, tx)
		return err
	})
	return c, err
}

func lastCheckpoint(ctx context.Context, tx *db.TenantTx) (Checkpoint, error) {
	head, err := tx.GetAuditLog(ctx)
	if db.IsNoRows(err) || err == nil && head.Checkpoint == nil {
		return Checkpoint{}, ErrWaiting
	} else if err != nil {
		return Checkpoint{}, fmt.Errorf("get audit log: %w", err)
	}
	key, err := note.NewEd25519VerifierKey(*head.Origin, ed25519.PublicKey(head.PublicKey))
	if err != nil {
		return Checkpoint{}, damage(err)
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		return Checkpoint{}, damage(err)
	}
	opened, err := merkle.Open(*head.Checkpoint, v)
	if err != nil {
		return Checkpoint{}, damage(err)
	}
	return Checkpoint{Checkpoint: opened, SignedAt: *head.SignedAt, Note: *head.Checkpoint, VerifierKey: key}, nil
}

// Checkpoints returns those that are kept, one a minute at most, the latest first. It takes
// no filter. listing.ErrFilter, listing.ErrPageToken.
func (r *Reader) Checkpoints(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Checkpoint], error) {
	var page listing.Page[Checkpoint]
	ring, err := r.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	if req.Filter != "" {
		return page, listing.ErrFilter.WithMessage("filter: checkpoints take none")
	}
	query := listing.Query{List: "auditCheckpoints"}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	before := int64(1 << 62)
	if cursor != nil {
		if before, err = parseSize(cursor); err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
	}
	limit := req.Limit()
	err = r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		page = listing.Page[Checkpoint]{}
		last, err := lastCheckpoint(ctx, tx)
		if errors.Is(err, ErrWaiting) {
			return nil
		} else if err != nil {
			return err
		}
		rows, err := tx.ListAuditCheckpoints(ctx, tenantq.ListAuditCheckpointsParams{BeforeSize: before, MaxRows: int32(limit) + 1}) //nolint:gosec // a page
		if err != nil {
			return fmt.Errorf("list checkpoints: %w", err)
		}
		if len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, formatSize(rows[limit-1].Size))
		}
		v, err := note.NewVerifier(last.VerifierKey)
		if err != nil {
			return damage(err)
		}
		for _, row := range rows {
			opened, err := merkle.Open(row.Checkpoint, v)
			if err != nil {
				return damage(err)
			}
			page.Items = append(page.Items, Checkpoint{Checkpoint: opened, SignedAt: row.SignedAt, Note: row.Checkpoint, VerifierKey: last.VerifierKey})
		}
		return nil
	})
	return page, err
}

// Prove shows that an entry is in the tree of the last checkpoint. ErrNotFound, ErrArchived, ErrWaiting, ErrDamaged.
func (r *Reader) Prove(ctx context.Context, sc scope.Scope, id uuid.UUID) (Proof, error) {
	var p Proof
	ring, err := r.keys.Ring(ctx, sc)
	if err != nil {
		return p, fmt.Errorf("keys: %w", err)
	}
	err = r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetAuditEntry(ctx, id)
		if db.IsNoRows(err) {
			return absent(ctx, tx, id)
		} else if err != nil {
			return fmt.Errorf("get audit entry: %w", err)
		}
		if row.Seq < 0 {
			return ErrWaiting
		}
		p = Proof{Seq: row.Seq, SequencedAt: row.SequencedAt, Entry: row.Entry}
		if p.Checkpoint, err = lastCheckpoint(ctx, tx); err != nil {
			return err
		}
		if p.Seq >= p.Checkpoint.Size {
			return ErrWaiting
		}
		hashes, err := tlog.ProveRecord(p.Checkpoint.Size, p.Seq, hashesOf(ctx, tx, p.Checkpoint))
		if err != nil {
			return damaged(err)
		}
		if err := merkle.CheckEntry(p.Checkpoint.Checkpoint, p.Seq, p.Entry, hashes); err != nil {
			return damage(fmt.Errorf("entry %d: %w", p.Seq, err))
		}
		p.Hashes = hashes
		opened, err := OpenPrivate(ctx, tx, ring, []tenantq.FindAuditEntriesRow{{Seq: &row.Seq, ID: id, Entry: row.Entry, Private: row.Private}})
		if err != nil {
			return err
		}
		p.Private = opened[0]
		return nil
	})
	if err != nil {
		return Proof{}, err
	}
	return p, nil
}

func formatSize(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

func parseSize(cursor []byte) (int64, error) { return strconv.ParseInt(string(cursor), 10, 64) }

// Grown shows that the log's first to entries begin with its first from entries: who has kept
// a checkpoint sees that nothing under it has changed. to of 0 means the size of the last
// checkpoint. ErrSizes, ErrWaiting, ErrDamaged.
func (r *Reader) Grown(ctx context.Context, sc scope.Scope, from, to int64) (Growth, error) {
	var g Growth
	err := r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		last, err := lastCheckpoint(ctx, tx)
		if err != nil {
			return err
		}
		g = Growth{From: from, To: to, Checkpoint: last}
		if to == 0 {
			g.To = last.Size
		}
		switch {
		case from < 0 || g.To > last.Size || from > g.To:
			return ErrSizes
		case from == 0 || from == g.To:
			return nil // there is nothing to show
		}
		hashes, err := tlog.ProveTree(g.To, from, hashesOf(ctx, tx, last))
		if err != nil {
			return damaged(err)
		}
		g.Hashes = hashes
		return nil
	})
	if err != nil {
		return Growth{}, err
	}
	return g, nil
}

// damaged tells what was read and is wrong from what could not be read.
func damaged(err error) error {
	if broken, ok := errors.AsType[*readError](err); ok {
		return broken.error
	}
	return damage(err)
}

// readError is one of the database, through tlog.
type readError struct{ error }

// hashesOf reads the tree under a checkpoint, and holds what it reads to the checkpoint's root.
func hashesOf(ctx context.Context, tx *db.TenantTx, c Checkpoint) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, &tiles{ctx: ctx, tx: tx})
}

// tiles are those of one log: tlog.TileReader.
type tiles struct {
	ctx context.Context //nolint:containedctx // of one call
	tx  *db.TenantTx
}

// Height is that of all tiles.
func (t *tiles) Height() int { return merkle.Height }

// SaveTiles keeps nothing: what is complete is stored already.
func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles returns the hashes of each.
func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(wanted))
	for i, tile := range wanted {
		data, err := t.read(tile)
		if err != nil {
			return nil, &readError{err}
		}
		out[i] = data
	}
	return out, nil
}

// read returns a tile: one that is complete is stored; of others, what it would hold is.
func (t *tiles) read(tile tlog.Tile) ([]byte, error) {
	const hash = tlog.HashSize
	stored, err := t.tx.GetAuditTile(t.ctx, tenantq.GetAuditTileParams{Level: int16(tile.L), N: tile.N}) //nolint:gosec // under 8 levels
	if err == nil {
		return stored[:tile.W*hash], nil
	} else if !db.IsNoRows(err) {
		return nil, fmt.Errorf("get tile: %w", err)
	}
	var parts [][]byte
	first := tile.N << merkle.Height
	if tile.L == 0 {
		parts, err = t.tx.ListAuditLeaves(t.ctx, tenantq.ListAuditLeavesParams{FromSeq: first, ToSeq: first + int64(tile.W)})
	} else {
		parts, err = t.tx.ListAuditTileRoots(t.ctx, tenantq.ListAuditTileRootsParams{Level: int16(tile.L - 1), FromN: first, ToN: first + int64(tile.W)}) //nolint:gosec // as above
	}
	if err != nil {
		return nil, fmt.Errorf("list hashes: %w", err)
	}
	data := make([]byte, 0, tile.W*hash)
	for _, part := range parts {
		data = append(data, part...)
	}
	if len(data) != tile.W*hash {
		return nil, damage(fmt.Errorf("%d hashes of %d of tile %s", len(parts), tile.W, tile.Path()))
	}
	return data, nil
}
