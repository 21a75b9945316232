package db

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db/auditq"
)

// AuditTx is one transaction of bc_audit: it takes entries out of the inbox of every tenant and
// appends them to their logs, which nobody else may, and it reads and writes nothing else.
type AuditTx struct {
	*auditq.Queries
	now time.Time
}

// Now is one instant for the whole transaction (Store.Now when it began).
func (tx *AuditTx) Now() time.Time { return tx.now }

// InAudit runs fn in a transaction of the sequencer. fn may run twice. Errors are InTenant's.
func (s *Store) InAudit(ctx context.Context, fn func(*AuditTx) error) error {
	return retry(ctx, func() error {
		return begin(ctx, s.audit, "begin", uuid.Nil, func(tx pgx.Tx) error {
			return fn(&AuditTx{Queries: auditq.New(tx), now: s.Now()})
		})
	})
}
