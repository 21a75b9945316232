package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// finished writes a ceremony as package ceremony does, and returns its id.
func (s *site) finished(t *testing.T, sc scope.Scope, p tenantq.InsertCeremonyParams) uuid.UUID {
	t.Helper()
	p.ID = uuid.Must(uuid.NewV7())
	err := s.store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		p.At = tx.Now()
		return tx.InsertCeremony(t.Context(), p)
	})
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}

func TestCeremonies(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	globex, foreign := s.tenant(t)
	base := "/console/t/" + slug + "/ceremonies"
	jonas, err := s.users.Create(t.Context(), acme, user.Profile{ExternalID: "jonas-1", Name: "jonas", DisplayName: `<b>Jonas</b> =cmd()`}, user.Contact{})
	if err != nil {
		t.Fatal(err)
	}
	owner := uuid.UUID(jonas.ID)
	us, repeats := int32(41_200), int32(90)
	failed := s.finished(t, acme, tenantq.InsertCeremonyParams{
		Kind: "AUTHENTICATION", Outcome: "FAILED", Reason: "USER_VERIFICATION_REQUIRED", UserID: &owner, CredentialID: []byte{1, 2, 3}, PolicyVersion: 14,
		Facts:     `{"step":17,"clientType":"webauthn.get","origin":"https://login.example","flags":1,"signCount":38,"tookUs":[1000,2000,30000,0]}`,
		LatencyUs: &us, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", RequestID: "00f067aa0ba902b700f067aa0ba902b7", Browser: "Firefox 144 on Linux",
	})
	allowed := s.finished(t, acme, tenantq.InsertCeremonyParams{
		Kind: "AUTHENTICATION", Outcome: "ALLOW", UserID: &owner, CredentialID: []byte{1, 2, 3}, PolicyVersion: 14, Facts: `{"origin":"https://login.example","flags":5,"aal":2}`,
	})
	s.finished(t, acme, tenantq.InsertCeremonyParams{Kind: "REGISTRATION", Outcome: "FAILED", Reason: "CHALLENGE_UNKNOWN", Facts: "{}", Repeats: &repeats})
	theirs := s.finished(t, globex, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "FAILED", Reason: "SIGNATURE_INVALID", Facts: "{}"})

	dev := s.person(t, "Dev", acme, member.Developer)
	failures := dev.get(t, base+"/export?show=failed").body
	if lines := strings.Split(strings.TrimSpace(failures), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "id,finishedAt,kind,") || strings.Contains(failures, theirs.String()) ||
		!strings.HasPrefix(lines[2], failed.String()+",20") || !strings.Contains(lines[2], ",https://login.example,Firefox 144 on Linux,41.2,14,0,4bf92f35") {
		t.Errorf("the failed ones as CSV:\n%s", failures)
	}
	if all := dev.get(t, base+"/export?format=json").body; strings.Count(all, `"outcome"`) != 3 || !strings.Contains(all, `"repeats":"90"`) {
		t.Errorf("all as JSON: %s", all)
	}
	if nothing := dev.get(t, base+"/export?q=nobody-at-all").body; strings.Count(nothing, "\n") != 1 {
		t.Errorf("those of nobody: %s", nothing)
	}
	page := dev.get(t, base)
	if page.StatusCode != http.StatusOK || strings.Contains(page.body, theirs.String()) || strings.Contains(page.body, "<b>Jonas</b>") ||
		!strings.Contains(page.body, "&lt;b&gt;Jonas&lt;/b&gt;") || !strings.Contains(page.body, "CHALLENGE_UNKNOWN, 90 more alike within the minute") {
		t.Fatalf("list = %d %s", page.StatusCode, page.body)
	}
	// Each way of asking leaves those that it means.
	for query, want := range map[string][2]bool{ // failed, allowed
		"":                                    {true, true},
		"?show=failed":                        {true, false},
		"?q=jonas-1":                          {true, true},
		"?q=" + owner.String():                {true, true},
		"?q=nobody":                           {false, false},
		"?q=SIGNATURE_INVALID":                {false, false},
		"?q=USER_VERIFICATION_REQUIRED":       {true, false},
		"?q=4bf92f3577b34da6a3ce929d0e0e4736": {true, false},
		"?q=00f067aa0ba902b700f067aa0ba902b7": {true, false},
		"?q=%22%20OR%20x":                     {false, false},
	} {
		got := dev.get(t, base+query)
		href := func(id uuid.UUID) bool { return strings.Contains(got.body, base+"/"+id.String()) }
		if got.StatusCode != http.StatusOK || href(failed) != want[0] || href(allowed) != want[1] {
			t.Errorf("%s = %d, failed %v, allowed %v; want %v", query, got.StatusCode, href(failed), href(allowed), want)
		}
	}
	if got := dev.get(t, base+"?tail=paused"); strings.Contains(got.body, "data-refresh") || !strings.Contains(page.body, `data-refresh="2"`) {
		t.Error("the tail is not paused by its link")
	}

	detail := dev.get(t, base+"/"+failed.String()+"?show=failed")
	for _, want := range []string{
		"Sign-in failed: user not verified", "step 17", "UV = 0", "Why, and how to fix it", "41 ms", "30 ms", "0x01", "4bf92f3577b34da6a3ce929d0e0e4736",
		"Firefox 144 on Linux", "not reached", "https://login.example", "show=failed",
	} {
		if !strings.Contains(detail.body, want) {
			t.Errorf("the detail lacks %q", want)
		}
	}
	if detail.StatusCode != http.StatusOK || strings.Contains(detail.body, "<b>Jonas") {
		t.Errorf("detail = %d", detail.StatusCode)
	}

	file := dev.get(t, base+"/"+failed.String()+"/json")
	var out struct {
		Reason        string
		LatencyMicros int
		Facts         struct{ Step int }
		Steps         []struct{ State string }
		FinishedAt    time.Time
	}
	if err := json.Unmarshal([]byte(file.body), &out); err != nil || out.Reason != "USER_VERIFICATION_REQUIRED" || out.LatencyMicros != 41_200 || out.Facts.Step != 17 || len(out.Steps) < 15 {
		t.Errorf("file = %s, %v", file.body, err)
	}

	// Whoever may not, and whatever is not there.
	viewer := s.person(t, "Vic", acme, member.Viewer)
	for _, path := range []string{base, base + "/" + failed.String(), base + "/" + failed.String() + "/json"} {
		if got := viewer.get(t, path); got.StatusCode != http.StatusForbidden {
			t.Errorf("a viewer's %s = %d, want 403", path, got.StatusCode)
		}
	}
	if got := viewer.get(t, "/console/t/"+slug+"/members"); strings.Contains(got.body, `href="`+base+`"`) {
		t.Error("a viewer's menu shows the page")
	}
	for _, path := range []string{
		base + "/" + theirs.String(), base + "/" + theirs.String() + "/json", base + "/nothing", base + "/" + uuid.NewString(),
		"/console/t/" + foreign + "/ceremonies", "/console/t/" + foreign + "/ceremonies/" + theirs.String(),
	} {
		if got := dev.get(t, path); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s = %d, want 404", path, got.StatusCode)
		}
	}
	empty := s.person(t, "Eve", globex, member.Owner)
	if got := empty.get(t, "/console/t/"+foreign+"/ceremonies?q=nobody"); !strings.Contains(got.body, "No ceremonies found") {
		t.Error("no word on a search that finds nothing")
	}
}
