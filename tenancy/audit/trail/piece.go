package trail

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/private"
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
	next, err := r.write(ctx, sc, out, from, to, func(_ *db.TenantTx, rows []tenantq.ListSequencedEntriesRow) ([][]bundle.Private, error) {
		all := make([][]bundle.Private, len(rows))
		for i := range rows {
			parts, err := private.Split(rows[i].Private)
			if err != nil {
				return nil, damage(fmt.Errorf("entry %d: %w", rows[i].Seq, err))
			}
			for _, p := range parts {
				all[i] = append(all[i], bundle.Private{Sealed: p})
			}
		}
		return all, nil
	})
	if err == nil && next < to {
		err = damage(fmt.Errorf("entries %d to %d are missing", next, to-1))
	}
	return err
}
