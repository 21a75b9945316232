package dashboard_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/dashboard"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/stats"
)

func TestLife(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	svc := dashboard.New(store.Store)
	made, err := svc.Create(t.Context(), acme, "  Morning   look ", []dashboard.Chart{
		{Metric: stats.SignIns}, {Title: "Slow", Metric: stats.SignInLatency, Range: stats.Week, Step: "6h", Kind: dashboard.Column, Width: 3},
	})
	if err != nil {
		t.Fatalf("Create = %v", err)
	}
	want := dashboard.Chart{Title: "Sign-ins", Metric: stats.SignIns, Range: stats.Day, Step: "15m", Kind: dashboard.Line, Width: 1}
	if made.Title != "Morning look" || len(made.Charts) != 2 || made.Charts[0] != want {
		t.Errorf("made %+v, want the first chart %+v", made, want)
	}

	// Another tenant's is none, whatever is done with it.
	if _, err := svc.Get(t.Context(), globex, made.ID); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("Get of another tenant's = %v", err)
	}
	if _, err := svc.Update(t.Context(), globex, dashboard.UpdateRequest{ID: made.ID, Title: "mine"}); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("Update of another tenant's = %v", err)
	}
	if err := svc.Delete(t.Context(), globex, dashboard.DeleteRequest{ID: made.ID}); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("Delete of another tenant's = %v", err)
	}
	if list, err := svc.List(t.Context(), globex); err != nil || len(list) != 0 {
		t.Errorf("List of another tenant = %v, %v", list, err)
	}

	changed, err := svc.Update(t.Context(), acme, dashboard.UpdateRequest{ID: made.ID, Title: "Evening", Charts: made.Charts[1:], IfMatch: made.ETag})
	if err != nil || changed.Title != "Evening" || len(changed.Charts) != 1 || changed.ETag == made.ETag {
		t.Errorf("Update = %+v, %v", changed, err)
	}
	if _, err := svc.Update(t.Context(), acme, dashboard.UpdateRequest{ID: made.ID, Title: "Late", IfMatch: made.ETag}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("Update of what has changed = %v, want %v", err, etag.ErrMismatch)
	}
	if err := svc.Delete(t.Context(), acme, dashboard.DeleteRequest{ID: made.ID, IfMatch: made.ETag}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("Delete of what has changed = %v, want %v", err, etag.ErrMismatch)
	}
	if err := svc.Delete(t.Context(), acme, dashboard.DeleteRequest{ID: made.ID, Reason: strings.Repeat("x", 257)}); !errors.Is(err, dashboard.ErrReason) {
		t.Errorf("Delete for a long reason = %v", err)
	}
	if got, err := svc.Get(t.Context(), acme, made.ID); err != nil || got.Title != "Evening" {
		t.Errorf("after what was refused: %+v, %v", got, err)
	}
	if err := svc.Delete(t.Context(), acme, dashboard.DeleteRequest{ID: made.ID, Reason: "nobody looks", IfMatch: changed.ETag}); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if _, err := svc.Get(t.Context(), acme, made.ID); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("Get of what is deleted = %v", err)
	}
	for action, n := range map[string]int64{"dashboard.create": 1, "dashboard.update": 1, "dashboard.delete": 1} {
		if got := store.AuditCount(t, acme, action); got != n {
			t.Errorf("%d entries of %s, want %d", got, action, n)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme := store.Tenant(t)
	svc := dashboard.New(store.Store)
	good := dashboard.Chart{Metric: stats.SignIns}
	for _, tt := range []struct {
		name   string
		title  string
		charts []dashboard.Chart
		want   error
		says   string
	}{
		{"no title", " ", nil, dashboard.ErrTitle, ""},
		{"a title that turns around", "a\u202eb", nil, dashboard.ErrTitle, ""},
		{"a long title", strings.Repeat("x", 81), nil, dashboard.ErrTitle, ""},
		{"an unknown metric", "a", []dashboard.Chart{good, {Metric: "nonsense"}}, dashboard.ErrChart, "chart 2: metric"},
		{"a step that does not fit", "a", []dashboard.Chart{{Metric: stats.SignIns, Range: stats.Month, Step: "5m"}}, dashboard.ErrChart, "step: one of [1h 6h 1d]"},
		{"an unknown kind", "a", []dashboard.Chart{{Metric: stats.SignIns, Kind: "PIE"}}, dashboard.ErrChart, "kind"},
		{"too wide", "a", []dashboard.Chart{{Metric: stats.SignIns, Width: 4}}, dashboard.ErrChart, "width"},
		{"too many charts", "a", make([]dashboard.Chart, 25), dashboard.ErrChart, "at most 24"},
	} {
		if _, err := svc.Create(t.Context(), acme, tt.title, tt.charts); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: Create = %v, want %v with %q", tt.name, err, tt.want, tt.says)
		}
	}
	if list, err := svc.List(t.Context(), acme); err != nil || len(list) != 0 {
		t.Errorf("what was refused left %v, %v", list, err)
	}
	for range 100 {
		if _, err := svc.Create(t.Context(), acme, "one of many", nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := svc.Create(t.Context(), acme, "one too many", nil); !errors.Is(err, dashboard.ErrTooMany) {
		t.Errorf("the 101st = %v, want %v", err, dashboard.ErrTooMany)
	}
	if _, err := dashboard.ParseID("x"); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("ParseID = %v", err)
	}
	if _, err := svc.Get(t.Context(), acme, uuid.New()); !errors.Is(err, dashboard.ErrNotFound) {
		t.Errorf("Get of nothing = %v", err)
	}
}
