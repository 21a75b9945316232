package siem_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/siem"
)

// A stream's life: each change leaves one audit entry, and nothing shows the credential.
func TestLife(t *testing.T) {
	w := newWorks(t)
	ctx, ana := t.Context(), w.acme.WithActor(actor)
	w.log(t, 3)
	from := w.size(t)
	req := w.https("  Security   team ")
	req.Reason = "contract 12"
	s := w.create(t, req)
	if s.Name != "Security team" || s.NextSeq != from || !s.HasCredential || s.State != siem.Active || s.CreatedBy != actor.String() {
		t.Errorf("Create = %+v", s)
	}
	if _, err := w.Create(ctx, ana, w.https("Security team")); !errors.Is(err, siem.ErrName) {
		t.Errorf("the same name: %v", err)
	}
	all := w.https("all")
	all.FromStart = true
	if s := w.create(t, all); s.NextSeq != 0 || s.Behind != from+1 {
		t.Errorf("from the start = %+v", s)
	}
	list, err := w.List(ctx, w.acme)
	if err != nil || len(list) != 2 || list[0].Name != "Security team" {
		t.Errorf("List = %+v, %v", list, err)
	}

	name, format := "Elsewhere", siem.OCSF
	updated, err := w.Update(ctx, ana, siem.UpdateRequest{ID: s.ID, Name: &name, Format: &format, IfMatch: s.ETag, Reason: "a new team"})
	if err != nil || updated.Name != name || updated.Format != format || updated.ETag == s.ETag || updated.Address != s.Address {
		t.Errorf("Update = %+v, %v", updated, err)
	}
	if _, err := w.Update(ctx, ana, siem.UpdateRequest{ID: s.ID, Name: &name, IfMatch: s.ETag}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("an old etag: %v", err)
	}
	if same, err := w.Update(ctx, ana, siem.UpdateRequest{ID: s.ID, Name: &name}); err != nil || same.ETag != updated.ETag {
		t.Errorf("nothing changed: %+v, %v", same, err)
	}
	other := w.url("other.example", "/in")
	if _, err := w.Update(ctx, ana, siem.UpdateRequest{ID: s.ID, Address: &other}); !errors.Is(err, siem.ErrCredential) {
		t.Errorf("another server gets the credential: %v", err)
	}
	if moved, err := w.Update(ctx, ana, siem.UpdateRequest{ID: s.ID, Address: &other, Credential: &secret}); err != nil || moved.Address != other {
		t.Errorf("another server with a credential = %+v, %v", moved, err)
	}
	for range 2 { // twice leaves one trace
		if p, err := w.Pause(ctx, ana, s.ID, "holidays"); err != nil || p.State != siem.Paused {
			t.Errorf("Pause = %+v, %v", p, err)
		}
	}
	w.move(t)
	if err := w.Deliver(ctx, w.acme, s.ID); err != nil || w.get(t, s.ID).NextSeq != s.NextSeq {
		t.Errorf("a paused stream delivers: %v", err)
	}
	for range 2 {
		if p, err := w.Resume(ctx, ana, s.ID, "back"); err != nil || p.State != siem.Active {
			t.Errorf("Resume = %+v, %v", p, err)
		}
	}
	zero := int64(0)
	if p, err := w.Replay(ctx, ana, siem.ReplayRequest{ID: s.ID, Seq: &zero, Reason: "lost an index"}); err != nil || p.NextSeq != 0 {
		t.Errorf("Replay = %+v, %v", p, err)
	}
	if err := w.Service.Delete(ctx, ana, s.ID, "stale", ""); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("Delete with an old etag: %v", err)
	}
	if err := w.Service.Delete(ctx, ana, s.ID, "", "over"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if _, err := w.Get(ctx, w.acme, s.ID); !errors.Is(err, siem.ErrNotFound) {
		t.Errorf("Get after Delete: %v", err)
	}
	for action, n := range map[string]int64{"create": 2, "update": 2, "pause": 1, "resume": 1, "replay": 1, "delete": 1} {
		if got := w.store.AuditCount(t, w.acme, "logstream."+action); got != n {
			t.Errorf("%d entries of logstream.%s, want %d", got, action, n)
		}
	}
	page, err := w.trail.List(ctx, w.acme, listing.Request{PageSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v %+v", list, page); strings.Contains(text, strings.TrimPrefix(secret, "whsec_")) {
		t.Errorf("the credential shows:\n%s", text)
	}
}

// Another tenant's stream looks absent, to every verb. Row-level security off turns it red.
func TestOtherTenant(t *testing.T) {
	w := newWorks(t)
	s := w.create(t, w.https("ours"))
	ctx, name, zero := t.Context(), "theirs", int64(0)
	_, get := w.Get(ctx, w.other, s.ID)
	_, rejects := w.Rejects(ctx, w.other, s.ID, 10)
	_, update := w.Update(ctx, w.other, siem.UpdateRequest{ID: s.ID, Name: &name})
	_, pause := w.Pause(ctx, w.other, s.ID, "")
	_, resume := w.Resume(ctx, w.other, s.ID, "")
	_, replay := w.Replay(ctx, w.other, siem.ReplayRequest{ID: s.ID, Seq: &zero})
	_, test := w.Test(ctx, w.other, s.ID, "")
	for verb, err := range map[string]error{"Get": get, "Rejects": rejects, "Update": update, "Pause": pause, "Resume": resume, "Replay": replay, "Test": test, "Delete": w.Service.Delete(ctx, w.other, s.ID, "", "")} {
		if !errors.Is(err, siem.ErrNotFound) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if list, err := w.List(ctx, w.other); err != nil || len(list) != 0 {
		t.Errorf("List = %+v, %v", list, err)
	}
	if err := w.Deliver(ctx, w.other, s.ID); err != nil { // nothing to claim
		t.Errorf("Deliver: %v", err)
	}
	if got := w.get(t, s.ID); got.ETag != s.ETag || got.State != siem.Active {
		t.Errorf("it has changed: %+v", got)
	}
}

func TestReplayFromTime(t *testing.T) {
	w := newWorks(t)
	r, req := newReceiver(t, w, siem.HTTPS)
	s := w.create(t, req)
	w.log(t, 4)
	w.deliver(t, s.ID)
	since := w.store.Now()
	middle := w.size(t)
	w.log(t, 4)
	w.deliver(t, s.ID)
	before := len(r.got())
	if got, err := w.Replay(t.Context(), w.acme, siem.ReplayRequest{ID: s.ID, Since: &since}); err != nil || got.NextSeq != middle {
		t.Fatalf("Replay = %d, %v, want %d", got.NextSeq, err, middle)
	}
	w.move(t)
	w.deliver(t, s.ID)
	checkArrivals(t, r.got()[before:], middle, w.size(t)-1)
	size, later, early, negative := w.size(t)+1, w.store.Now().Add(time.Hour), time.Unix(0, 0), int64(-1)
	for name, req := range map[string]siem.ReplayRequest{
		"neither": {}, "both": {Seq: &middle, Since: &since}, "beyond the end": {Seq: &size}, "before the beginning": {Seq: &negative},
	} {
		req.ID = s.ID
		if _, err := w.Replay(t.Context(), w.acme, req); !errors.Is(err, siem.ErrCursor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := w.Replay(t.Context(), w.acme, siem.ReplayRequest{ID: s.ID, Since: &early}); err != nil || got.NextSeq != 0 {
		t.Errorf("from the first: %d, %v", got.NextSeq, err)
	}
	w.move(t)
	if got, err := w.Replay(t.Context(), w.acme, siem.ReplayRequest{ID: s.ID, Since: &later}); err != nil || got.NextSeq != w.size(t) {
		t.Errorf("from a time to come: %d, %v", got.NextSeq, err)
	}
}

func TestTooMany(t *testing.T) {
	w := newWorks(t)
	for i := range 10 {
		w.create(t, w.https(fmt.Sprint("stream ", i)))
	}
	if _, err := w.Create(t.Context(), w.acme, w.https("one more")); !errors.Is(err, siem.ErrTooMany) {
		t.Errorf("Create = %v", err)
	}
}

func TestInvalid(t *testing.T) {
	w := newWorks(t)
	for name, change := range map[string]func(*siem.CreateRequest){
		"no name":           func(r *siem.CreateRequest) { r.Name = " " },
		"no kind":           func(r *siem.CreateRequest) { r.Kind = "KAFKA" },
		"no format":         func(r *siem.CreateRequest) { r.Format = "" },
		"in the clear":      func(r *siem.CreateRequest) { r.Address = "http://siem.example/in" },
		"a user in the URL": func(r *siem.CreateRequest) { r.Address = "https://u:p@siem.example/in" },
		"a fragment":        func(r *siem.CreateRequest) { r.Address = "https://siem.example/in#x" },
		"no port":           func(r *siem.CreateRequest) { r.Address = "https://siem.example:/in" },
		"port 0":            func(r *siem.CreateRequest) { r.Address = "https://siem.example:0/in" },
		"an odd host":       func(r *siem.CreateRequest) { r.Address = "https://siem_example/in" },
		"acknowledgment":    func(r *siem.CreateRequest) { r.Acknowledge = true },
		"an index":          func(r *siem.CreateRequest) { r.Index = "main" },
		"an action":         func(r *siem.CreateRequest) { r.Actions = []string{"user.*"} },
		"an action twice":   func(r *siem.CreateRequest) { r.Actions = []string{"user.", "user."} },
		"an outcome":        func(r *siem.CreateRequest) { r.Outcomes = []audit.Outcome{"odd"} },
		"a member":          func(r *siem.CreateRequest) { r.Redact = []string{"id"} },
		"certificates":      func(r *siem.CreateRequest) { r.CACertificates = "-----BEGIN" },
		"a private key": func(r *siem.CreateRequest) {
			r.CACertificates = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
		},
		"no index":            func(r *siem.CreateRequest) { r.Kind = siem.Elasticsearch },
		"an index in capital": func(r *siem.CreateRequest) { r.Kind, r.Index = siem.Elasticsearch, "Logs" },
		"a query":             func(r *siem.CreateRequest) { r.Kind, r.Address = siem.Splunk, "https://splunk.example/?a=b" },
		"a URL for syslog":    func(r *siem.CreateRequest) { r.Kind, r.Credential = siem.Syslog, "" },
	} {
		req := w.https("x")
		change(&req)
		if _, err := w.Create(t.Context(), w.acme, req); !errors.Is(err, siem.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*siem.CreateRequest){
		"no secret":           func(r *siem.CreateRequest) { r.Credential = "" },
		"a short secret":      func(r *siem.CreateRequest) { r.Credential = "whsec_AAAA" },
		"a line break":        func(r *siem.CreateRequest) { r.Credential += "\r\nX: y" },
		"no token":            func(r *siem.CreateRequest) { r.Kind, r.Credential = siem.Splunk, "" },
		"a token with spaces": func(r *siem.CreateRequest) { r.Kind, r.Credential = siem.Splunk, "a b" },
		"one for syslog":      func(r *siem.CreateRequest) { r.Kind, r.Address = siem.Syslog, "siem.example:6514" },
	} {
		req := w.https("x")
		change(&req)
		if _, err := w.Create(t.Context(), w.acme, req); !errors.Is(err, siem.ErrCredential) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.store.AuditCount(t, w.acme, "logstream.create"); n != 0 {
		t.Errorf("%d entries of what was refused", n)
	}
}

// A data key is replaced: credentials are sealed anew before it is destroyed, and open afterwards.
func TestReseal(t *testing.T) {
	w := newWorks(t)
	_, req := newReceiver(t, w, siem.HTTPS)
	s := w.create(t, req)
	if _, err := w.keys.RotateDataKey(t.Context(), w.acme, "yearly"); err != nil {
		t.Fatal(err)
	}
	before := w.sealed(t, s.ID)
	// A new key seals when every server has heard of it: let that time be over.
	if _, err := w.store.Superuser(t).Exec(t.Context(), "UPDATE data_keys SET created_at = created_at - interval '1 hour'"); err != nil {
		t.Fatal(err)
	}
	w.keys = keys.New(keys.Options{Store: w.store.Store, KMS: w.kms})
	w.Service = w.server(w.store.Store, w.options())
	if n, err := w.Reseal(t.Context(), w.acme, 100); err != nil || n != 1 {
		t.Errorf("Reseal = %d, %v", n, err)
	}
	if n, err := w.Reseal(t.Context(), w.acme, 100); err != nil || n != 0 {
		t.Errorf("Reseal again = %d, %v", n, err)
	}
	was, _ := keys.VersionOf(before)
	if now, ok := keys.VersionOf(w.sealed(t, s.ID)); !ok || now == was {
		t.Errorf("sealed by data key %d as before", now)
	}
	w.log(t, 2)
	w.deliver(t, s.ID)
}

func (w *works) sealed(t *testing.T, id uuid.UUID) []byte {
	t.Helper()
	var sealed []byte
	if err := w.store.ReadTenant(t.Context(), w.acme, func(tx *db.TenantTx) error {
		row, err := tx.GetSink(t.Context(), id)
		sealed = row.Credential
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return sealed
}
