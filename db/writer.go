package db

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Group commit: sign-ins of many requests share one transaction, and with it one
// round trip and one flush of the log, without sharing a view: for each tenant the
// transaction holds a pair, set_config(tenant) and then the write of that tenant's
// rows, under the same single-tenant policy as everything else.
//
// A writer takes what waits and never waits for more: while one batch commits, the
// next one gathers. What Postgres refuses is tried again row by row, so that only
// the bad row fails. What was lost with its connection is not tried again: nobody
// knows whether it was committed.

const (
	// maxRows a batch: larger ones save nothing more and make the first row wait for
	// the last. maxRowsPerTenant keeps a pair's nested loops short.
	maxRows          = 64
	maxRowsPerTenant = 16

	// secondWriter is how many sign-ins must wait for a second batch to go out beside
	// the first: below that, splitting costs more than the overlap brings.
	secondWriter = 16

	// maxWriters is how many connections the writers hold: two in the fast lane and
	// one in each slow lane, which come and go.
	maxWriters = 4

	batchDeadline = 2 * time.Second
	drainDeadline = 5 * time.Second

	// patience is how long a sign-in waits for another transaction (a revocation, for
	// one) to let go of its credential. Shorter than a batch's deadline.
	patience = "1000ms"
)

// writerSettings are the writer's session settings. UNNEST can make the planner
// hash-join all of a tenant's credentials, so only index plans are left to it; one
// generic plan serves all batches; and one locked row must not hold a whole batch.
var writerSettings = map[string]string{
	"enable_hashjoin": "off", "enable_mergejoin": "off", "enable_bitmapscan": "off", "enable_seqscan": "off",
	"plan_cache_mode": "force_generic_plan",
	"lock_timeout":    "15ms",
}

// writer is one goroutine that commits sign-ins.
type writer struct {
	lane    lane
	least   int // rows that must wait for it to start
	maxRows int
	awake   chan struct{} // holds one

	pool    *pgxpool.Pool
	clock   func() time.Time
	queue   *signInQueue
	conn    *pgxpool.Conn // nil until needed
	used    time.Time
	lost    *atomic.Int64 // times that the change feed's connection was lost and made again
	seen    int64         // of them, when conn was known to be alive
	batch   []*signInRow
	encoder signInEncoder

	statements [statementCount]*pgconn.StatementDescription // of conn
}

// runWriters commits sign-ins until ctx ends and what waited then is answered.
func (s *Store) runWriters(ctx context.Context) {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var lost atomic.Int64
	s.feed.subscribe(func(_ Change, all bool) {
		if all {
			lost.Add(1)
		}
	})
	var running sync.WaitGroup
	for _, w := range []*writer{
		{lane: laneFast, least: 1, maxRows: maxRows},
		{lane: laneFast, least: secondWriter, maxRows: maxRows},
		{lane: laneAlone, least: 1, maxRows: 1},
		{lane: lanePatient, least: 1, maxRows: 1},
	} {
		w.pool, w.queue, w.clock, w.lost, w.awake = s.writer, s.signIns, s.clock, &lost, make(chan struct{}, 1)
		running.Go(func() { w.run(working) })
	}
	<-ctx.Done()
	s.signIns.close()
	late := time.AfterFunc(drainDeadline, stop) // Postgres hangs: the rest fails
	defer late.Stop()
	running.Wait()
}

func (w *writer) run(ctx context.Context) {
	for {
		if w.batch = w.queue.take(w, w.batch[:0]); len(w.batch) == 0 {
			break
		}
		slices.SortFunc(w.batch, byTenantAndCredential)
		w.commit(ctx)
		clear(w.batch)
		if w.lane != laneFast {
			w.release() // the slow lanes are nearly always empty
		}
	}
	w.release()
}

// byTenantAndCredential brings a tenant's rows together, and has concurrent
// transactions lock credentials in one order.
func byTenantAndCredential(a, b *signInRow) int {
	if c := bytes.Compare(a.tenant[:], b.tenant[:]); c != 0 {
		return c
	}
	return bytes.Compare(a.CredentialID, b.CredentialID)
}

// commit writes the batch in one transaction and answers each row after its
// commit, or sends it on to a slower lane.
func (w *writer) commit(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, batchDeadline)
	defer cancel()
	rows := w.batch
	for _, r := range rows {
		r.outcome = SignInOutcome{}
	}
	err := w.write(ctx, rows)
	if next, again := w.after(ctx, err); again {
		w.queue.retry(next, rows)
		return
	}
	if err != nil {
		err = w.failure(err)
	}
	w.queue.finish(rows, err)
	for _, r := range rows {
		if err != nil {
			r.reply(SignInOutcome{}, err)
			continue
		}
		r.reply(r.outcome, nil)
	}
}

// after says to which lane a batch goes that Postgres has refused and rolled back.
func (w *writer) after(ctx context.Context, err error) (lane, bool) {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || w.conn == nil || w.conn.Conn().IsClosed() {
		return 0, false
	}
	locked := pe.Code == "55P03" || lostRace(err)
	switch {
	case pe.Code == "25006": // after a failover the connection still leads to the old primary
		w.abandon(ctx)
		return 0, false
	case w.lane == laneFast && len(w.batch) > 1:
		return laneAlone, true
	case w.lane != lanePatient && locked:
		return lanePatient, true
	}
	return 0, false
}

// failure is what the requests are told. Nothing of a batch is acknowledged unless
// its commit was.
func (w *writer) failure(err error) error {
	if w.conn == nil || w.conn.Conn().IsClosed() || errors.Is(err, context.Canceled) {
		return ErrUnavailable.WithCause(err)
	}
	return classify(err)
}

// connect sees to it that there is a connection that was alive a moment ago.
func (w *writer) connect(ctx context.Context) (*pgconn.PgConn, error) {
	lost := w.lost.Load()
	if w.conn != nil {
		pg := w.conn.Conn().PgConn()
		// Postgres may have closed it while nobody signed in. Asking costs no round
		// trip but a millisecond, so only after a pause, or when another connection was lost.
		if !pg.IsClosed() && (lost == w.seen && w.clock().Sub(w.used) < time.Second || pg.CheckConn() == nil) { //nolint:staticcheck // deprecated for Ping, which is the round trip that this saves
			w.seen = lost
			return pg, nil
		}
		w.release()
	}
	conn, err := w.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	for i, s := range signInStatements {
		if w.statements[i], err = conn.Conn().Prepare(ctx, s.name, s.sql); err != nil {
			conn.Release()
			return nil, err
		}
	}
	w.conn, w.seen = conn, lost
	return conn.Conn().PgConn(), nil
}

func (w *writer) release() {
	if w.conn != nil {
		w.conn.Release() // destroys a closed connection
		w.conn = nil
	}
}

// abandon is release for a connection that nobody should use again.
func (w *writer) abandon(ctx context.Context) {
	if w.conn != nil {
		_ = w.conn.Conn().Close(ctx)
		w.release()
	}
}
