package archive_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// large is a tenant whose archive has parts before its last table is reached.
func (d *depot) large(t testing.TB) scope.Scope {
	t.Helper()
	acme := d.Tenant(t)
	d.Enroll(t, acme, d.User(t, acme), 200)
	return acme
}

// upTo runs do in an attempt, when the table has been read. Parts of the attempt are there.
func (d *depot) upTo(t *testing.T, sc scope.Scope, table string, do func()) {
	t.Helper()
	done := false
	d.OnPage(func(at string) {
		if at != table || done {
			return
		}
		done = true
		if d.parts(t, sc) == 0 {
			t.Error("no part is there yet")
		}
		do()
	})
	t.Cleanup(func() {
		if !done {
			t.Errorf("no attempt has come to %s", table)
		}
	})
}

// A server that is killed says nothing: the export is the next server's when the lease is
// over, and begins anew. Nothing of the first attempt is left.
func TestKilledAttemptIsFollowedByAnother(t *testing.T) {
	d := newDepot(t)
	acme := d.large(t)
	e := d.start(t, acme)
	d.upTo(t, acme, "sessions", func() { panic("killed") })
	func() {
		defer func() { _ = recover() }()
		_ = d.Maintain(t.Context(), acme)
	}()
	if got := d.state(t, acme, e.ID); got.State != archive.Running || got.Attempt != 1 || got.Rows == 0 || got.FilesDone == 0 || got.Percent() == 0 {
		t.Errorf("after the kill: %+v", got)
	}
	left := d.parts(t, acme)

	soon := d.later(t, time.Minute) // the lease still runs
	if err := soon.Maintain(t.Context(), acme); err != nil || d.state(t, acme, e.ID).Attempt != 1 {
		t.Errorf("within the lease: %+v, %v", d.state(t, acme, e.ID), err)
	}
	later := d.later(t, 3*time.Minute)
	if err := later.Maintain(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	got := d.state(t, acme, e.ID)
	if got.State != archive.Done || got.Attempt != 2 {
		t.Errorf("after the lease: %+v", got)
	}
	if n := d.parts(t, acme); left == 0 || n != d.one(t, "SELECT parts FROM exports WHERE id = $1", e.ID) {
		t.Errorf("%d parts after %d of a killed attempt", n, left)
	}
	if r := verify(t, download(t, later, acme, e.ID), d.Ring(t, acme).JWKS()); !r.Valid() {
		t.Errorf("Verify = %+v", r.Findings)
	}
}

// An attempt that was only slow finds that it is not its export any more: it stops, and
// changes nothing of what the other has made.
func TestSlowAttemptLosesToAnother(t *testing.T) {
	d := newDepot(t)
	acme := d.large(t)
	e := d.start(t, acme)
	later := d.later(t, 3*time.Minute)
	d.upTo(t, acme, "sessions", func() {
		if err := later.Maintain(t.Context(), acme); err != nil {
			t.Error(err)
		}
	})
	if err := d.Maintain(t.Context(), acme); err != nil {
		t.Errorf("Maintain = %v", err)
	}
	got := d.state(t, acme, e.ID)
	if got.State != archive.Done || got.Attempt != 2 {
		t.Errorf("export = %+v", got)
	}
	if n := d.parts(t, acme); n != d.one(t, "SELECT parts FROM exports WHERE id = $1", e.ID) {
		t.Errorf("%d parts", n)
	}
	if !verify(t, download(t, d.Service, acme, e.ID), nil).Valid() {
		t.Error("the archive is broken")
	}
	if n := d.AuditCount(t, acme, "export.finish"); n != 1 {
		t.Errorf("%d entries of its end", n)
	}
}

// What an attempt is told of its loss at the very end, when its last part is there, it takes as
// well: an archive that was cancelled, or is another attempt's, is not finished, and no entry says
// that it is.
func TestLostAttemptDoesNotFinish(t *testing.T) {
	d := newDepot(t)
	acme := d.large(t)
	e := d.start(t, acme)
	d.upTo(t, acme, "sessions", func() { panic("killed") })
	func() {
		defer func() { _ = recover() }()
		_ = d.Maintain(t.Context(), acme)
	}()
	unfinished := func(what string, attempt int, want archive.State) {
		t.Helper()
		if err := d.Finish(t.Context(), acme, e.ID, attempt); !errors.Is(err, archive.ErrLost) {
			t.Errorf("%s: finish = %v", what, err)
		}
		if got := d.state(t, acme, e.ID); got.State != want || got.SHA256 != "" {
			t.Errorf("%s: %+v", what, got)
		}
		if n := d.AuditCount(t, acme, "export.finish"); n != 0 {
			t.Errorf("%s: %d entries of its end", what, n)
		}
	}
	unfinished("another attempt", 2, archive.Running)
	if _, err := d.Cancel(t.Context(), acme, archive.CancelRequest{Tenant: acme.Tenant(), ID: e.ID, Reason: "a mistake"}); err != nil {
		t.Fatal(err)
	}
	unfinished("a cancelled one", 1, archive.Cancelled)
}

// A server that stops breaks its attempt off and says so: another goes on at once.
func TestStoppingServerHandsOver(t *testing.T) {
	d := newDepot(t)
	acme := d.large(t)
	e := d.start(t, acme)
	ctx, stop := context.WithCancel(t.Context())
	d.upTo(t, acme, "sessions", stop)
	if err := d.Maintain(ctx, acme); err != nil {
		t.Errorf("Maintain = %v", err)
	}
	if got := d.state(t, acme, e.ID); got.State != archive.Running || got.Failure != "EXPORT_BROKEN_OFF" {
		t.Errorf("after the stop: %+v", got)
	}
	if err := d.Maintain(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	if got := d.state(t, acme, e.ID); got.State != archive.Done || got.Attempt != 2 {
		t.Errorf("export = %+v", got)
	}
	if n := d.parts(t, acme); n != d.one(t, "SELECT parts FROM exports WHERE id = $1", e.ID) {
		t.Errorf("%d parts", n)
	}
}

func TestCancel(t *testing.T) {
	d := newDepot(t)
	acme := d.large(t)
	e := d.start(t, acme)
	d.upTo(t, acme, "sessions", func() {
		if got, err := d.Cancel(t.Context(), acme, archive.CancelRequest{Tenant: acme.Tenant(), ID: e.ID, Reason: "a mistake"}); err != nil || got.State != archive.Cancelled {
			t.Errorf("Cancel = %+v, %v", got, err)
		}
	})
	if err := d.Maintain(t.Context(), acme); err != nil {
		t.Errorf("Maintain = %v", err)
	}
	if got := d.state(t, acme, e.ID); got.State != archive.Cancelled {
		t.Errorf("export = %+v", got)
	}
	if _, err := d.Download(t.Context(), acme, acme.Tenant(), e.ID); !errors.Is(err, archive.ErrGone) {
		t.Errorf("Download = %v", err)
	}
	if n := d.one(t, "SELECT count(*) FROM exports WHERE id = $1 AND archive_key IS NOT NULL", e.ID); n != 0 {
		t.Error("its key is still there")
	}
	// What was on its way is there by now: all of it is removed.
	if err := d.Maintain(t.Context(), acme); err != nil || d.parts(t, acme) == 0 {
		t.Errorf("removed while a part may be on its way, %v", err)
	}
	if err := d.later(t, time.Minute).Maintain(t.Context(), acme); err != nil || d.parts(t, acme) != 0 {
		t.Errorf("%d parts are left, %v", d.parts(t, acme), err)
	}
	d.start(t, acme) // and another may be asked for
}

// While object storage is away an export waits; what it has begun leaves nothing behind. In
// the end it fails with the reason.
func TestObjectStorageIsAway(t *testing.T) {
	d := newDepot(t)
	acme := d.large(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "made-up")
	away, err := blob.Open(t.Context(), "s3://bucket?region=eu-central-1&endpoint=http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	e := d.start(t, acme)
	if err := d.on(d.World, away).Maintain(t.Context(), acme); err != nil {
		t.Errorf("Maintain = %v", err)
	}
	got := d.state(t, acme, e.ID)
	if got.State != archive.Running || got.Failure != "OBJECT_STORAGE_UNAVAILABLE" || got.Attempt != 1 {
		t.Errorf("export = %+v", got)
	}
	if err := d.Maintain(t.Context(), acme); err != nil || d.state(t, acme, e.ID).Attempt != 1 {
		t.Errorf("tried again at once: %v", err)
	}
	later := d.later(t, time.Minute)
	if err := later.Maintain(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	if got := d.state(t, acme, e.ID); got.State != archive.Done || got.Attempt != 2 {
		t.Errorf("export = %+v", got)
	}

	// For good: the last attempt says so, and the entry in the log too.
	e = d.start(t, acme)
	d.exec(t, "UPDATE exports SET attempt = 5, state = 'RUNNING' WHERE id = $1", e.ID)
	if err := d.on(d.World, away).Maintain(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	if got := d.state(t, acme, e.ID); got.State != archive.Failed || got.Failure != "OBJECT_STORAGE_UNAVAILABLE" || got.EndedAt == nil {
		t.Errorf("export = %+v", got)
	}
	if n := d.one(t, "SELECT count(*) FROM audit_records WHERE tenant_id = $1 AND action = 'export.finish' AND entry::jsonb->>'outcome' = 'failed'", acme.Tenant()); n != 1 {
		t.Errorf("%d entries of the failure", n)
	}
	// Each attempt was killed.
	e = d.start(t, acme)
	d.exec(t, "UPDATE exports SET attempt = 6, state = 'RUNNING' WHERE id = $1", e.ID)
	if err := d.Maintain(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	if got := d.state(t, acme, e.ID); got.State != archive.Failed || got.Failure != "EXPORT_BROKEN_OFF" {
		t.Errorf("export = %+v", got)
	}
}

// The snapshot holds vacuum back, and so it is bounded.
func TestAttemptIsBounded(t *testing.T) {
	d := newDepot(t)
	acme := d.large(t)
	e := d.start(t, acme)
	d.Tune(1<<10, time.Nanosecond)
	if err := d.Maintain(t.Context(), acme); err != nil {
		t.Errorf("Maintain = %v", err)
	}
	if got := d.state(t, acme, e.ID); got.State != archive.Failed || got.Failure != "EXPORT_TOO_LONG" {
		t.Errorf("export = %+v", got)
	}
}

func TestArchiveExpires(t *testing.T) {
	d := newDepot(t)
	acme := d.large(t)
	e, _ := d.made(t, acme)
	before, after := d.later(t, archive.Life-time.Minute), d.later(t, archive.Life+time.Minute)
	if err := before.Maintain(t.Context(), acme); err != nil || d.parts(t, acme) == 0 {
		t.Errorf("removed before its time, %v", err)
	}
	download(t, before, acme, e.ID)
	if _, err := after.Download(t.Context(), acme, acme.Tenant(), e.ID); !errors.Is(err, archive.ErrGone) {
		t.Errorf("Download before the job came = %v", err)
	}
	if err := after.Maintain(t.Context(), acme); err != nil || d.parts(t, acme) != 0 {
		t.Errorf("%d parts are left, %v", d.parts(t, acme), err)
	}
	if got := d.state(t, acme, e.ID); got.State != archive.Expired || got.SHA256 == "" {
		t.Errorf("export = %+v", got)
	}
	if n := d.one(t, "SELECT count(*) FROM exports WHERE id = $1 AND archive_key IS NULL AND parts = 0 AND due_at IS NULL", e.ID); n != 1 {
		t.Error("its key is still there, or the job looks at it again")
	}
	if n := d.AuditCount(t, acme, "export.expire"); n != 1 {
		t.Errorf("%d entries of its end", n)
	}
}

// A part that somebody has changed, or exchanged for another, does not open.
func TestPartsAreBoundToTheirPlace(t *testing.T) {
	d := newDepot(t)
	acme := d.large(t)
	e, _ := d.made(t, acme)
	part := func(number int) uuid.UUID { return archive.PartID(e.ID, 1, number) }
	first, err := d.objects.Get(t.Context(), acme, "export", part(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.objects.Put(t.Context(), acme, "export", part(1), first); err != nil {
		t.Fatal(err)
	}
	down, err := d.Download(t.Context(), acme, acme.Tenant(), e.ID)
	if err != nil {
		t.Fatal(err)
	}
	var n counter
	if err := down.WriteTo(t.Context(), &n); err == nil || n != 1<<10 {
		t.Errorf("WriteTo = %v after %d bytes", err, n)
	}
	if err := d.objects.Delete(t.Context(), acme, "export", part(1)); err != nil {
		t.Fatal(err)
	}
	if err := down.WriteTo(t.Context(), &n); !errors.Is(err, archive.ErrGone) {
		t.Errorf("WriteTo without a part = %v", err)
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// An archive outlives the data key that its key was sealed under.
func TestReseal(t *testing.T) {
	d := newDepot(t)
	acme := d.large(t)
	e, _ := d.made(t, acme)
	next := d.NextDataKey(t, acme)
	s := d.on(next, d.objects)
	if n, err := s.Reseal(t.Context(), acme, 100); n != 1 || err != nil {
		t.Fatalf("Reseal = %d, %v", n, err)
	}
	if n, err := s.Reseal(t.Context(), acme, 100); n != 0 || err != nil {
		t.Errorf("Reseal again = %d, %v", n, err)
	}
	if n := d.one(t, "SELECT count(*) FROM exports WHERE id = $1 AND key_version = $2", e.ID, next.Ring(t, acme).SealingVersion()); n != 1 {
		t.Error("it is still sealed under the old one")
	}
	if !verify(t, download(t, s, acme, e.ID), nil).Valid() {
		t.Error("the archive is broken")
	}
}

// What does not open any more does not keep a tenant from leaving, and the manifest says so.
func TestDamagedRowsAreTold(t *testing.T) {
	d := newDepot(t)
	acme := d.Tenant(t)
	ada, bob := d.User(t, acme), d.User(t, acme)
	if _, err := d.Users.Create(t.Context(), acme, user.Profile{ExternalID: "eve", Name: "eve"}, user.Contact{Email: "eve@example.com"}); err != nil {
		t.Fatal(err)
	}
	d.keepEvidence(t, acme, &ada)
	d.exec(t, "UPDATE users SET profile_sealed = (SELECT profile_sealed FROM users WHERE tenant_id = $1 AND id = $2) WHERE tenant_id = $1 AND id = $3", acme.Tenant(), ada.ID.UUID(), bob.ID.UUID())
	d.exec(t, "UPDATE contacts SET match_index = sha256('x') WHERE tenant_id = $1", acme.Tenant())
	var id uuid.UUID
	if err := d.Superuser(t).QueryRow(t.Context(), "SELECT id FROM evidence WHERE tenant_id = $1", acme.Tenant()).Scan(&id); err != nil {
		t.Fatal(err)
	}
	if err := d.objects.Delete(t.Context(), acme, "evidence", id); err != nil {
		t.Fatal(err)
	}
	_, raw := d.made(t, acme)
	r := verify(t, raw, nil)
	if !r.Valid() {
		t.Errorf("Verify = %+v", r.Findings)
	}
	told := map[string][2]int64{}
	for _, f := range r.Manifest.Files {
		if f.Unopened+f.Missing > 0 {
			told[f.Table] = [2]int64{f.Unopened, f.Missing}
		}
	}
	if len(told) != 3 || told["users"] != [2]int64{1, 0} || told["contacts"] != [2]int64{1, 0} || told["evidence"] != [2]int64{0, 1} {
		t.Errorf("told = %v", told)
	}
	for _, u := range rows(t, raw, "users.jsonl") {
		if named := u["name"] != nil; named == (u["id"] == bob.ID.String()) {
			t.Errorf("user = %v", u)
		}
	}
}
