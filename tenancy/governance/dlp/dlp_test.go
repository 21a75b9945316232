package dlp_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/audittest"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// works is a server that scans.
type works struct {
	*dlp.Service

	store        *dbtest.Store
	keys         *keys.Service
	seq          *sequencer.Sequencer
	acme, globex scope.Scope
	on           func(scope.Scope) bool // nil: all are
}

func newWorks(t *testing.T) *works {
	t.Helper()
	w := &works{store: dbtest.Fresh(t)}
	w.acme, w.globex = w.store.Tenant(t), w.store.Tenant(t)
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	ks := keys.New(keys.Options{Store: w.store.Store, KMS: k})
	for _, sc := range []scope.Scope{w.acme, w.globex} {
		if err := ks.Ensure(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
	}
	w.keys = ks
	w.seq = sequencer.New(sequencer.Options{Store: w.store.Store, Keys: ks, Host: "biocore.test"})
	w.Service = dlp.New(dlp.Options{Store: w.store.Store, Keys: ks, Trail: trail.NewReader(w.store.Store, ks), On: func(_ context.Context, sc scope.Scope) bool { return w.on == nil || w.on(sc) }})
	return w
}

func (w *works) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := w.store.Superuser(t).Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// document puts a text into a table of a tenant's.
func (w *works) document(t *testing.T, sc scope.Scope, name, text string) {
	t.Helper()
	w.exec(t, `INSERT INTO report_catalogues (tenant_id, name, document, updated_by, updated_at) VALUES ($1, $2, $3, 'operator:x', now())
		ON CONFLICT (tenant_id, name) DO UPDATE SET document = EXCLUDED.document`, sc.Tenant(), name, text)
}

// say leaves an entry in the audit log.
func (w *works) say(t *testing.T, sc scope.Scope, reason string, detail ...attr.Attr) {
	t.Helper()
	if err := w.store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		return audit.Append(t.Context(), tx, audit.Entry{Action: "user.block", Reason: reason, Detail: detail})
	}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n > 0; {
		var err error
		if n, err = w.seq.Move(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// scan has a tenant scanned from the beginning to the end.
func (w *works) scan(t *testing.T, sc scope.Scope) dlp.Scan {
	t.Helper()
	s, err := w.Start(t.Context(), sc, dlp.StartRequest{})
	if err != nil || s.State != dlp.Queued {
		t.Fatalf("Start = %+v, %v", s, err)
	}
	if err := w.Maintain(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	if s, err = w.GetScan(t.Context(), sc, s.ID); err != nil || s.State != dlp.Done || s.Percent() != 100 || s.EndedAt == nil {
		t.Fatalf("scan = %+v, %v", s, err)
	}
	return s
}

// list is a tenant's findings as lines, sorted.
func (w *works) list(t *testing.T, sc scope.Scope, filter string) (lines []string, all []dlp.Finding) {
	t.Helper()
	page, err := w.Findings(t.Context(), sc, listing.Request{Filter: filter, PageSize: listing.MaxPageSize})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range page.Items {
		lines = append(lines, fmt.Sprintf("%s %s %d %s %s", f.Place, f.Kind, f.Count, f.Shape, f.State))
	}
	slices.Sort(lines)
	return lines, page.Items
}

// A scan finds what is in tables, events and the log, each once, and stores no value of it anywhere; what is gone is resolved by the next
// scan, what somebody has dismissed stays so, and what comes back is open again. Another tenant sees nothing of it.
func TestScan(t *testing.T) {
	w := newWorks(t)
	w.document(t, w.acme, "controls", "title: pay to DE89370400440532013000\nor ana@example.com, bob@example.com")
	w.document(t, w.globex, "controls", "eve@example.com")
	w.exec(t, `INSERT INTO event_outbox (tenant_id, at, id, type, payload) VALUES ($1, now(), $2, 'user.created', '{"data":{"note":"line\n4111111111111111"}}')`, w.acme.Tenant(), uuid.New())
	w.say(t, w.acme, "she called from ana@example.com", attr.Text("note", "<86095742719>"))
	first := w.scan(t, w.acme)
	want := []string{
		"audit.detail NATIONAL_ID 1 99999999999 OPEN",
		"audit.reason EMAIL 1 xxx@xxxxxxx.xxx OPEN",
		"event_outbox.payload CARD 1 9999999999999999 OPEN",
		"report_catalogues.document EMAIL 2 xxx@xxxxxxx.xxx OPEN",
		"report_catalogues.document IBAN 1 XX99999999999999999999 OPEN",
	}
	got, all := w.list(t, w.acme, "")
	if !slices.Equal(got, want) || first.Found != 5 || first.Texts < 3 || first.Total < 20 || len(first.Cut) > 0 {
		t.Errorf("scan = %+v, found:\n%s", first, strings.Join(got, "\n"))
	}
	if foreign, _ := w.list(t, w.globex, ""); len(foreign) > 0 {
		t.Errorf("globex sees %v", foreign)
	}
	if _, err := w.GetScan(t.Context(), w.globex, first.ID); !errors.Is(err, dlp.ErrScan) {
		t.Errorf("a foreign scan: %v", err)
	}
	var stored string
	if err := w.store.Superuser(t).QueryRow(t.Context(), `SELECT (SELECT json_agg(f) FROM dlp_findings f)::text || (SELECT json_agg(s) FROM dlp_scans s)::text || (SELECT string_agg(payload, '') FROM event_outbox WHERE type LIKE 'dlp%')`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"DE8937", "ana@", "4111", "86095742719"} {
		if strings.Contains(stored, value) {
			t.Errorf("%q is stored again: %s", value, stored)
		}
	}

	mail := all[slices.IndexFunc(all, func(f dlp.Finding) bool { return f.Place == "audit.reason" })]
	if _, err := w.Decide(t.Context(), w.acme, dlp.DecideRequest{ID: mail.ID, State: dlp.Dismissed, Reason: "her own words"}); err != nil {
		t.Fatal(err)
	}
	w.document(t, w.acme, "controls", "to ana@example.com")
	w.scan(t, w.acme)
	if got, _ := w.list(t, w.acme, "state = OPEN"); !slices.Equal(got, []string{want[0], want[2], strings.Replace(want[3], "EMAIL 2", "EMAIL 1", 1)}) {
		t.Errorf("after the IBAN is gone: %q", got)
	}
	if got, _ := w.list(t, w.acme, `state = RESOLVED AND kind = IBAN AND source = SCAN AND place = "report_catalogues.document"`); len(got) != 1 {
		t.Errorf("resolved: %q", got)
	}
	w.document(t, w.acme, "controls", "DE89370400440532013000")
	w.scan(t, w.acme)
	if got, _ := w.list(t, w.acme, "state = OPEN AND kind = IBAN"); len(got) != 1 {
		t.Errorf("what is back: %q", got)
	}
	if got, _ := w.list(t, w.acme, "state = DISMISSED"); len(got) != 1 {
		t.Errorf("dismissed: %q", got)
	}
	if n := w.store.AuditCount(t, w.acme, "dlpscan.start"); n != 3 {
		t.Errorf("%d entries of starts", n)
	}
	if n := w.store.AuditCount(t, w.acme, "dlpscan.finish"); n != 3 {
		t.Errorf("%d entries of ends", n)
	}
	if scans, err := w.Scans(t.Context(), w.acme); err != nil || len(scans) != 3 || scans[2].ID != first.ID {
		t.Errorf("Scans = %+v, %v", scans, err)
	}
}

var errKilled = errors.New("killed")

// An attempt that is broken off after any page is gone on with: nothing is skipped, and nothing is looked at twice. A page
// that is noted apart from its findings, or a cursor that is not kept, turns this red.
func TestScanGoesOn(t *testing.T) {
	w := newWorks(t)
	w.exec(t, `INSERT INTO event_outbox (tenant_id, at, id, type, payload)
		SELECT $1, now() - n * interval '1 second', gen_random_uuid(), 'user.created', '{"note":"x' || n || '@example.com"}' FROM generate_series(1, 1203) n`, w.acme.Tenant())
	w.document(t, w.acme, "controls", "ana@example.com")
	s, err := w.Start(t.Context(), w.acme, dlp.StartRequest{Days: 7, Reason: "quarterly"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Start(t.Context(), w.acme, dlp.StartRequest{}); !errors.Is(err, dlp.ErrScanning) {
		t.Errorf("a second scan: %v", err)
	}
	pages, kills := 0, 0
	w.OnStep(func(place string) error {
		if pages++; place == "event_outbox" && kills < 3 {
			kills++
			return errKilled
		}
		return nil
	})
	for range 4 {
		if err := w.Maintain(t.Context(), w.acme); err != nil {
			t.Fatal(err)
		}
		w.exec(t, "UPDATE dlp_scans SET due_at = now() - interval '1 second' WHERE due_at IS NOT NULL")
	}
	now, err := w.GetScan(t.Context(), w.acme, s.ID)
	if err != nil || now.State != dlp.Done || kills != 3 || now.Found != 1204 || now.Failure != "" {
		t.Errorf("scan = %+v, %v after %d kills", now, err, kills)
	}
	var findings, texts int64
	if err := w.store.Superuser(t).QueryRow(t.Context(), "SELECT (SELECT count(*) FROM dlp_findings), (SELECT count(*) FROM event_outbox WHERE type = 'user.created')").Scan(&findings, &texts); err != nil {
		t.Fatal(err)
	}
	if findings != 1204 || now.Texts < texts || now.Texts > texts+20 {
		t.Errorf("%d findings, %d texts of %d", findings, now.Texts, texts)
	}

	// What dies five times is given up, with its reason.
	w.OnStep(func(string) error { return errKilled })
	if s, err = w.Start(t.Context(), w.acme, dlp.StartRequest{}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := w.Maintain(t.Context(), w.acme); err != nil {
			t.Fatal(err)
		}
		w.exec(t, "UPDATE dlp_scans SET due_at = now() - interval '1 second' WHERE due_at IS NOT NULL")
	}
	if now, err := w.GetScan(t.Context(), w.acme, s.ID); err != nil || now.State != dlp.Failed || now.Failure != "INTERNAL" {
		t.Errorf("scan = %+v, %v", now, err)
	}

	// A place with more than a scan looks at is named, and nothing in it counts as gone.
	w.OnStep(nil)
	w.MaxRows(500)
	if s := w.scan(t, w.acme); !slices.Equal(s.Cut, []string{"event_outbox"}) {
		t.Errorf("cut = %v", s.Cut)
	}
	if err := w.store.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM dlp_findings WHERE state <> 'OPEN'").Scan(&findings); err != nil || findings != 0 {
		t.Errorf("%d findings are resolved, %v", findings, err)
	}
}

// A finding is decided with a reason, once, by who may; another tenant's is absent.
func TestDecide(t *testing.T) {
	w := newWorks(t)
	w.document(t, w.acme, "controls", "ana@example.com")
	w.scan(t, w.acme)
	_, all := w.list(t, w.acme, "")
	f := all[0]
	ana := w.acme.WithActor(scope.Actor{Kind: scope.ActorOperator, ID: uuid.NewString(), Name: "Ana"})
	for name, tt := range map[string]struct {
		sc   scope.Scope
		req  dlp.DecideRequest
		want error
	}{
		"no reason":        {ana, dlp.DecideRequest{ID: f.ID, State: dlp.Dismissed, Reason: " "}, dlp.ErrDismiss},
		"a long reason":    {ana, dlp.DecideRequest{ID: f.ID, State: dlp.Dismissed, Reason: strings.Repeat("x", 257)}, dlp.ErrReason},
		"no state":         {ana, dlp.DecideRequest{ID: f.ID, State: "GONE"}, dlp.ErrState},
		"an old etag":      {ana, dlp.DecideRequest{ID: f.ID, State: dlp.Resolved, IfMatch: "x"}, etag.ErrMismatch},
		"nobody's":         {ana, dlp.DecideRequest{ID: uuid.New(), State: dlp.Resolved}, dlp.ErrFinding},
		"another tenant's": {w.globex, dlp.DecideRequest{ID: f.ID, State: dlp.Resolved}, dlp.ErrFinding},
	} {
		if _, err := w.Decide(t.Context(), tt.sc, tt.req); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	for range 2 { // twice leaves one trace
		got, err := w.Decide(t.Context(), ana, dlp.DecideRequest{ID: f.ID, State: dlp.Dismissed, Reason: "a test address"})
		if err != nil || got.State != dlp.Dismissed || got.Reason != "a test address" || got.DecidedBy != ana.Actor().String() || got.ETag == f.ETag || got.DecidedAt == nil {
			t.Errorf("Decide = %+v, %v", got, err)
		}
	}
	if got, err := w.Decide(t.Context(), ana, dlp.DecideRequest{ID: f.ID, State: dlp.Open}); err != nil || got.State != dlp.Open || got.Reason != "" {
		t.Errorf("open again = %+v, %v", got, err)
	}
	if n := w.store.AuditCount(t, w.acme, "dlpfinding.decide"); n != 2 {
		t.Errorf("%d entries", n)
	}
	if last := audittest.Entries(t, w.store.Store, w.acme, 1)[0]; last["action"] != "dlpfinding.decide" || fmt.Sprint(last["before"], last["after"]) != "map[state:DISMISSED] map[state:OPEN]" {
		t.Errorf("entry = %v", last)
	}
	for _, days := range []int{-1, 367} {
		if _, err := w.Start(t.Context(), w.acme, dlp.StartRequest{Days: days}); !errors.Is(err, dlp.ErrDays) {
			t.Errorf("%d days: %v", days, err)
		}
	}
	if _, err := w.Findings(t.Context(), w.acme, listing.Request{Filter: "shape = x"}); !errors.Is(err, listing.ErrFilter) {
		t.Errorf("an odd filter: %v", err)
	}
}

// A scan that is cancelled ends at the next page, with what it has found; the job claims it no more, another one can be
// asked for, and cancelling again leaves no second trace. Another tenant's is not there.
func TestCancel(t *testing.T) {
	w := newWorks(t)
	w.document(t, w.acme, "controls", "ana@example.com")
	s, err := w.Start(t.Context(), w.acme, dlp.StartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Cancel(t.Context(), w.globex, s.ID, ""); !errors.Is(err, dlp.ErrScan) {
		t.Errorf("Cancel of another tenant's = %v", err)
	}
	pages := 0
	w.OnStep(func(place string) error {
		pages++
		if place == "report_catalogues" {
			if _, err := w.Cancel(t.Context(), w.acme, s.ID, "at night"); err != nil {
				t.Error(err)
			}
			pages = 0
		}
		return nil
	})
	if err := w.Maintain(t.Context(), w.acme); err != nil {
		t.Fatal(err)
	}
	w.OnStep(nil)
	got, err := w.GetScan(t.Context(), w.acme, s.ID)
	if err != nil || got.State != dlp.Cancelled || got.Found != 1 || got.EndedAt == nil || pages > 0 {
		t.Errorf("scan = %+v, %v, %d pages after", got, err, pages)
	}
	if again, err := w.Cancel(t.Context(), w.acme, s.ID, "again"); err != nil || !again.EndedAt.Equal(*got.EndedAt) || w.store.AuditCount(t, w.acme, "dlpscan.cancel") != 1 {
		t.Errorf("Cancel again = %+v, %v", again, err)
	}
	if lines, _ := w.list(t, w.acme, "state = OPEN"); len(lines) != 1 {
		t.Errorf("findings = %v", lines)
	}
	done := w.scan(t, w.acme)
	if _, err := w.Cancel(t.Context(), w.acme, done.ID, ""); !errors.Is(err, dlp.ErrEnded) {
		t.Errorf("Cancel of what is done = %v", err)
	}
}
