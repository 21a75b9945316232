// Package trail reads what a tenant's actions have left: its audit entries. It stands
// apart from package audit, which writes them, because pages are sealed by keys, and keys
// leave entries themselves.
package trail

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Record is an entry as it is read.
type Record struct {
	ID         uuid.UUID
	At         time.Time
	Action     string
	Outcome    audit.Outcome
	Reason     string
	Actor      scope.Actor
	OnBehalfOf scope.Actor  // zero when it was the actor's own power
	Target     audit.Target // zero for none
	Address    netip.Addr   // invalid when not known
	UserAgent  string
	RequestID  string
	TraceID    string

	// JSON objects, nil for none: members as the action has them.
	Before, After, Detail json.RawMessage

	Seq int64 // its number in the log; -1 while it waits

	// Entry is the text that the log hashes, byte for byte, with its salt. Names, address, user agent and a
	// person's words are not in it: Private has them, one text for each hash that it names.
	Entry   string
	Private []Private
}

// Private is what an entry holds of one person, or of nobody in particular.
type Private struct {
	Subject uuid.UUID // Nil: the tenant
	State   PrivateState
	Text    string // exactly what the entry has the hash of; empty unless it is there
}

// PrivateState says what has become of it.
type PrivateState string

// The states.
const (
	PrivateKept    PrivateState = "kept"
	PrivateErased  PrivateState = "erased"  // with the person
	PrivateDamaged PrivateState = "damaged" // it does not open, or is not what the entry has the hash of
)

// Reader reads entries, of the inbox and of the log. It is safe for concurrent use.
type Reader struct {
	store *db.Store
	keys  *keys.Service
}

// NewReader returns a Reader; both services are required.
func NewReader(store *db.Store, k *keys.Service) *Reader { return &Reader{store: store, keys: k} }

// maxScanned is how many entries one page looks at. A filter that nothing finds by an
// index may match none of them: the page is then short or empty, and NextToken goes on.
const maxScanned = 5000

// List returns one page of the tenant's entries, the newest first. Filters: target
// (= kind/id, found by an index), targetKind, action, actor (an id) and outcome (=), time
// (= < <= > >=). A page may hold fewer entries than asked for and yet have a next one.
// listing.ErrFilter, listing.ErrPageToken.
func (r *Reader) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Record], error) {
	var page listing.Page[Record]
	ring, err := r.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	f, err := parseFilter(req.Filter)
	if err != nil {
		return page, err
	}
	query := listing.Query{List: "auditEvents", Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	before := f.last()
	if cursor != nil {
		if before, err = uuid.FromBytes(cursor); err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
	}
	if f.none {
		return page, nil
	}
	limit := req.Limit()
	err = r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		page = listing.Page[Record]{}
		rows, err := f.find(ctx, tx, before, limit+1)
		if err != nil {
			return fmt.Errorf("find audit entries: %w", err)
		}
		more := len(rows) > limit
		if more {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID[:])
		}
		if page.Items, err = records(ctx, tx, ring, rows); err != nil {
			return err
		}
		if more {
			return nil
		}
		end, err := f.end(ctx, tx, before)
		if db.IsNoRows(err) {
			return nil // all were looked at
		} else if err != nil {
			return fmt.Errorf("end of audit entries: %w", err)
		}
		page.NextToken = listing.Seal(ring, query, end[:])
		return nil
	})
	return page, err
}

// filter is what List was asked.
type filter struct {
	target, targetKind, action, actor, outcome listing.Exact
	time                                       listing.Span
	none                                       bool // nothing can match
}

func parseFilter(text string) (filter, error) {
	var f filter
	terms, err := listing.Parse(text)
	if err != nil {
		return f, err
	}
	for _, t := range terms {
		switch t.Field {
		case "target":
			err = f.target.Narrow(t)
		case "targetKind":
			err = f.targetKind.Narrow(t)
		case "action":
			err = f.action.Narrow(t)
		case "actor":
			err = f.actor.Narrow(t)
		case "outcome":
			err = f.outcome.Narrow(t)
			if o := audit.Outcome(t.Literal); err == nil && o != audit.Success && o != audit.Denied && o != audit.Failed {
				err = t.Refuse("expected one of success, denied, failed")
			}
		case "time":
			err = f.time.Narrow(t)
		default:
			err = t.Refuse("expected one of target, targetKind, action, actor, outcome, time")
		}
		if err != nil {
			return f, err
		}
	}
	for _, e := range []*listing.Exact{&f.target, &f.targetKind, &f.action, &f.actor, &f.outcome} {
		f.none = f.none || e.Conflict
	}
	if f.target.Set && f.targetKind.Set {
		return f, listing.ErrFilter.WithMessage("filter: target names its kind: leave targetKind out")
	}
	return f, nil
}

// Ids are UUIDv7, minted within moments of the entry's time: they bound what is read,
// and the time itself decides. slack is for transactions that took long and clocks apart.
const slack = 10 * time.Minute

// first and last return ids before and after all of the span.
func (f *filter) first() uuid.UUID {
	if f.time.From == nil {
		return uuid.Nil
	}
	return db.FirstID(f.time.From.Add(-slack))
}

func (f *filter) last() uuid.UUID {
	if f.time.Before == nil {
		return uuid.Max
	}
	return db.FirstID(f.time.Before.Add(slack))
}

// The ends of time, as far as Postgres's timestamps and JSON go.
var (
	minTime = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	maxTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
)

func (f *filter) find(ctx context.Context, tx *db.TenantTx, before uuid.UUID, n int) ([]tenantq.FindAuditEntriesRow, error) {
	p := tenantq.FindAuditEntriesParams{
		BeforeID: before, FromID: f.first(), MaxScanned: maxScanned, MaxRows: int32(n), //nolint:gosec // a page
		Action: value(f.action), Outcome: value(f.outcome), Actor: value(f.actor), TargetKind: value(f.targetKind), Since: minTime, Until: maxTime,
	}
	if f.time.From != nil {
		p.Since = *f.time.From
	}
	if f.time.Before != nil {
		p.Until = *f.time.Before
	}
	if !f.target.Set {
		return tx.FindAuditEntries(ctx, p)
	}
	rows, err := tx.FindAuditEntriesOfTarget(ctx, tenantq.FindAuditEntriesOfTargetParams{
		Target: f.target.Value, BeforeID: p.BeforeID, FromID: p.FromID, MaxScanned: p.MaxScanned, Action: p.Action, Since: p.Since, Until: p.Until,
		Outcome: p.Outcome, Actor: p.Actor, MaxRows: p.MaxRows,
	})
	out := make([]tenantq.FindAuditEntriesRow, len(rows))
	for i, row := range rows {
		out[i] = tenantq.FindAuditEntriesRow(row)
	}
	return out, err
}

// end returns the last entry that find looked at, or no row when that was the last of all.
func (f *filter) end(ctx context.Context, tx *db.TenantTx, before uuid.UUID) (uuid.UUID, error) {
	if f.target.Set {
		return tx.EndOfAuditEntriesOfTarget(ctx, tenantq.EndOfAuditEntriesOfTargetParams{
			Target: f.target.Value, BeforeID: before, FromID: f.first(), MaxScanned: maxScanned,
		})
	}
	return tx.EndOfAuditEntries(ctx, tenantq.EndOfAuditEntriesParams{BeforeID: before, FromID: f.first(), MaxScanned: maxScanned})
}

func value(e listing.Exact) *string {
	if !e.Set {
		return nil
	}
	return &e.Value
}
