package db

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrSupportMayNot says that Postgres refused what somebody of the staff tried in a tenant
// that let them in: it is more than was granted, or the grant is over.
var ErrSupportMayNot = fault.New(fault.Forbidden, "SUPPORT_MAY_NOT", "support access does not go so far")

const beginReading = "begin read only"

// inSupport runs fn as bc_support, for the person whom sc's tenant has let in. What that
// role sees is decided by Postgres with each statement: by a grant that runs, of this
// tenant, for this person (0034_support.sql). No scope of support reaches another role, so
// no caller need know of it, and none can forget it.
//
// Who may only look gets transactions that only read, but for the record of what they saw.
// Calls of support have no Idempotency-Key: the API knows no support.
func (s *Store) inSupport(ctx context.Context, sc scope.Scope, what purpose, fn func(*TenantTx) error) error {
	how := "begin"
	if what == reading || what == changing && !sc.Support().Acts {
		how = beginReading
	}
	// The id is a uuid's text: scope.ForSupport has formatted it.
	how += `; SELECT set_config('app.actor_id', '` + sc.Actor().ID + `', true)`
	return retry(ctx, func() error {
		return begin(ctx, s.support, how, sc.Tenant(), func(tx pgx.Tx) error {
			return refuseSupport(fn(&TenantTx{Queries: tenantq.New(tx), tx: tx, scope: sc, now: s.Now()}))
		})
	})
}

// refuseSupport makes ErrSupportMayNot of what Postgres refuses: a privilege or a policy
// that is missing, or a write where support may only look.
func refuseSupport(err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && (pe.Code == "42501" || pe.Code == "25006") {
		return ErrSupportMayNot.WithCause(err)
	}
	return err
}
