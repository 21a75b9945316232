package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// assessed writes a sign-in with what risk made of it then, and returns its id.
func (s *site) assessed(t *testing.T, sc scope.Scope, owner *uuid.UUID, f risk.Facts) uuid.UUID {
	t.Helper()
	rules, err := s.risk.Ruleset(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	d := risk.Decide(rules, &f)
	return s.finished(t, sc, tenantq.InsertCeremonyParams{
		Kind: "AUTHENTICATION", Outcome: string(d.Outcome), UserID: owner, Facts: string(risk.AppendMember([]byte(`{"aal":2}`), rules.Version, &f, &d)),
	})
}

// rule puts rules in force.
func (s *site) rule(t *testing.T, sc scope.Scope, document string) risk.RulesVersion {
	t.Helper()
	v, err := s.risk.PutRules(t.Context(), sc, risk.PutRulesRequest{Document: []byte(document), Reason: "as before"})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// whileBacktesting does something while a backtest of a tenant's runs: one that waits for a lock.
func (s *site) whileBacktesting(t *testing.T, sc scope.Scope, do func()) {
	t.Helper()
	lock, err := s.store.Superuser(t).Begin(t.Context())
	if err == nil {
		_, err = lock.Exec(t.Context(), "LOCK TABLE risk_feedback IN ACCESS EXCLUSIVE MODE")
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.risk.Backtest(t.Context(), sc, risk.BacktestRequest{})
		done <- err
	}()
	for waits := 0; waits == 0; {
		if err := s.behind.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'risk_feedback'::regclass").Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	do()
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the backtest that ran: %v", err)
	}
}

func has(t *testing.T, what, body string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(body, want) {
			t.Errorf("%s lacks %q", what, want)
		}
	}
}

func hasNot(t *testing.T, what, body string, unwanted ...string) {
	t.Helper()
	for _, one := range unwanted {
		if strings.Contains(body, one) {
			t.Errorf("%s has %q", what, one)
		}
	}
}

const far = `{"mode":"SHADOW","stepUpScore":50,"denyScore":0,"rules":[{"id":"far-away","about":"A new device abroad","when":"newCountry && newDevice","then":"STEP_UP"}]}`

func TestRiskBegins(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	security, viewer := s.person(t, "Sec", acme, member.Security), s.person(t, "Vic", acme, member.Viewer)
	page := "/console/t/" + slug + "/risk"
	body := security.get(t, page).body
	has(t, "the page", body, "What it is", "How to begin", "Begin in shadow mode", `action="`+page+`/begin"`)
	hasNot(t, "the page before there is anything", body, "Top signals", "by the rules as they are now")
	hasNot(t, "a viewer's page", viewer.get(t, page).body, `action="`+page+`/begin"`)
	has(t, "the versions", security.get(t, page+"/versions").body, "No versions yet")

	if res := security.form(t, page+"/begin"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "Say why") {
		t.Errorf("without a reason = %d", res.StatusCode)
	}
	if res := viewer.form(t, page+"/begin", "reason", "x"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer begins = %d, want 403", res.StatusCode)
	}
	if res := security.form(t, page+"/begin", "reason", "a look first"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != page {
		t.Fatalf("begin = %d to %s", res.StatusCode, res.Header.Get("Location"))
	}
	if now, err := s.risk.Rules(t.Context(), acme); err != nil || now.Version != 1 || now.Document.Mode != risk.Shadow || now.Document.StepUpScore != 50 || now.Reason != "a look first" {
		t.Fatalf("the rules are %+v, %v", now, err)
	}
	has(t, "the page", security.get(t, page).body, "Shadow</span>", "No sign-ins yet")
	if res := security.form(t, page+"/begin", "reason", "again"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("begin what has begun = %d", res.StatusCode)
	}
	if now, err := s.risk.Rules(t.Context(), acme); err != nil || now.Version != 1 {
		t.Errorf("that made v%d, %v", now.Version, err)
	}
	s.grow(t)
	s.rule(t, acme, `{"mode":"OFF"}`)
	if res := security.form(t, page+"/begin", "reason", "again"); res.StatusCode != http.StatusForbidden {
		t.Errorf("with a stale passkey = %d, want 403", res.StatusCode)
	}
}

func TestRiskPage(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	_, foreign := s.tenant(t)
	page := "/console/t/" + slug + "/risk"
	jonas, err := s.users.Create(t.Context(), acme, user.Profile{ExternalID: "jonas-1", Name: "jonas"}, user.Contact{})
	if err != nil {
		t.Fatal(err)
	}
	owner := uuid.UUID(jonas.ID)
	s.finished(t, acme, tenantq.InsertCeremonyParams{Kind: "AUTHENTICATION", Outcome: "ALLOW", UserID: &owner, Facts: `{"aal":2}`}) // before risk began
	s.rule(t, acme, far)
	s.assessed(t, acme, &owner, risk.Facts{Known: true, SignIns: 20, CredentialAge: 100, HourShare: 500})
	abroad := risk.Facts{Known: true, SignIns: 20, CredentialAge: 100, HourShare: 500, NewCountry: true, Country: "BR", NewDevice: true}
	fraud := s.assessed(t, acme, &owner, abroad)
	s.assessed(t, acme, &owner, abroad)
	if _, err := s.risk.Report(t.Context(), acme, fraud, risk.Fraud, "chargeback"); err != nil {
		t.Fatal(err)
	}
	viewer := s.person(t, "Vic", acme, member.Viewer)
	body := viewer.get(t, page+"?days=7").body
	has(t, "the page", body, "3 sign-ins since", "1 sign-in of this period left nothing", "NEW_COUNTRY", "66.7%", "not signed in from this country", "far-away", "A new device abroad",
		`data-label="Matched">2<`, `data-label="Decided">2<`, `data-label="Fraud">1<`, `data-label="Legitimate">0<`, "of 1 reported", "2 of 3 sign-ins score 40–49", "The dashed line: step-up from 50 on", "Shadow</span>", "by the rules as they are now. As of <time")
	hasNot(t, "a viewer's page", body, "Change rules")

	t.Run("another runs", func(t *testing.T) {
		var res answer
		s.whileBacktesting(t, acme, func() { res = viewer.get(t, page) })
		if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" || !strings.Contains(res.body, "Another backtest is running") || !strings.Contains(res.body, `href="`+page+`?days=30"`) {
			t.Errorf("while another runs = %d", res.StatusCode)
		}
	})
	if res := viewer.get(t, "/console/t/"+foreign+"/risk"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another tenant's = %d, want 404", res.StatusCode)
	}
	if res := s.person(t, "Sup", acme, member.Support).get(t, page); res.StatusCode != http.StatusForbidden {
		t.Errorf("support looks = %d, want 403", res.StatusCode)
	}
}

func TestRiskRules(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	page := "/console/t/" + slug + "/risk/rules"
	v1 := s.rule(t, acme, far)
	security := s.person(t, "Sec", acme, member.Security)
	typed := func(at risk.RulesVersion, more ...string) url.Values {
		form := url.Values{
			"from": {"form"}, "base": {fmt.Sprint(at.Version)}, "etag": {at.ETag}, "days": {"14"}, "mode": {"SHADOW"}, "stepUpScore": {"50"}, "denyScore": {"0"}, "rules": {"1"},
			"rule-id-0": {"far-away"}, "rule-about-0": {"A new device abroad"}, "rule-when-0": {"newCountry && newDevice"}, "rule-then-0": {"STEP_UP"}, "rule-mode-0": {"ENFORCE"},
		}
		for i := 0; i < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return form
	}
	draft := func(more ...string) answer { t.Helper(); return security.post(t, page+"/draft", typed(v1, more...)) }

	body := security.get(t, page).body
	has(t, "the editor", body, `id="rule-when-0"`, "newCountry &amp;&amp; newDevice</textarea>", "default 45", "The user has not signed in from this country", "addressFailures", "From the address in fifteen minutes", "Not in hard rules")
	hasNot(t, "the editor of what is in force", body, "Draft</span>")

	t.Run("what is wrong is said at its field, and stays as it was typed", func(t *testing.T) {
		for _, tt := range []struct {
			field, value string
			want         []string
		}{
			{"rule-when-0", "newCountry &&\n newDevise", []string{"Line 2, column 2: there is no &#34;newDevise&#34;", "did you mean newDevice?", `id="rule-when-0-error"`, "newDevise</textarea>", "v1 stays in force"}},
			{"rule-when-0", "score", []string{"A rule is true or false", `id="rule-when-0-error"`}},
			{"rule-id-0", "Far Away", []string{`id="rule-id-0-error"`, `value="Far Away"`}},
			{"rule-then-0", "BLOCK", []string{`id="rule-then-0-error"`}},
			{"stepUpScore", "ten", []string{"A whole number of 0 to 100", `value="ten"`}},
			{"denyScore", "20", []string{"StepUpScore is above denyScore", `value="20"`}},
			{"weight-SIGN_COUNT", "101", []string{"A weight is between 0 and 100", `value="101"`, `<details class="card weights" open>`}},
			{"callerWeights", "bot = 3\nbot = 4", []string{"each once", "bot = 4</textarea>"}},
			{"mode", "ON", []string{"Mode is one of"}},
		} {
			res := draft(tt.field, tt.value, "do", "review")
			if res.StatusCode != http.StatusUnprocessableEntity {
				t.Errorf("%s=%q = %d, want 422", tt.field, tt.value, res.StatusCode)
			}
			has(t, tt.field+"="+tt.value, res.body, tt.want...)
			if res := security.post(t, page, typed(v1, tt.field, tt.value, "reason", "x")); res.StatusCode != http.StatusUnprocessableEntity {
				t.Errorf("saved: %s=%q = %d, want 422", tt.field, tt.value, res.StatusCode)
			}
		}
		res := security.post(t, page+"/draft", url.Values{"from": {"json"}, "base": {"1"}, "etag": {v1.ETag}, "do": {"form"}, "document": {`{"rules":[{"id":"a","when":"scor > 3","then":"DENY"}]}<i>`}})
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `aria-describedby="document-error"`) || !strings.Contains(res.body, "&lt;i&gt;</textarea>") {
			t.Errorf("a document that is none = %d", res.StatusCode)
		}
		res = security.post(t, page+"/draft", url.Values{"from": {"json"}, "base": {"1"}, "etag": {v1.ETag}, "do": {"form"}, "document": {`{"rules":[{"id":"a","when":"scor > 3","then":"DENY"}]}`}})
		has(t, "a wrong expression in a document", res.body, "<code>rules[0].when</code>", "did you mean score?")
		if now, err := s.risk.Rules(t.Context(), acme); err != nil || now.Version != 1 {
			t.Errorf("something of that was saved: v%d, %v", now.Version, err)
		}
	})
	t.Run("rows by buttons", func(t *testing.T) {
		two := []string{"rules", "2", "rule-id-1", "no-tor", "rule-when-1", "half (", "rule-then-1", "DENY", "rule-hard-1", "on", "rule-mode-1", "SHADOW"}
		res := draft(append(two, "do", "up:1")...)
		if first, second := strings.Index(res.body, `value="no-tor"`), strings.Index(res.body, `value="far-away"`); res.StatusCode != http.StatusOK || first < 0 || first > second {
			t.Errorf("up = %d, at %d and %d", res.StatusCode, first, second)
		}
		has(t, "a row that moved", res.body, `name="rule-hard-0" value="on" checked`, "half (</textarea>")
		if body := draft(append(two, "do", "down:0")...).body; strings.Index(body, `value="no-tor"`) > strings.Index(body, `value="far-away"`) {
			t.Error("down moved nothing")
		}
		body := draft(append(two, "do", "remove:0")...).body
		has(t, "the rest", body, `name="rules" value="1"`, `value="no-tor"`)
		hasNot(t, "the rest", body, `value="far-away"`)
		has(t, "one more", draft("do", "add").body, `name="rules" value="2"`, `id="rule-id-1"`, "Rule 2")
		for _, nonsense := range []string{"remove:9", "up:0", "down:0", "remove:x"} {
			has(t, nonsense, draft("do", nonsense).body, `name="rules" value="1"`, `value="far-away"`)
		}
	})
	t.Run("form and JSON say the same", func(t *testing.T) {
		res := draft("do", "json", "weight-NEW_COUNTRY", "40", "callerWeights", "botScore = 30")
		has(t, "the JSON", res.body, "&#34;NEW_COUNTRY&#34;: 40", "&#34;botScore&#34;: 30", "&#34;id&#34;: &#34;far-away&#34;", "newCountry &amp;&amp; newDevice")
		res = security.post(t, page+"/draft", url.Values{"from": {"json"}, "base": {"1"}, "etag": {v1.ETag}, "do": {"form"}, "document": {`{"mode":"ENFORCE","weights":{"NEW_COUNTRY":40},"callerWeights":{"botScore":30},"rules":[{"id":"a","when":"aal < 2","then":"DENY","hard":true}]}`}})
		has(t, "the form", res.body, `id="weight-NEW_COUNTRY" name="weight-NEW_COUNTRY" value="40"`, "botScore = 30</textarea>", `name="rule-hard-0" value="on" checked`, `<option value="ENFORCE" selected>`)
	})
	t.Run("try", func(t *testing.T) {
		s.assessed(t, acme, nil, risk.Facts{})
		jonas, err := s.users.Create(t.Context(), acme, user.Profile{ExternalID: "jonas-1", Name: "jonas"}, user.Contact{})
		if err != nil {
			t.Fatal(err)
		}
		owner := uuid.UUID(jonas.ID)
		id := s.assessed(t, acme, &owner, risk.Facts{Country: "KP"})
		res := draft("do", "try", "rule-when-0", "country == 'KP'", "rule-then-0", "DENY")
		has(t, "what it would do", res.body, "of 2 sign-ins would be decided otherwise", "Allowed → Denied", "/ceremonies/"+id.String(), "jonas", "Rule far-away", ", as of <time", `<mark class="ts">`, "country == &#39;KP&#39;</textarea>")
		has(t, "a wrong number of days", draft("do", "try", "days", "900").body, "Choose 1 to 90 days", `value="900"`)
		has(t, "no number of days", draft("do", "try", "days", "week").body, "Choose 1 to 90 days")
		s.whileBacktesting(t, acme, func() { res = draft("do", "try") })
		has(t, "while another runs", res.body, "Another backtest is running")
		if now, err := s.risk.Rules(t.Context(), acme); err != nil || now.Version != 1 {
			t.Errorf("trying saved v%d, %v", now.Version, err)
		}
	})
	t.Run("save", func(t *testing.T) {
		if res := security.post(t, page, typed(v1, "denyScore", "90")); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "Say why") || !strings.Contains(res.body, `value="90"`) {
			t.Errorf("without a reason = %d", res.StatusCode)
		}
		if res := security.post(t, page, typed(v1, "denyScore", "90", "reason", "x", "etag", "")); res.StatusCode != http.StatusBadRequest {
			t.Errorf("without the version that was seen = %d, want 400", res.StatusCode)
		}
		if res := security.post(t, page, typed(v1, "denyScore", "90", "mode", "ENFORCE", "reason", "it fits")); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("save = %d", res.StatusCode)
		}
		now, err := s.risk.Rules(t.Context(), acme)
		if err != nil || now.Version != 2 || now.Document.DenyScore != 90 || now.Document.Mode != risk.Enforce || now.Reason != "it fits" || now.Document.Rules[0].When != "newCountry && newDevice" {
			t.Fatalf("the rules are %+v, %v", now, err)
		}
		res := security.post(t, page, typed(v1, "denyScore", "80", "reason", "lower"))
		if res.StatusCode != http.StatusConflict {
			t.Errorf("who was too late = %d, want 409", res.StatusCode)
		}
		has(t, "who was too late", res.body, "Sec saved v2 meanwhile", `<mark class="tn">90</mark>`, `value="80"`, "lower</textarea>", `name="base" value="2"`, `name="etag" value="`+now.ETag+`"`)
		if now, err := s.risk.Rules(t.Context(), acme); err != nil || now.Version != 2 {
			t.Errorf("the rules are v%d, %v", now.Version, err)
		}
		s.grow(t)
		if res := security.post(t, page, typed(now, "denyScore", "80", "reason", "lower")); res.StatusCode != http.StatusForbidden {
			t.Errorf("with a stale passkey = %d, want 403", res.StatusCode)
		}
	})
	t.Run("roles", func(t *testing.T) {
		auditor := s.person(t, "Aud", acme, member.Auditor)
		hasNot(t, "an auditor's editor", auditor.get(t, page).body, "Confirm with passkey")
		if res := auditor.post(t, page, typed(v1, "reason", "x")); res.StatusCode != http.StatusForbidden {
			t.Errorf("an auditor saves = %d, want 403", res.StatusCode)
		}
		if res := auditor.post(t, page+"/draft", typed(v1, "do", "try")); res.StatusCode != http.StatusOK {
			t.Errorf("an auditor tries = %d", res.StatusCode)
		}
	})
}

func TestRiskVersions(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	_, foreign := s.tenant(t)
	page := "/console/t/" + slug + "/risk/versions"
	s.rule(t, acme, far)
	v2 := s.rule(t, acme, `{"mode":"ENFORCE","stepUpScore":30}`)
	security, auditor := s.person(t, "Sec", acme, member.Security), s.person(t, "Aud", acme, member.Auditor)
	has(t, "the list", auditor.get(t, page).body, "v1</a>", "v2</a>", "as before", "In force", "Enforced", "1 rule<")
	rows := auditor.listed(t, page+"/export?format=json")
	if len(rows) != 2 || rows[0]["version"] != "2" || rows[0]["inForce"] != "true" || rows[1]["mode"] != "Shadow" || rows[1]["reason"] != "as before" {
		t.Errorf("exported %v", rows)
	}
	one := page + "/1"
	has(t, "a version", security.get(t, one).body, "Roll back to v1", `<mark class="tn">30</mark>`, "Its mode comes with it: Shadow")
	has(t, "the one in force", security.get(t, page+"/2").body, "This is in force", `<mark class="tn">50</mark>`)
	hasNot(t, "an auditor's page", auditor.get(t, one).body, "Confirm with passkey")
	for path, want := range map[string]int{page + "/99": 404, page + "/0": 404, page + "/x": 404, one + "?against=99": 404, "/console/t/" + foreign + "/risk/versions/1": 404} {
		if res := security.get(t, path); res.StatusCode != want {
			t.Errorf("%s = %d, want %d", path, res.StatusCode, want)
		}
	}
	if res := auditor.form(t, one+"/rollback", "etag", v2.ETag, "reason", "x"); res.StatusCode != http.StatusForbidden {
		t.Errorf("an auditor rolls back = %d, want 403", res.StatusCode)
	}
	if res := security.form(t, one+"/rollback", "etag", v2.ETag); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("without a reason = %d, want 422", res.StatusCode)
	}
	if res := security.form(t, one+"/rollback", "etag", "of-before", "reason", "too many"); res.StatusCode != http.StatusConflict {
		t.Errorf("from a page of before = %d, want 409", res.StatusCode)
	}
	if res := security.form(t, one+"/rollback", "etag", v2.ETag, "reason", "too many"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("roll back = %d", res.StatusCode)
	}
	if now, err := s.risk.Rules(t.Context(), acme); err != nil || now.Version != 3 || now.Document.Mode != risk.Shadow || len(now.Document.Rules) != 1 || now.Reason != "too many" {
		t.Errorf("the rules are %+v, %v", now, err)
	}
}
