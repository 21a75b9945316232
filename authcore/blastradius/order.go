package blastradius

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Disposition is what becomes of the credentials of a model.
type Disposition string

// The dispositions, each harder than the one before.
const (
	None    Disposition = "NONE"    // as if nothing were: what an order suspended is resumed
	Flag    Disposition = "FLAG"    // it is said of them, and they sign in
	StepUp  Disposition = "STEP_UP" // a sign-in with one needs another credential beside it
	Suspend Disposition = "SUSPEND" // they do not sign in
)

var dispositions = []Disposition{None, Flag, StepUp, Suspend}

// stored is how a disposition stands in a credential's row.
func (d Disposition) stored() string {
	if d == None {
		return ""
	}
	return string(d)
}

// from are the dispositions that an order changes: for a person all others, for the
// policy those that are milder.
func (d Disposition) from(automatic bool) []string {
	var out []string
	for _, other := range dispositions {
		if other != d && (!automatic || slices.Index(dispositions, other) < slices.Index(dispositions, d)) {
			out = append(out, other.stored())
		}
	}
	return out
}

// Order is what was ordered of a model's credentials, and how far it has come.
type Order struct {
	ID          uuid.UUID
	AAGUID      uuid.UUID
	Disposition Disposition
	Automatic   bool     // by the tenant's policy, after a report
	Reports     []string // what was held against the model then
	MDSNumber   int      // of the metadata that held it; 0 without any
	Reason      string
	CreatedBy   string // kind:id
	CreatedAt   time.Time
	Credentials int        // how many it has changed so far
	FinishedAt  *time.Time // nil while it is being carried out
}

func fromRow(row tenantq.Disposition) Order {
	return Order{
		ID: row.ID, AAGUID: row.Aaguid, Disposition: Disposition(row.Disposition), Automatic: row.Automatic, Reports: row.Reports,
		MDSNumber: int(row.MdsNumber), Reason: row.Reason, CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt,
		Credentials: int(row.Credentials), FinishedAt: row.FinishedAt,
	}
}

// OrderRequest says what is to become of a model's credentials.
type OrderRequest struct {
	AAGUID      uuid.UUID
	Disposition Disposition
	Reason      string // for the audit log; may be empty
}

// Give orders a disposition and returns the order, which a job carries out from now on:
// Get tells how far it is. It takes the place of whatever was ordered of the model
// before. ErrModel, ErrDisposition.
func (s *Service) Give(ctx context.Context, sc scope.Scope, req OrderRequest) (Order, error) {
	if req.AAGUID == uuid.Nil {
		return Order{}, ErrModel
	}
	if !slices.Contains(dispositions, req.Disposition) {
		return Order{}, ErrDisposition
	}
	number, _ := s.reports()
	var given Order
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		var err error
		given, err = s.give(ctx, tx, tenantq.InsertDispositionParams{
			Aaguid: req.AAGUID, Disposition: string(req.Disposition), Reports: s.reported(req.AAGUID),
			MdsNumber: int32(number), Reason: req.Reason, //nolint:gosec // a serial number of the service, some hundreds
		})
		tx.Result(given)
		return err
	})
	return given, err
}

// work is the job that carries an order out.
type work struct {
	jobs.Of

	Order uuid.UUID `json:"order"`
}

// Kind implements jobs.Args.
func (work) Kind() string { return "disposition" }

func (s *Service) give(ctx context.Context, tx *db.TenantTx, row tenantq.InsertDispositionParams) (Order, error) {
	if err := tx.LockModel(ctx, row.Aaguid); err != nil {
		return Order{}, fmt.Errorf("lock model: %w", err)
	}
	var err error
	if row.ID, err = uuid.NewV7(); err != nil {
		return Order{}, fmt.Errorf("mint order: %w", err)
	}
	if row.Reports == nil {
		row.Reports = []string{}
	}
	actor := tx.Scope().Actor()
	row.CreatedBy, row.CreatedAt = string(actor.Kind)+":"+actor.ID, tx.Now()
	inserted, err := tx.InsertDisposition(ctx, row)
	if err != nil {
		return Order{}, fmt.Errorf("insert disposition: %w", err)
	}
	detail := []attr.Attr{
		attr.Text("disposition", row.Disposition), attr.Bool("automatic", row.Automatic), attr.Texts("reports", row.Reports),
		attr.Int("mdsNumber", int64(row.MdsNumber)), attr.UUID("order", row.ID),
	}
	if err := audit.Append(ctx, tx, audit.Entry{
		Action: "authenticator.dispose", Reason: row.Reason, Target: audit.Target{Kind: "authenticator", ID: row.Aaguid.String()}, Detail: detail,
	}); err != nil {
		return Order{}, err
	}
	if err := event.Append(ctx, tx, event.Event{
		Type: event.AuthenticatorDisposed, Data: append([]attr.Attr{attr.UUID("aaguid", row.Aaguid)}, detail...),
	}); err != nil {
		return Order{}, err
	}
	if err := s.queue.Insert(ctx, tx, work{Of: jobs.Of{TenantID: tx.Scope().Tenant()}, Order: row.ID}); err != nil {
		return Order{}, err
	}
	return fromRow(inserted), nil
}

// Handle has r carry out orders.
func (s *Service) Handle(r *jobs.Runner) {
	jobs.Handle(r, func(ctx context.Context, sc scope.Scope, w work) error { return s.CarryOut(ctx, sc, w.Order) })
}

// batch bounds what one transaction changes, and so how long its users' rows are held.
const batch = 200

// CarryOut does what an order says, batch by batch, and may be called again after it was
// cut off. It stops where a newer order on the model has been given.
func (s *Service) CarryOut(ctx context.Context, sc scope.Scope, order uuid.UUID) error {
	for {
		var finished bool
		err := s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) (err error) {
			finished, err = s.step(ctx, tx, order)
			return err
		})
		if err != nil || finished {
			return err
		}
	}
}

// step changes the next batch, and reports whether the order is finished.
func (s *Service) step(ctx context.Context, tx *db.TenantTx, id uuid.UUID) (bool, error) {
	row, err := tx.GetDisposition(ctx, id)
	if db.IsNoRows(err) {
		return true, nil
	} else if err != nil {
		return false, fmt.Errorf("get disposition: %w", err)
	}
	// Two batches of one model at once, of one order or of two, could undo each other's work.
	if err := tx.LockModel(ctx, row.Aaguid); err != nil {
		return false, fmt.Errorf("lock model: %w", err)
	}
	if row, err = tx.GetDisposition(ctx, id); err != nil { // read again under the lock
		return false, fmt.Errorf("get disposition: %w", err)
	}
	if row.FinishedAt != nil {
		return true, nil
	}
	newest, err := tx.GetNewestDisposition(ctx, row.Aaguid)
	if err != nil {
		return false, fmt.Errorf("get newest disposition: %w", err)
	}
	changed, more := 0, false
	if newest.ID == id {
		if changed, more, err = s.dispose(ctx, tx, fromRow(row)); err != nil {
			return false, err
		}
	}
	advance := tenantq.AdvanceDispositionParams{ID: id, Changed: int32(changed)}
	if !more {
		now := tx.Now()
		advance.FinishedAt = &now
	}
	if err := tx.AdvanceDisposition(ctx, advance); err != nil {
		return false, fmt.Errorf("advance disposition: %w", err)
	}
	return !more, nil
}

// dispose changes up to batch credentials and reports whether more are left.
func (s *Service) dispose(ctx context.Context, tx *db.TenantTx, o Order) (changed int, more bool, err error) {
	from := o.Disposition.from(o.Automatic)
	rows, err := tx.ListOwnersToDispose(ctx, tenantq.ListOwnersToDisposeParams{
		Aaguid: o.AAGUID, FromDispositions: from, Disposition: string(o.Disposition), MaxRows: batch,
	})
	if err != nil {
		return 0, false, fmt.Errorf("list credentials: %w", err)
	}
	if len(rows) == 0 {
		return 0, false, nil
	}
	ids, owners := make([][]byte, len(rows)), make([]uuid.UUID, len(rows))
	for i, row := range rows {
		ids[i], owners[i] = row.ID, row.UserID
	}
	if _, err := tx.LockUsers(ctx, owners); err != nil {
		return 0, false, fmt.Errorf("lock users: %w", err)
	}
	disposed, err := tx.Dispose(ctx, tenantq.DisposeParams{Disposition: o.Disposition.stored(), Now: tx.Now(), Ids: ids, FromDispositions: from})
	if err != nil {
		return 0, false, fmt.Errorf("dispose credentials: %w", err)
	}
	for _, row := range disposed {
		if err := record(ctx, tx, o, row); err != nil {
			return 0, false, err
		}
	}
	// Many: all of the tenant's are read again.
	for _, noun := range []db.Noun{db.NounCredential, db.NounUser} {
		if err := tx.Changed(ctx, noun, ""); err != nil {
			return 0, false, err
		}
	}
	return len(disposed), len(rows) == batch, nil
}

// record leaves the audit entry and the events of one credential.
func record(ctx context.Context, tx *db.TenantTx, o Order, row tenantq.DisposeRow) error {
	before := []attr.Attr{attr.Text("disposition", row.DispositionBefore), attr.Text("state", row.StateBefore)}
	after := []attr.Attr{attr.Text("disposition", row.Disposition), attr.Text("state", row.State)}
	if err := audit.Append(ctx, tx, audit.Entry{
		Action: "credential.dispose", Reason: o.Reason, Target: audit.Target{Kind: "credential", ID: credential.ID(row.ID).String()},
		Before: before, After: after, Detail: []attr.Attr{attr.UUID("userId", row.UserID), attr.UUID("order", o.ID)},
	}); err != nil {
		return err
	}
	types := []event.Type{event.CredentialDisposed}
	switch {
	case row.State == row.StateBefore:
	case credential.State(row.State) == credential.Suspended:
		types = append(types, event.CredentialSuspended)
	default:
		types = append(types, event.CredentialResumed)
	}
	for _, typ := range types {
		e := event.Event{Type: typ, UserID: row.UserID, CredentialID: row.ID}
		if typ == event.CredentialDisposed {
			e.Data = after
		}
		if err := event.Append(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

// Get returns an order. ErrOrderNotFound also for another tenant's.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Order, error) {
	var o Order
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetDisposition(ctx, id)
		if db.IsNoRows(err) {
			return ErrOrderNotFound
		} else if err != nil {
			return fmt.Errorf("get disposition: %w", err)
		}
		o = fromRow(row)
		return nil
	})
	return o, err
}

// List returns one page of the tenant's orders, the newest first. Filters: aaguid (=).
// listing.ErrFilter, listing.ErrPageToken.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Order], error) {
	var page listing.Page[Order]
	params := tenantq.ListDispositionsParams{MaxRows: int32(req.Limit()) + 1} //nolint:gosec // at most listing.MaxPageSize
	terms, err := listing.Parse(req.Filter)
	if err != nil {
		return page, err
	}
	for _, term := range terms {
		model, err := ParseModel(term.Literal)
		if term.Field != "aaguid" || term.Op != "=" || err != nil || params.Aaguid != nil {
			return page, term.Refuse("expected aaguid = and an AAGUID, once")
		}
		params.Aaguid = &model
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "dispositions", Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	if cursor != nil {
		before, err := uuid.FromBytes(cursor)
		if err != nil {
			return page, listing.ErrPageToken
		}
		params.BeforeID = &before
	}
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListDispositions(ctx, params)
		if err != nil {
			return fmt.Errorf("list dispositions: %w", err)
		}
		page = listing.Page[Order]{}
		if limit := req.Limit(); len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID[:])
		}
		for _, row := range rows {
			page.Items = append(page.Items, fromRow(row))
		}
		return nil
	})
	return page, err
}
