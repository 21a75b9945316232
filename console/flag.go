package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/listing"
)

const flagsPath = "/flags"

// flagRoutes are the tenant's feature flags.
func (c *Console) flagRoutes(mux *router) {
	for _, one := range c.flagPages() {
		mux.HandleFunc(one.method+" "+Path+"/t/{slug}"+one.path, c.inTenant(one.needs, one.serve))
	}
	mux.HandleFunc("GET "+Path+"/t/{slug}"+flagsPath+"/{key}"+activityPath, c.inTenant(apikey.ScopeFlagsRead, c.showFlag))
}

// flagPage is a page of flags, wherever they are.
type flagPage struct {
	method string
	path   string // behind the address of the tenant, or of the platform
	needs  string // a scope
	serve  func(http.ResponseWriter, *http.Request, *visit, *place)
}

// flagPages are what tenants have of flags, and the staff of Biocore's own: see rolloutRoutes.
func (c *Console) flagPages() []flagPage {
	reads, writes := apikey.ScopeFlagsRead, apikey.ScopeFlagsWrite
	const one = flagsPath + "/{key}"
	return []flagPage{
		{http.MethodGet, flagsPath, reads, c.showFlags},
		{http.MethodGet, flagsPath + "/export", reads, c.exportFlags},
		{http.MethodGet, staleFlagsPath, reads, c.showStaleFlags},
		{http.MethodGet, flagsPath + "/new", writes, c.showNewFlag},
		{http.MethodPost, flagsPath, writes, c.createFlag},
		{http.MethodGet, one, reads, c.showFlag},
		{http.MethodPost, one + "/why", reads, c.explainFlag},
		{http.MethodGet, one + "/edit", writes, c.showFlagForm},
		{http.MethodPost, one + "/edit", writes, c.saveFlag},
		{http.MethodGet, one + "/rules", writes, c.showFlagRules},
		{http.MethodPost, one + "/rules", writes, c.saveFlagRules},
		{http.MethodPost, one + "/rules/draft", writes, c.draftFlagRules},
		{http.MethodGet, one + "/history/{change}", writes, c.showFlagChange},
		{http.MethodPost, one + "/history/{change}", writes, c.restoreFlag},
		{http.MethodPost, one + "/switch", writes, c.switchFlag},
		{http.MethodPost, one + "/delete", writes, c.deleteFlag},
	}
}

var flagTypes = map[flag.Type]string{flag.Boolean: "Boolean", flag.String: "String", flag.Number: "Number", flag.Object: "Object"}

// flagRow is a flag as it is in one environment: in the list, and in the cards of its page.
type flagRow struct {
	flag.Stored

	Href    string // of the flag there
	Where   string // the environment, for people
	Class   string // of its state
	StateIs string
	Serves  string // who gets what, in short
	TypeIs  string
	Remove  string // the day by which it should be gone; empty: it is to stay
	Overdue bool
	At      ui.Moment
	Here    bool // of cards: the one that is shown
	Used    usedRow
}

func (c *Console) flagRow(p *place, f *flag.Stored) flagRow {
	row := flagRow{
		Stored: *f, Href: p.base + flagsPath + "/" + f.Key, Where: ui.Upper(f.Environment), Class: "idle", StateIs: "Off", Serves: servesWords(f), TypeIs: flagTypes[f.Type],
		At: ui.Ago(f.UpdatedAt, c.now()),
	}
	if f.Environment != flag.Environments()[0] {
		row.Href += "?environment=" + f.Environment
	}
	if f.Enabled {
		row.Class, row.StateIs = "ok", "On"
	}
	if f.RemoveBy != nil {
		row.Remove = f.RemoveBy.Format("2 Jan 2006")
		row.Overdue = f.RemoveBy.Before(c.now().UTC().Truncate(24 * time.Hour))
	}
	return row
}

// below is the address of a part of the flag, in the row's environment.
func (r *flagRow) below(part string) string {
	path, query, asks := strings.Cut(r.Href, "?")
	if asks {
		query = "?" + query
	}
	return path + part + query
}

// servesWords says in short who gets what: 2 rules, then 25% on.
func servesWords(f *flag.Stored) string {
	if !f.Enabled {
		return "Serves " + f.OffVariant + " to everybody"
	}
	asks := 0
	for i := range f.Rules {
		if f.Rules[i].When.IsZero() {
			return strings.TrimPrefix(rulesThen(asks)+servedWords(&f.Rules[i]), ", ")
		}
		asks++
	}
	if asks == 0 {
		return "Everybody gets " + f.DefaultVariant
	}
	return rulesThen(asks) + f.DefaultVariant
}

func rulesThen(asks int) string {
	if asks == 0 {
		return "Everybody: "
	}
	return ui.Count(asks, "rule") + ", then "
}

// servedWords is what a rule serves: on, or 25% on, 75% off.
func servedWords(r *flag.Rule) string {
	if r.Variant != "" {
		return r.Variant
	}
	shares := make([]string, len(r.Rollout))
	for i, s := range r.Rollout {
		shares[i] = percentWords(s.Weight) + " " + s.Variant
	}
	return strings.Join(shares, ", ")
}

func percentWords(w flag.Weight) string {
	return strconv.FormatFloat(w.Percent(), 'f', -1, 64) + "%"
}

var operatorWords = map[flag.Operator]string{
	flag.In: "is", flag.Contains: "contains", flag.StartsWith: "starts with", flag.EndsWith: "ends with", flag.Matches: "matches", flag.LessThan: "is under", flag.AtMost: "is at most",
	flag.AtLeast: "is at least", flag.GreaterThan: "is over", flag.VersionBelow: "is below version", flag.VersionAtLeast: "is at least version", flag.Before: "is before", flag.After: "is after",
	flag.Exists: "is there",
}

// conditionWords says whom a condition matches: country is one of NO, SE and plan is pro.
func conditionWords(q *flag.Condition) string {
	join := func(list []flag.Condition, word string) string {
		parts := make([]string, len(list))
		for i := range list {
			if parts[i] = conditionWords(&list[i]); len(list) > 1 && len(list[i].All)+len(list[i].Any) > 1 {
				parts[i] = "(" + parts[i] + ")"
			}
		}
		return strings.Join(parts, word)
	}
	switch {
	case len(q.All) > 0:
		return join(q.All, " and ")
	case len(q.Any) > 0:
		return join(q.Any, " or ")
	case q.Not != nil:
		return "not (" + conditionWords(q.Not) + ")"
	}
	if q.Segment != "" {
		return "in segment " + q.Segment
	}
	values := make([]string, 0, len(q.Values))
	for i, v := range q.Values {
		if i == 8 {
			values = append(values, ui.Count(len(q.Values)-i, "more value"))
			break
		}
		text, ok := v.(string)
		if !ok {
			encoded, err := json.Marshal(v)
			if err != nil {
				continue
			}
			text = string(encoded)
		}
		values = append(values, text)
	}
	word := operatorWords[q.Operator]
	if q.Operator == flag.In && len(values) > 1 {
		word = "is one of"
	}
	return strings.TrimSpace(q.Attribute + " " + word + " " + strings.Join(values, ", "))
}

// flagWriters are those who may change flags.
func flagWriters(p *place) string {
	if p.staff {
		return "admins of the staff"
	}
	return "owners, admins and developers"
}

type flagsView struct {
	ui.Page

	Base      string
	Sub       string
	Segments  string // address of them; "" where there are none: of Biocore's own
	May       bool
	Writers   string // who may
	Where     []ui.Tab
	Filters   ui.Filters
	None      bool // there is no flag, whatever is looked for
	Rows      []flagRow
	CSV, JSON string
	Curl      string
}

// environments are those that a flag is told in: of Biocore's own flags the first, which is what Biocore asks for. Whoever would switch one
// of them off elsewhere would have switched off nothing.
func (p *place) environments() []string {
	if p.staff {
		return flag.Environments()[:1]
	}
	return flag.Environments()
}

// environment returns the one of a name: the first for none. flag.ErrEnvironment.
func (p *place) environment(name string) (string, error) {
	environment, err := flag.Environment(name)
	if err == nil && !slices.Contains(p.environments(), environment) {
		return "", flag.ErrEnvironment
	}
	return environment, err
}

func (c *Console) showFlags(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	environment, err := p.environment(r.URL.Query().Get("environment"))
	var list []flag.Stored
	if err == nil {
		list, err = c.flags.List(r.Context(), p.sc, environment)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + flagsPath
	at := ui.Address{Path: here, Query: url.Values{}}
	for _, name := range []string{"environment", "q"} {
		if value := clean(r.URL.Query().Get(name)); value != "" {
			at.Query.Set(name, value)
		}
	}
	view := flagsView{
		Page: c.frame(w, r, v, p, "Feature flags", here), Base: p.base, May: p.may(apikey.ScopeFlagsWrite), Writers: flagWriters(p),
		Sub: "What your applications switch on, for whom. They ask by OpenFeature.", Segments: p.base + segmentsPath,
		Filters: ui.Filters{At: at, Search: &ui.Search{Name: "q", Label: "Key, name or owner", Value: at.Get("q")}}, None: len(list) == 0,
		CSV: at.At(here + "/export"), JSON: ui.Address{Path: here + "/export", Query: at.Query}.With("format", "json"),
		Curl: "curl -H \"Authorization: Bearer $BIOCORE_KEY\" \\\n  -d '{\"key\":\"number-matching\",\"type\":\"BOOLEAN\",\"name\":\"Number matching\"}' \\\n  " + c.publicURL + "/admin/v1/flags",
	}
	if p.staff {
		view.Sub, view.Segments = "What Biocore itself does, and for which tenants. Every server goes by it within a second.", ""
	}
	for i, one := range p.environments() {
		tab := ui.Tab{Href: at.Without("environment"), Label: ui.Upper(one), Here: one == environment}
		if i > 0 {
			tab.Href = at.With("environment", one)
		}
		view.Where = append(view.Where, tab)
	}
	used, err := c.flags.Usage(r.Context(), p.sc, environment)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for i := range list {
		if !isFound(&list[i], at.Get("q")) {
			continue
		}
		row := c.flagRow(p, &list[i])
		row.Used = c.usedRow(used, list[i].Key)
		view.Rows = append(view.Rows, row)
	}
	c.render(w, r, http.StatusOK, c.flagsPage(view))
}

// isFound reports a flag whose key, name or owner has text in it, in whichever case.
func isFound(f *flag.Stored, text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc([]string{f.Key, f.Name, f.Owner}, func(of string) bool { return strings.Contains(strings.ToLower(of), text) })
}

func (c *Console) exportFlags(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	sought := clean(r.URL.Query().Get("q"))
	c.export(w, r, v, exported{
		Name:    "flags",
		Columns: []string{"key", "type", "name", "owner", "removeBy", "clientVisible", "environment", "enabled", "offVariant", "defaultVariant", "variants", "rules", "createdAt", "updatedAt"},
		Next: func(string) ([][]string, string, error) {
			environment, err := p.environment(r.URL.Query().Get("environment"))
			if err != nil {
				return nil, "", err
			}
			list, err := c.flags.List(r.Context(), p.sc, environment)
			if err != nil {
				return nil, "", err
			}
			rows := [][]string{}
			for i := range list {
				f := &list[i]
				if !isFound(f, sought) {
					continue
				}
				variants, err := json.Marshal(f.Variants)
				if err != nil {
					return nil, "", fmt.Errorf("encode variants: %w", err)
				}
				rules, err := json.Marshal(f.Rules)
				if err != nil {
					return nil, "", fmt.Errorf("encode rules: %w", err)
				}
				rows = append(rows, []string{
					f.Key, string(f.Type), f.Name, f.Owner, dayText(f.RemoveBy), strconv.FormatBool(f.ClientVisible), f.Environment, strconv.FormatBool(f.Enabled), f.OffVariant, f.DefaultVariant,
					string(variants), string(rules), iso(&f.CreatedAt), iso(&f.UpdatedAt),
				})
			}
			return rows, "", nil
		},
	})
}

func dayText(day *time.Time) string {
	if day == nil {
		return ""
	}
	return day.Format(time.DateOnly)
}

// ruleRow is a rule, in words.
type ruleRow struct {
	When   string // empty: everybody
	Serves string // one variant; empty: a rollout
	Parts  []ui.Part
	By     string // what the rollout tells subjects apart by
}

// deals is what stands between whom a rule matches and what they get.
func (r *ruleRow) deals() string {
	if r.Serves == "" {
		return ", dealt by"
	}
	return ":"
}

func ruleRows(rules []flag.Rule) []ruleRow {
	out := make([]ruleRow, len(rules))
	for i := range rules {
		r := &rules[i]
		out[i] = ruleRow{Serves: r.Variant, By: r.By}
		if !r.When.IsZero() {
			out[i].When = conditionWords(&r.When)
		}
		for j, s := range r.Rollout {
			out[i].Parts = append(out[i].Parts, ui.Part{Name: s.Variant, Class: "c" + strconv.Itoa(j%6+1), Value: percentWords(s.Weight), Share: s.Weight.Percent() / 100})
		}
		if len(r.Rollout) > 0 && out[i].By == "" {
			out[i].By = "targeting key"
		}
	}
	return out
}

type changeRow struct {
	Back   string // where it can be brought back; empty: it cannot
	What   string
	Where  string
	Reason string
	By     string
	At     ui.Moment
}

// flagView is the page of one flag, in one environment.
type flagView struct {
	ui.Page
	withActivity

	May         bool
	Writers     string // who may
	Flag        flagRow
	Cards       []flagRow
	Rules       []ruleRow
	Rest        string // who gets the default variant, in words; empty: nobody
	Variants    []variantRow
	Description string
	By          string
	Made        ui.Moment
	History     []changeRow
	Pager       ui.Pager // of History
	OFREP       string   // the base URL of a provider; empty: nobody asks from outside

	Switch, Delete ui.Act
	WhyTo          string // where the question goes
	Subject        ui.Input
	Context        ui.Input
	Why            *flag.Explanation
	WhyProblem     *ui.Problem
}

type variantRow struct{ Name, Value string }

// flagActs is what was typed into the forms of a flag's page.
type flagActs struct {
	toggle, remove ui.Act
	asks           bool // why somebody gets what
}

func (c *Console) showFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.flag200(w, r, v, p, flagActs{}, http.StatusOK)
}

// flagOf returns the flag of the path in every environment, and which of them is asked for.
func (c *Console) flagOf(ctx context.Context, r *http.Request, p *place) (all []flag.Stored, at int, err error) {
	environment, err := p.environment(r.FormValue("environment"))
	if err != nil {
		return nil, 0, err
	}
	if all, err = c.flags.Get(ctx, p.sc, r.PathValue("key")); err != nil {
		return nil, 0, err
	}
	return all, slices.IndexFunc(all, func(f flag.Stored) bool { return f.Environment == environment }), nil
}

func (c *Console) flag200(w http.ResponseWriter, r *http.Request, v *visit, p *place, acts flagActs, status int) {
	all, at, err := c.flagOf(r.Context(), r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	f := &all[at]
	history, err := c.flags.Changes(r.Context(), p.sc, f.Key, listing.Request{PageSize: historyRows, PageToken: r.URL.Query().Get("after")})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	people := []uuid.UUID{who(f.CreatedBy)}
	for i := range history.Items {
		people = append(people, who(history.Items[i].ChangedBy))
	}
	names, err := c.names(r.Context(), people)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	now := c.now()
	view := flagView{
		Page: c.frame(w, r, v, p, f.Name, p.base+flagsPath, ui.Link{Href: p.base + flagsPath, Label: "Feature flags"}), May: p.may(apikey.ScopeFlagsWrite), Writers: flagWriters(p),
		Flag: c.flagRow(p, f), Rules: ruleRows(f.Rules), Description: f.Description, By: whoLabel(f.CreatedBy, names), Made: ui.Ago(f.CreatedAt, now), OFREP: c.publicURL,
		Switch: acts.toggle, Delete: acts.remove,
	}
	if f.Environment != flag.Environments()[0] {
		view.OFREP += "/flags/" + f.Environment
	}
	if p.staff { // whose flags no key evaluates
		view.OFREP = ""
	}
	switch {
	case len(f.Rules) == 0:
		view.Rest = "Everybody:"
	case !slices.ContainsFunc(f.Rules, func(r flag.Rule) bool { return r.When.IsZero() }):
		view.Rest = "Everybody else:"
	}
	used, err := c.flags.Usage(r.Context(), p.sc, f.Environment)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.Flag.Used = c.usedRow(used, f.Key)
	for i := range all {
		if !slices.Contains(p.environments(), all[i].Environment) {
			continue
		}
		card := c.flagRow(p, &all[i])
		card.Here = i == at
		view.Cards = append(view.Cards, card)
	}
	for name, value := range f.Variants {
		view.Variants = append(view.Variants, variantRow{name, string(value)})
	}
	slices.SortFunc(view.Variants, func(a, b variantRow) int { return strings.Compare(a.Name, b.Name) })
	for i := range history.Items {
		h := &history.Items[i]
		row := changeRow{What: changeWords(h), Where: "Everywhere", Reason: h.Reason, By: whoLabel(h.ChangedBy, names), At: ui.Ago(h.ChangedAt, now)}
		if h.Environment != "" {
			row.Where = ui.Upper(h.Environment)
		}
		if view.May && h.After != nil && (i > 0 || r.URL.Query().Has("after")) {
			row.Back = p.base + flagsPath + "/" + f.Key + "/history/" + h.ID.String()
		}
		view.History = append(view.History, row)
	}
	view.Pager = historyPager(r, view.Flag.Href, len(history.Items), history.NextToken)
	if err := c.explain(&view, r, p, f, acts.asks); err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.setFlagActs(&view, v, f)
	here := p.base + flagsPath + "/" + f.Key
	view.Page.Here = here
	view.withActivity, err = c.activity(r, p, here, about{kind: "flag", id: f.Key}, ui.Tab{Href: here, Label: "Flag", Here: !asksActivity(r, here)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.render(w, r, status, c.flagPage(view))
}

// changeWords says what a step in a flag's history changed.
func changeWords(h *flag.Change) string {
	switch {
	case h.Before == nil:
		return "Made"
	case h.After == nil:
		return "Deleted"
	case h.Before.Enabled && !h.After.Enabled:
		return "Switched off"
	case !h.Before.Enabled && h.After.Enabled:
		return "Switched on"
	}
	before, after := flag.Stored{Flag: h.Before.Flag, About: h.Before.About}, flag.Stored{Flag: h.After.Flag, About: h.After.About}
	before.Enabled, after.Enabled = true, true
	if one, other := servesWords(&before), servesWords(&after); one != other {
		return one + " → " + other
	}
	if h.Environment != "" {
		return "Rules changed"
	}
	return "Details changed"
}

func (c *Console) setFlagActs(view *flagView, v *visit, f *flag.Stored) {
	fresh := freshUntil(v)
	view.Switch.ID, view.Switch.Action, view.Switch.Fresh = "switch", view.Flag.below("/switch"), fresh
	if f.Enabled {
		view.Switch.Title, view.Switch.Button, view.Switch.Danger = "Kill switch", "switch off", true
		view.Switch.Effects = []ui.Effect{{Icon: "zap", Text: "Everybody in " + f.Environment + " gets " + f.OffVariant + " within a second"}, {Icon: "history", Text: "The rules stay as they are"}}
	} else {
		view.Switch.Title, view.Switch.Button = "Switch on", "switch on"
		on := *f
		on.Enabled = true
		view.Switch.Effects = []ui.Effect{{Icon: "play", Text: "In " + f.Environment + ", from now on: " + servesWords(&on)}}
	}
	view.Delete.ID, view.Delete.Action, view.Delete.Fresh, view.Delete.Title, view.Delete.Button = "delete", view.Flag.below("/delete"), fresh, "Delete", "delete"
	view.Delete.Effects = []ui.Effect{
		{Icon: "trash", Text: "In every environment, at once: applications get the default of their own code"},
		{Icon: "history", Text: "Its history stays"},
	}
	view.Delete.Confirm, view.Delete.Danger = f.Key, true
}
