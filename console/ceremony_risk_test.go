package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/member"
)

// riskOfATheft is what is recorded of a sign-in that three signals count against, one of a release that is to come among them.
const riskOfATheft = `{"origin":"https://login.example","flags":5,"aal":2,"risk":{"signals":{"NEW_COUNTRY":25,"IMPOSSIBLE_TRAVEL":45,"CALLER.bot":5},"version":1,"ruleset":3,"score":75,` +
	`"matched":["far-away","look"],"failed":["plan"],"outcome":"STEP_UP","reason":"RISK_RULE","rule":"far-away","would":"DENY","wouldReason":"RISK_RULE","wouldRule":"look",` +
	`"facts":{"hour":3,"country":"JP","asn":64500,"networks":["tor"],"userVerified":true,"aal":2,"credentialAge":50,"known":true,"signIns":34,"newDevice":true,"newCountry":true,` +
	`"previousCountry":"DE","previousSeconds":7200,"distanceKm":8000,"userAttempts":2,"addressAttempts":9,"tenantAttempts":1400,"tenantPeak":90,"caller":{"bot":true,"plan":"<b>gold</b>"}}}}`

// Of a sign-in that was assessed the page says how unusual it was, why, what the rules made of it, and what came of it in the end.
func TestCeremonyRisk(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	globex, foreign := s.tenant(t)
	base := "/console/t/" + slug + "/ceremonies/"
	assessed := s.finished(t, acme, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "STEP_UP", Reason: "RISK_RULE", PolicyVersion: 1, Facts: riskOfATheft})
	plain := s.finished(t, acme, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "ALLOW", PolicyVersion: 1, Facts: `{"flags":5}`})
	degraded := s.finished(t, acme, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "ALLOW", PolicyVersion: 1,
		Facts: `{"flags":5,"risk":{"signals":{"OF_TOMORROW":31},"version":2,"ruleset":1,"score":31,"facts":{"degraded":true}}}`})
	theirs := s.finished(t, globex, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "ALLOW", Facts: riskOfATheft})

	sam := s.person(t, "Sam", acme, member.Security)
	page := sam.get(t, base+assessed.String())
	for _, want := range []string{
		"75 of 100", ">High<", "Asked for a second sign-in, by the rule far-away", "it would have been refused, by the rule look", "From DE to JP, at least 8000 km, in 2 hours", "+45",
		"A country that this user has not come from before: JP", "The application says so: bot", "far-away, look", ">plan<", "Version 3", "34 sign-ins before, the last one 2 hours earlier",
		"New for this user", "JP, new for this user", "DE, at least 8,000 km away", "AS64500", ">tor<", "03:00 to 04:00 UTC", "registered 2 days before", "2 of the user, 9 from the address", "1,400 in a minute, 90 in a busy one",
		"&lt;b&gt;gold&lt;/b&gt;", "Sign-in, step-up: a risk rule matched", "score 75, rules of version 3, rule far-away", "Nobody has said yet",
	} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Index(page.body, "IMPOSSIBLE_TRAVEL") > strings.Index(page.body, "NEW_COUNTRY") {
		t.Error("the heaviest signal is not the first")
	}
	if got := sam.get(t, base+plain.String()); strings.Contains(got.body, `id="risk-h"`) {
		t.Error("a sign-in that was not assessed has a score")
	}
	for _, want := range []string{"Redis was gone", "OF_TOMORROW", "which this one cannot explain", "31 of 100", ">Medium<", "Let in"} {
		if got := sam.get(t, base+degraded.String()); !strings.Contains(got.body, want) {
			t.Errorf("a degraded one lacks %q", want)
		}
	}

	// What it was: the later word stands, and is somebody's.
	post := func(b *browser, id, verdict, note string) answer {
		return b.post(t, base+id+"/feedback", url.Values{"verdict": {verdict}, "note": {note}})
	}
	if got := post(sam, assessed.String(), "FRAUD", "the customer <i>called</i>"); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != base+assessed.String() {
		t.Fatalf("fraud = %d %s", got.StatusCode, got.body)
	}
	page = sam.get(t, base+assessed.String())
	for _, want := range []string{"Noted. Backtests go by it", ">Fraud<", "said Sam", "the customer &lt;i&gt;called&lt;/i&gt;"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("after the word there is no %q", want)
		}
	}
	helper := s.person(t, "Helga", acme, member.Support)
	if got := post(helper, assessed.String(), "LEGITIMATE", ""); got.StatusCode != http.StatusSeeOther {
		t.Errorf("the support's word = %d", got.StatusCode)
	}
	if got := sam.get(t, base+assessed.String()); strings.Contains(got.body, ">Fraud<") || !strings.Contains(got.body, ">The user<") || !strings.Contains(got.body, "said Helga") {
		t.Error("the later word does not stand")
	}

	// What is not said rightly, or not to be said, changes nothing.
	if got := post(sam, assessed.String(), "FRAUD", strings.Repeat("long", 65)); got.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(got.body, "longlong") || !strings.Contains(got.body, "256") {
		t.Errorf("a note too long = %d", got.StatusCode)
	}
	if got := post(sam, assessed.String(), "MAYBE", ""); got.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(got.body, "Say what it was") {
		t.Errorf("no verdict = %d", got.StatusCode)
	}
	if got := post(sam, plain.String(), "FRAUD", ""); got.StatusCode != http.StatusNotFound {
		t.Errorf("of a sign-in that was not assessed = %d", got.StatusCode)
	}
	if got := post(sam, theirs.String(), "FRAUD", ""); got.StatusCode != http.StatusNotFound {
		t.Errorf("of another tenant's = %d", got.StatusCode)
	}
	dev := s.person(t, "Dev", acme, member.Developer)
	if got := post(dev, assessed.String(), "FRAUD", ""); got.StatusCode != http.StatusForbidden {
		t.Errorf("a developer's word = %d", got.StatusCode)
	}
	if got := dev.get(t, base+assessed.String()); strings.Contains(got.body, "It was fraud") || !strings.Contains(got.body, "75 of 100") || !strings.Contains(got.body, "said Helga") {
		t.Error("a developer is asked for a word, or does not see what was said")
	}
	if f, ok, err := s.risk.FeedbackOf(t.Context(), acme, assessed); err != nil || !ok || f.Verdict != risk.Legitimate {
		t.Errorf("what stands in the end: %+v, %t, %v", f, ok, err)
	}
	if _, ok, err := s.risk.FeedbackOf(t.Context(), globex, theirs); ok || err != nil {
		t.Errorf("another tenant's has feedback: %t, %v", ok, err)
	}
	if got := s.person(t, "Eve", globex, member.Owner).get(t, "/console/t/"+foreign+"/ceremonies/"+theirs.String()); strings.Contains(got.body, "said Helga") {
		t.Error("another tenant hears of it")
	}
}

// The overview tells what the rules did, by the rollups, to who may see risk: where they did something, or are on.
func TestOverviewRisk(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	s.grown(t, acme)
	vic := s.person(t, "Vic", acme, member.Viewer)
	at := "/console/t/" + slug + "?range=24h"
	if got := vic.get(t, at); strings.Contains(got.body, "risk rules held back") {
		t.Error("risk is off, and the overview tells of it")
	}
	if _, err := s.risk.PutRules(t.Context(), acme, risk.PutRulesRequest{Document: []byte(`{"mode":"SHADOW"}`)}); err != nil {
		t.Fatal(err)
	}
	if got := vic.get(t, at); !strings.Contains(got.body, "risk rules held back") || !strings.Contains(got.body, "Shadow mode: what the rules say is recorded") {
		t.Error("in shadow mode the overview does not say so")
	}
	s.exec(t, `UPDATE stats_counts SET counts = replace(counts::text, '"outcomes":{', '"outcomes":{"AUTHENTICATION/STEP_UP/RISK_SCORE":7,"AUTHENTICATION/DENY/RISK_RULE":2,"REGISTRATION/DENY/RISK_RULE":1000,')::json WHERE step = 300 AND tenant_id = $1`, acme.Tenant())
	if got := vic.get(t, "/console/t/"+slug+"?range=1h"); !strings.Contains(got.body, ">84<") || !strings.Contains(got.body, ">24<") || !strings.Contains(got.body, "24 by a rule, 84 by the score") {
		t.Errorf("the hour's steps and refusals are not told: %s", got.body)
	}
}

// A user's page tells what their sign-ins are like, to who may see risk; nobody who is let in for support.
func TestUserHabits(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	jonas, err := s.users.Create(t.Context(), acme, user.Profile{ExternalID: "jonas-1", Name: "jonas"}, user.Contact{})
	if err != nil {
		t.Fatal(err)
	}
	at := "/console/t/" + slug + "/users/" + jonas.ID.String()
	sam := s.person(t, "Sam", acme, member.Security)
	if got := sam.get(t, at); got.StatusCode != http.StatusOK || strings.Contains(got.body, `id="habits-h"`) {
		t.Errorf("nothing is known, and the page tells of it: %d", got.StatusCode)
	}
	hours := strings.TrimSuffix(strings.Repeat("0,", 8)+"5000,3000,2000,"+strings.Repeat("0,", 13), ",")
	s.exec(t, `INSERT INTO risk_profiles (tenant_id, user_id, profile, updated_at) VALUES ($1, $2, $3, now())`, acme.Tenant(), uuid.UUID(jonas.ID),
		`{"signIns":41,"last":`+"1790000000"+`,"country":"DE","hours":[`+hours+`],"devices":{"Firefox on Linux":20710,"Chrome on Windows":20712},"countries":{"DE":20712},"networks":{"64496":20712}}`)
	got := sam.get(t, at)
	for _, want := range []string{"41 sign-ins", "Chrome on Windows, Firefox on Linux", ">DE<", "AS64496", "08:00 to 11:00 UTC"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if got := s.person(t, "Helga", acme, member.Support).get(t, at); got.StatusCode != http.StatusOK || strings.Contains(got.body, `id="habits-h"`) {
		t.Errorf("who may not see risk sees it: %d", got.StatusCode)
	}
}

// Who is let in for support sees how unusual a sign-in was, and neither says what it was, nor sees what a user's are like.
func TestRiskUnderSupport(t *testing.T) {
	v := askAccess(t, "ACT")
	jonas, err := v.users.Create(t.Context(), v.acme, user.Profile{ExternalID: "jonas-1", Name: "jonas"}, user.Contact{})
	if err != nil {
		t.Fatal(err)
	}
	v.exec(t, `INSERT INTO risk_profiles (tenant_id, user_id, profile, updated_at) VALUES ($1, $2, '{"signIns":41,"last":1790000000}', now())`, v.acme.Tenant(), uuid.UUID(jonas.ID))
	assessed := v.finished(t, v.acme, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "STEP_UP", Reason: "RISK_RULE", PolicyVersion: 1, Facts: riskOfATheft})
	v.letIn(t, "ACT")
	at := v.base + "/users/" + jonas.ID.String()
	if got := v.owner.get(t, at); !strings.Contains(got.body, `id="habits-h"`) {
		t.Error("an owner does not see it")
	}
	if got := v.staff.get(t, at); got.StatusCode != http.StatusOK || strings.Contains(got.body, `id="habits-h"`) {
		t.Errorf("support sees what a user's sign-ins are like: %d", got.StatusCode)
	}
	at = v.base + "/ceremonies/" + assessed.String()
	if got := v.staff.get(t, at); got.StatusCode != http.StatusOK || !strings.Contains(got.body, "75 of 100") || strings.Contains(got.body, "It was fraud") {
		t.Errorf("support at the ceremony = %d", got.StatusCode)
	}
	if got := v.staff.post(t, at+"/feedback", url.Values{"verdict": {"FRAUD"}}); got.StatusCode != http.StatusForbidden {
		t.Errorf("support's word = %d", got.StatusCode)
	}
	if _, ok, err := v.risk.FeedbackOf(t.Context(), v.acme, assessed); ok || err != nil {
		t.Errorf("it stands: %t, %v", ok, err)
	}
}
