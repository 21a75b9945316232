package browsertest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleCeremonies is how a developer finds out why somebody could not sign in: the
// failure comes into the list by itself, and says at which step it ended and how to mend it.
func TestConsoleCeremonies(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	ana.See(".toast", "You are a member now")

	ana.Open(ana.url + "/t/acme/ceremonies")
	ana.See("#feed", "No ceremonies yet")
	ana.Inspect("console-ceremonies-none")
	fail(t, biocore, `{"authenticationId":"made-up","credential":{"id":"AQID","rawId":"AQID","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AQ","signature":"AQ"}}}`)
	ana.See("#feed .fresh", "CHALLENGE_UNKNOWN") // nobody has reloaded
	ana.Click(`[aria-label="Pause the live tail"]`)
	ana.See(".pane-h", "Paused")
	fail(t, biocore, `{"authenticationId":"again","credential":{"id":"AQID","rawId":"AQID","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AQ","signature":"AQ"}}}`)
	ana.See("[data-live-new]", "1 new")
	ana.rows(t, "#feed li", 1)
	ana.Click("[data-live-new]")
	ana.SeeNothing("[data-live-new]")
	ana.rows(t, "#feed li", 2)
	ana.Click(`[aria-label="Go on with the live tail"]`)
	browsertest.Eval[bool](ana.Visitor, `(document.activeElement.blur(), true)`) // rows stay where they are while one has the focus
	ana.begunAndFinished(t, biocore)

	ana.Follow("#feed li:last-child a")
	ana.See("h1", "Sign-in failed: not begun here")
	ana.See(".steps", "Why, and how to fix it")
	ana.Inspect("console-ceremony")
	ana.OnPhone(func() {
		ana.SeeNothing("#feed")
		ana.Follow(".pane > .link")
		ana.See("#feed", "CHALLENGE_UNKNOWN")
	})
	ana.Open(ana.url + "/t/acme/ceremonies?q=ORIGIN_NOT_ALLOWED")
	ana.See("#feed", "No ceremonies found")
	ana.Inspect("console-ceremonies-no-results")
	ana.Open(ana.url + "/t/acme/ceremonies?show=failed")
	ana.See("#feed", "CHALLENGE_UNKNOWN")
	ana.Inspect("console-ceremonies")
	ana.assesses(t, biocore)
}

// assessedSignIn is a sign-in that was asked for more: unusual, by a rule of the tenant's.
const assessedSignIn = `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, reason, policy_version, facts, browser) VALUES ($1, now(), $2, 'AUTHENTICATION', 'STEP_UP', 'RISK_RULE', 1,
'{"origin":"https://bank.example","flags":29,"aal":2,"risk":{"signals":{"NEW_COUNTRY":25,"IMPOSSIBLE_TRAVEL":40,"USER_FAILURES":14,"NEW_NETWORK":10},"version":1,"ruleset":2,"score":89,"matched":["abroad-by-new-device","abroad-at-night"],"outcome":"STEP_UP","reason":"RISK_RULE","rule":"abroad-by-new-device","would":"DENY","wouldReason":"RISK_RULE","wouldRule":"abroad-at-night","facts":{"hour":3,"country":"GB","asn":64499,"networks":["vpn"],"userVerified":true,"backedUp":true,"aal":2,"credentialAge":700,"known":true,"signIns":34,"newDevice":true,"newCountry":true,"newNetwork":true,"previousCountry":"PT","previousSeconds":1800,"distanceKm":870,"userAttempts":3,"addressAttempts":9,"userFailures":5,"addressFailures":6,"caller":{"botScore":0.2}}}}', 'Chrome 149 on Linux')`

// assesses is how somebody at the fraud desk sees why a sign-in was asked for more, and says what it was.
func (c colleague) assesses(t *testing.T, biocore *browsertest.Biocore) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), biocore.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	id := uuid.Must(uuid.NewV7())
	if _, err := conn.Exec(t.Context(), assessedSignIn, biocore.Tenants[0].ID, id); err != nil {
		t.Fatal(err)
	}
	c.Open(c.url + "/t/acme/ceremonies/" + id.String())
	c.See("h1", "Sign-in, step-up: a risk rule matched")
	c.See("#risk", "89 of 100")
	c.See("#risk", "From PT to GB, at least 870 km, in 30 minutes")
	c.Inspect("console-ceremony-risk")
	c.Type("#feedback-note", "The customer called: it was not her")
	c.Click(`#feedback button[value="FRAUD"]`)
	c.See(".toast", "Noted")
	c.See("#feedback", "said Ana Sousa")
	c.See("#feedback", "it was not her")
	c.Inspect("console-ceremony-risk-fraud")
}

// begunAndFinished signs somebody in by the API, badly: a line says that it has begun, and
// makes way for how it ended.
func (c colleague) begunAndFinished(t *testing.T, biocore *browsertest.Biocore) {
	t.Helper()
	_, body := post(t, biocore, "authentications:begin", "{}")
	var begun struct{ AuthenticationID string }
	if err := json.Unmarshal(body, &begun); err != nil || begun.AuthenticationID == "" {
		t.Fatalf("begin = %s, %v", body, err)
	}
	c.See("#feed [data-begun]", "Sign-in begun")
	c.See("#feed [data-begun]", "Challenge live for")
	c.Inspect("console-ceremonies-live")
	fail(t, biocore, `{"authenticationId":"`+begun.AuthenticationID+`","credential":{"id":"AQID","rawId":"AQID","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AQ","signature":"AQ"}}}`)
	c.SeeNothing("#feed [data-begun]")
	c.rows(t, "#feed li", 3)
}

// rows reports whether so many rows are there.
func (c colleague) rows(t *testing.T, selector string, want int) {
	t.Helper()
	if n := browsertest.Eval[int](c.Visitor, "document.querySelectorAll('"+selector+"').length"); n != want {
		t.Errorf("%d rows of %s, want %d", n, selector, want)
	}
}

// fail finishes a sign-in, which is refused.
func fail(t *testing.T, biocore *browsertest.Biocore, body string) {
	t.Helper()
	if status, answer := post(t, biocore, "authentications:finish", body); status < 400 || status >= 500 {
		t.Fatalf("finish = %d %s, want a refusal", status, answer)
	}
}

// post calls a method of the API as acme's server.
func post(t *testing.T, biocore *browsertest.Biocore, method, body string) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, biocore.APIURL+"/v1/"+method, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+biocore.Tenants[0].SecretKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if answer, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}
