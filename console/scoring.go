package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/scoring"
)

const riskServicePath = riskPath + "/service"

// scoringRoutes are the tenant's scoring service: what it is, how it fares, and the form that changes it.
func (c *Console) scoringRoutes(mux *router) {
	base := Path + "/t/{slug}" + riskServicePath
	reads, writes := apikey.ScopeRiskRead, apikey.ScopeRiskWrite
	mux.HandleFunc("GET "+base, c.inTenant(reads, c.showScoring))
	mux.HandleFunc("GET "+base+activityPath, c.inTenant(reads, c.showScoring))
	mux.HandleFunc("GET "+base+"/edit", c.inTenant(writes, c.showScoringForm))
	mux.HandleFunc("POST "+base, c.inTenant(writes, c.saveScoring))
	mux.HandleFunc("POST "+base+"/remove", c.inTenant(writes, c.removeScoring))
}

// scoringKinds are what services are called, and what a person needs to know to choose.
var scoringKinds = map[scoring.Kind]struct{ label, says string }{
	scoring.ThreatMetrix: {"LexisNexis ThreatMetrix", "Session and attribute queries, by an API key and the id of your organization."},
	scoring.Feedzai:      {"Feedzai", "Each sign-in as a transaction of amount 0, by a bearer token."},
}

// scoringSecrets are what the credential of each kind is called.
var scoringSecrets = map[scoring.Kind]string{scoring.ThreatMetrix: "API key", scoring.Feedzai: "Token"}

// scoringStates are how a circuit breaker stands, and what that comes to.
var scoringStates = map[scoring.State]modeBadge{
	scoring.Closed:   {"ok", "Closed", "Each sign-in asks the service."},
	scoring.HalfOpen: {"warn", "Half-open", "The next sign-in asks once: an answer closes it."},
	scoring.Opened:   {"bad", "Open", "Too many questions failed in a row: none is asked for a while."},
}

// scoringTold is what a service may be told of a person, by the name that the API has for it.
var scoringTold = []struct{ name, label, says string }{
	{"sendSubject", "A pseudonym of the user", "The same for the same user, and another at every service: no id of yours or ours."},
	{"sendAddress", "The IP address", ""},
	{"sendPlace", "Country and network of the address", "Without the address itself."},
	{"sendUserAgent", "The browser", "The User-Agent, in its own words."},
}

// sends reports what of that a configuration has on.
func sends(c *scoring.Config) map[string]bool {
	return map[string]bool{"sendSubject": c.SendSubject, "sendAddress": c.SendAddress, "sendPlace": c.SendPlace, "sendUserAgent": c.SendUserAgent}
}

// toldWords names it; "Nothing" for nothing.
func toldWords(on map[string]bool) string {
	var words []string
	for _, one := range scoringTold {
		if on[one.name] {
			words = append(words, one.label)
		}
	}
	if len(words) == 0 {
		return "Nothing"
	}
	return strings.Join(words, ", ")
}

// scoringView is the page of the service.
type scoringView struct {
	ui.Page
	withActivity

	Base    string
	May     bool
	Service *scoringFacts // nil: there is none
	Curl    string
	Remove  ui.Act
}

// scoringFacts are what is settled of a service, and how it fares with this server.
type scoringFacts struct {
	scoring.Config

	Edit         string
	KindIs       string
	Secret       string // what its credential is called
	Timeout      string
	Scale        string // the worst score; empty where the kind's is fixed
	Weight       string
	Told         string
	Certificates string
	Credential   *ui.Moment // since when it is there; nil: not known
	Changed      ui.Moment
	By           string

	Asked    bool // this server has asked it, and the others are of that
	Never    string
	Breaker  modeBadge
	Known    ui.Moment
	Since    *ui.Moment
	Probe    string // "in 4 seconds"; empty while it is closed
	Answered *ui.Moment
	Failed   *ui.Moment
	Failure  string
}

func (c *Console) showScoring(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.scoring200(w, r, v, p, ui.Act{}, http.StatusOK)
}

func (c *Console) scoring200(w http.ResponseWriter, r *http.Request, v *visit, p *place, remove ui.Act, status int) {
	here := p.base + riskServicePath
	view := scoringView{
		Page: c.frame(w, r, v, p, "Scoring service", p.base+riskPath, ui.Link{Href: p.base + riskPath, Label: "Risk"}), Base: p.base, May: p.may(apikey.ScopeRiskWrite), Remove: remove,
		Curl: "curl -X PUT -H \"Authorization: Bearer $BIOCORE_KEY\" \\\n  -d '{\"config\":{\"kind\":\"FEEDZAI\",\"address\":\"https://scoring.example\"},\n    \"credential\":\"…\",\"reason\":\"…\"}' \\\n  " +
			c.publicURL + "/admin/v1/riskProvider",
	}
	view.Page.Here = here
	now, err := c.risk.Provider(r.Context(), p.sc)
	if errors.Is(err, risk.ErrNoProvider) {
		c.render(w, r, status, c.scoringPage(view))
		return
	}
	if err == nil {
		view.Service, err = c.scoringFacts(r, p, &now)
	}
	if err == nil {
		view.withActivity, err = c.activity(r, p, here, about{kind: "risk_provider", id: now.ID.String()}, ui.Tab{Href: here, Label: "Service", Here: !asksActivity(r, here)})
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	a := &view.Remove
	a.ID, a.Title, a.Button, a.Action, a.Fresh = "remove", "Remove", "remove", here+"/remove", freshUntil(v)
	a.Confirm, a.Danger = now.Config.Host(), true
	a.Effects = []ui.Effect{
		{Icon: "trash", Text: "The service and its credential are gone, and every server stops asking within a second"},
		{Icon: "risk", Text: "Sign-ins go on by your own signals: PROVIDER and providerScore say nothing"},
	}
	c.render(w, r, status, c.scoringPage(view))
}

func (c *Console) scoringFacts(r *http.Request, p *place, now *risk.Provider) (*scoringFacts, error) {
	rules, err := c.risk.Rules(r.Context(), p.sc)
	if err != nil {
		return nil, err
	}
	names, err := c.names(r.Context(), []uuid.UUID{who(now.UpdatedBy)})
	if err != nil {
		return nil, err
	}
	clock := c.now()
	f := &scoringFacts{
		Config: now.Config, Edit: p.base + riskServicePath + "/edit", KindIs: scoringKinds[now.Config.Kind].label, Secret: scoringSecrets[now.Config.Kind],
		Timeout: fmt.Sprintf("%d ms", now.Config.Timeout().Milliseconds()), Weight: ui.Count(rules.Document.Weight(risk.ProviderSignal), "point") + " at the worst score",
		Told: toldWords(sends(&now.Config)), Certificates: "The system’s authorities", Credential: c.momentOf(now.CredentialAt), Changed: ui.Ago(now.UpdatedAt, clock),
		By: whoLabel(now.UpdatedBy, names),
	}
	if now.Config.Kind == scoring.Feedzai {
		f.Scale = "0 to " + ui.Thousands(now.Config.WorstScore())
	}
	if now.Config.CACertificates != "" {
		f.Certificates = "The service’s own: " + ui.Count(strings.Count(now.Config.CACertificates, "BEGIN CERTIFICATE"), "certificate")
	}
	f.Never = "It does with the next sign-in."
	if rules.Document.Mode == risk.Off {
		f.Never = "Risk is off: no sign-in is scored, and nobody asks."
	}
	s, asked := c.risk.ProviderStatus(p.sc)
	if f.Asked = asked; !asked {
		return f, nil
	}
	f.Breaker, f.Known, f.Since, f.Answered, f.Failed = scoringStates[s.State], ui.Ago(s.Known, clock), c.momentOf(s.Since), c.momentOf(s.Answered), c.momentOf(s.Failed)
	f.Failure = ui.Upper(s.Text)
	if left := s.Probe.Sub(clock); s.State == scoring.Opened && left > 0 {
		f.Probe = "in " + ui.Left(left)
	}
	return f, nil
}

// momentOf is a time that may be zero; nil for one that is.
func (c *Console) momentOf(t time.Time) *ui.Moment {
	if t.IsZero() {
		return nil
	}
	return c.moment(&t)
}
