package evidence_test

import (
	"context"
	"testing"

	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/db/blob"
)

// What was put off is counted when that is committed: once, though Postgres has the
// transaction run twice, and not at all where it fails.
func TestPostponedIsCountedOnce(t *testing.T) {
	v := newVault(t)
	acme := v.Tenant(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "made-up")
	away, err := blob.Open(t.Context(), "s3://bucket?region=eu-central-1&endpoint=http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	s := v.with(v.World, away)
	v.keep(t, s, acme, registration(t, nil))

	// The trigger speaks when the transaction is committed. A sequence counts across those
	// that are rolled back: the first fails for good, the second in a way that is run again.
	super := v.Superuser(t)
	drop := func() {
		_, err := super.Exec(context.WithoutCancel(t.Context()), "DROP TRIGGER IF EXISTS unlucky ON evidence; DROP FUNCTION IF EXISTS unlucky; DROP SEQUENCE IF EXISTS unlucky_runs")
		if err != nil {
			t.Error(err)
		}
	}
	defer drop()
	if _, err := super.Exec(t.Context(), `CREATE SEQUENCE unlucky_runs;
		CREATE FUNCTION unlucky() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
		BEGIN
			CASE nextval('unlucky_runs')
			WHEN 1 THEN RAISE 'for good' USING ERRCODE = '23514';
			WHEN 2 THEN RAISE 'for now' USING ERRCODE = '40001';
			ELSE RETURN NULL;
			END CASE;
		END $$;
		CREATE CONSTRAINT TRIGGER unlucky AFTER UPDATE OF due_at ON evidence DEFERRABLE INITIALLY DEFERRED
			FOR EACH ROW WHEN (NEW.tenant_id = '`+acme.Tenant().String()+`') EXECUTE FUNCTION unlucky()`); err != nil {
		t.Fatal(err)
	}
	if err := s.Maintain(t.Context(), acme); err == nil {
		t.Error("Maintain = nil where the transaction failed")
	}
	if got := s.Stats(); got != (evidence.Stats{}) {
		t.Errorf("Stats = %+v where nothing was put off", got)
	}
	if err := s.Maintain(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats(); got != (evidence.Stats{Postponed: 1}) {
		t.Errorf("Stats = %+v, want one that was put off", got)
	}
	if n := v.one(t, "SELECT last_value FROM unlucky_runs"); n != 3 {
		t.Errorf("%d transactions were run, want 3", n)
	}
}
