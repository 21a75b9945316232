package trail

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Mentions are the entries of the log that name somebody's id.
type Mentions struct {
	Entries     int64
	First, Last int64 // their numbers; -1 when there is none
}

// Mentions counts, for each number of below, the entries before it that name person: who acted, was acted for, or was
// acted on. It reads all of the tenant's log that is in the database, once: begins is the first number there, before which
// entries are in archives alone.
func (r *Reader) Mentions(ctx context.Context, sc scope.Scope, person uuid.UUID, below []int64) (out []Mentions, begins int64, err error) {
	out = make([]Mentions, len(below))
	err = r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.CountAuditEntriesOfPerson(ctx, tenantq.CountAuditEntriesOfPersonParams{Below: below, Person: person.String()})
		if err != nil {
			return fmt.Errorf("count a person's audit entries: %w", err)
		}
		for i, row := range rows {
			out[i] = Mentions{Entries: row.Entries, First: row.FirstSeq, Last: row.LastSeq}
			begins = row.Begins
		}
		if begins < 0 || len(below) == 0 {
			begins, err = FirstKeptIn(ctx, tx, 0)
		}
		return err
	})
	return out, begins, err
}
