package report_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/report"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// childVariable names, in a process of its own, the tenant whose reports it makes.
const childVariable = "BIOCORE_TEST_REPORTS_OF"

// TestMain is a server that runs the job once, where it is started as one.
func TestMain(m *testing.M) {
	tenant := os.Getenv(childVariable)
	if tenant == "" {
		os.Exit(m.Run())
	}
	if err := maintainOnce(context.Background(), uuid.MustParse(tenant)); err != nil {
		slog.Error("maintain", "err", err)
		os.Exit(1)
	}
}

func maintainOnce(ctx context.Context, tenant uuid.UUID) error {
	store, err := db.Open(ctx, db.Options{
		AppURL: os.Getenv("APP"), WriterURL: os.Getenv("WRITER"), ControlURL: os.Getenv("CONTROL"), SupportURL: os.Getenv("SUPPORT"), AuditURL: os.Getenv("AUDIT"),
		Unfollowed: true,
	})
	if err != nil {
		return err
	}
	defer store.Close()
	k, err := kms.OpenLocal(os.Getenv("KMS"))
	if err != nil {
		return err
	}
	objects, err := blob.Open(ctx, os.Getenv("OBJECTS"))
	if err != nil {
		return err
	}
	p := &press{keys: keys.New(keys.Options{Store: store, KMS: k}), at: objects}
	return p.on(store).Maintain(ctx, scope.New(tenant, scope.Actor{Kind: scope.ActorSystem, ID: "job"}))
}

// bucket is an S3 that can hold a PUT: half of the body is read, or all of it is stored and not answered.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
	hold    string // "half", "stored", or nothing
	held    chan struct{}
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	hold := b.hold
	b.mu.Unlock()
	switch r.Method {
	case http.MethodPut:
		if hold == "half" {
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
			b.held <- struct{}{}
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done() // its client is dead
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.objects[r.URL.Path] = body
		b.mu.Unlock()
		if hold == "stored" {
			b.held <- struct{}{}
			<-r.Context().Done()
		}
	case http.MethodGet:
		b.mu.Lock()
		body, there := b.objects[r.URL.Path]
		b.mu.Unlock()
		if !there {
			http.Error(w, "NoSuchKey", http.StatusNotFound)
			return
		}
		_, _ = w.Write(body)
	case http.MethodDelete:
		b.mu.Lock()
		delete(b.objects, r.URL.Path)
		b.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}
}

func (b *bucket) holding(how string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hold = how
}

func (b *bucket) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.objects)
}

// newFaulty is a press on a bucket, whose database keeps each change of a report's state and progress.
func newFaulty(t *testing.T) (*press, *bucket, string) {
	t.Helper()
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"} {
		t.Setenv(name, value)
	}
	b := &bucket{objects: map[string][]byte{}, held: make(chan struct{}, 8)}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	p := newPress(t)
	url := "s3://reports?region=eu-central-1&endpoint=" + server.URL
	var err error
	if p.at, err = blob.Open(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	p.Service = p.on(p.store.Store)
	p.exec(t, `CREATE TABLE report_history (n bigserial, id uuid, state text, percent integer);
		CREATE FUNCTION note_report_history() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN INSERT INTO report_history (id, state, percent) VALUES (NEW.id, NEW.state, CASE WHEN NEW.total > 0 THEN NEW.done * 100 / NEW.total ELSE 0 END); RETURN NEW; END $$;
		CREATE TRIGGER history AFTER UPDATE ON reports FOR EACH ROW EXECUTE FUNCTION note_report_history()`)
	return p, b, url
}

// waits returns when a server waits for a lock.
func (p *press) waits(t *testing.T, look *pgx.Conn) {
	t.Helper()
	eventually(t, "server that waits for a lock", func() bool {
		var n int
		err := look.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE 'bc\_%' AND wait_event_type = 'Lock'`).Scan(&n)
		return err == nil && n > 0
	})
}

// eventually polls until something is reached: for a minute, which is no measure of anything.
func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !reached(); {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

// locked runs fn while the test holds a table.
func (p *press) locked(t *testing.T, table, mode string, fn func()) {
	t.Helper()
	tx, err := p.store.Superuser(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context())) //nolint:errcheck // it frees the table
	if _, err := tx.Exec(t.Context(), fmt.Sprintf("LOCK TABLE %s IN %s MODE", pgx.Identifier{table}.Sanitize(), mode)); err != nil {
		t.Fatal(err)
	}
	fn()
}

// process starts a server in a process of its own, and returns what kills it.
func (p *press) process(t *testing.T, sc scope.Scope, objects string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$") //nolint:gosec // the program is this one
	cmd.Env = append(os.Environ(), childVariable+"="+sc.Tenant().String(), "KMS="+p.kmsFile, "OBJECTS="+objects, "APP="+p.store.URL(db.RoleApp), "WRITER="+p.store.URL(db.RoleWriter),
		"CONTROL="+p.store.URL(db.RoleControl), "SUPPORT="+p.store.URL(db.RoleSupport), "AUDIT="+p.store.URL(db.RoleAudit))
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // by the signal, or it was killed before
	})
	t.Cleanup(kill)
	return kill
}

// gone returns when the connections of who was killed are over: Postgres learns of it when it answers.
func (p *press) gone(t *testing.T, look *pgx.Conn) {
	t.Helper()
	eventually(t, "end of its connections", func() bool {
		var n int
		err := look.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE 'bc\_%' AND state <> 'idle'`).Scan(&n)
		return err == nil && n == 0
	})
}

// forward says that no report's progress has ever gone back, and that none has ended twice.
func (p *press) forward(t *testing.T) {
	t.Helper()
	var back, twice int
	if err := p.store.Superuser(t).QueryRow(t.Context(), `SELECT
		(SELECT count(*) FROM (SELECT percent < lag(percent) OVER (PARTITION BY id ORDER BY n) AS back FROM report_history) h WHERE back),
		(SELECT count(*) FROM (SELECT id FROM report_history WHERE state IN ('DONE', 'FAILED') GROUP BY id HAVING count(*) > 1) h)`).Scan(&back, &twice); err != nil {
		t.Fatal(err)
	}
	if back+twice > 0 {
		t.Errorf("progress went back %d times, %d reports ended twice", back, twice)
	}
}

// events counts those of a type.
func (p *press) events(t *testing.T, kind string) (n int) {
	t.Helper()
	if err := p.store.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM event_outbox WHERE tenant_id = $1 AND type = $2", p.acme.Tenant(), kind).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A server that is killed, or told to end, in any step of making a report leaves what another one ends: the same bytes as a report
// that nothing has disturbed, one object of it, one entry and one event. A claim that begins the progress anew turns it red, as
// does an attempt that leaves its object.
func TestEndsInEachStep(t *testing.T) {
	p, b, url := newFaulty(t)
	p.log(t, p.acme, "user.create", "user.delete", "policy.update", "authentication.finish")
	const catalogue = "soc2"
	calm := p.made(t, p.acme, catalogue, today())
	want := map[string][]byte{}
	for _, f := range calm.Manifest.Files {
		want[f.Name] = p.file(t, p.acme, calm.ID, f.Name)
	}
	reports, look := 1, p.store.Superuser(t)
	ended := func(name string, r report.Report) {
		t.Helper()
		// It had gone far before it was broken off.
		p.exec(t, "UPDATE reports SET done = 9, total = 12 WHERE id = $1 AND state = 'RUNNING'", r.ID)
		if err := p.later(t, 3*time.Minute).Maintain(t.Context(), p.acme); err != nil {
			t.Fatalf("after %s: %v", name, err)
		}
		reports++
		o, err := p.Open(t.Context(), p.acme, r.ID)
		if err != nil {
			t.Fatalf("after %s: %v", name, err)
		}
		if o.State != report.Done || len(o.Manifest.Files) != len(want) {
			t.Errorf("after %s: %+v", name, o.Report)
		}
		for _, f := range o.Manifest.Files {
			if !bytes.Equal(p.file(t, p.acme, r.ID, f.Name), want[f.Name]) {
				t.Errorf("after %s: %s is not that of an undisturbed report", name, f.Name)
			}
		}
		if n := b.count(); n != reports {
			t.Errorf("after %s: %d objects of %d reports", name, n, reports)
		}
		if n := p.store.AuditCount(t, p.acme, "report.finish"); n != int64(reports) {
			t.Errorf("after %s: %d entries, want %d", name, n, reports)
		}
		if n := p.events(t, "report.finished"); n != reports {
			t.Errorf("after %s: %d events, want %d", name, n, reports)
		}
		p.forward(t)
	}
	for _, at := range []struct{ table, mode string }{
		{"reports", "SHARE"}, // it is claimed
		{"report_schedules", "ACCESS EXCLUSIVE"}, {"members", "ACCESS EXCLUSIVE"}, {"audit_entries", "ACCESS EXCLUSIVE"}, {"sessions", "ACCESS EXCLUSIVE"}, {"api_keys", "ACCESS EXCLUSIVE"},
		{"audit_checkpoints", "ACCESS EXCLUSIVE"}, // it is printed
		{"audit_inbox", "ACCESS EXCLUSIVE"},       // it is stored
	} {
		for _, how := range []string{"killed", "told to end"} {
			name := how + " at " + at.table
			r := p.create(t, p.acme, catalogue, today())
			p.locked(t, at.table, at.mode, func() {
				if how == "killed" {
					kill := p.process(t, p.acme, url)
					p.waits(t, look)
					kill()
					return
				}
				ctx, end := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- p.Maintain(ctx, p.acme) }()
				p.waits(t, look)
				end()
				if err := <-done; err != nil {
					t.Logf("told to end at %s: %v", at.table, err) // it has said that it was broken off, or could not
				}
			})
			p.gone(t, look)
			ended(name, r)
		}
	}
	for _, how := range []string{"half", "stored"} {
		r := p.create(t, p.acme, catalogue, today())
		b.holding(how)
		kill := p.process(t, p.acme, url)
		<-b.held
		kill()
		b.holding("")
		p.gone(t, look)
		ended("killed while its object was "+how, r)
	}
}

// Three servers ask, schedule and make at once: each report is made once, of each period of a schedule there is one. Two periods are
// due and three reports are asked for, which is what may be open at once: in whatever order they come, none is refused.
func TestServersTakeTurns(t *testing.T) {
	p, b, _ := newFaulty(t)
	p.log(t, p.acme, "user.create")
	if _, err := p.Put(t.Context(), p.acme, report.ScheduleRequest{Catalogue: "access-review", Cadence: report.Monthly}); err != nil {
		t.Fatal(err)
	}
	from := time.Now().UTC()
	from = time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC)
	p.exec(t, "UPDATE report_schedules SET due_at = $2 WHERE tenant_id = $1", p.acme.Tenant(), from.AddDate(0, -1, 0).Add(10*time.Minute))
	servers := []*report.Service{p.Service, p.on(p.store.Replica(t)), p.on(p.store.Replica(t))}
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() {
			if _, err := s.Create(t.Context(), p.acme, report.CreateRequest{Catalogue: "soc2", Period: today()}); err != nil {
				t.Error(err)
			}
		})
		for range 3 {
			wg.Go(func() {
				if err := s.Maintain(t.Context(), p.acme); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for range 3 { // what was asked for last
		if err := p.Maintain(t.Context(), p.acme); err != nil {
			t.Fatal(err)
		}
	}
	page, err := p.List(t.Context(), p.acme, listing.Request{})
	if err != nil {
		t.Fatal(err)
	}
	periods, sums := map[string]int{}, map[string]bool{}
	for _, r := range page.Items {
		if r.State != report.Done || r.Attempt != 1 {
			t.Errorf("report %+v", r)
		}
		if r.Scheduled {
			periods[r.Period.First()]++
		} else {
			sums[r.SHA256] = true
		}
	}
	n := len(page.Items)
	if len(periods) != 2 || len(sums) != 1 || n != 5 {
		t.Errorf("%d reports, of the schedule %v, bodies %v", n, periods, sums)
	}
	for period, times := range periods {
		if times != 1 {
			t.Errorf("%d reports of the month from %s", times, period)
		}
	}
	if entries := p.store.AuditCount(t, p.acme, "report.finish"); entries != int64(n) || p.events(t, "report.finished") != n || p.events(t, "report.started") != n || b.count() != n {
		t.Errorf("%d reports: %d entries, %d and %d events, %d objects", n, entries, p.events(t, "report.started"), p.events(t, "report.finished"), b.count())
	}
	p.forward(t)
}

// A server that is killed while it makes the report of a schedule has made it and moved the schedule on, or neither; and a schedule
// that is settled again, as it was, misses no period that is over.
func TestScheduleEndsInEachStep(t *testing.T) {
	p, _, url := newFaulty(t)
	p.log(t, p.acme, "user.create")
	if _, err := p.Put(t.Context(), p.acme, report.ScheduleRequest{Catalogue: "soc2", Cadence: report.Monthly}); err != nil {
		t.Fatal(err)
	}
	from := time.Now().UTC()
	from = time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC)
	p.exec(t, "UPDATE report_schedules SET due_at = $2 WHERE tenant_id = $1", p.acme.Tenant(), from.Add(10*time.Minute))
	look := p.store.Superuser(t)
	for _, at := range []struct{ table, mode string }{{"report_schedules", "SHARE"}, {"reports", "SHARE"}, {"audit_inbox", "ACCESS EXCLUSIVE"}, {"event_outbox", "ACCESS EXCLUSIVE"}} {
		p.locked(t, at.table, at.mode, func() {
			kill := p.process(t, p.acme, url)
			p.waits(t, look)
			kill()
		})
		p.gone(t, look)
		if page, err := p.List(t.Context(), p.acme, listing.Request{}); err != nil || len(page.Items) != 0 {
			t.Fatalf("killed at %s: %+v, %v", at.table, page.Items, err)
		}
	}
	if _, err := p.Put(t.Context(), p.acme, report.ScheduleRequest{Catalogue: "soc2", Cadence: report.Monthly, KeepDays: 30}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Maintain(t.Context(), p.acme); err != nil {
			t.Fatal(err)
		}
	}
	page, err := p.List(t.Context(), p.acme, listing.Request{})
	if err != nil || len(page.Items) != 1 || !page.Items[0].Period.To.Equal(from) || page.Items[0].KeepDays != 30 || page.Items[0].State != report.Done {
		t.Errorf("reports %+v, %v", page.Items, err)
	}
	if n := p.store.AuditCount(t, p.acme, "report.start"); n != 1 || p.events(t, "report.started") != 1 {
		t.Errorf("%d entries, %d events", n, p.events(t, "report.started"))
	}
}
