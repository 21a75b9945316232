package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/biocore-id/biocore/db/platformq"
)

// erasureLedger is the platform's job of keeping erasures outside of the database.
type erasureLedger struct{}

// Kind implements river.JobArgs.
func (erasureLedger) Kind() string { return "erasure_ledger" }

// erasureLedgerEvery is how long an erasure is in the database alone, where a restore would forget it.
const erasureLedgerEvery = time.Minute

// KeepErasures has store write what is new into the ledger of erasures, once a minute.
func (r *Runner) KeepErasures(store func(ctx context.Context) error) {
	r.sweep(river.NewPeriodicJob(
		river.PeriodicInterval(erasureLedgerEvery),
		func() (river.JobArgs, *river.InsertOpts) {
			return erasureLedger{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: erasureLedgerEvery / 2}}
		},
		&river.PeriodicJobOpts{RunOnStart: true},
	), func(*platformq.Queries) {
		river.AddWorker(r.workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[erasureLedger]) error { return store(ctx) }))
	})
}
