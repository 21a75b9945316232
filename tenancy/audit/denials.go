package audit

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Denials records refusals, each in a transaction of its own, since the refused
// call's rolls back. Whoever can be refused can be refused in a loop, so each
// minute only the first perMinute alike (one tenant, actor, action and fault) are
// recorded one by one; the rest are counted, and Run records each count as one entry
// with detail.count when the minute is over. Counts are this process's: kill -9
// loses those of the running minute.
//
// Record only what concerns a tenant that is known to exist; a made-up tenant has no log.
type Denials struct {
	store     *db.Store
	log       *slog.Logger
	perMinute int

	mu     sync.Mutex
	counts map[denialKey]*denialCount
}

// DenialsOptions configures Denials.
type DenialsOptions struct {
	Store     *db.Store    // required
	Log       *slog.Logger // nil means slog.Default
	PerMinute int          // recorded one by one; 0 means 10
}

// maxDenialKeys bounds the memory that one minute takes. Past it, denials are counted by
// tenant alone; tenants exist, so there are not too many of them.
const maxDenialKeys = 10_000

type denialKey struct {
	tenant        uuid.UUID
	actor         scope.Actor
	action, fault string
}

// Also is what else is written of a denial, in its transaction. Both may run twice.
type Also struct {
	// One writes of a denial that is recorded by itself.
	One func(ctx context.Context, tx *db.TenantTx) error
	// Rest writes of those of a minute that were only counted. It is kept until the
	// minute is over, so it should hold on to little.
	Rest func(ctx context.Context, tx *db.TenantTx, count int) error
}

type denialCount struct {
	scope   scope.Scope // of the first past the cap: no origin, since the rest had others
	entry   Entry
	rest    func(ctx context.Context, tx *db.TenantTx, count int) error
	seen    int
	skipped int
}

// NewDenials returns a recorder. Call Run, or counts are never recorded.
func NewDenials(o DenialsOptions) *Denials {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.PerMinute == 0 {
		o.PerMinute = 10
	}
	return &Denials{store: o.Store, log: o.Log, perMinute: o.PerMinute, counts: map[denialKey]*denialCount{}}
}

// Record records that e was refused to sc's actor. e's zero Outcome means Denied.
// The refusal stands whether or not it could be recorded: an error is logged here,
// and not returned, since a caller has nothing better to answer than the refusal.
func (d *Denials) Record(ctx context.Context, sc scope.Scope, e Entry) {
	d.RecordWith(ctx, sc, e, Also{})
}

// RecordWith is Record, and writes what else belongs to it; its nil functions are not called.
func (d *Denials) RecordWith(ctx context.Context, sc scope.Scope, e Entry, also Also) {
	if e.Outcome == "" {
		e.Outcome = Denied
	}
	if !d.admit(sc, e, also.Rest) {
		return
	}
	// The client may have hung up on its refusal; that must not spare it the entry.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	d.write(ctx, sc, e, also.One)
}

func (d *Denials) write(ctx context.Context, sc scope.Scope, e Entry, also func(context.Context, *db.TenantTx) error) {
	err := d.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		if also != nil {
			if err := also(ctx, tx); err != nil {
				return err
			}
		}
		return Append(ctx, tx, e)
	})
	if err != nil {
		d.log.ErrorContext(ctx, "denial not recorded", "err", err, "tenant", sc.Tenant(), "reason", e.Fault)
	}
}

// admit counts e and reports whether it is to be recorded by itself.
func (d *Denials) admit(sc scope.Scope, e Entry, rest func(context.Context, *db.TenantTx, int) error) bool {
	key := denialKey{tenant: sc.Tenant(), actor: sc.Actor(), action: e.Action, fault: e.Fault}
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.counts[key]
	if !ok && len(d.counts) >= maxDenialKeys {
		key = denialKey{tenant: sc.Tenant(), action: "denial.many"}
		e, rest = Entry{Action: key.action, Outcome: Denied}, nil
		sc = scope.New(sc.Tenant(), scope.Actor{Kind: scope.ActorSystem, ID: "audit"})
		c, ok = d.counts[key]
	}
	if !ok {
		c = &denialCount{scope: sc.WithOrigin(scope.Origin{}), entry: e, rest: rest}
		d.counts[key] = c
	}
	if c.seen++; c.seen <= d.perMinute && key.actor.Kind != "" {
		return true
	}
	c.skipped++
	return false
}

// Run records, each minute and when ctx ends, how many denials were not recorded one
// by one. It returns nil when ctx ends.
func (d *Denials) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			d.flush(last)
			return nil
		}
	}
}

// flush begins a new minute and records the counts of the last one.
func (d *Denials) flush(ctx context.Context) {
	d.mu.Lock()
	counts := d.counts
	d.counts = map[denialKey]*denialCount{}
	d.mu.Unlock()
	for _, c := range counts {
		if c.skipped == 0 {
			continue
		}
		e := c.entry
		e.Target = Target{} // theirs differed
		e.Before, e.After = nil, nil
		e.Detail = []Attr{attr.Int("count", int64(c.skipped))}
		var also func(context.Context, *db.TenantTx) error
		if c.rest != nil {
			also = func(ctx context.Context, tx *db.TenantTx) error { return c.rest(ctx, tx, c.skipped) }
		}
		d.write(ctx, c.scope, e, also)
	}
}
