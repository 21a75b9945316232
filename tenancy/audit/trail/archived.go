package trail

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Beginning is where the log begins in the database: what is before it is in archives alone.
type Beginning struct {
	Seq   int64     // of the first entry that is there; 0: nothing is gone
	Until time.Time // before, or not long after, all that is gone was sequenced; zero where nothing is
}

// Beginning returns it: no list and no export reaches further back.
func (r *Reader) Beginning(ctx context.Context, sc scope.Scope) (Beginning, error) {
	var b Beginning
	err := r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		b = Beginning{}
		if b.Seq, err = FirstKeptIn(ctx, tx, 0); err != nil || b.Seq == 0 {
			return err
		}
		if b.Until, err = tx.GetAuditArchiveBelow(ctx, b.Seq); err != nil && !db.IsNoRows(err) {
			return fmt.Errorf("get the archive before the log: %w", err)
		}
		return nil
	})
	return b, err
}

// absent says what has become of an entry that is not there. Ids tell when they were minted: one of the time of what is
// in archives alone is there, if it ever was one.
func absent(ctx context.Context, tx *db.TenantTx, id uuid.UUID) error {
	first, err := FirstKeptIn(ctx, tx, 0)
	if err != nil {
		return err
	}
	if first == 0 || id.Version() != 7 {
		return ErrNotFound
	}
	sec, nsec := id.Time().UnixTime()
	at := time.Unix(sec, nsec)
	from, err := tx.GetAuditArchiveOfTime(ctx, tenantq.GetAuditArchiveOfTimeParams{Since: at.Add(-slack), Until: at.Add(slack), Below: first})
	if db.IsNoRows(err) {
		return ErrNotFound
	} else if err != nil {
		return fmt.Errorf("find an archive by time: %w", err)
	}
	return ErrArchived.WithMessage(fmt.Sprintf("the entry is no longer in the database: if there was one, it is in the archive that begins at entry %d, or in the next", from))
}

// there reports whether the log is in the database from a number on: nil, or ErrBefore.
func there(ctx context.Context, tx *db.TenantTx, from int64) error {
	first, err := FirstKeptIn(ctx, tx, 0)
	if err != nil || from >= first {
		return err
	}
	to, err := tx.LastAuditArchive(ctx)
	if db.IsNoRows(err) {
		return nil // it is missing: who checks what is read sees that
	} else if err != nil {
		return fmt.Errorf("last archive: %w", err)
	}
	return ErrBefore.WithMessage(fmt.Sprintf("entries below %d are in archives alone, which have the log up to entry %d: begin at entry %d", first, to-1, to))
}
