package trail

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/audit/private"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// NextPiece answers up to which number the piece goes that begins at from and has most entries of before a time, or
// all there are: to the first checkpoint that is kept over them, so that entries of the minute after may be in it, too. It is the
// same whenever it is asked. 0: there is no entry of before that time any more, or no kept checkpoint over it yet.
func (r *Reader) NextPiece(ctx context.Context, sc scope.Scope, from int64, before time.Time, most int64) (to int64, err error) {
	err = r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		to = 0
		end, err := FirstSinceIn(ctx, tx, before)
		if err != nil || end <= from {
			return err
		}
		if to, err = tx.NextAuditCheckpoint(ctx, min(end, from+most)); err != nil && !db.IsNoRows(err) {
			return fmt.Errorf("find a checkpoint: %w", err)
		}
		return nil
	})
	return to, err
}

// WriteSealed writes the entries from a number on and below to as a bundle in which what is private is sealed as it is in the
// log: once a person is erased, nothing of them can be read of it. to is the size of a kept checkpoint, as NextPiece
// answers it; the bytes are the same each time. ErrSizes, ErrWaiting, ErrDamaged, and what w fails with.
func (r *Reader) WriteSealed(ctx context.Context, sc scope.Scope, from, to int64, w io.Writer) error {
	var h bundle.Header
	if err := r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		h, err = header(ctx, tx, from, to)
		return err
	}); err != nil {
		return err
	}
	out, err := bundle.NewWriter(w, h)
	if err != nil {
		return err
	}
	for next := from; next < to; {
		var rows []tenantq.ListSequencedEntriesRow
		if err := r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			if rows, err = tx.ListSequencedEntries(ctx, tenantq.ListSequencedEntriesParams{FromSeq: next, ToSeq: to, MaxRows: listing.MaxPageSize}); err != nil {
				return fmt.Errorf("list audit entries: %w", err)
			}
			return nil
		}); err != nil {
			return err
		}
		if len(rows) == 0 {
			return damage(fmt.Errorf("entries %d to %d are missing", next, to-1))
		}
		for _, row := range rows {
			parts, err := private.Split(row.Private)
			if err != nil {
				return damage(fmt.Errorf("entry %d: %w", row.Seq, err))
			}
			line := bundle.Line{Seq: row.Seq, SequencedAt: row.SequencedAt, Leaf: merkle.Hash(row.Leaf), Entry: row.Entry}
			for _, p := range parts {
				line.Private = append(line.Private, bundle.Private{Sealed: p})
			}
			if err := out.Write(line); err != nil {
				return err
			}
		}
		next = rows[len(rows)-1].Seq + 1
	}
	return nil
}
