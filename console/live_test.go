package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// event is what a page is told by its stream.
type event struct {
	id, name string
	data     struct{ Key, Replaces, HTML, Reason string }
}

// watch opens a stream as a page's script does; the status is what it was answered.
func (b *browser) watch(t *testing.T, path string) (int, <-chan event) {
	t.Helper()
	server := httptest.NewServer(b.site)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "localhost:8080"
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, cookie := range b.cookies {
		req.AddCookie(cookie)
	}
	res, err := http.DefaultTransport.RoundTrip(req) //nolint:bodyclose // who reads it closes it
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan event, 64)
	go func() {
		defer close(events)
		defer func() { _ = res.Body.Close() }()
		var e event
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				_ = json.Unmarshal([]byte(value), &e.data) // a test looks at what is in it
			case "":
				if e.name != "" {
					events <- e
				}
				e = event{}
			}
		}
	}()
	return res.StatusCode, events
}

func soon(t *testing.T, events <-chan event) event {
	t.Helper()
	select {
	case e, open := <-events:
		if !open {
			t.Fatal("the stream has ended without a word")
		}
		return e
	case <-time.After(15 * time.Second):
		t.Fatal("nothing came in 15 s")
	}
	return event{}
}

// runTail lets the site's streams hear.
func (s *site) runTail(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.tail.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// A page is told rows: a begin, and the ceremony that takes its place; with the page's filters,
// nothing of other tenants, and no markup of anybody's.
func TestLiveRows(t *testing.T) {
	s := newSite(t)
	s.runTail(t)
	acme, slug := s.tenant(t)
	globex, foreign := s.tenant(t)
	dev, viewer := s.person(t, "Dev", acme, member.Developer), s.person(t, "Vic", acme, member.Viewer)
	base := "/console/t/" + slug
	for path, want := range map[string]int{
		base + "/ceremonies/events": 403, base + "/activity/events": 403,
	} {
		if status, _ := viewer.watch(t, path); status != want {
			t.Errorf("a viewer at %s = %d, want %d", path, status, want)
		}
	}
	for _, path := range []string{"/console/t/" + foreign + "/ceremonies/events", base + "/ceremonies/events?q=nobody"} {
		if status, _ := dev.watch(t, path); status != http.StatusNotFound {
			t.Errorf("%s = %d, want 404", path, status)
		}
	}
	if body := viewer.get(t, base).body; strings.Contains(body, "data-live") {
		t.Error("a viewer's overview has activity")
	}
	status, all := dev.watch(t, base+"/ceremonies/events")
	_, failures := dev.watch(t, base+"/ceremonies/events?show=failed")
	if status != http.StatusOK {
		t.Fatalf("stream = %d", status)
	}
	now := s.store.Now()
	s.tail.Begin(globex.Tenant(), &tail.Begun{Ref: "theirs", Kind: debugger.Authentication, At: now})
	s.tail.Begin(acme.Tenant(), &tail.Begun{Ref: "ref", Kind: debugger.Authentication, At: now, ExpiresAt: now.Add(time.Minute), Browser: "<b>Chrome</b>"})
	if e := soon(t, all); e.name != "begun" || e.data.Key != "ref" || e.id != "" || !strings.Contains(e.data.HTML, "Sign-in begun") || strings.Contains(e.data.HTML, "<b>Chrome") {
		t.Errorf("begun = %+v", e)
	}
	s.finished(t, globex, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "FAILED", Reason: "SIGNATURE_INVALID", Facts: "{}"})
	id := s.finished(t, acme, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "FAILED", Reason: "ORIGIN_NOT_ALLOWED", Facts: "{}"})
	s.tail.End(acme.Tenant(), "ref", id)
	e := soon(t, all)
	if e.name != "finished" || e.data.Key != id.String() || e.id == "" || !strings.Contains(e.data.HTML, "ORIGIN_NOT_ALLOWED") ||
		!strings.Contains(e.data.HTML, base+"/ceremonies/"+id.String()) {
		t.Errorf("finished = %+v", e)
	}
	if e := soon(t, failures); e.data.Key != id.String() || !strings.Contains(e.data.HTML, "show=failed") {
		t.Errorf("of the failures = %+v", e)
	}
	// The overview's begins with what was last.
	_, activity := dev.watch(t, base+"/activity/events")
	if e := soon(t, activity); e.data.Key != id.String() || !strings.HasPrefix(e.data.HTML, "<tr") {
		t.Errorf("activity = %+v", e)
	}
	// Where live streams are turned off it tells what was last, and ends; the list has no stream.
	s.unwatched.Store(true)
	_, activity = dev.watch(t, base+"/activity/events")
	if e := soon(t, activity); e.data.Key != id.String() {
		t.Errorf("activity while streams are off = %+v", e)
	}
	if e := soon(t, activity); e.name != "end" || e.data.Reason != tail.ErrOff.Reason {
		t.Errorf("after it: %+v", e)
	}
	if status, _ := dev.watch(t, base+"/ceremonies/events"); status != http.StatusServiceUnavailable {
		t.Errorf("the list's stream while they are off = %d", status)
	}
	s.unwatched.Store(false)
	if body := dev.get(t, base+"/ceremonies").body; !strings.Contains(body, `data-live="`+base+`/ceremonies/events?after=`) {
		t.Error("the list names no stream")
	}
	if body := dev.get(t, base+"/ceremonies?tail=paused").body; strings.Contains(body, "data-live=") {
		t.Error("a paused list names a stream")
	}
}

// Whoever may not watch any more is told so within five seconds, and nothing else: without the
// second look streams go on for ever.
func TestLiveRowsEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		end    func(t *testing.T, s *site, acme uuid.UUID, who *browser)
		reason string
	}{
		"signed out": {func(t *testing.T, _ *site, _ uuid.UUID, who *browser) { t.Helper(); who.form(t, "/console/signout") }, member.ErrSignedOut.Reason},
		"removed": {func(t *testing.T, s *site, acme uuid.UUID, _ *browser) {
			t.Helper()
			s.exec(t, "DELETE FROM members WHERE tenant_id = $1", acme)
		}, member.ErrNotFound.Reason},
		"of a lesser role": {func(t *testing.T, s *site, acme uuid.UUID, _ *browser) {
			t.Helper()
			s.exec(t, "UPDATE members SET role = 'viewer' WHERE tenant_id = $1", acme)
		}, "STREAM_NOT_ALLOWED"},
		"of a suspended tenant": {func(t *testing.T, s *site, acme uuid.UUID, _ *browser) {
			t.Helper()
			if _, err := s.tenants.Suspend(t.Context(), s.home, tenant.SuspendRequest{ID: acme}); err != nil {
				t.Fatal(err)
			}
		}, "TENANT_SUSPENDED"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			acme, slug := s.tenant(t)
			dev := s.person(t, "Dev", acme, member.Developer)
			status, events := dev.watch(t, "/console/t/"+slug+"/ceremonies/events")
			if status != http.StatusOK {
				t.Fatalf("stream = %d", status)
			}
			since := time.Now()
			tt.end(t, s, acme.Tenant(), dev)
			if e := soon(t, events); e.name != "end" || e.data.Reason != tt.reason || time.Since(since) > 5*time.Second {
				t.Errorf("it ends with %+v after %v, want %s within 5 s", e, time.Since(since), tt.reason)
			}
		})
	}
}

// Support watches by its grant, which is on record, and no longer than that runs.
func TestSupportWatches(t *testing.T) {
	v := askAccess(t, "ACT")
	v.letIn(t, "ACT")
	status, events := v.staff.watch(t, v.base+"/ceremonies/events")
	if status != http.StatusOK {
		t.Fatalf("stream = %d", status)
	}
	if n := v.store.AuditCount(t, v.acme, "support.view"); n != 1 {
		t.Errorf("%d views recorded, want 1", n)
	}
	id := v.finished(t, v.acme, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "FAILED", Reason: "ORIGIN_NOT_ALLOWED", Facts: "{}"})
	if e := soon(t, events); e.data.Key != id.String() {
		t.Errorf("support is told %+v", e)
	}
	if res := v.owner.form(t, v.page+"/revoke", "reason", "enough"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("revoke = %d", res.StatusCode)
	}
	since := time.Now()
	v.finished(t, v.acme, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "FAILED", Reason: "SIGNATURE_INVALID", Facts: "{}"})
	if e := soon(t, events); e.name != "end" || e.data.Reason != "STREAM_NOT_ALLOWED" || time.Since(since) > 5*time.Second {
		t.Errorf("after the revocation support is told %+v", e)
	}
}
