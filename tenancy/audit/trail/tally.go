package trail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
)

// Tally is how often an action ended in one way in a piece of the log.
type Tally struct {
	Action      string
	Outcome     audit.Outcome
	Count       int64
	First, Last int64 // numbers
}

// tallyStep is how many entries one query looks at, so that none runs for long.
const tallyStep = 50_000

// TallyIn counts the entries from number from on and before number to, by action and outcome. note is called after
// each piece; its error ends the count. Actions come in no order.
func TallyIn(ctx context.Context, tx *db.TenantTx, from, to int64, note func() error) ([]Tally, error) {
	type key struct{ action, outcome string }
	found := map[key]*Tally{}
	for at := from; at < to; at += tallyStep {
		rows, err := tx.TallyAuditEntries(ctx, tenantq.TallyAuditEntriesParams{FromSeq: at, ToSeq: min(at+tallyStep, to)})
		if err != nil {
			return nil, fmt.Errorf("tally audit entries: %w", err)
		}
		for _, row := range rows {
			k := key{row.Action, row.Outcome}
			t := found[k]
			if t == nil {
				t = &Tally{Action: row.Action, Outcome: audit.Outcome(row.Outcome), First: row.FirstSeq}
				found[k] = t
			}
			t.Count += row.N
			t.Last = row.LastSeq
		}
		if err := note(); err != nil {
			return nil, err
		}
	}
	all := make([]Tally, 0, len(found))
	for _, t := range found {
		all = append(all, *t)
	}
	return all, nil
}

// OfActionsIn returns up to limit entries of some actions from number from on and before number to, in the log's
// order and without what is private of them.
func OfActionsIn(ctx context.Context, tx *db.TenantTx, from, to int64, actions []string, limit int) ([]Record, error) {
	found, err := tx.ListActionsOfAuditEntries(ctx, tenantq.ListActionsOfAuditEntriesParams{FromSeq: from, ToSeq: to, Actions: actions, MaxRows: int32(limit)}) //nolint:gosec // some hundreds
	if err != nil {
		return nil, fmt.Errorf("list audit entries of actions: %w", err)
	}
	all := make([]Record, len(found))
	for i := range found {
		row := &found[i]
		if all[i], err = read(&tenantq.FindAuditEntriesRow{Seq: &row.Seq, ID: row.ID, At: row.At, Action: row.Action, Entry: row.Entry}, nil); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Rehashed is what came of holding entries to their hashes.
type Rehashed struct {
	Entries int64 // that were there
	Missing int64 // numbers between without an entry: archived, or gone
	Damaged int64 // entries that are not what their leaf is the hash of
}

// rehashStep is how many entries are in memory at a time: a kilobyte or so each.
const rehashStep = 2000

// RehashIn computes the leaf of each entry from number from on and before number to, and compares it with the one
// that is stored. note is as that of TallyIn.
func RehashIn(ctx context.Context, tx *db.TenantTx, from, to int64, note func() error) (Rehashed, error) {
	var r Rehashed
	for next := from; next < to; {
		rows, err := tx.ListSequencedEntries(ctx, tenantq.ListSequencedEntriesParams{FromSeq: next, ToSeq: to, MaxRows: rehashStep})
		if err != nil {
			return r, fmt.Errorf("list audit entries: %w", err)
		}
		for i := range rows {
			row := &rows[i]
			if leaf := merkle.Leaf(row.Seq, row.Entry); string(leaf[:]) != string(row.Leaf) {
				r.Damaged++
			}
			next = row.Seq + 1
		}
		r.Entries += int64(len(rows))
		if err := note(); err != nil {
			return r, err
		}
		if len(rows) < rehashStep {
			break
		}
	}
	r.Missing = to - from - r.Entries
	return r, nil
}

// CheckpointsIn returns up to limit kept checkpoints that were signed from since on and before until, the oldest
// first, and how many of them the log's own key has not signed.
func CheckpointsIn(ctx context.Context, tx *db.TenantTx, since, until time.Time, limit int) (signed []Checkpoint, unsigned int, err error) {
	last, err := lastCheckpoint(ctx, tx)
	if errors.Is(err, ErrWaiting) {
		return nil, 0, nil
	} else if err != nil {
		return nil, 0, err
	}
	v, err := note.NewVerifier(last.VerifierKey)
	if err != nil {
		return nil, 0, damage(err)
	}
	rows, err := tx.ListAuditCheckpointsBetween(ctx, tenantq.ListAuditCheckpointsBetweenParams{Since: since, Until: until, MaxRows: int32(limit)}) //nolint:gosec // a month of minutes
	if err != nil {
		return nil, 0, fmt.Errorf("list checkpoints: %w", err)
	}
	for _, row := range rows {
		opened, err := merkle.Open(row.Checkpoint, v)
		if err != nil || opened.Size != row.Size {
			unsigned++
			continue
		}
		signed = append(signed, Checkpoint{Checkpoint: opened, SignedAt: row.SignedAt, Note: row.Checkpoint, VerifierKey: last.VerifierKey})
	}
	return signed, unsigned, nil
}

// RootHoldsIn reports whether the tree that is stored has the root that a checkpoint of it says: false is damage.
func RootHoldsIn(ctx context.Context, tx *db.TenantTx, c Checkpoint) (bool, error) {
	if c.Size == 0 {
		return true, nil
	}
	last, err := lastCheckpoint(ctx, tx)
	if err != nil {
		return false, err
	}
	root, err := tlog.TreeHash(c.Size, hashesOf(ctx, tx, last))
	if err != nil {
		if err := damaged(err); !errors.Is(err, ErrDamaged) {
			return false, err
		}
		return false, nil
	}
	return root == c.Root, nil
}

// FirstKeptIn returns the number of the first entry from a number on that is not archived, and the size of the log
// when there is none.
func FirstKeptIn(ctx context.Context, tx *db.TenantTx, from int64) (int64, error) {
	row, err := tx.GetSequencedAt(ctx, from)
	if db.IsNoRows(err) {
		return SizeIn(ctx, tx)
	} else if err != nil {
		return 0, fmt.Errorf("find the first audit entry: %w", err)
	}
	return row.Seq, nil
}
