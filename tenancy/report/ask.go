package report

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// CreateRequest asks for a report.
type CreateRequest struct {
	Catalogue string
	Period    Period
	KeepDays  int    // 0: DefaultKeepDays
	Reason    string // for the audit log; may be empty
}

// Create asks for a report of what the records show when the job begins, some ten seconds later. ErrCatalogue, ErrPeriod,
// ErrKeep, ErrReason, ErrNoStorage, ErrTooMany.
func (s *Service) Create(ctx context.Context, sc scope.Scope, req CreateRequest) (Report, error) {
	if err := own(sc); err != nil {
		return Report{}, err
	}
	if req.Reason != "" && !audit.IsReason(req.Reason) {
		return Report{}, ErrReason
	}
	if req.KeepDays == 0 {
		req.KeepDays = DefaultKeepDays
	}
	if err := checkKeep(req.KeepDays); err != nil {
		return Report{}, err
	}
	if s.objects == nil {
		return Report{}, ErrNoStorage
	}
	var out Report
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := req.Period.check(tx.Now()); err != nil {
			return err
		}
		// Two at once could each count the other out, and together exceed the limit.
		if err := tx.LockReports(ctx); err != nil {
			return fmt.Errorf("lock reports: %w", err)
		}
		if n, err := tx.CountOpenReports(ctx); err != nil {
			return fmt.Errorf("count open reports: %w", err)
		} else if n >= maxOpen {
			return ErrTooMany
		}
		r, err := s.insert(ctx, tx, req, false)
		if err != nil {
			return err
		}
		out = r
		tx.Result(out)
		return nil
	})
	return out, err
}

// checkKeep refuses a retention that is none.
func checkKeep(days int) error {
	if days < 1 || days > MaxKeepDays {
		return ErrKeep
	}
	return nil
}

// insert makes a report that waits for its job, with its entry and event.
func (s *Service) insert(ctx context.Context, tx *db.TenantTx, req CreateRequest, scheduled bool) (Report, error) {
	if _, err := s.documentIn(ctx, tx, req.Catalogue); err != nil {
		return Report{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Report{}, fmt.Errorf("mint report id: %w", err)
	}
	by := tx.Scope().Actor()
	row, err := tx.InsertReport(ctx, tenantq.InsertReportParams{
		ID: id, Catalogue: req.Catalogue, PeriodFrom: req.Period.From, PeriodTo: req.Period.To, Reason: req.Reason, AskedBy: by.String(), AskedName: by.Name,
		Scheduled: scheduled, KeepDays: int32(req.KeepDays), Now: tx.Now(), //nolint:gosec // at most MaxKeepDays
	})
	if err != nil {
		return Report{}, fmt.Errorf("insert report: %w", err)
	}
	r := fromRow(&row)
	return r, record(ctx, tx, "report.start", req.Reason, event.ReportStarted, &r, attr.Bool("scheduled", scheduled), attr.Int("keepDays", int64(req.KeepDays)))
}

// Get returns one report. ErrNotFound, also for another tenant's.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Report, error) {
	if err := own(sc); err != nil {
		return Report{}, err
	}
	var out Report
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := get(ctx, tx, id)
		out = fromRow(&row)
		return err
	})
	return out, err
}

func get(ctx context.Context, tx *db.TenantTx, id uuid.UUID) (tenantq.Report, error) {
	row, err := tx.GetReport(ctx, id)
	if db.IsNoRows(err) {
		return row, ErrNotFound
	} else if err != nil {
		return row, fmt.Errorf("get report: %w", err)
	}
	return row, nil
}

// List returns one page of reports, the newest first. Filter: catalogue (=). listing.ErrPageToken, listing.ErrFilter.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Report], error) {
	var page listing.Page[Report]
	if err := own(sc); err != nil {
		return page, err
	}
	terms, err := listing.Parse(req.Filter)
	if err != nil {
		return page, err
	}
	var catalogue listing.Exact
	for _, t := range terms {
		if t.Field != "catalogue" {
			return page, t.Refuse("expected catalogue")
		}
		if err := catalogue.Narrow(t); err != nil {
			return page, err
		}
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "reports", Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	p := tenantq.ListReportsParams{MaxRows: int32(req.Limit()) + 1} //nolint:gosec // at most listing.MaxPageSize
	if catalogue.Set {
		p.Catalogue = &catalogue.Value
	}
	if cursor != nil {
		id, err := uuid.FromBytes(cursor)
		if err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
		p.BeforeID = &id
	}
	if catalogue.Conflict {
		return page, nil
	}
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListReports(ctx, p)
		if err != nil {
			return fmt.Errorf("list reports: %w", err)
		}
		page = listing.Page[Report]{}
		if limit := req.Limit(); len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID[:])
		}
		page.Items = make([]Report, len(rows))
		for i := range rows {
			page.Items[i] = fromRow(&rows[i])
		}
		return nil
	})
	return page, err
}

// Delete removes a report, whatever its state: one that is being made ends. Its key is destroyed at once.
// ErrNotFound, ErrReason.
func (s *Service) Delete(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) error {
	if err := own(sc); err != nil {
		return err
	}
	if reason != "" && !audit.IsReason(reason) {
		return ErrReason
	}
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.RemoveReport(ctx, tenantq.RemoveReportParams{ID: id, ClearAt: tx.Now().Add(settle)})
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("remove report: %w", err)
		}
		r := fromRow(&row)
		tx.Result(struct{}{})
		return record(ctx, tx, "report.delete", reason, event.ReportDeleted, &r, attr.Text("sha256", r.SHA256))
	})
}

// Download is a file of a report, or all of them.
type Download struct {
	Report Report
	Name   string // a file's name, of letters, digits, '-' and '.'
	Type   string // its media type
	Body   []byte
	SHA256 string // of Body, hex
}

// Download opens a report: the file of that name, or all of them in a zip for an empty name. That somebody has it is
// recorded first. ErrNotReady, ErrGone, ErrFile, ErrNotFound; blob.ErrUnavailable.
func (s *Service) Download(ctx context.Context, sc scope.Scope, id uuid.UUID, name string) (*Download, error) {
	r, packed, err := s.open(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	d := &Download{Report: r, Body: packed, Type: "application/zip", Name: "biocore-" + r.Catalogue + "-" + r.Period.First() + "-" + r.Period.Last() + ".zip"}
	if name != "" {
		if d.Body, err = pick(packed, name); err != nil {
			return nil, err
		}
		d.Type, d.Name = mediaType(name), strings.TrimSuffix(d.Name, ".zip")+"-"+name
	}
	d.SHA256 = hexOf(d.Body)
	what := name
	if what == "" {
		what = "all"
	}
	err = s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		if _, err := get(ctx, tx, id); err != nil { // removed meanwhile
			return err
		}
		return record(ctx, tx, "report.download", "", event.ReportDownloaded, &r, attr.Text("file", what), attr.Text("sha256", d.SHA256))
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

func mediaType(name string) string {
	switch {
	case strings.HasSuffix(name, ".json"):
		return "application/json"
	case strings.HasSuffix(name, ".csv"):
		return "text/csv; charset=utf-8"
	case strings.HasSuffix(name, ".txt"):
		return "text/plain; charset=utf-8"
	case strings.HasSuffix(name, ".pdf"):
		return "application/pdf"
	default: // a signature
		return "application/jose"
	}
}

// Opened is a report to be looked at.
type Opened struct {
	Report
	Body     *Body
	Manifest Manifest
	KID      string // of the key that signed
}

// Open reads a report that is done. Errors as Download's. It leaves no entry: what it shows, lists show.
func (s *Service) Open(ctx context.Context, sc scope.Scope, id uuid.UUID) (*Opened, error) {
	r, packed, err := s.open(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	text, err := pick(packed, JSONName)
	if err != nil {
		return nil, err
	}
	body, err := ParseBody(text)
	if err != nil {
		return nil, err
	}
	v, err := VerifyBundle(packed, nil)
	if err != nil {
		return nil, err
	}
	if len(v.Findings) > 0 {
		return nil, fmt.Errorf("report %s: %s", id, strings.Join(v.Findings, "; "))
	}
	return &Opened{Report: r, Body: body, Manifest: v.Manifest, KID: v.KID}, nil
}

// open reads and opens the object of a report that is done.
func (s *Service) open(ctx context.Context, sc scope.Scope, id uuid.UUID) (Report, []byte, error) {
	if err := own(sc); err != nil {
		return Report{}, nil, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return Report{}, nil, fmt.Errorf("keys: %w", err)
	}
	var row tenantq.Report
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		row, err = get(ctx, tx, id)
		if err == nil && State(row.State).Open() {
			return ErrNotReady
		} else if err == nil && (State(row.State) != Done || !tx.Now().Before(*row.ExpiresAt)) {
			return ErrGone
		}
		return err
	}); err != nil {
		return Report{}, nil, err
	}
	r := fromRow(&row)
	if s.objects == nil {
		return r, nil, blob.ErrUnavailable.WithCause(errors.New("none is configured"))
	}
	body, err := s.objects.Get(ctx, sc, objectKind, objectID(id, r.Attempt))
	if errors.Is(err, blob.ErrNotFound) {
		return r, nil, ErrGone.WithCause(err)
	} else if err != nil {
		return r, nil, err
	}
	packed, err := unseal(ring, id, row.ReportKey, body)
	return r, packed, err
}

// record leaves a report's entry and event in its transaction.
func record(ctx context.Context, tx *db.TenantTx, action, reason string, what event.Type, r *Report, detail ...attr.Attr) error {
	of := []attr.Attr{attr.Text("catalogue", r.Catalogue), attr.Text("firstDay", r.Period.First()), attr.Text("lastDay", r.Period.Last()), attr.Text("state", string(r.State))}
	entry := audit.Entry{Action: action, Reason: reason, Target: audit.Target{Kind: "report", ID: r.ID.String()}, Detail: append(of, detail...)}
	if r.State == Failed {
		entry.Outcome, entry.Fault = audit.Failed, r.Failure
	}
	if err := audit.Append(ctx, tx, entry); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{Type: what, Data: append([]attr.Attr{attr.UUID("reportId", r.ID)}, append(of, detail...)...)})
}

// counts are what a report came to, for its entry.
func counts(c Counts, sum []byte) []attr.Attr {
	return []attr.Attr{
		attr.Int("met", int64(c.Met)), attr.Int("notMet", int64(c.NotMet)), attr.Int("noEvidence", int64(c.NoEvidence)), attr.Text("sha256", hex.EncodeToString(sum)),
	}
}
