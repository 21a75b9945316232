// Package jobs runs work outside of requests, on the same Postgres (River, in a
// schema and under a role of its own).
//
// A job is inserted in the tenant's transaction that makes it necessary, so that it
// exists exactly if the change does. Its arguments name the tenant and hold ids
// rather than personal data; a worker rebuilds its scope from them and goes through
// the same doors as a request. The queue's table is walled for bc_app: a tenant's
// session can neither see nor make another's jobs.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
)

// maxAttempts is how often a failing job is tried before it is kept as discarded:
// with River's backoff (attempts⁴ seconds) the last try is about an hour in.
const maxAttempts = 8

// Of is what the arguments of a tenant's job embed.
type Of struct {
	TenantID uuid.UUID `json:"tenantId"`
}

// Tenant returns whose job it is.
func (o Of) Tenant() uuid.UUID { return o.TenantID }

// Args are the arguments of a tenant's job: a struct that embeds Of and has a
// method Kind with a name that is never reused. They are JSON in a table: ids only.
type Args interface {
	Kind() string
	Tenant() uuid.UUID
}

// Queue inserts jobs. It is safe for concurrent use.
type Queue struct{ client *river.Client[pgx.Tx] }

// NewQueue returns a queue.
func NewQueue() (*Queue, error) {
	client, err := river.NewClient(riverpgxv5.New(nil), &river.Config{Schema: db.JobSchema, MaxAttempts: maxAttempts})
	if err != nil {
		return nil, fmt.Errorf("job queue: %w", err)
	}
	return &Queue{client: client}, nil
}

// Insert makes args a job if tx commits. The job must be of tx's tenant; Postgres
// refuses another's as well.
func (q *Queue) Insert(ctx context.Context, tx *db.TenantTx, args Args) error {
	return q.insert(ctx, tx, args, nil)
}

// InsertOnce is Insert, unless there is a job of the same kind and arguments that waits,
// runs, or was done within a day.
func (q *Queue) InsertOnce(ctx context.Context, tx *db.TenantTx, args Args) error {
	return q.insert(ctx, tx, args, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}})
}

func (q *Queue) insert(ctx context.Context, tx *db.TenantTx, args Args, opts *river.InsertOpts) error {
	if args.Tenant() != tx.Scope().Tenant() {
		return errors.New("jobs: the arguments name another tenant")
	}
	if _, err := q.client.InsertTx(ctx, tx.Pgx(), args, opts); err != nil {
		return fmt.Errorf("insert job %s: %w", args.Kind(), err)
	}
	return nil
}

// Options configures a Runner.
type Options struct {
	secret.Hidden // the URL holds a password

	URL string       // logs in as bc_jobs; must reach Postgres directly, for LISTEN
	Log *slog.Logger // nil means slog.Default

	// Now is Postgres's time: Store.Now. Required: by a clock that is ahead the
	// housekeeping would drop what still guards against replays.
	Now func() time.Time
}

// Runner works off jobs. Register handlers with Handle, then Run.
type Runner struct {
	url     secret.Text
	log     *slog.Logger
	now     func() time.Time
	workers *river.Workers

	maintainsKeys     bool
	maintainsEvidence bool
	maintainsDomains  bool
	maintainsStats    bool
	periodic          []*river.PeriodicJob
	sweepers          []func(*platformq.Queries) // added when there is a connection
}

// sweep adds a periodic job of the platform's, with the worker that add adds.
func (r *Runner) sweep(job *river.PeriodicJob, add func(*platformq.Queries)) {
	r.periodic, r.sweepers = append(r.periodic, job), append(r.sweepers, add)
}

// NewRunner returns a runner that does the platform's own housekeeping and nothing
// else until handlers are registered.
func NewRunner(o Options) *Runner {
	r := &Runner{url: secret.New(o.URL), log: o.Log, now: o.Now, workers: river.NewWorkers()}
	if r.log == nil {
		r.log = slog.Default()
	}
	return r
}

// Handle registers what to do with jobs of A's kind. fn runs in the job's tenant, as
// a system actor; it may run more than once for one job. An error or a panic is
// tried again, up to maxAttempts times.
func Handle[A Args](r *Runner, fn func(ctx context.Context, sc scope.Scope, args A) error) {
	river.AddWorker(r.workers, river.WorkFunc(func(ctx context.Context, job *river.Job[A]) error { return work(ctx, job, fn) }))
}

// work runs fn in the job's tenant.
func work[A Args](ctx context.Context, job *river.Job[A], fn func(ctx context.Context, sc scope.Scope, args A) error) error {
	sc := scope.New(job.Args.Tenant(), scope.Actor{Kind: scope.ActorSystem, ID: "job:" + job.Args.Kind()})
	if sc.IsZero() {
		return river.JobCancel(errors.New("the job names no tenant"))
	}
	return fn(ctx, sc, job.Args)
}

// GiveUp wraps an error that trying again would not mend: the job ends with it.
func GiveUp(err error) error { return river.JobCancel(err) }

// MaintainKeys has fn look after a tenant's keys, each time that something of them is
// due, a minute late at most.
func (r *Runner) MaintainKeys(fn func(ctx context.Context, sc scope.Scope) error) {
	r.maintainsKeys = true
	Handle(r, func(ctx context.Context, sc scope.Scope, _ KeyMaintenance) error { return fn(ctx, sc) })
}

// Run works until ctx ends, then waits for what is running, at most ten seconds.
func (r *Runner) Run(ctx context.Context) error {
	ctx = db.WithPriority(ctx, db.Patient)
	if r.now == nil {
		return errors.New("jobs: Options.Now is required")
	}
	cfg, err := pgxpool.ParseConfig(r.url.Reveal())
	if err != nil {
		return errors.New("the jobs' database URL cannot be read")
	}
	cfg.MaxConns = 6
	cfg.ConnConfig.RuntimeParams["application_name"] = "biocore jobs"
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("connect as bc_jobs: %w", err)
	}
	defer pool.Close()
	river.AddWorker(r.workers, &housekeeper{queries: platformq.New(pool), now: r.now, log: r.log})
	periodic := append([]*river.PeriodicJob{housekeepingJob()}, r.periodic...)
	if r.maintainsKeys {
		river.AddWorker(r.workers, &keySweeper{queries: platformq.New(pool), log: r.log})
		periodic = append(periodic, keySweepJob())
	}
	if r.maintainsEvidence {
		river.AddWorker(r.workers, &evidenceSweeper{queries: platformq.New(pool), log: r.log})
		periodic = append(periodic, evidenceSweepJob())
	}
	if r.maintainsDomains {
		river.AddWorker(r.workers, &domainSweeper{queries: platformq.New(pool), log: r.log})
		periodic = append(periodic, domainSweepJob())
	}
	if r.maintainsStats {
		river.AddWorker(r.workers, &statsSweeper{queries: platformq.New(pool), now: r.now, log: r.log})
		periodic = append(periodic, statsSweepJob())
	}
	for _, add := range r.sweepers {
		add(platformq.New(pool))
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: db.JobSchema,
		Queues: map[string]river.QueueConfig{
			river.QueueDefault: {MaxWorkers: 4}, exportQueue: {MaxWorkers: exportWorkers},
		},
		Workers:     r.workers,
		MaxAttempts: maxAttempts,
		JobTimeout:  time.Minute,
		// What a killed server has left behind is tried again soon: nothing but exports runs that long.
		RescueStuckJobsAfter: 2 * time.Minute,
		Logger:               r.log,
		ErrorHandler:         failures{r.log},
		// River would reindex its tables at midnight, which only their owner may do.
		ReindexerIndexNames: []string{},
		PeriodicJobs:        periodic,
	})
	if err != nil {
		return fmt.Errorf("job client: %w", err)
	}
	// Start's context ends the work as soon as it ends; Stop lets it finish.
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if client.Stop(stopping) == nil {
		return nil
	}
	// What does not end by itself is canceled, and tried again by another server.
	canceling, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := client.StopAndCancel(canceling); err != nil {
		return fmt.Errorf("stop jobs: %w", err)
	}
	return nil
}

// failures logs what jobs end with. River keeps the error beside the job.
type failures struct{ log *slog.Logger }

// HandleError implements river.ErrorHandler.
func (f failures) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	f.log.WarnContext(ctx, "job failed", "kind", job.Kind, "job_id", job.ID, "attempt", job.Attempt, "err", err)
	return nil
}

// HandlePanic implements river.ErrorHandler.
func (f failures) HandlePanic(ctx context.Context, job *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	f.log.ErrorContext(ctx, "job panicked", "kind", job.Kind, "job_id", job.ID, "attempt", job.Attempt, "err", fmt.Errorf("%v\n%s", value, trace))
	return nil
}
