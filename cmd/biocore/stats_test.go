package main

import (
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// dashboard is the id of a new dashboard of the tenant.
func (w *world) dashboard(t testing.TB, c *customer) string {
	t.Helper()
	return w.must(t, "POST", "/admin/v1/dashboards", c.secret, map[string]any{"title": "Morning", "charts": []any{map[string]any{"metric": "signIns"}}}).text("id")
}

// auditView is a view of the audit log of a name that no other has.
func (w *world) auditView(t testing.TB, c *customer) string {
	t.Helper()
	return w.must(t, "POST", "/admin/v1/auditViews", c.secret, map[string]any{"name": uuid.NewString(), "filter": map[string]any{"outcome": "DENIED"}}).text("id")
}

// What has signed in is told by the API, of the key's own tenant, and what cannot be asked
// for is refused by name.
func TestStatistics(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, acme, "alice")
	sc := scope.New(uuid.MustParse(acme.id), scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	if err := w.stats.Maintain(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	o := w.must(t, "GET", "/admin/v1/stats/overview?range=1h", acme.secret, nil)
	if n, _ := o.at("now", "enrollments", "first").(float64); n != 1 {
		t.Errorf("overview = %s, want one first passkey", o.raw)
	}
	if n, _ := o.at("users", "enrolled").(float64); n != 1 {
		t.Errorf("overview = %s, want one enrolled user", o.raw)
	}
	s := w.must(t, "GET", "/admin/v1/stats/timeseries?metric=registrations&range=1h", acme.secret, nil)
	if points, _ := s.at("points").([]any); len(points) != 12 || s.text("step") != "5m" {
		t.Errorf("timeseries = %s, want 12 points of 5m", s.raw)
	}
	if o := w.must(t, "GET", "/admin/v1/stats/overview?range=1h", globex.secret, nil); o.at("now", "enrollments", "first") != 0.0 || o.at("users") != nil {
		t.Errorf("overview of another tenant = %s", o.raw)
	}
	for query, reason := range map[string]string{
		"overview?range=2h": "STATS_RANGE_INVALID", "timeseries?metric=nonsense": "STATS_METRIC_UNKNOWN",
		"timeseries?metric=signIns&range=30d&step=5m": "STATS_STEP_INVALID",
	} {
		if got := w.call(t, "GET", "/admin/v1/stats/"+query, acme.secret, nil); got.status != http.StatusBadRequest || got.reason() != reason {
			t.Errorf("%s = %d %s, want %s", query, got.status, got.raw, reason)
		}
	}
}
