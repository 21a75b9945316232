package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/report"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// press is a server that makes reports into a folder.
type press struct {
	*report.Service
	store *dbtest.Store
	keys  *keys.Service
	seq   *sequencer.Sequencer
	dir   string
	at    *blob.Bucket

	kmsFile string
	shared  []report.Document

	acme, globex scope.Scope
}

func newPress(t testing.TB) *press {
	t.Helper()
	p := &press{store: dbtest.Fresh(t), dir: t.TempDir()}
	p.acme, p.globex = p.store.Tenant(t), p.store.Tenant(t)
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	p.kmsFile = path
	p.keys = keys.New(keys.Options{Store: p.store.Store, KMS: k})
	for _, sc := range []scope.Scope{p.acme, p.globex} {
		if err := p.keys.Ensure(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
	}
	p.seq = sequencer.New(sequencer.Options{Store: p.store.Store, Keys: p.keys, Host: "id.bank.example"})
	if p.at, err = blob.Open(t.Context(), "file://"+p.dir); err != nil {
		t.Fatal(err)
	}
	p.Service = p.on(p.store.Store)
	p.move(t)
	return p
}

// on is a server on a store: the world's, or one whose clock is ahead.
func (p *press) on(store *db.Store) *report.Service {
	return report.New(report.Options{
		Store: store, Keys: p.keys, Members: member.New(member.Options{Store: store, Keys: p.keys}), Objects: p.at, Shared: p.shared, Log: slog.New(slog.DiscardHandler),
		Policy: func(context.Context, scope.Scope) (policy.Document, error) { return policy.Default(), nil },
		Names:  func(context.Context, []uuid.UUID) (map[uuid.UUID]string, error) { return nil, nil },
	})
}

// later is the server as it will be after a while.
func (p *press) later(t testing.TB, by time.Duration) *report.Service {
	t.Helper()
	o := p.store.Options()
	o.Now = func() time.Time { return time.Now().Add(by) }
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return p.on(store)
}

// move has the sequencer do all that waits, and sign.
func (p *press) move(t testing.TB) {
	t.Helper()
	for n := 1; n > 0; {
		var err error
		if n, err = p.seq.Move(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.seq.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// log commits entries of some actions and moves them into the log.
func (p *press) log(t testing.TB, sc scope.Scope, actions ...string) {
	t.Helper()
	if err := p.store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		for _, a := range actions {
			if err := audit.Append(t.Context(), tx, audit.Entry{Action: a, Target: audit.Target{Kind: "user", ID: uuid.NewString()}}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	p.move(t)
}

// exec changes rows as nobody may.
func (p *press) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := p.store.Superuser(t).Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// today is a period that now lies in.
func today() report.Period {
	from := time.Now().UTC().Truncate(24 * time.Hour)
	return report.Period{From: from, To: from.Add(24 * time.Hour)}
}

func (p *press) create(t testing.TB, sc scope.Scope, catalogue string, of report.Period) report.Report {
	t.Helper()
	r, err := p.Create(t.Context(), sc, report.CreateRequest{Catalogue: catalogue, Period: of, Reason: "audit"})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return r
}

// made is a report that is done.
func (p *press) made(t testing.TB, sc scope.Scope, catalogue string, of report.Period) *report.Opened {
	t.Helper()
	r := p.create(t, sc, catalogue, of)
	if err := p.Maintain(t.Context(), sc); err != nil {
		t.Fatalf("Maintain: %v", err)
	}
	o, err := p.Open(t.Context(), sc, r.ID)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return o
}

func (p *press) file(t testing.TB, sc scope.Scope, id uuid.UUID, name string) []byte {
	t.Helper()
	d, err := p.Download(t.Context(), sc, id, name)
	if err != nil {
		t.Fatalf("Download %s: %v", name, err)
	}
	return d.Body
}

// objects are how many there are of the tenant's reports.
func (p *press) objects(t testing.TB, sc scope.Scope) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(p.dir, "report", sc.Tenant().String()))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return len(entries)
}

func control(t testing.TB, o *report.Opened, id string) report.BodyControl {
	t.Helper()
	for _, c := range o.Body.Controls {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("no control %s in %s", id, o.Catalogue)
	return report.BodyControl{}
}

// A report's life: asked for, made, opened, downloaded, deleted, and each step with its entry.
func TestLife(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create", "user.delete", "policy.update")
	r := p.create(t, p.acme, "audit-integrity", today())
	if r.State != report.Queued || r.KeepDays != report.DefaultKeepDays || r.AskedBy == "" {
		t.Errorf("Create = %+v", r)
	}
	if _, err := p.Download(t.Context(), p.acme, r.ID, ""); !errors.Is(err, report.ErrNotReady) {
		t.Errorf("Download before = %v", err)
	}
	if err := p.Maintain(t.Context(), p.acme); err != nil {
		t.Fatal(err)
	}
	o, err := p.Open(t.Context(), p.acme, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if o.State != report.Done || o.SHA256 == "" || o.Total == 0 || o.Done != o.Total || o.Counts != o.Body.Counts || o.Counts.Met == 0 {
		t.Errorf("Open = %+v", o.Report)
	}
	if p.objects(t, p.acme) != 1 {
		t.Errorf("%d objects, want 1", p.objects(t, p.acme))
	}
	if _, err := p.Download(t.Context(), p.acme, r.ID, "../other"); !errors.Is(err, report.ErrFile) {
		t.Errorf("another file = %v", err)
	}
	page, err := p.List(t.Context(), p.acme, listing.Request{Filter: "catalogue = audit-integrity"})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("List = %+v, %v", page, err)
	}
	if page, err := p.List(t.Context(), p.acme, listing.Request{Filter: "catalogue = soc2"}); err != nil || len(page.Items) != 0 {
		t.Errorf("List of another = %+v, %v", page, err)
	}
	_ = p.file(t, p.acme, r.ID, report.PDFName)
	if err := p.Delete(t.Context(), p.acme, r.ID, "made twice"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Open(t.Context(), p.acme, r.ID); !errors.Is(err, report.ErrNotFound) {
		t.Errorf("Open after Delete = %v", err)
	}
	if err := p.later(t, time.Hour).Maintain(t.Context(), p.acme); err != nil {
		t.Fatal(err)
	}
	if n := p.objects(t, p.acme); n != 0 {
		t.Errorf("%d objects after Delete, want none", n)
	}
	for action, n := range map[string]int64{"start": 1, "finish": 1, "download": 1, "delete": 1} {
		if got := p.store.AuditCount(t, p.acme, "report."+action); got != n {
			t.Errorf("%d entries of report.%s, want %d", got, action, n)
		}
	}
}

// The same period of the same records is the same file, byte for byte: for every catalogue of the release and in every
// form. A time of making in a body turns it red.
func TestSameBytes(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create", "user.delete", "signingkey.activate", "authentication.finish")
	all, err := p.Catalogues(t.Context(), p.acme)
	if err != nil || len(all) < 9 {
		t.Fatalf("%d catalogues, %v", len(all), err)
	}
	for _, c := range all {
		a, b := p.made(t, p.acme, c.Name, today()), p.made(t, p.acme, c.Name, today())
		for _, f := range a.Manifest.Files {
			one, two := p.file(t, p.acme, a.ID, f.Name), p.file(t, p.acme, b.ID, f.Name)
			if !bytes.Equal(one, two) {
				t.Errorf("%s of %s differs", f.Name, c.Name)
			}
			if bytes.Contains(one, []byte(a.ID.String())) {
				t.Errorf("%s of %s has the report's id in it", f.Name, c.Name)
			}
		}
		if a.SHA256 != b.SHA256 {
			t.Errorf("SHA-256 of %s: %s and %s", c.Name, a.SHA256, b.SHA256)
		}
	}
	p.log(t, p.acme, "user.delete")
	a, b := p.made(t, p.acme, "gdpr-records", today()), p.made(t, p.acme, "gdpr-records", today())
	if a.SHA256 != b.SHA256 {
		t.Error("two of the same differ")
	}
	if n := control(t, a, "Art. 17").Findings[0]; n.Figure != 2 || n.Evidence.Entries != 2 || n.Evidence.Last == nil {
		t.Errorf("erasures = %+v, want 2", n)
	}
	if l := a.Body.Lists[0]; l.Name != "erasures" || len(l.Rows) != 2 || l.Rows[1][0] != fmt.Sprint(*control(t, a, "Art. 17").Findings[0].Evidence.Last) {
		t.Errorf("erasures listed = %+v", l)
	}
}

// Of a period in which nothing was recorded nothing is met, whatever is stored now.
func TestEmptyPeriod(t *testing.T) {
	p := newPress(t)
	all, err := p.Catalogues(t.Context(), p.acme)
	if err != nil {
		t.Fatal(err)
	}
	before := report.Period{From: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2020, 2, 1, 0, 0, 0, 0, time.UTC)}
	for _, c := range all {
		o := p.made(t, p.acme, c.Name, before)
		if o.Counts.Met != 0 || o.Counts.NotMet != 0 || o.Counts.NoEvidence != len(o.Body.Controls) || o.Body.Silent == "" {
			t.Errorf("%s of an empty period = %+v, %q", c.Name, o.Counts, o.Body.Silent)
		}
	}
}

// An entry that was changed in the log past every lock is seen. A comparison left out turns it red.
func TestSeesDamage(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create", "user.delete")
	if o := p.made(t, p.acme, "audit-integrity", today()); control(t, o, "AI-2").Result != report.Met || control(t, o, "AI-6").Result != report.Met {
		t.Fatalf("before: %+v", o.Body.Controls)
	}
	p.exec(t, "UPDATE audit_entries SET entry = replace(entry, 'user.delete', 'user.update') WHERE tenant_id = $1 AND action = 'user.delete'", p.acme.Tenant())
	o := p.made(t, p.acme, "audit-integrity", today())
	if c := control(t, o, "AI-2"); c.Result != report.NotMet || c.Findings[0].Figure != 1 {
		t.Errorf("after = %+v", c)
	}
	p.exec(t, "DELETE FROM audit_entries WHERE tenant_id = $1 AND action = 'user.delete'", p.acme.Tenant())
	if c := control(t, p.made(t, p.acme, "audit-integrity", today()), "AI-3"); c.Result != report.NotMet {
		t.Errorf("a missing entry = %+v", c)
	}
}

// Another tenant's report looks absent, to every verb, and the staff sees none. Row-level security off turns it red.
func TestOtherTenant(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create")
	ours := p.made(t, p.acme, "soc2", today())
	own := "format: biocore-catalogue/1\nname: acme\ntitle: T\nstandard: S\nversion: '1'\ncontrols:\n  - {id: A, section: S, title: T, outside: elsewhere}\n"
	if _, err := p.PutCatalogue(t.Context(), p.acme, report.PutCatalogueRequest{Name: "acme", Text: own}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Put(t.Context(), p.acme, report.ScheduleRequest{Catalogue: "acme", Cadence: report.Monthly}); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, get := p.Get(ctx, p.globex, ours.ID)
	_, open := p.Open(ctx, p.globex, ours.ID)
	_, down := p.Download(ctx, p.globex, ours.ID, "")
	_, catalogue := p.GetCatalogue(ctx, p.globex, "acme")
	_, create := p.Create(ctx, p.globex, report.CreateRequest{Catalogue: "acme", Period: today()})
	for name, got := range map[string][2]error{
		"Get": {get, report.ErrNotFound}, "Open": {open, report.ErrNotFound}, "Download": {down, report.ErrNotFound}, "Delete": {p.Delete(ctx, p.globex, ours.ID, ""), report.ErrNotFound},
		"GetCatalogue": {catalogue, report.ErrCatalogue}, "DeleteCatalogue": {p.DeleteCatalogue(ctx, p.globex, "acme", "", ""), report.ErrCatalogue},
		"Create": {create, report.ErrCatalogue}, "Unschedule": {p.Unschedule(ctx, p.globex, "acme", ""), report.ErrSchedule},
	} {
		if !errors.Is(got[0], got[1]) {
			t.Errorf("%s = %v, want %v", name, got[0], got[1])
		}
	}
	page, err := p.List(ctx, p.globex, listing.Request{})
	schedules, err2 := p.Schedules(ctx, p.globex)
	if err != nil || err2 != nil || len(page.Items)+len(schedules) != 0 {
		t.Errorf("lists = %+v %+v, %v %v", page, schedules, err, err2)
	}
	if err := p.Maintain(ctx, p.globex); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Get(ctx, p.acme, ours.ID); err != nil {
		t.Errorf("ours = %v", err)
	}
	if _, err := p.Get(ctx, scope.New(scope.PlatformTenant, p.acme.Actor()), ours.ID); !errors.Is(err, report.ErrNotFound) {
		t.Errorf("the platform = %v", err)
	}
}

// What cannot be is refused, and nothing is left of it.
func TestRefuses(t *testing.T) {
	p := newPress(t)
	now, ctx := today(), t.Context()
	for name, req := range map[string]report.CreateRequest{
		"no catalogue":   {Catalogue: "none", Period: now},
		"a path":         {Catalogue: "../soc2", Period: now},
		"tomorrow":       {Catalogue: "soc2", Period: report.Period{From: now.From, To: now.To.Add(24 * time.Hour)}},
		"backwards":      {Catalogue: "soc2", Period: report.Period{From: now.To, To: now.From}},
		"half a day":     {Catalogue: "soc2", Period: report.Period{From: now.From.Add(-12 * time.Hour), To: now.From}},
		"too long":       {Catalogue: "soc2", Period: report.Period{From: now.From.AddDate(-2, 0, 0), To: now.To}},
		"kept for ever":  {Catalogue: "soc2", Period: now, KeepDays: 4000},
		"a long reason":  {Catalogue: "soc2", Period: now, Reason: strings.Repeat("x", 257)},
		"before we were": {Catalogue: "soc2", Period: report.Period{From: time.Date(1969, 12, 1, 0, 0, 0, 0, time.UTC), To: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)}},
	} {
		if _, err := p.Create(ctx, p.acme, req); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := report.New(report.Options{Store: p.store.Store, Keys: p.keys}).Create(ctx, p.acme, report.CreateRequest{Catalogue: "soc2", Period: now}); !errors.Is(err, report.ErrNoStorage) {
		t.Errorf("without storage = %v", err)
	}
	if page, err := p.List(ctx, p.acme, listing.Request{}); err != nil || len(page.Items) != 0 {
		t.Errorf("left = %+v, %v", page, err)
	}
	for range 5 {
		p.create(t, p.acme, "soc2", now)
	}
	if _, err := p.Create(ctx, p.acme, report.CreateRequest{Catalogue: "soc2", Period: now}); !errors.Is(err, report.ErrTooMany) {
		t.Errorf("a sixth = %v", err)
	}
	if _, err := p.Put(ctx, p.acme, report.ScheduleRequest{Catalogue: "soc2", Cadence: "DAILY"}); !errors.Is(err, report.ErrCadence) {
		t.Errorf("daily = %v", err)
	}
}

// A schedule makes one report of each period that is over, also after a year without a server, and none twice.
func TestSchedule(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create")
	s, err := p.Put(t.Context(), p.acme, report.ScheduleRequest{Catalogue: "soc2", Cadence: report.Monthly, KeepDays: 400})
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now().UTC()
	from = time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC)
	if !s.Next.From.Equal(from) || !s.NextAt.After(s.Next.To) {
		t.Errorf("Put = %+v", s)
	}
	if err := p.Maintain(t.Context(), p.acme); err != nil {
		t.Fatal(err)
	}
	if page, err := p.List(t.Context(), p.acme, listing.Request{}); err != nil || len(page.Items) != 0 {
		t.Errorf("before its time: %+v, %v", page, err)
	}
	// No server ran for two months.
	p.exec(t, "UPDATE report_schedules SET due_at = $2 WHERE tenant_id = $1", p.acme.Tenant(), from.AddDate(0, -1, 0).Add(10*time.Minute))
	for range 2 {
		if err := p.Maintain(t.Context(), p.acme); err != nil {
			t.Fatal(err)
		}
	}
	page, err := p.List(t.Context(), p.acme, listing.Request{})
	if err != nil || len(page.Items) != 2 {
		t.Fatalf("%d reports, %v", len(page.Items), err)
	}
	for i, r := range page.Items {
		want := report.Period{From: from.AddDate(0, -1-i, 0), To: from.AddDate(0, -i, 0)}
		if !r.Scheduled || r.Period != want || r.State != report.Done || r.KeepDays != 400 {
			t.Errorf("report %d = %+v, want of %s", i, r, want)
		}
	}
	if again, err := p.Schedules(t.Context(), p.acme); err != nil || len(again) != 1 || again[0] != s {
		t.Errorf("Schedules = %+v, %v, want %+v", again, err, s)
	}
	if err := p.Unschedule(t.Context(), p.acme, "soc2", "enough"); err != nil {
		t.Fatal(err)
	}
	if err := p.Unschedule(t.Context(), p.acme, "soc2", "enough"); !errors.Is(err, report.ErrSchedule) {
		t.Errorf("twice = %v", err)
	}
}

// A report whose time is over is destroyed, key first, and then its object.
func TestRetention(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create")
	r, err := p.Create(t.Context(), p.acme, report.CreateRequest{Catalogue: "soc2", Period: today(), KeepDays: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Maintain(t.Context(), p.acme); err != nil {
		t.Fatal(err)
	}
	tomorrow := p.later(t, 25*time.Hour)
	if _, err := tomorrow.Open(t.Context(), p.acme, r.ID); !errors.Is(err, report.ErrGone) {
		t.Errorf("Open tomorrow = %v", err)
	}
	if err := tomorrow.Maintain(t.Context(), p.acme); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Get(t.Context(), p.acme, r.ID); !errors.Is(err, report.ErrNotFound) || p.objects(t, p.acme) != 0 {
		t.Errorf("Get = %v, %d objects", err, p.objects(t, p.acme))
	}
	if n := p.store.AuditCount(t, p.acme, "report.expire"); n != 1 {
		t.Errorf("%d entries of report.expire", n)
	}
}

// Each file verifies by the tenant's key set, and what was changed does not, nor as another tenant's.
func TestVerify(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create")
	o := p.made(t, p.acme, "soc2", today())
	ours, err := p.keys.Ring(t.Context(), p.acme)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := p.keys.Ring(t.Context(), p.globex)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range o.Manifest.Files {
		body, jws := p.file(t, p.acme, o.ID, f.Name), string(p.file(t, p.acme, o.ID, f.Name+report.SignatureSuffix))
		if kid, err := report.VerifyFile(ours.JWKS(), body, jws); err != nil || kid != o.KID {
			t.Errorf("%s: %s, %v", f.Name, kid, err)
		}
		if _, err := report.VerifyFile(theirs.JWKS(), body, jws); !errors.Is(err, report.ErrSignature) {
			t.Errorf("%s by another's keys: %v", f.Name, err)
		}
		body[len(body)/2] ^= 1
		if _, err := report.VerifyFile(ours.JWKS(), body, jws); !errors.Is(err, report.ErrSignature) {
			t.Errorf("%s changed: %v", f.Name, err)
		}
	}
	packed := p.file(t, p.acme, o.ID, "")
	for _, jwks := range [][]byte{nil, ours.JWKS()} {
		if v, err := report.VerifyBundle(packed, jwks); err != nil || len(v.Findings) != 0 || v.KID != o.KID {
			t.Errorf("VerifyBundle = %+v, %v", v, err)
		}
	}
	if v, err := report.VerifyBundle(packed, theirs.JWKS()); err != nil || len(v.Findings) == 0 {
		t.Errorf("VerifyBundle by another's keys = %+v, %v", v, err)
	}
	var body report.Body
	if err := json.Unmarshal(p.file(t, p.acme, o.ID, report.JSONName), &body); err != nil || body.Format != report.Format {
		t.Errorf("body = %v, %v", body.Format, err)
	}
}

// A catalogue of a tenant's own is used as one of the release, and changed by its etag.
func TestOwnCatalogue(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create")
	text := "format: biocore-catalogue/1\nname: acme\ntitle: Ours\nstandard: S\nversion: '1'\nlists: [actions]\ncontrols:\n" +
		"  - id: A-1\n    section: S\n    title: Somebody was made\n    evidence:\n      - {measure: audit.user_changes, is: at least, value: 1}\n" +
		"  - id: A-2\n    section: S\n    title: Nobody was erased\n    evidence:\n      - {measure: audit.erasures, is: exactly, value: 1}\n"
	first, err := p.PutCatalogue(t.Context(), p.acme, report.PutCatalogueRequest{Name: "acme", Text: text})
	if err != nil || first.ETag == "" {
		t.Fatalf("PutCatalogue = %+v, %v", first, err)
	}
	o := p.made(t, p.acme, "acme", today())
	if control(t, o, "A-1").Result != report.Met || control(t, o, "A-2").Result != report.NotMet || len(o.Body.Lists) != 1 {
		t.Errorf("report = %+v", o.Body)
	}
	if _, err := p.PutCatalogue(t.Context(), p.acme, report.PutCatalogueRequest{Name: "acme", Text: text, IfMatch: "stale"}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("a stale etag = %v", err)
	}
	if _, err := p.PutCatalogue(t.Context(), p.acme, report.PutCatalogueRequest{Name: "soc2", Text: strings.Replace(text, "name: acme", "name: soc2", 1)}); !errors.Is(err, report.ErrBuiltIn) {
		t.Errorf("the release's = %v", err)
	}
	if _, err := p.Put(t.Context(), p.acme, report.ScheduleRequest{Catalogue: "acme", Cadence: report.Quarterly}); err != nil {
		t.Fatal(err)
	}
	if err := p.DeleteCatalogue(t.Context(), p.acme, "acme", "", ""); !errors.Is(err, report.ErrScheduled) {
		t.Errorf("DeleteCatalogue while scheduled = %v", err)
	}
	if err := p.Unschedule(t.Context(), p.acme, "acme", ""); err != nil {
		t.Fatal(err)
	}
	if err := p.DeleteCatalogue(t.Context(), p.acme, "acme", first.ETag, "over"); err != nil {
		t.Errorf("DeleteCatalogue = %v", err)
	}
	if _, err := p.Open(t.Context(), p.acme, o.ID); err != nil {
		t.Errorf("what was made by it = %v", err)
	}
}

// Keys are sealed anew when a data key is replaced, and a tenant that is destroyed leaves no object.
func TestResealAndDestroy(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create")
	o := p.made(t, p.acme, "soc2", today())
	p.exec(t, "UPDATE reports SET key_version = 99 WHERE tenant_id = $1", p.acme.Tenant())
	if n, err := p.Reseal(t.Context(), p.acme, 10); n != 1 || err != nil {
		t.Errorf("Reseal = %d, %v", n, err)
	}
	if _, err := p.Open(t.Context(), p.acme, o.ID); err != nil {
		t.Errorf("Open after Reseal: %v", err)
	}
	if err := p.later(t, time.Hour).Destroy(t.Context(), p.acme); err != nil || p.objects(t, p.acme) != 0 {
		t.Errorf("Destroy = %v, %d objects", err, p.objects(t, p.acme))
	}
}
