package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// EvidenceMaintenance is the job of moving and removing one tenant's evidence. The
// sweep makes it for each tenant of which something is due.
type EvidenceMaintenance struct{ Of }

// Kind implements Args.
func (EvidenceMaintenance) Kind() string { return "evidence_maintenance" }

// evidenceSweep finds the tenants with evidence that something is due of: the
// platform's job, as housekeeping is.
type evidenceSweep struct{}

// Kind implements river.JobArgs.
func (evidenceSweep) Kind() string { return "evidence_sweep" }

const (
	// evidenceSweepEvery is how long a record waits in Postgres, where it is as safe.
	evidenceSweepEvery = time.Minute
	evidenceSweepMax   = 500
)

// MaintainEvidence has fn look after a tenant's evidence, each time that something of it
// is due, a minute late at most.
func (r *Runner) MaintainEvidence(fn func(ctx context.Context, sc scope.Scope) error) {
	r.maintainsEvidence = true
	Handle(r, func(ctx context.Context, sc scope.Scope, _ EvidenceMaintenance) error { return fn(ctx, sc) })
}

func evidenceSweepJob() *river.PeriodicJob {
	return river.NewPeriodicJob(
		river.PeriodicInterval(evidenceSweepEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return evidenceSweep{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: evidenceSweepEvery / 2}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	)
}

type evidenceSweeper struct {
	river.WorkerDefaults[evidenceSweep]
	queries *platformq.Queries
	log     *slog.Logger
}

// Work implements river.Worker.
func (s *evidenceSweeper) Work(ctx context.Context, _ *river.Job[evidenceSweep]) error {
	tenants, err := s.queries.ListTenantsWithEvidenceDue(ctx, evidenceSweepMax)
	if err != nil {
		return fmt.Errorf("list tenants with evidence due: %w", err)
	}
	if len(tenants) == 0 {
		return nil
	}
	if err := maintain(ctx, tenants, func(of Of) river.JobArgs { return EvidenceMaintenance{of} }); err != nil {
		return fmt.Errorf("insert evidence maintenance: %w", err)
	}
	s.log.DebugContext(ctx, "evidence is due", "count", len(tenants))
	return nil
}
