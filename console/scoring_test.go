package console_test

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/scoring"
)

const secretOfService = "hidden-credential-of-the-service"

// serviceForm is a form of a Feedzai at host that is taken.
func (s *site) serviceForm(host string) url.Values {
	return url.Values{
		"kind": {"FEEDZAI"}, "address": {"https://" + net.JoinHostPort(host, strconv.Itoa(int(s.net.Port)))}, "credential": {secretOfService}, "maxScore": {"500"}, "timeoutMillis": {"2000"},
		"sendPlace": {"on"}, "etag": {""}, "reason": {"as agreed"},
	}
}

// with is a form with other values of some fields, by names and values in turn.
func with(form url.Values, pairs ...string) url.Values {
	out := maps.Clone(form)
	for pair := range slices.Chunk(pairs, 2) {
		out.Set(pair[0], pair[1])
	}
	return out
}

// assess has a sign-in asked about.
func (s *site) assess(t *testing.T, sc scope.Scope) {
	t.Helper()
	if _, err := s.risk.Assess(t.Context(), sc, &risk.Attempt{ID: uuid.Must(uuid.NewV7()), At: s.store.Now()}); err != nil {
		t.Fatal(err)
	}
}

// A service is set up, asked, found to fail, changed and removed; each change is in the audit log, and the credential on no page.
func TestScoringService(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	security, viewer := s.person(t, "Sec", acme, member.Security), s.person(t, "Vic", acme, member.Viewer)
	risks := "/console/t/" + slug + "/risk"
	page := risks + "/service"
	status := http.StatusOK
	s.net.Page("scoring.example", "/v1/payments", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"explanation":{"id":"p-1","score":100}}`))
	})

	has(t, "the page of risk", security.get(t, risks).body, `href="`+page+`"`)
	has(t, "the page before there is one", security.get(t, page).body, "No service is asked", `href="`+page+`/edit"`, "curl -X PUT")
	body := viewer.get(t, page).body
	has(t, "a viewer's page before there is one", body, "No service is asked", "for owners, admins and security")
	hasNot(t, "a viewer's page before there is one", body, page+"/edit")
	body = security.get(t, page+"/edit").body
	has(t, "the kinds", body, page+"/edit?kind=THREATMETRIX", page+"/edit?kind=FEEDZAI")
	hasNot(t, "the choice of a kind", body, "<textarea")
	for kind, fields := range map[string][2][]string{
		"THREATMETRIX": {{`name="organization"`, `name="policy"`, "API key"}, {`name="maxScore"`}},
		"FEEDZAI":      {{`name="maxScore"`, "Token"}, {`name="organization"`, `name="policy"`}},
	} {
		body := security.get(t, page+"/edit?kind="+kind).body
		has(t, "the form of "+kind, body, append(fields[0], `name="credential"`, "data-fresh-until", `type="password"`)...)
		hasNot(t, "the form of "+kind, body, fields[1]...)
	}

	s.rule(t, acme, `{"mode":"SHADOW","weights":{"PROVIDER":60}}`)
	if res := security.post(t, page, s.serviceForm("scoring.example")); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != page {
		t.Fatalf("set up = %d: %s", res.StatusCode, res.body)
	}
	made, err := s.risk.Provider(t.Context(), acme)
	if err != nil || made.Config.Kind != scoring.Feedzai || made.Config.MaxScore != 500 || made.Config.TimeoutMillis != 2000 || !made.Config.SendPlace || made.Config.SendAddress || made.CredentialAt.IsZero() {
		t.Fatalf("made %+v, %v", made, err)
	}
	has(t, "the page", security.get(t, page).body, "Feedzai", "Not asked yet", "2000 ms", "0 to 500", "60 points at the worst score", "Country and network of the address", "Set, <time", "<bdi>Sec</bdi>")
	s.assess(t, acme)
	body = security.get(t, page).body
	has(t, "the page of one that answers", body, ">Closed</span>", "Each sign-in asks the service", "When this server began to ask")
	hasNot(t, "the page of one that answers", body, "None yet", "Asked again")
	status = http.StatusServiceUnavailable
	for range 5 {
		s.assess(t, acme)
	}
	has(t, "the page of one that is down", security.get(t, page).body, ">Open</span>", "none is asked for a while", "Asked again", "The risk provider answers with status 503")

	body = viewer.get(t, page).body
	has(t, "a viewer's page", body, "Feedzai", "You can look here", ">Open</span>")
	hasNot(t, "a viewer's page", body, "<form method=\"post\" action=\""+page, page+"/edit", "Confirm with passkey")
	for path, send := range map[string]func() answer{
		page + "/edit":   func() answer { return viewer.get(t, page+"/edit") },
		page:             func() answer { return viewer.post(t, page, s.serviceForm("scoring.example")) },
		page + "/remove": func() answer { return viewer.form(t, page+"/remove", "confirm", made.Config.Host(), "reason", "x") },
	} {
		if res := send(); res.StatusCode != http.StatusForbidden {
			t.Errorf("a viewer at %s = %d, want 403", path, res.StatusCode)
		}
	}

	// Without its credential it stays; where it would go to somebody else, it is needed anew.
	body = security.get(t, page+"/edit").body
	has(t, "the form", body, `value="`+made.ETag+`"`, `value="500"`, `name="sendPlace"`, "Empty: as it is")
	change := with(s.serviceForm("scoring.example"), "etag", made.ETag, "credential", "", "timeoutMillis", "")
	for name, other := range map[string]url.Values{
		"another server": with(change, "address", "https://elsewhere.example"),
		"another kind":   with(change, "kind", "THREATMETRIX", "organization", "org", "maxScore", ""),
	} {
		if res := security.post(t, page, other); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="service-credential-error"`) || !strings.Contains(res.body, "is needed anew") {
			t.Errorf("%s without a credential = %d", name, res.StatusCode)
		}
	}
	if res := security.post(t, page, change); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("change = %d: %s", res.StatusCode, res.body)
	}
	now, err := s.risk.Provider(t.Context(), acme)
	if err != nil || now.Config.TimeoutMillis != 0 || !now.CredentialAt.Equal(made.CredentialAt) || now.ETag == made.ETag {
		t.Errorf("changed to %+v, %v", now, err)
	}
	has(t, "the page of a changed one", security.get(t, page).body, "Not asked yet", "300 ms")
	// Who was too late, with the tag of before, or none: who saw no service.
	for _, tag := range []string{made.ETag, ""} {
		late := with(change, "etag", tag, "maxScore", "400", "credential", secretOfService)
		res := security.post(t, page, late)
		if res.StatusCode != http.StatusConflict || !strings.Contains(res.body, "Worst score") || !strings.Contains(res.body, `value="`+now.ETag+`"`) || !strings.Contains(res.body, `value="400"`) || strings.Contains(res.body, secretOfService) {
			t.Errorf("too late with %q = %d", tag, res.StatusCode)
		}
	}

	// Of a release before nothing says since when the credential is there.
	s.exec(t, "UPDATE risk_providers SET config = config - 'credentialAt' WHERE id = $1", now.ID)
	body = security.get(t, page).body
	has(t, "the page of one that a release before put", body, "Sealed, and never shown")
	hasNot(t, "the page of one that a release before put", body, "Set, ")

	has(t, "the activity", security.get(t, page+"/activity").body, "as agreed", "Changed")
	hasNot(t, "everything", security.get(t, page).body+security.get(t, page+"/edit").body+security.get(t, page+"/activity").body, secretOfService)
	for want, fields := range map[string][]string{
		"Type it as it stands there":  {"confirm", "scoring", "reason", "over"},
		"it stands in the audit log":  {"confirm", now.Config.Host(), "reason", ""},
		`id="remove-confirm-error"`:   {"confirm", "", "reason", "over"},
		`id="remove-reason-error"`:    {"confirm", now.Config.Host(), "reason", ""},
		`value="` + now.Config.Host(): {"confirm", now.Config.Host(), "reason", ""},
	} {
		if res := security.form(t, page+"/remove", fields...); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, want) {
			t.Errorf("remove %q = %d, lacks %q", fields, res.StatusCode, want)
		}
	}
	if res := security.form(t, page+"/remove", "confirm", now.Config.Host(), "reason", "over"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("remove = %d", res.StatusCode)
	}
	if _, err := s.risk.Provider(t.Context(), acme); !errors.Is(err, risk.ErrNoProvider) {
		t.Errorf("after it is removed: %v", err)
	}
	if res := security.form(t, page+"/remove", "confirm", now.Config.Host(), "reason", "over"); res.StatusCode != http.StatusNotFound || !strings.Contains(res.body, "No service is asked") {
		t.Errorf("remove what is removed = %d", res.StatusCode)
	}
	for action, want := range map[string]int64{"update": 2, "delete": 1} {
		if n := s.store.AuditCount(t, acme, "risk_provider."+action); n != want {
			t.Errorf("%d entries risk_provider.%s, want %d", n, action, want)
		}
	}
}

// What is wrong is said at its field, what was typed stays, and nothing is kept.
func TestScoringFormKeepsWhatWasTyped(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	_, foreign := s.tenant(t)
	security := s.person(t, "Sec", acme, member.Security)
	page := "/console/t/" + slug + "/risk/service"
	feedzai := s.serviceForm("scoring.example")
	metrix := with(feedzai, "kind", "THREATMETRIX", "maxScore", "", "organization", "4en6ll2s", "policy", "login")
	for name, tt := range map[string]struct {
		form         url.Values
		field, value string
		says         string
	}{
		"no https":              {feedzai, "address", "http://scoring.example", "Address is a URL that begins with https://"},
		"no address":            {feedzai, "address", "", "Address is a URL that begins with https://"},
		"a private address":     {feedzai, "address", "https://169.254.169.254", "not of the public Internet"},
		"a user in the address": {feedzai, "address", "https://a:b@scoring.example", "no user"},
		"no credential":         {feedzai, "credential", "", "Token is what the service knows you by"},
		"a credential in lines": {metrix, "credential", "one two", "API key is 1 to 4096 visible ASCII characters"},
		"a scale of words":      {feedzai, "maxScore", "many", "Worst score is 1 to 10000"},
		"a scale too long":      {feedzai, "maxScore", "10001", "Worst score is 1 to 10000"},
		"a scale of nothing":    {feedzai, "maxScore", "0", "Worst score is 1 to 10000"},
		"an impatient one":      {feedzai, "timeoutMillis", "49", "Timeout is 50 to 2000"},
		"a patient one":         {feedzai, "timeoutMillis", "2001", "Timeout is 50 to 2000"},
		"a time in words":       {feedzai, "timeoutMillis", "fast", "Timeout is 50 to 2000"},
		"no certificate":        {feedzai, "caCertificates", "-----", "Certificates are certificates in PEM"},
		"no organization":       {metrix, "organization", "", "Organization is required"},
		"a strange policy":      {metrix, "policy", "a policy", "Policy is of letters"},
		"no reason":             {feedzai, "reason", "", "it stands in the audit log"},
	} {
		res := security.post(t, page, with(tt.form, tt.field, tt.value))
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="service-`+tt.field+`-error"`) || !strings.Contains(res.body, tt.says) {
			t.Errorf("%s = %d, says %q: %v", name, res.StatusCode, tt.says, strings.Contains(res.body, tt.says))
		}
		if tt.field != "reason" {
			has(t, name, res.body, `value="as agreed"`)
		}
		if tt.value != "" && tt.field != "credential" {
			has(t, name, res.body, tt.value)
		}
		has(t, name, res.body, `name="sendPlace" value="on" checked`)
		hasNot(t, name, res.body, secretOfService)
	}
	for name, kind := range map[string]string{"no kind": "", "another kind": "ORACLE"} {
		if res := security.post(t, page, with(feedzai, "kind", kind)); res.StatusCode != http.StatusBadRequest || strings.Contains(res.body, secretOfService) {
			t.Errorf("%s = %d, want 400", name, res.StatusCode)
		}
	}
	for path, send := range map[string]func(path string) answer{
		"":         func(path string) answer { return security.get(t, path) },
		"/edit":    func(path string) answer { return security.get(t, path) },
		"/save":    func(path string) answer { return security.post(t, strings.TrimSuffix(path, "/save"), feedzai) },
		"/remove":  func(path string) answer { return security.form(t, path, "confirm", "x", "reason", "x") },
		"/nowhere": func(path string) answer { return security.get(t, path) },
	} {
		if res := send(fmt.Sprintf("/console/t/%s/risk/service%s", foreign, path)); res.StatusCode != http.StatusNotFound {
			t.Errorf("another tenant's %s = %d, want 404", path, res.StatusCode)
		}
	}
	if _, err := s.risk.Provider(t.Context(), acme); !errors.Is(err, risk.ErrNoProvider) {
		t.Errorf("something of that was kept: %v", err)
	}
	if n := s.store.AuditCount(t, acme, "risk_provider.update"); n != 0 {
		t.Errorf("%d entries were written", n)
	}
	s.grow(t)
	if res := security.post(t, page, feedzai); res.StatusCode != http.StatusForbidden {
		t.Errorf("with a stale passkey = %d, want 403", res.StatusCode)
	}
}
