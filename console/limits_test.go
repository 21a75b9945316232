package console_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
)

// The limits in force, what they refused to whom, and who may know of whom.
func TestLimitsPage(t *testing.T) {
	began := time.Now()
	var past atomic.Int64 // the visitors of this test are one address, which is limited, too
	l := ratelimit.New(ratelimit.Options{Now: func() time.Time { return began.Add(time.Duration(past.Load())) }})
	s := newSiteAt(t, publicURL, l)
	sc, slug := s.tenant(t)
	other, _ := s.tenant(t)
	path := "/console/t/" + slug + "/limits"
	owner := s.person(t, "Ana", sc, member.Owner)
	page := owner.get(t, path)
	for _, want := range []string{"Nothing was refused", "400 a second", "60 an hour", "Exactly, over all servers", "Costly methods"} {
		if page.StatusCode != http.StatusOK || !strings.Contains(page.body, want) {
			t.Errorf("%d: the page does not say %q:\n%s", page.StatusCode, want, page.body)
		}
	}
	if a := owner.get(t, "/console/t/"+slug); strings.Contains(a.body, "refused by limits") {
		t.Error("the overview tells of refusals when there were none")
	}
	for _, ask := range []ratelimit.Ask{{Limit: &ratelimit.PerVisitor, ID: "a", Cost: 20}, {Limit: &ratelimit.PerVisitor, ID: "b", Cost: 20}, {Limit: &ratelimit.PerKey, ID: "k", Cost: 400}} {
		if err := l.Check(t.Context(), sc, ask); err != nil {
			t.Fatal(err)
		}
	}
	for n, ask := range map[int]ratelimit.Ask{
		3: {Limit: &ratelimit.PerVisitor, ID: "a", Who: "192.0.2.7"}, 4: {Limit: &ratelimit.PerVisitor, ID: "b", Who: "2001:db8::"},
		5: {Limit: &ratelimit.PerKey, ID: "k", Who: "0193a7d2-5b1e-7c3a-9f04-1d2e3f4a5b6c"},
	} {
		for range n {
			if err := l.Check(t.Context(), sc, ask); err == nil {
				t.Fatalf("%+v is admitted", ask)
			}
		}
	}
	l.Overloaded(sc)
	l.Overloaded(other)
	page = owner.get(t, path)
	for _, want := range []string{"192.0.2.7", "2001:db8::/64", "A key that is gone", "1 call found no room", "The server was full"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page does not say %q:\n%s", want, page.body)
		}
	}
	if a := owner.get(t, "/console/t/"+slug); !strings.Contains(a.body, "13 calls refused by limits") || !strings.Contains(a.body, "Most by: Visitor") {
		t.Errorf("the overview does not tell of it:\n%s", a.body)
	}
	past.Add(int64(time.Second))
	// A viewer may not read keys' names, nor the addresses of the audit log.
	viewer := s.person(t, "Vi", sc, member.Viewer).get(t, path)
	if viewer.StatusCode != http.StatusOK || strings.Contains(viewer.body, "192.0.2.7") || strings.Contains(viewer.body, "2001:db8") || !strings.Contains(viewer.body, "An address") {
		t.Errorf("a viewer is told of addresses: %d\n%s", viewer.StatusCode, viewer.body)
	}
	past.Add(int64(time.Second))
	if a := s.person(t, "Su", sc, member.Support).get(t, path); a.StatusCode != http.StatusForbidden {
		t.Errorf("the help desk: %d", a.StatusCode)
	}
	past.Add(int64(time.Second))
	if a := s.person(t, "Eve", other, member.Owner).get(t, path); a.StatusCode != http.StatusNotFound {
		t.Errorf("another tenant's: %d", a.StatusCode)
	}
	off := newSiteAt(t, publicURL, ratelimit.New(ratelimit.Options{Off: true}))
	home, there := off.tenant(t)
	if a := off.person(t, "Ana", home, member.Owner).get(t, "/console/t/"+there+"/limits"); !strings.Contains(a.body, "Limits are off on this server") || strings.Contains(page.body, "Limits are off") {
		t.Errorf("limits that are off: %d\n%s", a.StatusCode, a.body)
	}
}
