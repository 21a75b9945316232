// Package retention removes what a tenant's policy says is not to be kept any longer:
// ceremonies and evaluations of risk, and sessions that are over. The evidence of registrations has retention of
// its own (authcore/evidence); the audit log is kept for as long as the tenant.
package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const (
	// batch bounds a transaction: some tens of milliseconds of deleting.
	batch = 5_000
	// longest is for how long one Apply goes on; the next one finds what is left. A job has
	// a minute.
	longest = 40 * time.Second
)

// Options is what a Service needs.
type Options struct {
	Store *db.Store
	// Policy is the tenant's as it is now.
	Policy func(ctx context.Context, sc scope.Scope) (policy.Document, error)
}

// Service removes. It is safe for concurrent use.
type Service struct {
	o     Options
	batch int32
}

// New returns a Service.
func New(o Options) *Service { return &Service{o: o, batch: batch} }

// Apply removes what is due. Ceremonies go by whole days (UTC), so that no hour that was
// counted is left in part. Each transaction says in the audit log how much it removed. It may
// be run at any time, by several servers at once, and again after a failure.
func (s *Service) Apply(ctx context.Context, sc scope.Scope) error {
	document, err := s.o.Policy(ctx, sc)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	now := s.o.Store.Now()
	until := now.Add(longest)
	if keep := document.CeremonyRetention(); keep > 0 {
		before := now.Add(-keep).Truncate(24 * time.Hour)
		if err := s.ceremonies(ctx, sc, before, until); err != nil {
			return fmt.Errorf("remove ceremonies: %w", err)
		}
		if err := s.evaluations(ctx, sc, before, until); err != nil {
			return fmt.Errorf("remove evaluations of risk: %w", err)
		}
	}
	if keep := document.SessionRetention(); keep > 0 {
		if err := s.sessions(ctx, sc, now.Add(-keep), until); err != nil {
			return fmt.Errorf("remove sessions: %w", err)
		}
	}
	return nil
}

func (s *Service) ceremonies(ctx context.Context, sc scope.Scope, before, until time.Time) error {
	for s.o.Store.Now().Before(until) {
		var n int64
		err := s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			if n, err = tx.RemoveCeremonies(ctx, tenantq.RemoveCeremoniesParams{Before: before, MaxRows: s.batch}); err != nil {
				return err
			}
			return note(ctx, tx, "ceremony", n, before)
		})
		if err != nil || n < int64(s.batch) {
			return err
		}
	}
	return nil
}

// evaluations are kept as long as ceremonies: they are decisions of the same kind.
func (s *Service) evaluations(ctx context.Context, sc scope.Scope, before, until time.Time) error {
	for s.o.Store.Now().Before(until) {
		var n int64
		err := s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			if n, err = tx.RemoveRiskEvaluations(ctx, tenantq.RemoveRiskEvaluationsParams{BeforeID: db.FirstID(before), MaxRows: s.batch}); err != nil {
				return err
			}
			return note(ctx, tx, "risk_evaluation", n, before)
		})
		if err != nil || n < int64(s.batch) {
			return err
		}
	}
	return nil
}

func (s *Service) sessions(ctx context.Context, sc scope.Scope, before, until time.Time) error {
	for after := uuid.Nil; s.o.Store.Now().Before(until); {
		last, more := after, false
		err := s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
			row, err := tx.RemoveSessions(ctx, tenantq.RemoveSessionsParams{AfterID: after, BeforeID: db.FirstID(before), Before: before, MaxRows: s.batch})
			if db.IsNoRows(err) {
				more = false
				return nil
			} else if err != nil {
				return err
			}
			last, more = row.LastID, true
			return note(ctx, tx, "session", row.Removed, before)
		})
		if err != nil || !more {
			return err
		}
		after = last
	}
	return nil
}

// note says in the audit log what was removed.
func note(ctx context.Context, tx *db.TenantTx, kind string, n int64, before time.Time) error {
	if n == 0 {
		return nil
	}
	return audit.Append(ctx, tx, audit.Entry{
		Action: kind + ".expire", Reason: "its retention has ended", Detail: []attr.Attr{attr.Int("count", n), attr.Text("before", before.Format(time.RFC3339))},
	})
}
