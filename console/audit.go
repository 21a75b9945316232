package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/web/sendfile"
)

const (
	auditPath       = "/audit"
	checkpointsPath = auditPath + "/checkpoints"
)

// auditRoutes are the audit log: the list, an entry with its proof beside it, and the checkpoints.
func (c *Console) auditRoutes(mux *router) {
	base := Path + "/t/{slug}"
	mux.HandleFunc("GET "+base+auditPath, c.inTenant(apikey.ScopeAuditRead, c.showAudit))
	mux.HandleFunc("POST "+base+auditViewsPath, c.inTenant(apikey.ScopeAuditViews, c.createAuditView))
	mux.HandleFunc("POST "+base+auditViewsPath+"/{id}/delete", c.inTenant(apikey.ScopeAuditViews, c.deleteAuditView))
	mux.HandleFunc("POST "+base+auditPath+"/export", c.inStopped(apikey.ScopeAuditRead, c.exportAudit))
	mux.HandleFunc("GET "+base+checkpointsPath, c.inTenant(apikey.ScopeAuditRead, c.showCheckpoints))
	mux.HandleFunc("GET "+base+checkpointsPath+"/consistency", c.inTenant(apikey.ScopeAuditRead, c.proveGrowth))
	mux.HandleFunc("GET "+base+checkpointsPath+"/anchor", c.inTenant(apikey.ScopeAuditRead, c.proveAnchor))
	mux.HandleFunc("GET "+base+auditArchivesPath, c.inTenant(apikey.ScopeAuditRead, c.showAuditArchives))
	mux.HandleFunc("POST "+base+auditArchivesPath+"/{from}/download", c.inStopped(apikey.ScopeAuditRead, c.downloadAuditArchive))
	mux.HandleFunc("GET "+base+auditPath+"/{id}", c.inTenant(apikey.ScopeAuditRead, c.showAudit))
	mux.HandleFunc("GET "+base+auditPath+"/{id}/proof", c.inTenant(apikey.ScopeAuditRead, c.proveEntry))
}

// auditView is the page.
type auditView struct {
	ui.Page

	Base     string
	Says     string // how much there is, and under which checkpoint
	Archived string // which of it is in archives alone
	Signed   bool
	Tabs     []ui.Tab
	Saved    savedView
	Filters  ui.Filters
	Rows     []auditRow
	Pager    ui.Pager
	Here     bool // an entry is in the path: on a phone its pane covers the list
	Back     string
	Detail   *auditDetail
	Recent   []checkpointRow
}

// auditRow is one line of the list.
type auditRow struct {
	Href           string
	At             ui.Moment
	Icon, Who      string
	Action, Target string
	Outcome, Class string
	From           string // address
	Here           bool
}

// auditDetail is an entry.
type auditDetail struct {
	auditRow

	ID, Tenant   string
	When         ui.Moment
	Number       string // in the log; empty while it waits
	OnBehalfOf   string
	TargetHref   string
	Reason       string
	Agent        string
	Request      string
	Trace        string
	Diff         []diffRow
	Detail       string // JSON, indented
	Text         string // as it is hashed
	Waits        bool   // not yet under a checkpoint
	Damaged      string // what the server found itself
	Proof        string // addresses of proofs
	Growth       string
	Checkpoint   string // that it is under
	Newer, Older string // addresses of those beside it in the list; empty at its ends
}

// auditTabs are views of the log that are kept for everybody: a name, and the filters that it is.
var auditTabs = []struct{ label, name, value string }{
	{"Everything", "", ""}, {"Refused", "outcome", "denied"}, {"Support access", "kind", "supportgrant"}, {"API keys", "kind", "apikey"},
	{"Signing keys", "kind", "signingkey"}, {"People", "kind", "member"},
}

func auditFilters(a ui.Address) []ui.Filter {
	filters := []ui.Filter{
		{Name: "outcome", Label: "Outcome", Choices: []ui.Choice{{Label: "Any"}, {Value: "success", Label: "Done"}, {Value: "denied", Label: "Refused"}, {Value: "failed", Label: "Failed"}}},
		{Name: "kind", Label: "About", Choices: []ui.Choice{{Label: "Anything"}}},
		{Name: "since", Label: "Time", Choices: []ui.Choice{{Label: "Any"}, {Value: "1d", Label: "Within a day"}, {Value: "7d", Label: "Within 7 days"}, {Value: "30d", Label: "Within 30 days"}, {Value: "90d", Label: "Within 90 days"}}},
		{Name: "action", Label: "Action", Hint: "As user.block"},
		{Name: "actor", Label: "Actor", Hint: "The id of a person, a key or a user"},
	}
	for _, kind := range []string{"user", "credential", "session", "member", "invitation", "apikey", "signingkey", "supportgrant", "recovery", "evidence", "authenticator", "tenant", "export", "auditlog"} {
		filters[1].Choices = append(filters[1].Choices, ui.Choice{Value: kind, Label: kindWord(kind)})
	}
	for i := range filters {
		filters[i].Value = a.Get(filters[i].Name)
		if len(filters[i].Choices) > 0 {
			filters[i].Value = chosen(filters[i])
		}
	}
	return filters
}

// kindWord is what a kind of target is called.
func kindWord(kind string) string {
	if word := objects[kind]; word != "" {
		return word
	}
	switch kind {
	case "supportgrant":
		return "Support access"
	case "auditlog":
		return "Audit log"
	}
	return ui.Upper(strings.ReplaceAll(kind, "_", " "))
}

// auditRequest is what the address asks of the log. found is an entry whose id was looked for.
func (c *Console) auditRequest(r *http.Request, p *place) (a ui.Address, filters []ui.Filter, req listing.Request, found uuid.UUID, err error) {
	a = addressOf(r, "q", "outcome", "kind", "since", "action", "actor")
	a.Path = p.base + auditPath
	filters = auditFilters(a)
	var terms []string
	term := func(field, value string) { terms = append(terms, field+" = "+quoted(value)) }
	q := a.Get("q")
	id, notID := uuid.Parse(q)
	switch {
	case q == "":
	case notID == nil:
		if _, err := c.trail.Get(r.Context(), p.sc, id); err == nil {
			return a, filters, req, id, nil
		} else if !errors.Is(err, trail.ErrNotFound) {
			return a, filters, req, uuid.Nil, err
		}
		term("actor", q)
	case strings.Contains(q, "/"):
		term("target", q)
	default:
		term("action", q)
	}
	for _, f := range filters {
		switch {
		case f.Value == "":
		case f.Name == "outcome", f.Name == "action", f.Name == "actor":
			term(f.Name, f.Value)
		case f.Name == "kind" && !strings.Contains(q, "/"):
			term("targetKind", f.Value)
		case f.Name == "since":
			terms = append(terms, "time >= "+instant(c.asOf(r).Add(-days[f.Value])))
		}
	}
	return a, filters, requestOf(r, a, terms), uuid.Nil, nil
}

func (c *Console) showAudit(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.listAudit(w, r, v, p, http.StatusOK, savedView{})
}

// listAudit is the page; form is a view that could not be saved.
func (c *Console) listAudit(w http.ResponseWriter, r *http.Request, v *visit, p *place, code int, form savedView) {
	ctx, base := r.Context(), p.base+auditPath
	a, filters, req, found, err := c.auditRequest(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	if found != uuid.Nil {
		http.Redirect(w, r, base+"/"+found.String(), http.StatusSeeOther) //nolint:gosec // an id of ours, below our own path
		return
	}
	list, err := c.trail.List(ctx, p.sc, req)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := auditView{
		Base: base, Back: a.With(),
		Filters: ui.Filters{At: a, Search: &ui.Search{Name: "q", Label: "Entry id, kind/id, action", Value: a.Get("q")}, Chips: ui.ChipsOf(filters), Add: filters},
		Pager:   pagerOf(r, c.asOf(r), a, len(list.Items), "entry", list.NextToken, true),
	}
	shown := list.Items
	if text := r.PathValue("id"); text != "" {
		one, err := c.auditEntry(ctx, p, text)
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
		shown, view.Here = append([]trail.Record{one}, shown...), true
	}
	people := make([]uuid.UUID, 0, 2*len(shown))
	for i := range shown {
		people = append(people, who(actorOf(&shown[i])), who(string(shown[i].OnBehalfOf.Kind)+":"+shown[i].OnBehalfOf.ID))
	}
	names, err := c.names(ctx, people)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for i := range list.Items {
		row := auditRowOf(&list.Items[i], names)
		row.Href = (ui.Address{Path: base + "/" + list.Items[i].ID.String(), Query: r.URL.Query()}).With()
		row.Here = view.Here && list.Items[i].ID == shown[0].ID
		view.Rows = append(view.Rows, row)
	}
	if view.Here {
		if view.Detail, err = c.auditDetail(ctx, p, &shown[0], names); err != nil {
			c.fail(w, r, v, err)
			return
		}
	}
	for i := range view.Rows {
		if view.Rows[i].Here && i > 0 {
			view.Detail.Newer = view.Rows[i-1].Href
		}
		if view.Rows[i].Here && i+1 < len(view.Rows) {
			view.Detail.Older = view.Rows[i+1].Href
		}
	}
	if err := c.auditViews(r, p, a, &view, form); err != nil {
		c.fail(w, r, v, err)
		return
	}
	if err := c.auditState(ctx, p, &view); err != nil {
		c.fail(w, r, v, err)
		return
	}
	title := "Audit log"
	var crumbs []ui.Link
	if view.Here {
		title, crumbs = view.Detail.Action, []ui.Link{{Href: view.Back, Label: "Audit log"}}
	}
	view.Page = c.frame(w, r, v, p, title, base, crumbs...)
	view.Page.Flush = true
	c.render(w, r, code, c.auditPage(view))
}

// auditState is how the log as a whole is.
func (c *Console) auditState(ctx context.Context, p *place, view *auditView) error {
	last, err := c.trail.Checkpoint(ctx, p.sc)
	switch {
	case errors.Is(err, trail.ErrWaiting):
		view.Says = "Nothing is under a checkpoint yet"
		return nil
	case errors.Is(err, trail.ErrDamaged):
		view.Says = "The last checkpoint is not signed by the log’s key"
		return nil
	case err != nil:
		return err
	}
	view.Signed = true
	view.Says = fmt.Sprintf("%s under a checkpoint that was signed %s", ui.Count(int(last.Size), "entry"), ui.Ago(last.SignedAt, c.now()).Text)
	if begins, err := c.trail.Beginning(ctx, p.sc); err != nil {
		return err
	} else if begins.Seq > 0 {
		view.Archived = "those below number " + ui.Thousands(int(begins.Seq)) + " are in archives alone"
	}
	page, err := c.trail.Checkpoints(ctx, p.sc, listing.Request{PageSize: recentCheckpoints})
	for i := range page.Items {
		view.Recent = append(view.Recent, c.checkpointRow(&page.Items[i]))
	}
	if errors.Is(err, trail.ErrDamaged) {
		return nil // the history says so
	}
	return err
}

// auditEntry is the one that a path names: errNowhere for another tenant's, too.
func (c *Console) auditEntry(ctx context.Context, p *place, text string) (trail.Record, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return trail.Record{}, errNowhere
	}
	one, err := c.trail.Get(ctx, p.sc, id)
	if errors.Is(err, trail.ErrNotFound) {
		err = errNowhere
	}
	return one, err
}

// auditActor is who acted, and the icon of what they are.
func auditActor(a scope.Actor, names map[uuid.UUID]string) (icon, label string) {
	icon = "cpu"
	switch a.Kind {
	case scope.ActorOperator, scope.ActorUser:
		icon = "user"
	case scope.ActorSupport:
		icon = "buoy"
	case scope.ActorAPIKey, scope.ActorPlatform:
		icon = "term"
	case scope.ActorSystem:
	}
	switch by := string(a.Kind) + ":" + a.ID; {
	case who(by) != uuid.Nil:
		return icon, whoLabel(by, names)
	case a.Name != "":
		return icon, a.Name
	case a.Kind == scope.ActorUser:
		return icon, "A user"
	case a.Kind == scope.ActorSystem && a.ID != "":
		return icon, ui.Upper(a.ID)
	default:
		return icon, whoLabel(by, names)
	}
}

func auditRowOf(e *trail.Record, names map[uuid.UUID]string) auditRow {
	row := auditRow{At: dayAndTime(e.At), Action: e.Action, Target: targetWords(e.Target)}
	row.Icon, row.Who = auditActor(e.Actor, names)
	row.Outcome, row.Class = auditOutcome(e.Outcome)
	if e.Address.IsValid() {
		row.From = e.Address.String()
	}
	return row
}

// dayAndTime is a time to the second, in UTC until the script has put it into the reader's own.
func dayAndTime(t time.Time) ui.Moment {
	m := ui.At(t)
	m.Text, m.Clock = t.UTC().Format("2 Jan 15:04:05"), false
	return m
}

func auditOutcome(o audit.Outcome) (label, class string) {
	switch o {
	case audit.Denied:
		return "Refused", "bad"
	case audit.Failed:
		return "Failed", "warn"
	case audit.Success:
		return "Done", "ok"
	}
	return "Not known", "idle"
}

func targetWords(t audit.Target) string {
	if t.Kind == "" {
		return ""
	}
	id := t.ID
	if _, err := uuid.Parse(id); err == nil {
		id = id[:8] + "…" + id[len(id)-4:]
	} else if len(id) > 24 {
		id = id[:10] + "…" + id[len(id)-6:]
	}
	return kindWord(t.Kind) + " " + id
}

// targetPages are where things have pages, by their kinds.
var targetPages = map[string]string{
	"user": "/users/", "credential": "/credentials/", "apikey": keysPath + "/", "signingkey": signingPath + "/", "supportgrant": "/support/", "ceremony": "/ceremonies/",
}

func (c *Console) auditDetail(ctx context.Context, p *place, e *trail.Record, names map[uuid.UUID]string) (*auditDetail, error) {
	id := e.ID.String()
	base := p.base + auditPath + "/" + id
	d := &auditDetail{
		auditRow: auditRowOf(e, names), ID: id, Tenant: p.sc.Tenant().String(), When: ui.At(e.At),
		Reason: e.Reason, Agent: e.UserAgent, Request: e.RequestID, Trace: e.TraceID, Text: e.Entry,
		Proof: base + "/proof", Growth: p.base + checkpointsPath + "/consistency",
	}
	if e.OnBehalfOf.Kind != "" {
		_, d.OnBehalfOf = auditActor(e.OnBehalfOf, names)
	}
	if path := targetPages[e.Target.Kind]; path != "" {
		d.TargetHref = p.base + path + e.Target.ID
	}
	if len(e.Before)+len(e.After) > 0 {
		rows, _ := diffLines(indented(e.Before), indented(e.After))
		d.Diff = fold(rows)
	}
	if len(e.Detail) > 0 {
		d.Detail = indented(e.Detail)
	}
	proof, err := c.trail.Prove(ctx, p.sc, e.ID)
	switch {
	case errors.Is(err, trail.ErrWaiting):
		d.Waits = true
	case errors.Is(err, trail.ErrDamaged):
		c.log.ErrorContext(ctx, "audit log is damaged", "err", err)
		d.Damaged = "What is stored of this entry, or of the tree above it, is not what was signed: somebody has changed it past every lock."
	case err != nil:
		return nil, err
	default:
		d.Number = ui.Thousands(int(proof.Seq))
		d.Checkpoint = ui.Thousands(int(proof.Checkpoint.Size)) + " entries"
	}
	return d, nil
}

// exportAudit sends what of the log is in the database as a bundle: written as it is read. Its name and its header say
// where it begins.
func (c *Console) exportAudit(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	from, err := c.trail.Beginning(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	begun, err := sendfile.Stream(w, r, sendfile.File{
		Name: bundle.FileName(p.sc.Tenant(), from.Seq), Type: bundle.MediaType,
		Write: func(ctx context.Context, w io.Writer) error { return c.trail.Export(ctx, p.sc, from.Seq, w) },
	})
	switch {
	case err == nil:
	case !begun:
		c.fail(w, r, v, err)
	default:
		c.logFailure(r, http.StatusInternalServerError, err)
		panic(http.ErrAbortHandler) // the reader must see that the file is not whole
	}
}
