package trail

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Unproven is a number of the log that no proof was made for.
type Unproven struct {
	Seq int64
	Why string
}

// ProveNumbers shows that the entries of some numbers are in the tree of the last checkpoint, in their order and without what is
// private of them. What cannot be shown, whatever was done to the log, is named and is no error. ErrWaiting when nothing is signed yet.
func (r *Reader) ProveNumbers(ctx context.Context, sc scope.Scope, numbers []int64) (c Checkpoint, proofs []Proof, unproven []Unproven, err error) {
	err = r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		proofs, unproven = nil, nil // this may be the second run
		if c, err = lastCheckpoint(ctx, tx); err != nil {
			return err
		}
		hashes := hashesOf(ctx, tx, c)
		for _, seq := range numbers {
			p, why, err := proveNumber(ctx, tx, c, hashes, seq)
			if err != nil {
				return err
			}
			if why != "" {
				unproven = append(unproven, Unproven{seq, why})
				continue
			}
			proofs = append(proofs, p)
		}
		return nil
	})
	return c, proofs, unproven, err
}

func proveNumber(ctx context.Context, tx *db.TenantTx, c Checkpoint, hashes tlog.HashReader, seq int64) (p Proof, why string, err error) {
	if seq >= c.Size {
		return p, "it came after the last checkpoint", nil
	}
	rows, err := tx.ListSequencedEntries(ctx, tenantq.ListSequencedEntriesParams{FromSeq: seq, ToSeq: seq + 1, MaxRows: 1})
	if err != nil {
		return p, "", fmt.Errorf("list audit entries: %w", err)
	}
	if len(rows) == 0 {
		return p, "it is not in the database", nil
	}
	path, err := tlog.ProveRecord(c.Size, seq, hashes)
	if broken, is := errors.AsType[*readError](err); is && !errors.Is(broken.error, ErrDamaged) {
		return p, "", broken.error
	} else if err != nil {
		return p, "the stored tree is not the one that the checkpoint was signed over", nil //nolint:nilerr // that is the answer
	}
	if merkle.CheckEntry(c.Checkpoint, seq, rows[0].Entry, path) != nil {
		return p, "it is not what the log has the hash of", nil //nolint:nilerr // as above
	}
	return Proof{Seq: seq, SequencedAt: rows[0].SequencedAt, Entry: rows[0].Entry, Checkpoint: c, Hashes: path}, "", nil
}
