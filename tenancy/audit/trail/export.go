package trail

import (
	"context"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// maxKept bounds how many kept checkpoints a bundle carries: those of a week without a pause.
const maxKept = 10_000

// Export writes the entries from number from on, up to the last checkpoint, as a bundle: what package
// bundle checks. That it was done is an entry of its own. ErrSizes when there is nothing from there on, ErrBefore when it
// begins in archives, ErrWaiting when nothing is signed yet, ErrDamaged, and what w fails with.
func (r *Reader) Export(ctx context.Context, sc scope.Scope, from int64, w io.Writer) error {
	var h bundle.Header
	err := r.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if h, err = header(ctx, tx, from, 0); err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{
			Action: "auditlog.export", Target: audit.Target{Kind: "auditlog", ID: sc.Tenant().String()},
			Detail: []attr.Attr{attr.Int("from", h.From), attr.Int("to", h.To)},
		})
	})
	if err != nil {
		return err
	}
	ring, err := r.keys.Ring(ctx, sc)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	out, err := bundle.NewWriter(w, h)
	if err != nil {
		return err
	}
	_, err = r.write(ctx, sc, out, h.From, h.To, func(tx *db.TenantTx, rows []tenantq.ListSequencedEntriesRow) ([][]bundle.Private, error) {
		opened, err := OpenPrivate(ctx, tx, ring, found(rows))
		all := make([][]bundle.Private, len(opened))
		for i := range opened {
			for _, p := range opened[i] {
				all[i] = append(all[i], bundle.Private{Text: p.Text})
			}
		}
		return all, err
	})
	return err // what is missing, the bundle's check tells
}

// write writes the entries from a number on and below to, some at a time. told answers what is private of each, in the transaction that has
// read them. It answers the number up to which there was an entry.
func (r *Reader) write(
	ctx context.Context, sc scope.Scope, out *bundle.Writer, from, to int64, told func(*db.TenantTx, []tenantq.ListSequencedEntriesRow) ([][]bundle.Private, error),
) (next int64, err error) {
	for next = from; next < to; {
		var rows []tenantq.ListSequencedEntriesRow
		var parts [][]bundle.Private
		if err := r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			if rows, err = tx.ListSequencedEntries(ctx, tenantq.ListSequencedEntriesParams{FromSeq: next, ToSeq: to, MaxRows: listing.MaxPageSize}); err != nil {
				return fmt.Errorf("list audit entries: %w", err)
			}
			parts, err = told(tx, rows)
			return err
		}); err != nil || len(rows) == 0 {
			return next, err
		}
		for i := range rows {
			row := &rows[i]
			if err := out.Write(bundle.Line{Seq: row.Seq, SequencedAt: row.SequencedAt, Leaf: merkle.Hash(row.Leaf), Entry: row.Entry, Private: parts[i]}); err != nil {
				return next, err
			}
			next = row.Seq + 1
		}
	}
	return next, nil
}

func found(rows []tenantq.ListSequencedEntriesRow) []tenantq.FindAuditEntriesRow {
	out := make([]tenantq.FindAuditEntriesRow, len(rows))
	for i := range rows {
		row := &rows[i]
		out[i] = tenantq.FindAuditEntriesRow{Seq: &row.Seq, ID: row.ID, At: row.At, Action: row.Action, Entry: row.Entry, Private: row.Private}
	}
	return out
}

// header is that of the entries from a number on and below to, which is the size of a kept checkpoint; 0: to the last one.
func header(ctx context.Context, tx *db.TenantTx, from, to int64) (bundle.Header, error) {
	last, err := lastCheckpoint(ctx, tx)
	if err != nil {
		return bundle.Header{}, err
	}
	whole := to == 0
	if whole {
		to = last.Size
	}
	if from < 0 || from >= to || to > last.Size {
		return bundle.Header{}, ErrSizes
	}
	if err := there(ctx, tx, from); err != nil {
		return bundle.Header{}, err
	}
	h := bundle.Header{TenantID: tx.Scope().Tenant().String(), Origin: last.Origin, VerifierKey: last.VerifierKey, From: from, To: to, Edge: []merkle.Hash{}}
	if indexes := subtrees(from); len(indexes) > 0 {
		if h.Edge, err = hashesOf(ctx, tx, last).ReadHashes(indexes); err != nil {
			return bundle.Header{}, damaged(err)
		}
	}
	if whole { // it may be kept, or not yet
		h.Checkpoints = append(h.Checkpoints, last.Note)
		to--
	}
	rows, err := tx.ListAuditCheckpointsWithin(ctx, tenantq.ListAuditCheckpointsWithinParams{FromSize: from, ToSize: to, MaxRows: maxKept})
	if err != nil {
		return bundle.Header{}, fmt.Errorf("list checkpoints: %w", err)
	}
	for _, row := range rows { // the latest first
		h.Checkpoints = append(h.Checkpoints, row.Checkpoint)
	}
	slices.Reverse(h.Checkpoints)
	return h, nil
}

// subtrees are where tlog stores the roots of the complete subtrees of a tree of this size,
// the largest first.
func subtrees(size int64) []int64 {
	var all []int64
	for at, left := int64(0), size; left > 0; {
		level := bits.Len64(uint64(left)) - 1
		all = append(all, tlog.StoredHashIndex(level, at>>level))
		at += 1 << level
		left -= 1 << level
	}
	return all
}
