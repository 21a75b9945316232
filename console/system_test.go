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
		for _, want := range []string{"PostgreSQL", "Redis", "Needs a look", "Not configured", "key_maintenance", "&lt;b&gt;no answer", "/console/platform/system/jobs/4711"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		if page := helper.get(t, "/console/platform/system").body; !strings.Contains(page, "key_maintenance") || strings.Contains(page, "jobs/4711") {
			t.Error("who may only look sees a button, or sees nothing")
		}
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
