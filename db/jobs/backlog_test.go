package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/jobs"
)

func TestInspect(t *testing.T) {
	store := dbtest.Fresh(t)
	if b, err := jobs.Inspect(t.Context(), store.URL(db.RoleJobs)); err != nil || b != (jobs.Backlog{}) {
		t.Errorf("Inspect of an empty queue = %+v, %v", b, err)
	}
	_, err := store.Superuser(t).Exec(t.Context(), `INSERT INTO river.river_job (args, kind, max_attempts, state, scheduled_at, finalized_at) VALUES
		('{}', 'k', 8, 'available', now() - interval '1 hour', NULL),
		('{}', 'k', 8, 'scheduled', now() + interval '1 hour', NULL),
		('{}', 'k', 8, 'discarded', now() - interval '1 day', now()),
		('{}', 'k', 8, 'completed', now() - interval '2 days', now())`)
	if err != nil {
		t.Fatal(err)
	}
	b, err := jobs.Inspect(t.Context(), store.URL(db.RoleJobs))
	if err != nil || b.Waiting != 2 || b.Discarded != 1 || b.Late < time.Hour || b.Late > 2*time.Hour {
		t.Errorf("Inspect = %+v, %v; want two waiting, one an hour late, and one discarded", b, err)
	}
}

func TestInspectRefused(t *testing.T) {
	store := dbtest.New(t)
	if _, err := jobs.Inspect(t.Context(), store.URL(db.RoleWriter)); err == nil {
		t.Error("Inspect as another role succeeded")
	}
	if _, err := jobs.Inspect(t.Context(), "postgres://u:hunter2@[bad"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Inspect at an unreadable URL = %v", err)
	}
}
