package trail

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Sequenced is an entry that stands in the log.
type Sequenced struct {
	Record

	SequencedAt time.Time // does not go back as Seq grows
}

// Sequenced returns up to limit entries of the log from number from on, in its order; none at the end
// of the log. A first number above from says that those between are archived: they are no longer here.
func (r *Reader) Sequenced(ctx context.Context, sc scope.Scope, from int64, limit int) ([]Sequenced, error) {
	ring, err := r.keys.Ring(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	var out []Sequenced
	err = r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListSequencedEntries(ctx, tenantq.ListSequencedEntriesParams{FromSeq: from, ToSeq: math.MaxInt64, MaxRows: int32(limit)}) //nolint:gosec // a page
		if err != nil {
			return fmt.Errorf("list sequenced audit entries: %w", err)
		}
		all, err := records(ctx, tx, ring, found(rows))
		if err != nil {
			return err
		}
		out = make([]Sequenced, len(all))
		for i := range all {
			out[i] = Sequenced{Record: all[i], SequencedAt: rows[i].SequencedAt}
		}
		return nil
	})
	return out, err
}

// Size returns how many entries the log has: the number that the next one gets.
func (r *Reader) Size(ctx context.Context, sc scope.Scope) (size int64, err error) {
	err = r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		size, err = SizeIn(ctx, tx)
		return err
	})
	return size, err
}

// SizeIn is Size in a transaction of the caller's.
func SizeIn(ctx context.Context, tx *db.TenantTx) (int64, error) {
	row, err := tx.GetAuditLog(ctx)
	if db.IsNoRows(err) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("get audit log: %w", err)
	}
	return row.Size, nil
}

// FirstSinceIn returns the number of the first entry that was sequenced at or after since, and the
// size of the log when there is none. Times do not go back in a log: it is found by halving.
func FirstSinceIn(ctx context.Context, tx *db.TenantTx, since time.Time) (int64, error) {
	size, err := SizeIn(ctx, tx)
	if err != nil {
		return 0, err
	}
	low, high := int64(0), size
	for low < high {
		middle := low + (high-low)/2
		row, err := tx.GetSequencedAt(ctx, middle)
		if err != nil && !db.IsNoRows(err) {
			return 0, fmt.Errorf("find an audit entry by time: %w", err)
		}
		if err == nil && row.SequencedAt.Before(since) {
			low = row.Seq + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// SequencedAtIn returns when the first entry from a number on was sequenced; nil at the end of the log.
func SequencedAtIn(ctx context.Context, tx *db.TenantTx, from int64) (*time.Time, error) {
	row, err := tx.GetSequencedAt(ctx, from)
	if db.IsNoRows(err) {
		return nil, nil //nolint:nilnil // documented: the end
	} else if err != nil {
		return nil, fmt.Errorf("get an audit entry's time: %w", err)
	}
	return &row.SequencedAt, nil
}
