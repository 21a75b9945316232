package user

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Lists by the last sign-in need an index of it, and a sign-in that wrote one would cost
// everybody what few look at. So the sessions that came since are taken in when such a list
// is asked for: nobody pays for a list that nobody reads (ADR 0042).
const (
	foldRows    = 5_000 // sessions of one statement, some 15 ms
	foldBatches = 8     // of one list; more is left to a job
	// foldAgain is how far back sessions are looked at again: one that was minted may be
	// committed this much later than its neighbours, at most a request's deadline.
	foldAgain = time.Minute
	// foldPatience is how long the job may take before another one is made.
	foldPatience = 10 * time.Minute
)

// foldJob takes in what a list left.
type foldJob struct{ jobs.Of }

// Kind implements jobs.Args.
func (foldJob) Kind() string { return "user_sign_ins" }

// Handle registers the service's jobs.
func (s *Service) Handle(r *jobs.Runner) {
	jobs.Handle(r, func(ctx context.Context, sc scope.Scope, _ foldJob) error {
		for {
			var left bool
			err := s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) (err error) {
				left, err = takeIn(ctx, tx, nil)
				return err
			})
			if err != nil || !left {
				return err
			}
		}
	})
}

// takeSignIns takes in what has been signed in since somebody asked last.
func (s *Service) takeSignIns(ctx context.Context, sc scope.Scope) error {
	return s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		_, err := takeIn(ctx, tx, s.queue)
		return err
	})
}

// takeIn moves users' last sign-ins forward by the sessions that came since the mark, up to
// foldBatches of them, and reports whether any are left. A queue is given a job for those.
func takeIn(ctx context.Context, tx *db.TenantTx, queue *jobs.Queue) (left bool, err error) {
	if err := tx.InsertSignInMark(ctx); err != nil {
		return false, fmt.Errorf("insert mark: %w", err)
	}
	mark, err := tx.LockSignInMark(ctx)
	if err != nil {
		return false, fmt.Errorf("lock mark: %w", err)
	}
	at := mark.SessionID
	left = true
	for range foldBatches {
		row, err := tx.FoldSignIns(ctx, tenantq.FoldSignInsParams{AfterID: at, MaxRows: foldRows})
		if err != nil {
			return false, fmt.Errorf("take in sign-ins: %w", err)
		}
		if at = row.LastID; row.Sessions < foldRows {
			left = false
			break
		}
	}
	if again := firstID(tx.Now().Add(-foldAgain)); bytes.Compare(again[:], at[:]) < 0 {
		at = again
	}
	ordered := mark.OrderedAt
	if !left {
		ordered = nil
	} else if queue != nil && (ordered == nil || tx.Now().Sub(*ordered) > foldPatience) {
		now := tx.Now()
		ordered = &now
		if err := queue.Insert(ctx, tx, foldJob{jobs.Of{TenantID: tx.Scope().Tenant()}}); err != nil {
			return false, err
		}
	}
	if err := tx.SetSignInMark(ctx, tenantq.SetSignInMarkParams{SessionID: at, OrderedAt: ordered}); err != nil {
		return false, fmt.Errorf("set mark: %w", err)
	}
	return left, nil
}

// firstID is the lowest UUIDv7 of t's millisecond.
func firstID(t time.Time) (id uuid.UUID) {
	ms := uint64(max(t.UnixMilli(), 0))
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i)) //nolint:gosec // one byte at a time
	}
	return id
}
