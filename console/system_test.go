package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/member"
)

func TestSystem(t *testing.T) {
	s := newSite(t)
	boss := s.person(t, "Boss", s.home, member.StaffAdmin)
	helper := s.person(t, "Helper", s.home, member.StaffSupport)
	sc, _ := s.tenant(t)
	owner := s.person(t, "Owner", sc, member.Owner)
	s.exec(t, `INSERT INTO river.river_job (id, state, attempt, max_attempts, attempted_at, finalized_at, created_at, scheduled_at, kind, queue, args, errors, priority)
		VALUES (4711, 'discarded', 8, 8, now(), now(), now(), now(), 'key_maintenance', 'default', jsonb_build_object('tenantId', $1::text),
		ARRAY['{"attempt": 8, "error": "<b>no answer</b>", "at": "2026-01-01T00:00:00Z", "trace": ""}'::jsonb], 1)`, sc.Tenant().String())

	t.Run("says how each dependency is, and what was given up", func(t *testing.T) {
		page := boss.get(t, "/console/platform/system").body
		for _, want := range []string{"PostgreSQL", "Redis", "Needs a look", "Not configured", "key_maintenance", "&lt;b&gt;no answer", "/console/platform/system/jobs/4711", "Version 15.", "Version 7.", "test-kms/key-1"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		if page := helper.get(t, "/console/platform/system").body; !strings.Contains(page, "key_maintenance") || strings.Contains(page, "jobs/4711") {
			t.Error("who may only look sees a button, or sees nothing")
		}
	})
	t.Run("says how sign-in fares, and of which tenant", func(t *testing.T) {
		if page := boss.get(t, "/console/platform/system").body; !strings.Contains(page, "Service level of sign-in") || !strings.Contains(page, "No sign-ins within 30 days") {
			t.Error("without sign-ins the page does not say that there were none")
		}
		if page := boss.get(t, "/console/platform/tenants").body; !strings.Contains(page, "No sign-ins") {
			t.Error("a tenant without sign-ins has an availability")
		}
		s.exec(t, `INSERT INTO stats_counts (tenant_id, step, at, counts, answered, timed, prompt)
			SELECT $1, step, date_bin(make_interval(secs => step), now(), 'epoch'), '{}', 9990, 4, 3 FROM unnest(ARRAY[300, 3600, 86400]) step`, sc.Tenant())
		s.exec(t, `INSERT INTO stats_faults (tenant_id, at, faults) VALUES ($1, date_bin('5 minutes', now(), 'epoch'), 15)`, sc.Tenant())
		s.exec(t, `UPDATE tenants SET month_answered = 9990, month_faults = 15 WHERE id = $1`, sc.Tenant())
		page := boss.get(t, "/console/platform/system").body
		for _, want := range []string{"99.85%", "−49.93%", "15 faults of about 10", "75%", "1.5×", "Overspent", "Burning slowly", "Kept", "Needs a look"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		for level, found := range map[string]bool{"": true, "missed": true, "kept": false} {
			list := boss.get(t, "/console/platform/tenants?level="+level).body
			if got := strings.Contains(list, "99.85%") && strings.Contains(list, "Missed"); got != found {
				t.Errorf("tenants whose level is %q: found %t, want %t", level, got, found)
			}
		}
		if res := owner.get(t, "/console/platform/tenants"); res.StatusCode != http.StatusNotFound || strings.Contains(res.body, "99.85") {
			t.Errorf("a tenant's owner gets %d, want 404", res.StatusCode)
		}
		s.exec(t, "DELETE FROM stats_counts WHERE tenant_id = $1", sc.Tenant())
		s.exec(t, "DELETE FROM stats_faults WHERE tenant_id = $1", sc.Tenant())
	})
	t.Run("is nothing to others", func(t *testing.T) {
		if res := owner.get(t, "/console/platform/system"); res.StatusCode != http.StatusNotFound {
			t.Errorf("a tenant's owner gets %d, want 404", res.StatusCode)
		}
		if res := helper.form(t, "/console/platform/system/jobs/4711/retry", "reason", "x"); res.StatusCode != http.StatusForbidden {
			t.Errorf("who may only look retries: %d, want 403", res.StatusCode)
		}
	})
	t.Run("retries with a reason, once", func(t *testing.T) {
		if res := boss.form(t, "/console/platform/system/jobs/4711/retry", "reason", " "); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "Say why") {
			t.Errorf("without a reason: %d, want 422", res.StatusCode)
		}
		if res := boss.form(t, "/console/platform/system/jobs/4711/retry", "reason", "the database is back"); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("retry = %d, want 303", res.StatusCode)
		}
		if n := s.store.AuditCount(t, s.home, "job.retry"); n != 1 {
			t.Errorf("%d audit entries, want 1", n)
		}
		if res := boss.form(t, "/console/platform/system/jobs/4711/retry", "reason", "again"); res.StatusCode != http.StatusNotFound {
			t.Errorf("a job that waits already = %d, want 404", res.StatusCode)
		}
		if page := boss.get(t, "/console/platform/system").body; strings.Contains(page, "key_maintenance") {
			t.Error("the job is still among those that were given up")
		}
	})
}
