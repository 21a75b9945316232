package console

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/governance/detect"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/listing"
)

const findingsPath = dataMapPath + "/findings"

// openFindings is where the tab leads: what nobody has decided yet.
const openFindings = findingsPath + "?state=OPEN"

// findingRoutes are where personal data and secrets were found, beside where they may be.
func (c *Console) findingRoutes(mux *router) {
	base := Path + "/t/{slug}" + findingsPath
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeDLPRead, c.showFindings))
	mux.HandleFunc("GET "+base+"/export", c.inTenant(apikey.ScopeDLPRead, c.exportFindings))
	mux.HandleFunc("GET "+base+"/import", c.inTenant(apikey.ScopeDLPWrite, c.showImportFindings))
	mux.HandleFunc("POST "+base+"/import", c.inTenant(apikey.ScopeDLPWrite, c.importFindings))
	mux.HandleFunc("GET "+base+"/{id}", c.inTenant(apikey.ScopeDLPRead, c.showFinding))
	mux.HandleFunc("POST "+base+"/{id}", c.inTenant(apikey.ScopeDLPWrite, c.decideFinding))
	c.scanRoutes(mux)
}

var findingKinds = map[string]string{
	string(detect.Email): "E-mail address", string(detect.IBAN): "IBAN", string(detect.Card): "Card number", string(detect.NationalID): "National id",
	string(detect.Token): "Token", string(detect.PrivateKey): "Private key", string(detect.OwnKey): "Biocore key",
}

var findingStates = map[dlp.State]struct{ class, label string }{
	dlp.Open: {"warn", "Open"}, dlp.Dismissed: {"idle", "Dismissed"}, dlp.Resolved: {"ok", "Resolved"},
}

// findingSources are whose findings there are, as far as a release knows them.
var findingSources = map[string]string{dlp.SourceScan: "Scans", string(dlp.Macie): "Amazon Macie", string(dlp.Purview): "Microsoft Purview"}

// foundRow is a finding in the list, and on its own page.
type foundRow struct {
	dlp.Finding

	Href    string
	What    string // its kind
	Whose   string // its source
	Class   string // of its state
	StateIs string
	Seen    ui.Moment
	First   ui.Moment
	Decided *ui.Moment
	By      string
}

func (c *Console) foundRow(p *place, f *dlp.Finding) foundRow {
	state := findingStates[f.State]
	return foundRow{
		Finding: *f, Href: p.base + findingsPath + "/" + f.ID.String(), What: foundWords(f.Kind), Whose: sourceWords(f.Source), Class: state.class, StateIs: state.label,
		Seen: ui.Ago(f.LastAt, c.now()), First: ui.At(f.FirstAt), Decided: at(f.DecidedAt),
	}
}

// foundWords is a kind for people; another classifier's is as it calls it.
func foundWords(kind string) string {
	if words := findingKinds[kind]; words != "" {
		return words
	}
	return ui.Upper(strings.ToLower(strings.ReplaceAll(kind, "_", " ")))
}

func sourceWords(source string) string {
	if words := findingSources[source]; words != "" {
		return words
	}
	return ui.Upper(strings.ToLower(strings.ReplaceAll(source, "_", " ")))
}

type findingsView struct {
	ui.Page

	Tabs      []ui.Tab
	Base      string
	May       bool // scan, import and decide
	Filters   ui.Filters
	Rows      []foundRow
	Pager     ui.Pager
	CSV, JSON string
	Last      *scanRow // the newest scan
	Next      *ui.Moment
	Every     string // how often scans are made by themselves; empty: not
	CLI       string
}

// findingFilters are what the address asks for. Kinds and sources of other classifiers are filtered by when they are asked
// for by their names.
func findingFilters(a ui.Address) []ui.Filter {
	filters := []ui.Filter{
		{Name: "state", Label: "State", Choices: []ui.Choice{{Label: "Any"}}},
		{Name: "kind", Label: "Kind", Choices: []ui.Choice{{Label: "Any"}}},
		{Name: "source", Label: "Found by", Choices: []ui.Choice{{Label: "Anybody"}}},
	}
	for _, s := range dlp.States() {
		filters[0].Choices = append(filters[0].Choices, ui.Choice{Value: string(s), Label: findingStates[s].label})
	}
	for _, k := range detect.Kinds() {
		filters[1].Choices = append(filters[1].Choices, ui.Choice{Value: string(k), Label: findingKinds[string(k)]})
	}
	for _, s := range []string{dlp.SourceScan, string(dlp.Macie), string(dlp.Purview)} {
		filters[2].Choices = append(filters[2].Choices, ui.Choice{Value: s, Label: findingSources[s]})
	}
	for i := range filters {
		f := &filters[i]
		f.Value = a.Get(f.Name)
		if f.Value != "" && chosen(*f) == "" && i > 0 {
			f.Choices = append(f.Choices, ui.Choice{Value: f.Value, Label: foundWords(f.Value)})
		}
		f.Value = chosen(*f)
	}
	return filters
}

func findingsAddress(r *http.Request, p *place) ui.Address {
	a := addressOf(r, "place", "state", "kind", "source")
	a.Path = p.base + findingsPath
	return a
}

// findingFilter is what the address asks for, as lists have it.
func findingFilter(a ui.Address) string {
	var terms []string
	for _, f := range append(findingFilters(a), ui.Filter{Name: "place", Value: a.Get("place")}) {
		if f.Value != "" {
			terms = append(terms, f.Name+" = "+strconv.Quote(f.Value))
		}
	}
	return strings.Join(terms, " AND ")
}

func (c *Console) showFindings(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	a := findingsAddress(r, p)
	page, err := c.dlp.Findings(r.Context(), p.sc, listing.Request{Filter: findingFilter(a), PageToken: r.URL.Query().Get("after")})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	scans, err := c.dlp.Scans(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	filters := findingFilters(a)
	export := a
	export.Path += "/export"
	view := findingsView{
		Page: c.frame(w, r, v, p, "Findings", p.base+dataMapPath, ui.Link{Href: p.base + dataMapPath, Label: "Data map"}), Tabs: dataMapTabs(p, "findings"), Base: p.base, May: p.may(apikey.ScopeDLPWrite),
		Filters: ui.Filters{At: a, Search: &ui.Search{Name: "place", Label: "Place, such as audit.reason", Value: a.Get("place")}, Chips: ui.ChipsOf(filters), Add: filters},
		Pager:   ui.Pager{Says: ui.Count(len(page.Items), "finding")}, CSV: export.With(), JSON: export.With("format", "json"),
		CLI: "biocore dlp scan --tenant " + p.tenant.Slug + "\nbiocore dlp findings --tenant " + p.tenant.Slug,
	}
	view.Pager.Turn(a, r.URL.Query(), page.NextToken)
	for i := range page.Items {
		view.Rows = append(view.Rows, c.foundRow(p, &page.Items[i]))
	}
	if len(scans) > 0 {
		view.Last = c.scanRow(p, &scans[0], nil)
	}
	switch s, err := c.dlp.GetSchedule(r.Context(), p.sc); {
	case err == nil:
		view.Every, view.Next = scanCadences[s.Cadence], at(&s.NextAt)
	case !errors.Is(err, dlp.ErrSchedule):
		c.fail(w, r, v, err)
		return
	}
	c.render(w, r, http.StatusOK, c.findingsPage(view))
}

func (c *Console) exportFindings(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	filter := findingFilter(findingsAddress(r, p))
	c.export(w, r, v, exported{
		Name: "findings", Columns: []string{"id", "source", "place", "item", "kind", "count", "shape", "state", "reason", "decidedBy", "decidedAt", "firstAt", "lastAt"},
		Next: func(token string) ([][]string, string, error) {
			page, err := c.dlp.Findings(r.Context(), p.sc, listing.Request{Filter: filter, PageToken: token, PageSize: listing.MaxPageSize})
			if err != nil {
				return nil, "", err
			}
			rows := make([][]string, len(page.Items))
			for i := range page.Items {
				f := &page.Items[i]
				rows[i] = []string{
					f.ID.String(), f.Source, f.Place, f.Item, f.Kind, strconv.Itoa(f.Count), f.Shape, string(f.State), f.Reason, f.DecidedBy, iso(f.DecidedAt), iso(&f.FirstAt), iso(&f.LastAt),
				}
			}
			return rows, page.NextToken, nil
		},
	})
}

type foundPageView struct {
	ui.Page

	Finding foundRow
	May     bool
	Entry   string // the page of the audit entry that it stands in; empty for another place
	State   ui.Input
	Words   ui.Input
	Problem *ui.Problem
	Choices []ui.Choice
}

func (c *Console) showFinding(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.finding200(w, r, v, p, "", "", nil, http.StatusOK)
}

func (c *Console) finding200(w http.ResponseWriter, r *http.Request, v *visit, p *place, state, reason string, problem *ui.Problem, code int) {
	id, ok := dlp.ParseID(r.PathValue("id"))
	if !ok {
		c.fail(w, r, v, dlp.ErrFinding)
		return
	}
	f, err := c.dlp.GetFinding(r.Context(), p.sc, id)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	names, err := c.names(r.Context(), []uuid.UUID{who(f.DecidedBy)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + findingsPath
	view := foundPageView{
		Page:    c.frame(w, r, v, p, "Finding", p.base+dataMapPath, ui.Link{Href: p.base + dataMapPath, Label: "Data map"}, ui.Link{Href: p.base + openFindings, Label: "Findings"}),
		Finding: c.foundRow(p, &f), May: p.may(apikey.ScopeDLPWrite), Problem: problem,
		State: ui.Input{ID: "decide-state", Name: "state", Label: "It is", Value: state, Problem: problem},
		Words: ui.Input{ID: "decide-reason", Name: "reason", Label: "Reason", Hint: "Kept with the finding, and in the audit log with your name. Needed to dismiss.", Value: reason, Max: 256, Optional: true, Problem: problem},
	}
	view.Page.Here = here + "/" + f.ID.String()
	view.Finding.By = "a later scan, which did not find it"
	if f.DecidedBy != "" {
		view.Finding.By = whoLabel(f.DecidedBy, names)
	}
	if strings.HasPrefix(f.Place, "audit.") && f.Source == dlp.SourceScan && p.may(apikey.ScopeAuditRead) {
		view.Entry = p.base + auditPath + "/" + f.Item
	}
	for _, one := range []ui.Choice{
		{Value: string(dlp.Dismissed), Label: "None: dismiss it, also when it is found again"}, {Value: string(dlp.Resolved), Label: "Mended: open again when it is found again"},
		{Value: string(dlp.Open), Label: "Still to be looked at"},
	} {
		if one.Value != string(f.State) {
			view.Choices = append(view.Choices, one)
		}
	}
	c.render(w, r, code, c.findingPage(view))
}

// findingProblem puts a refusal at its field.
func (c *Console) findingProblem(r *http.Request, err error) (*ui.Problem, int) {
	problem, code := c.inForm(r, err)
	if f, ok := fault.As(err); ok && problem != nil {
		problem.Message = sentence(f.Message)
		switch {
		case errors.Is(err, dlp.ErrDismiss), errors.Is(err, dlp.ErrReason):
			problem.Field = "reason"
		case errors.Is(err, dlp.ErrState):
			problem.Field = "state"
		case errors.Is(err, dlp.ErrDays):
			problem.Field = "days"
		case errors.Is(err, dlp.ErrCadence):
			problem.Field = "cadence"
		case errors.Is(err, dlp.ErrFormat):
			problem.Field = "format"
		case errors.Is(err, dlp.ErrImport):
			problem.Field = "file"
		}
	}
	return problem, code
}

func (c *Console) decideFinding(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	id, ok := dlp.ParseID(r.PathValue("id"))
	if !ok {
		c.fail(w, r, v, dlp.ErrFinding)
		return
	}
	state, reason := r.PostFormValue("state"), clean(r.PostFormValue("reason"))
	_, err := c.dlp.Decide(r.Context(), p.sc, dlp.DecideRequest{ID: id, State: dlp.State(state), Reason: reason, IfMatch: r.PostFormValue("etag")})
	if errors.Is(err, dlp.ErrFinding) {
		c.fail(w, r, v, err)
		return
	}
	if problem, code := c.findingProblem(r, err); problem != nil {
		c.finding200(w, r, v, p, state, reason, problem, code)
		return
	}
	c.done(w, r, "findingDecided", p.base+openFindings)
}

type importFindingsView struct {
	ui.Page

	Base    string
	Format  string
	Problem *ui.Problem
	File    ui.Input
	Words   ui.Input
	Curl    string
}

func (c *Console) showImportFindings(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.importFindings200(w, r, v, p, string(dlp.Neutral), "", nil, http.StatusOK)
}

func (c *Console) importFindings200(w http.ResponseWriter, r *http.Request, v *visit, p *place, format, reason string, problem *ui.Problem, code int) {
	here := p.base + findingsPath
	view := importFindingsView{
		Page: c.frame(w, r, v, p, "Import findings", p.base+dataMapPath, ui.Link{Href: p.base + dataMapPath, Label: "Data map"}, ui.Link{Href: p.base + openFindings, Label: "Findings"}),
		Base: p.base, Format: format, Problem: problem,
		File:  ui.Input{ID: "import-file", Name: "file", Label: "File", Hint: "JSON, up to 1,000 findings and 4 MiB. All of it is taken, or none; the same file may come again.", Problem: problem},
		Words: ui.Input{ID: "import-reason", Name: "reason", Label: "Reason", Hint: "Kept in the audit log with your name.", Value: reason, Max: 256, Optional: true, Problem: problem},
		Curl:  "curl -H \"Authorization: Bearer $BIOCORE_KEY\" \\\n  -d '{\"format\":\"NEUTRAL\",\"content\":\"{\\\"source\\\":\\\"OUR_TOOL\\\",\\\"findings\\\":[…]}\"}' \\\n  " + c.publicURL + "/admin/v1/dlpFindings:import",
	}
	view.Page.Here = here + "/import"
	c.render(w, r, code, c.importFindingsPage(view))
}

func (c *Console) importFindings(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	body, err := uploaded(r)
	format, reason := r.PostFormValue("format"), clean(r.PostFormValue("reason"))
	if err == nil {
		_, err = c.dlp.Import(r.Context(), p.sc, dlp.Format(format), body, reason)
	}
	if problem, code := c.findingProblem(r, err); problem != nil {
		c.importFindings200(w, r, v, p, format, reason, problem, code)
		return
	}
	c.done(w, r, "findingsImported", p.base+openFindings)
}

// uploaded is the file of findings that was sent.
func uploaded(r *http.Request) ([]byte, error) {
	file, _, err := r.FormFile("file")
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, dlp.ErrImport.WithMessage("a file of findings has at most 4 MiB")
		}
		return nil, dlp.ErrImport.WithMessage("choose a file")
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, dlp.MaxImportBytes+1))
}
