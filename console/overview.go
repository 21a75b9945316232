package console

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/stats"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

func (c *Console) overviewRoutes(mux *router) {
	mux.HandleFunc("GET "+Path+"/t/{slug}", c.inTenant(apikey.ScopeStatsRead, c.showOverview))
	mux.HandleFunc("GET "+Path+"/t/{slug}/overview/export", c.inTenant(apikey.ScopeStatsRead, c.exportOverview))
}

// overviewView is the first page of a tenant.
type overviewView struct {
	ui.Page

	Ranges    []ui.Segment
	CSV, JSON string
	Counted   *ui.Moment // nil: never yet
	Empty     bool       // nothing ever happened
	Snippet   ui.Snippet
	Setup     *setupView // nil: done

	Numbers   []numberView
	Attempts  ui.Chart
	Every     string // between two points of the charts, in words
	Outcomes  []ui.Part
	Finished  string // how many sign-ins that is, in words
	Reasons   []rankView
	Risk      *overviewRisk // nil: nothing to tell
	Latency   ui.Chart
	Funnel    []rankView
	Models    []rankView
	ModelsAll string

	Activity string           // address of what is told as it happens; empty where the person may not see it
	Log      string           // address of the ceremonies
	Refused  *refusedCardView // by limits; nil: nothing
}

// numberView is a key number.
type numberView struct {
	Label  string
	Value  string
	Unit   string
	Change ui.Change
	Spark  ui.Chart
}

// rankView is a line of a ranking.
type rankView struct {
	Label   string
	Note    string // below the label
	Count   string
	Percent string
	Share   float64
	Face    modelFace // none: no icon
}

// setupView is what a new tenant has still to do.
type setupView struct {
	Done, All int
	Steps     []setupStep
}

type setupStep struct {
	Done  bool
	Label string
	Note  string
	Href  string // empty: not for this person, or not done in the console
	Go    string
}

// rangeNames are ranges as people say them, and as what they are held against.
var rangeNames = map[stats.Range][2]string{
	stats.Hour: {"Last hour", "vs. the hour before"}, stats.Day: {"Last 24 hours", "vs. yesterday"},
	stats.Week: {"Last 7 days", "vs. the week before"}, stats.Month: {"Last 30 days", "vs. the 30 days before"},
}

// everyNames are steps as people say them.
var everyNames = map[time.Duration]string{
	5 * time.Minute: "5 minutes", 15 * time.Minute: "15 minutes", time.Hour: "hour", 6 * time.Hour: "6 hours", 24 * time.Hour: "day",
}

func (c *Console) showOverview(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	within, err := stats.ParseRange(r.URL.Query().Get("range"))
	if err != nil {
		within = stats.Day // an address that somebody has typed
	}
	o, err := c.stats.Overview(r.Context(), p.sc, within)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := c.newOverview(&o)
	view.Ranges = rangeSegments(p.base, within)
	export := p.base + "/overview/export?" + url.Values{"range": {string(within)}}.Encode()
	view.CSV, view.JSON = export+"&format=csv", export+"&format=json"
	if view.Risk, err = c.overviewRisk(r, p, &o); err != nil {
		c.fail(w, r, v, err)
		return
	}
	if view.Setup, err = c.setup(r, p, &o); err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.Snippet = ui.Snippet{Title: "The first registration, from your server", Text: "curl -X POST " + c.publicURL + "/v1/registrations:begin \\\n" +
		"  -H \"Authorization: Bearer $BIOCORE_SECRET_KEY\" \\\n  -H \"Content-Type: application/json\" \\\n" +
		"  -d '{\"user\": {\"externalId\": \"u-1001\", \"name\": \"ana@example.com\"}}'"}
	view.Refused = c.refusedCard(r.Context(), p)
	if p.may(apikey.ScopeCeremoniesRead) {
		view.Log = p.base + "/ceremonies"
		if p.tenant.Usable() == nil {
			view.Activity = p.base + "/activity/events"
		}
	}
	view.Page = c.frame(w, r, v, p, "Overview", p.base)
	c.render(w, r, http.StatusOK, c.overviewPage(view))
}

func rangeSegments(base string, here stats.Range) []ui.Segment {
	var out []ui.Segment
	for _, one := range stats.Ranges() {
		out = append(out, ui.Segment{Href: base + "?range=" + string(one), Label: string(one), Here: one == here})
	}
	return out
}

// newOverview puts an overview into words and charts.
func (c *Console) newOverview(o *stats.Overview) overviewView {
	v := overviewView{Every: everyNames[o.Step]}
	if !o.CountedAt.IsZero() {
		counted := ui.Ago(o.CountedAt, c.now())
		v.Counted = &counted
	}
	now, before := o.Now.Of(stats.SignIn), o.Before.Of(stats.SignIn)
	v.Empty = now.All() == 0 && before.All() == 0 && o.Now.Of(stats.Registration).All() == 0 && (o.Users == nil || o.Users.All == 0)
	v.Numbers = numbers(o)
	lines := stats.LinesOf(stats.SignIns, o.Points)
	refused := stats.Line{Values: make([]float64, len(o.Points))}
	for _, l := range lines[1:] {
		for i, n := range l.Values {
			refused.Values[i] += n
		}
	}
	v.Attempts = chartOf("attempts", "Sign-ins", "", o, true,
		ui.Series{Name: "Let in", Class: "c1", Values: lines[0].Values}, ui.Series{Name: "Not let in", Class: "c4", Values: refused.Values})
	v.Attempts.Area = true

	v.Finished = ui.Count(int(now.All()), "finished sign-in")
	counts := []int64{now.Allowed, now.SteppedUp, now.Denied, now.Failed}
	shares := ui.Shares(counts)
	for i, name := range []string{"Allowed", "Step-up", "Denied by policy", "Failed"} {
		v.Outcomes = append(v.Outcomes, ui.Part{Name: name, Class: []string{"c2", "c3", "c4", "c5"}[i], Value: ui.Thousands(int(counts[i])), Share: shares[i]})
	}
	for _, reason := range o.Now.Reasons() {
		if reason.Kind == stats.SignIn && len(v.Reasons) < 5 {
			v.Reasons = append(v.Reasons, rankView{Label: reasonLabel(reason), Count: ui.Thousands(int(reason.Count))})
		}
	}
	latency := stats.LinesOf(stats.SignInLatency, o.Points)
	v.Latency = chartOf("latency", "Sign-in latency", "ms", o, false,
		ui.Series{Name: "p50", Class: "c2", Values: latency[0].Values}, ui.Series{Name: "p95", Class: "c1", Values: latency[1].Values}, ui.Series{Name: "p99", Class: "c3", Values: latency[2].Values})
	v.Funnel = funnel(o)
	v.Models, v.ModelsAll = c.modelShares(o)
	return v
}

func chartOf(id, title, unit string, o *stats.Overview, whole bool, series ...ui.Series) ui.Chart {
	chart := ui.Chart{ID: id, Title: title, Unit: unit, Step: o.Step, Whole: whole, Going: o.To.Add(-o.Step), Series: series}
	for i := range o.Points {
		chart.Times = append(chart.Times, o.Points[i].At)
	}
	return chart
}

// numbers are the four key numbers, each with its change and its shape.
func numbers(o *stats.Overview) []numberView {
	now, before := o.Now.Of(stats.SignIn), o.Before.Of(stats.SignIn)
	against := rangeNames[o.Range][1]
	spark := func(metric stats.Metric, n int, class string) ui.Chart {
		return chartOf("", "", "", o, false, ui.Series{Class: class, Values: stats.LinesOf(metric, o.Points)[n].Values})
	}

	success := numberView{Label: "Sign-in success", Value: "–", Spark: spark(stats.SignInSuccess, 0, "c2"), Change: ui.Change{Note: "No sign-ins yet"}}
	if share, ok := now.Success(); ok {
		success.Value, success.Unit, success.Change = percentNumber(share), "%", ui.Change{}
		if then, ok := before.Success(); ok {
			success.Change = change((share-then)*100, "%.2f pt", true, against)
		}
	}

	signIns := numberView{Label: "Sign-ins", Value: ui.Thousands(int(now.Allowed)), Spark: spark(stats.SignIns, 0, "c1")}
	if before.Allowed > 0 {
		signIns.Change = change(float64(now.Allowed-before.Allowed)/float64(before.Allowed)*100, "%.1f%%", true, against)
	}

	latency := numberView{Label: "Sign-in latency, p95", Value: "–", Spark: spark(stats.SignInLatency, 1, "c3"), Change: ui.Change{Note: "No evidence in this period"}}
	if p95, ok := o.Now.Quantile(stats.SignIn, .95); ok {
		latency.Value, latency.Unit, latency.Change = milliseconds(p95), "ms", ui.Change{}
		if then, ok := o.Before.Quantile(stats.SignIn, .95); ok {
			format := "%.0f ms"
			if math.Abs((p95 - then).Seconds()) < .01 {
				format = "%.1f ms"
			}
			latency.Change = change(float64((p95-then).Microseconds())/1000, format, false, against)
		}
	}

	enrolled := numberView{Label: "Enrolled users", Value: "–", Spark: enrolledSpark(o), Change: ui.Change{Note: "Not counted yet"}}
	if o.Users != nil {
		enrolled.Value, enrolled.Change = ui.Thousands(o.Users.Enrolled), ui.Change{}
		note := ui.Thousands(o.Users.Active(o.Range)) + " active"
		if o.UsersThen != nil && o.UsersThen.Enrolled > 0 {
			enrolled.Change = change(float64(o.Users.Enrolled-o.UsersThen.Enrolled)/float64(o.UsersThen.Enrolled)*100, "%.1f%%", true, note)
		} else {
			enrolled.Change.Note = note
		}
	}
	return []numberView{success, signIns, latency, enrolled}
}

// enrolledSpark is how the enrolled users became as many as they are, reckoned back from
// the first passkeys that were made.
func enrolledSpark(o *stats.Overview) ui.Chart {
	if o.Users == nil {
		return ui.Chart{}
	}
	values := make([]float64, len(o.Points))
	count := float64(o.Users.Enrolled)
	for i := len(o.Points) - 1; i >= 0; i-- {
		values[i] = count
		count -= float64(o.Points[i].First)
	}
	return chartOf("", "", "", o, true, ui.Series{Class: "c1", Values: values})
}

// change is by how much a number moved: format says its size, and up is good where
// upIsGood says so.
func change(by float64, format string, upIsGood bool, note string) ui.Change {
	text := fmt.Sprintf(format, math.Abs(by))
	even := text == fmt.Sprintf(format, 0.0)
	return ui.Change{Text: text, Up: by > 0, Good: by > 0 == upIsGood, Even: even, Note: note}
}

// percentNumber is a share without its sign: never 100 while something is missing.
func percentNumber(share float64) string {
	percent := math.Floor(share*10_000) / 100
	return strconv.FormatFloat(percent, 'f', -1, 64)
}

func milliseconds(d time.Duration) string {
	ms := float64(d.Microseconds()) / 1000
	if ms < 10 {
		return strconv.FormatFloat(ms, 'f', 1, 64)
	}
	return ui.Thousands(int(math.Round(ms)))
}

// reasonLabel is why a sign-in was not let in: its reason as the API has it.
func reasonLabel(r stats.Reason) string {
	if r.Reason == "" {
		return r.Outcome
	}
	return r.Reason
}

// overviewRisk is what the risk rules did to the sign-ins of a period, by the counted reasons.
type overviewRisk struct {
	SteppedUp, Denied           string
	SteppedUpShare, DeniedShare string
	Note                        string
}

// overviewRisk returns nil for who may not see risk, and where it is off and did nothing.
func (c *Console) overviewRisk(r *http.Request, p *place, o *stats.Overview) (*overviewRisk, error) {
	if !p.may(apikey.ScopeRiskRead) {
		return nil, nil //nolint:nilnil // nothing to tell
	}
	rules, err := c.risk.Ruleset(r.Context(), p.sc)
	if err != nil {
		return nil, err
	}
	var asked, refused, byRule int64
	for _, one := range o.Now.Reasons() {
		if one.Kind != stats.SignIn || one.Reason != risk.ReasonRule && one.Reason != risk.ReasonScore {
			continue
		}
		if one.Outcome == string(risk.StepUp) {
			asked += one.Count
		} else {
			refused += one.Count
		}
		if one.Reason == risk.ReasonRule {
			byRule += one.Count
		}
	}
	if asked+refused == 0 && rules.Mode == risk.Off {
		return nil, nil //nolint:nilnil // nothing to tell
	}
	v := &overviewRisk{SteppedUp: ui.Thousands(int(asked)), Denied: ui.Thousands(int(refused)), SteppedUpShare: shareOf(asked, o), DeniedShare: shareOf(refused, o)}
	switch {
	case asked+refused > 0:
		v.Note = ui.Thousands(int(byRule)) + " by a rule, " + ui.Thousands(int(asked+refused-byRule)) + " by the score"
	case rules.Mode == risk.Shadow:
		v.Note = "Shadow mode: what the rules say is recorded, and nothing is done"
	default:
		v.Note = "The rules are enforced, and none was met in this period"
	}
	return v, nil
}

// shareOf is n of all sign-ins that were finished.
func shareOf(n int64, o *stats.Overview) string {
	all := o.Now.Of(stats.SignIn).All()
	if all == 0 {
		return ui.Percent(0)
	}
	return ui.Percent(float64(n) / float64(all))
}

// funnel is how far registrations came, as far as it is known.
func funnel(o *stats.Overview) []rankView {
	finished := o.Now.Of(stats.Registration)
	made := o.Now.First + o.Now.Second + o.Now.Further
	var out []rankView
	for _, step := range []struct {
		label string
		n     int64
	}{{"Ceremony finished", finished.All()}, {"Passkey made", made}, {"The user’s first", o.Now.First}, {"A second one added", o.Now.Second}} {
		share := 0.0
		if finished.All() > 0 {
			share = float64(step.n) / float64(finished.All())
		}
		out = append(out, rankView{Label: step.label, Count: ui.Thousands(int(step.n)), Percent: ui.Percent(share), Share: share})
	}
	return out
}

// modelShares are the five models that signed in most, and how many there are.
func (c *Console) modelShares(o *stats.Overview) ([]rankView, string) {
	list := o.Now.ByModel()
	var all int64
	for _, m := range list {
		all += m.SignIns
	}
	var out []rankView
	for _, m := range list[:min(5, len(list))] {
		one := rankView{Label: c.modelName(m.AAGUID), Count: ui.Thousands(int(m.SignIns)), Share: float64(m.SignIns) / float64(all), Face: c.faceOf(m.AAGUID, authenticator.Traits{})}
		one.Percent = ui.Percent(one.Share)
		out = append(out, one)
	}
	return out, ui.Count(len(list), "model")
}

// modelName is what a model is called; without a name, the beginning of its AAGUID.
func (c *Console) modelName(id uuid.UUID) string {
	if id == uuid.Nil {
		return "Not named by the device"
	}
	if name := authenticator.Name(id, c.metadata()); name != "" {
		return name
	}
	return "Model " + id.String()[:8] + "…"
}

// setup is what a new tenant has still to do, found out from what there is; nil once all of
// it is done, or for who may not see it.
func (c *Console) setup(r *http.Request, p *place, o *stats.Overview) (*setupView, error) {
	if !p.may(apikey.ScopeMembersRead) || !p.may(apikey.ScopePolicyRead) || !p.may(apikey.ScopeAPIKeysRead) {
		return nil, nil //nolint:nilnil // nothing to do
	}
	people, err := c.members.List(r.Context(), p.sc)
	if err != nil {
		return nil, err
	}
	admins := 0
	for i := range people {
		if people[i].Role == member.Owner || people[i].Role == member.Admin {
			admins++
		}
	}
	snap, err := c.tenants.Current(r.Context(), p.sc)
	if err != nil {
		return nil, err
	}
	keys, err := c.apiKeys.List(r.Context(), p.sc, apikey.ListRequest{Request: listing.Request{PageSize: 100}})
	if err != nil {
		return nil, err
	}
	used := false
	for i := range keys.Items {
		used = used || keys.Items[i].LastUsedAt != nil
	}
	enrolled := o.Users != nil && o.Users.Enrolled > 0 || o.Now.First > 0
	v := &setupView{Steps: []setupStep{
		{Done: admins > 1, Label: "Invite a second admin", Note: "Who loses every passkey alone waits days for help", Href: p.base + "/members", Go: "Invite"},
		{Done: used, Label: "Call the API with a key", Note: "The first keys were shown when the tenant was made"},
		{Done: enrolled, Label: "Enroll the first user", Note: "A passkey made on one of your pages"},
		{Done: snap.PolicyVersion > 1, Label: "Look at the policy", Note: "What you ask of authenticators and sign-ins; the default asks for little"},
	}}
	if snap.Mode == tenant.Live {
		prove := setupStep{Done: snap.DomainProven, Label: "Prove your domain", Note: "Registrations and sign-ins are refused before", Href: p.base + partyPath, Go: "Prove"}
		if !p.may(apikey.ScopeSettingsRead) {
			prove.Href = ""
		}
		v.Steps = append([]setupStep{prove}, v.Steps...)
	}
	for _, s := range v.Steps {
		v.All++
		if s.Done {
			v.Done++
		}
	}
	if v.Done == v.All {
		return nil, nil //nolint:nilnil // nothing to do
	}
	return v, nil
}

// exportOverview is the numbers of every step as a file.
func (c *Console) exportOverview(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	within, err := stats.ParseRange(r.URL.Query().Get("range"))
	if err != nil {
		within = stats.Day
	}
	o, err := c.stats.Overview(r.Context(), p.sc, within)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.export(w, r, v, exported{
		Name: "overview-" + string(within),
		Columns: []string{"at", "signInsAllowed", "signInsSteppedUp", "signInsDenied", "signInsFailed", "latencyP50Ms", "latencyP95Ms", "latencyP99Ms",
			"registrationsAllowed", "registrationsRefused", "firstPasskeys", "secondPasskeys", "furtherPasskeys"},
		Next: func(string) ([][]string, string, error) {
			rows := make([][]string, len(o.Points))
			for i := range o.Points {
				rows[i] = exportRow(&o.Points[i])
			}
			return rows, "", nil
		},
	})
}

func exportRow(p *stats.Point) []string {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	q := func(share float64) string {
		d, ok := p.Quantile(stats.SignIn, share)
		if !ok {
			return ""
		}
		return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 3, 64)
	}
	in, made := p.Of(stats.SignIn), p.Of(stats.Registration)
	return []string{
		p.At.Format(time.RFC3339), n(in.Allowed), n(in.SteppedUp), n(in.Denied), n(in.Failed), q(.5), q(.95), q(.99),
		n(made.Allowed), n(made.All() - made.Allowed), n(p.First), n(p.Second), n(p.Further),
	}
}
