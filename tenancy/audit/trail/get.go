package trail

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Get returns one entry, wherever it is in the database. ErrNotFound, ErrArchived.
func (r *Reader) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Record, error) {
	ring, err := r.keys.Ring(ctx, sc)
	if err != nil {
		return Record{}, fmt.Errorf("keys: %w", err)
	}
	var rec Record
	err = r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.FindAuditEntries(ctx, tenantq.FindAuditEntriesParams{
			FromID: id, BeforeID: after(id), MaxScanned: 1, MaxRows: 1, Since: minTime, Until: maxTime,
		})
		if err != nil {
			return fmt.Errorf("get audit entry: %w", err)
		}
		if len(rows) == 0 {
			return absent(ctx, tx, id)
		}
		all, err := records(ctx, tx, ring, rows)
		if err == nil {
			rec = all[0]
		}
		return err
	})
	return rec, err
}

// after is the next id; the last of all has none.
func after(id uuid.UUID) uuid.UUID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			return id
		}
	}
	return uuid.Max
}
