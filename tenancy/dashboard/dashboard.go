// Package dashboard keeps boards of charts: what the members of a tenant look at together.
// A board is the tenant's, not its maker's: who may see statistics sees every board.
package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound = fault.New(fault.NotFound, "DASHBOARD_UNKNOWN", "no such dashboard")
	ErrTitle    = fault.New(fault.Invalid, "DASHBOARD_TITLE_INVALID", "a title has 1 to 80 characters that can be seen")
	ErrChart    = fault.New(fault.Invalid, "DASHBOARD_CHART_INVALID", "a chart has a title, a metric, a range, a step that fits, a kind, and a width of 1 to 3")
	ErrReason   = fault.New(fault.Invalid, "REASON_REQUIRED", "say why: a reason of 1 to 256 characters")
	ErrTooMany  = fault.New(fault.Precondition, "TOO_MANY_DASHBOARDS", "there are 100 dashboards, which is the limit: delete one first")
)

// Bounds of boards: a page of 24 charts is long enough, and each is a query.
const (
	maxDashboards = 100
	maxCharts     = 24
	maxTitle      = 80 // characters
)

// Kind is how a chart is drawn.
type Kind string

// The kinds.
const (
	Line   Kind = "LINE"
	Column Kind = "COLUMN"
	Number Kind = "NUMBER" // the last value, or the sum of what adds up
	Table  Kind = "TABLE"
)

// Kinds returns them all.
func Kinds() []Kind { return []Kind{Line, Column, Number, Table} }

// Chart is one chart of a board.
type Chart struct {
	Title  string       `json:"title"`
	Metric stats.Metric `json:"metric"`
	Range  stats.Range  `json:"range"`
	Step   string       `json:"step"` // as stats.ParseStep reads it
	Kind   Kind         `json:"kind"`
	Width  int          `json:"width"` // in thirds of the page: 1 to 3
}

// Dashboard is a board.
type Dashboard struct {
	ID        uuid.UUID
	Title     string
	Charts    []Chart // in their order, at most 24
	CreatedBy string  // kind:id
	CreatedAt time.Time
	UpdatedBy string
	UpdatedAt time.Time
	ETag      string // changes with every change; without quotes
}

// Service keeps boards. It is safe for concurrent use.
type Service struct{ store *db.Store }

// New returns a Service.
func New(store *db.Store) *Service { return &Service{store: store} }

// Usual returns the charts that a board begins with unless it begins empty: how sign-ins
// went this week, by what, and why they did not.
func Usual() []Chart {
	daily := stats.StepName(24 * time.Hour)
	return []Chart{
		{Metric: stats.SignIns, Range: stats.Week, Width: 2}, {Metric: stats.SignInSuccess, Range: stats.Week, Step: daily, Kind: Number},
		{Metric: stats.SignInLatency, Range: stats.Week}, {Metric: stats.Models, Range: stats.Week, Step: daily, Kind: Column}, {Metric: stats.Reasons, Range: stats.Week, Step: daily, Kind: Table},
	}
}

// ParseID reads the id of a board; what is none is ErrNotFound.
func ParseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, ErrNotFound
	}
	return id, nil
}

// List returns all of the tenant's boards by title: at most 100.
func (s *Service) List(ctx context.Context, sc scope.Scope) ([]Dashboard, error) {
	var out []Dashboard
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListDashboards(ctx)
		if err != nil {
			return fmt.Errorf("list dashboards: %w", err)
		}
		out = make([]Dashboard, len(rows))
		for i, row := range rows {
			if out[i], err = fromRow(row); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Get returns one board. Another tenant's is ErrNotFound.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Dashboard, error) {
	var out Dashboard
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetDashboard(ctx, id)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get dashboard: %w", err)
		}
		out, err = fromRow(row)
		return err
	})
	return out, err
}

// Create makes a board. ErrTitle, ErrChart, ErrTooMany.
func (s *Service) Create(ctx context.Context, sc scope.Scope, title string, charts []Chart) (Dashboard, error) {
	title, text, err := check(title, charts)
	if err != nil {
		return Dashboard{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Dashboard{}, fmt.Errorf("mint dashboard: %w", err)
	}
	var out Dashboard
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two at once could each count the other out, and together exceed the limit.
		if err := tx.LockDashboards(ctx); err != nil {
			return fmt.Errorf("lock dashboards: %w", err)
		}
		if n, err := tx.CountDashboards(ctx); err != nil {
			return fmt.Errorf("count dashboards: %w", err)
		} else if n >= maxDashboards {
			return ErrTooMany
		}
		row, err := tx.InsertDashboard(ctx, tenantq.InsertDashboardParams{ID: id, Title: title, Charts: text, By: sc.Actor().String(), Now: tx.Now()})
		if err != nil {
			return fmt.Errorf("insert dashboard: %w", err)
		}
		if out, err = fromRow(row); err != nil {
			return err
		}
		tx.Result(out)
		return record(ctx, tx, "dashboard.create", event.DashboardCreated, &out, "")
	})
	return out, err
}

// UpdateRequest is what a board is to be: all of it.
type UpdateRequest struct {
	ID      uuid.UUID
	Title   string
	Charts  []Chart
	IfMatch string // the etag that the caller has read; empty: whatever it is
}

// Update replaces a board. ErrNotFound, ErrTitle, ErrChart, etag.ErrMismatch.
func (s *Service) Update(ctx context.Context, sc scope.Scope, req UpdateRequest) (Dashboard, error) {
	title, text, err := check(req.Title, req.Charts)
	if err != nil {
		return Dashboard{}, err
	}
	var out Dashboard
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := lock(ctx, tx, req.ID, req.IfMatch); err != nil {
			return err
		}
		row, err := tx.UpdateDashboard(ctx, tenantq.UpdateDashboardParams{ID: req.ID, Title: title, Charts: text, By: sc.Actor().String(), Now: tx.Now()})
		if err != nil {
			return fmt.Errorf("update dashboard: %w", err)
		}
		if out, err = fromRow(row); err != nil {
			return err
		}
		tx.Result(out)
		return record(ctx, tx, "dashboard.update", event.DashboardUpdated, &out, "")
	})
	return out, err
}

// DeleteRequest names a board that is to be removed.
type DeleteRequest struct {
	ID      uuid.UUID
	Reason  string // for the audit log: up to 256 characters, or empty
	IfMatch string // the etag that the caller has read; empty: whatever it is
}

// Delete removes a board, for everybody. ErrNotFound, ErrReason, etag.ErrMismatch.
func (s *Service) Delete(ctx context.Context, sc scope.Scope, req DeleteRequest) error {
	if req.Reason != "" && !audit.IsReason(req.Reason) {
		return ErrReason
	}
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := lock(ctx, tx, req.ID, req.IfMatch); err != nil {
			return err
		}
		row, err := tx.GetDashboard(ctx, req.ID)
		if err != nil {
			return fmt.Errorf("get dashboard: %w", err)
		}
		was, err := fromRow(row)
		if err != nil {
			return err
		}
		if err := tx.DeleteDashboard(ctx, req.ID); err != nil {
			return fmt.Errorf("delete dashboard: %w", err)
		}
		tx.Result(was)
		return record(ctx, tx, "dashboard.delete", event.DashboardDeleted, &was, req.Reason)
	})
}

// lock locks a board that is as the caller has read it.
func lock(ctx context.Context, tx *db.TenantTx, id uuid.UUID, ifMatch string) error {
	row, err := tx.LockDashboard(ctx, id)
	if db.IsNoRows(err) {
		return ErrNotFound
	} else if err != nil {
		return fmt.Errorf("lock dashboard: %w", err)
	}
	return etag.Match(ifMatch, etagOf(row.ID, row.Version))
}

func etagOf(id uuid.UUID, version int32) string { return etag.Of("dashboard", id[:], version) }

// check returns a board's parts as they are kept.
func check(title string, charts []Chart) (clean string, text []byte, err error) {
	if clean, err = tenant.CleanName("title", title, maxTitle); err != nil {
		return "", nil, ErrTitle.WithCause(err)
	}
	if len(charts) > maxCharts {
		return "", nil, ErrChart.WithMessage(fmt.Sprintf("a dashboard has at most %d charts", maxCharts))
	}
	kept := make([]Chart, len(charts))
	for i, c := range charts {
		if kept[i], err = c.check(i); err != nil {
			return "", nil, err
		}
	}
	if text, err = json.Marshal(kept); err != nil {
		return "", nil, fmt.Errorf("encode charts: %w", err)
	}
	return clean, text, nil
}

// check returns the i-th chart with what was left open filled in. ErrChart names what is
// wrong, from 1 on.
func (c Chart) check(i int) (Chart, error) {
	refuse := func(field, why string) (Chart, error) {
		return Chart{}, ErrChart.WithMessage(fmt.Sprintf("chart %d: %s: %s", i+1, field, why)).With("field", fmt.Sprintf("charts[%d].%s", i, field))
	}
	about, err := stats.ParseMetric(string(c.Metric))
	if err != nil {
		return refuse("metric", "there is no such metric")
	}
	if c.Title == "" {
		c.Title = about.Title
	}
	if c.Title, err = tenant.CleanName("title", c.Title, maxTitle); err != nil {
		return refuse("title", "has 1 to 80 characters that can be seen")
	}
	if c.Range, err = stats.ParseRange(string(c.Range)); err != nil {
		return refuse("range", "is one of 1h, 24h, 7d, 30d")
	}
	step, err := stats.ParseStep(c.Range, c.Step)
	if err != nil {
		return refuse("step", fmt.Sprintf("one of %v fits into %s", c.Range.Steps(), c.Range))
	}
	c.Step = stats.StepName(step)
	switch c.Kind {
	case Line, Column, Number, Table:
	case "":
		c.Kind = Line
	default:
		return refuse("kind", "is one of LINE, COLUMN, NUMBER, TABLE")
	}
	if c.Width == 0 {
		c.Width = 1
	}
	if c.Width < 1 || c.Width > 3 {
		return refuse("width", "is 1, 2 or 3")
	}
	return c, nil
}

// record leaves what a change leaves: an audit entry, an event.
func record(ctx context.Context, tx *db.TenantTx, action string, typ event.Type, d *Dashboard, reason string) error {
	detail := []attr.Attr{attr.Text("title", d.Title), attr.Int("charts", int64(len(d.Charts)))}
	if err := audit.Append(ctx, tx, audit.Entry{Action: action, Target: audit.Target{Kind: "dashboard", ID: d.ID.String()}, Reason: reason, Detail: detail}); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{Type: typ, Data: []attr.Attr{attr.UUID("dashboardId", d.ID)}})
}

func fromRow(row tenantq.Dashboard) (Dashboard, error) {
	d := Dashboard{
		ID: row.ID, Title: row.Title, CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt,
		UpdatedBy: row.UpdatedBy, UpdatedAt: row.UpdatedAt, ETag: etagOf(row.ID, row.Version),
	}
	if err := json.Unmarshal(row.Charts, &d.Charts); err != nil {
		return Dashboard{}, fmt.Errorf("charts of dashboard %s: %w", row.ID, err)
	}
	return d, nil
}
