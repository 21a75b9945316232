package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

const partyPath = "/relying-party"

// partyRoutes are the page of a tenant's relying party.
func (c *Console) partyRoutes(mux *router) {
	base := Path + "/t/{slug}" + partyPath
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeSettingsRead, c.showParty))
	mux.HandleFunc("GET "+base+activityPath, c.inTenant(apikey.ScopeSettingsRead, c.showParty))
	mux.HandleFunc("POST "+base, c.inTenant(apikey.ScopeSettingsWrite, c.saveParty))
	mux.HandleFunc("POST "+base+"/verify", c.inTenant(apikey.ScopeSettingsWrite, c.verifyParty))
	mux.HandleFunc("POST "+base+"/fetch", c.inTenant(apikey.ScopeSettingsRead, c.fetchParty))
}

// partyActions are those of a tenant's audit entries that are about its relying party.
var partyActions = []string{"tenant.create", "settings.update", "domain.verify", "domain.vouch"}

// partyView is the page of the relying party.
type partyView struct {
	ui.Page
	withActivity

	Base    string
	RPID    string
	Local   bool // localhost: there is nothing to prove or to fetch
	Proof   proofView
	Form    partyForm
	May     bool // change it
	Fresh   string
	Labels  string // what the related origins spend
	Fetched []documentView
	Asked   bool // Fetched is what was found just now
	Plan    planView
}

// proofView is whether the domain is proven, and what to publish.
type proofView struct {
	Badge, State string
	Says         string
	Checked      *ui.Moment
	Failing      *ui.Moment
	Findings     []findingView
	Open         bool // what to publish is shown at once
	DNSName      string
	Text         string
	FileURL      string
}

type findingView struct {
	OK          bool
	Way, Reason string
	Detail      string
}

type documentView struct {
	Badge, State, Address, Purpose string
	Problems                       []string
}

// partyForm is what was typed: lists have one entry a line.
type partyForm struct {
	RPID, Name, Origins, Related, Android, IOS, Enroll, Manage string

	Reason string // of the change: it stands in the audit log

	ETag    string
	Problem *ui.Problem
	Changed []changedView // what somebody else changed meanwhile
}

// changedView is a field that holds something else by now than when the form was opened.
type changedView struct{ Label, Now, Yours string }

// planView is what a move to another domain would come to.
type planView struct {
	To, At  string // as typed
	Problem *ui.Problem
	Plan    *rp.Plan
}

// lines are the entries of a text area.
func lines(text string) []string {
	all := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// partyFormOf is the form as the settings are.
func partyFormOf(t *tenant.Tenant) partyForm {
	var android []string
	for _, a := range t.AndroidApps {
		for _, f := range a.Fingerprints {
			android = append(android, a.PackageName+" "+f)
		}
	}
	return partyForm{
		RPID: t.RPID, Name: t.RPName, Origins: strings.Join(t.Origins, "\n"), Related: strings.Join(t.RelatedOrigins, "\n"),
		Android: strings.Join(android, "\n"), IOS: strings.Join(t.IOSApps, "\n"),
		Enroll: t.PasskeyEndpoints.Enroll, Manage: t.PasskeyEndpoints.Manage, ETag: t.ETag,
	}
}

// request is the form as an update. An app is a package and a fingerprint in a line.
func (f *partyForm) request(now *tenant.Tenant) (tenant.UpdateSettingsRequest, error) {
	related, ios := lines(f.Related), lines(f.IOS)
	req := tenant.UpdateSettingsRequest{
		RPID: &f.RPID, RPName: &f.Name, Origins: lines(f.Origins), RelatedOrigins: &related, IOSApps: &ios, IfMatch: f.ETag, Reason: f.Reason,
		AndroidApps:      &[]tenant.AndroidApp{},
		PasskeyEndpoints: &tenant.PasskeyEndpoints{Enroll: f.Enroll, Manage: f.Manage, PRFUsageDetails: now.PasskeyEndpoints.PRFUsageDetails},
	}
	if len(req.Origins) == 0 { // which would leave them as they are
		return req, tenant.ErrInvalid.WithMessage("origins has 1 to 64 entries").With("field", "origins")
	}
	for _, line := range lines(f.Android) {
		name, fingerprint, _ := strings.Cut(line, " ")
		apps := *req.AndroidApps
		i := slices.IndexFunc(apps, func(a tenant.AndroidApp) bool { return a.PackageName == name })
		if i < 0 {
			i, apps = len(apps), append(apps, tenant.AndroidApp{PackageName: name})
		}
		apps[i].Fingerprints = append(apps[i].Fingerprints, strings.TrimSpace(fingerprint))
		req.AndroidApps = &apps
	}
	return req, nil
}

func (c *Console) showParty(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.party200(w, r, v, p, partyView{}, http.StatusOK)
}

// party200 shows the page; view has what was typed, and what was found.
func (c *Console) party200(w http.ResponseWriter, r *http.Request, v *visit, p *place, view partyView, code int) {
	settings, err := c.tenants.Settings(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	proof, err := c.tenants.DomainProof(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	t := &settings.Tenant
	view.Base, view.RPID, view.Local, view.May, view.Fresh = p.base, t.RPID, rp.IsLocalhost(t.RPID), p.may(apikey.ScopeSettingsWrite), freshUntil(v)
	view.Proof = c.proofView(&proof, view.Local)
	if view.Form.Problem == nil {
		view.Form = partyFormOf(t)
	}
	if budget := rp.Count(t.RelatedOrigins); len(budget.Labels) > 0 {
		view.Labels = ui.Count(len(budget.Labels), "label") + " of " + ui.Number(budget.Limit) + ": " + strings.Join(budget.Labels, ", ")
	}
	if err := c.planInto(r.Context(), r, p, &view.Plan); err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + partyPath
	view.withActivity, err = c.activity(r, p, here, about{kind: "tenant", id: t.ID.String(), actions: partyActions}, ui.Tab{Href: here, Label: "Relying party", Here: !asksActivity(r, here)})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view.Page = c.frame(w, r, v, p, "Relying party", here)
	c.render(w, r, code, c.partyPage(view))
}

func (c *Console) proofView(p *tenant.DomainProof, local bool) proofView {
	view := proofView{DNSName: p.Challenge.DNSName(), Text: p.Challenge.Text(), FileURL: p.Challenge.FileURL()}
	now := c.now()
	if p.CheckedAt != nil {
		at := ui.Ago(*p.CheckedAt, now)
		view.Checked = &at
	}
	if p.FailingSince != nil {
		at := ui.Ago(*p.FailingSince, now)
		view.Failing = &at
	}
	for _, f := range p.Findings {
		way := "DNS"
		if f.Method == rp.ByFile {
			way = "File"
		}
		view.Findings = append(view.Findings, findingView{OK: f.Reason == "", Way: way, Reason: string(f.Reason), Detail: f.Detail})
	}
	switch {
	case local:
		view.Badge, view.State, view.Says = "idle", "Nothing to prove", "localhost is nobody’s domain. It is for test tenants alone."
	case p.State == tenant.ProofNotRequired && p.Method == "":
		view.Badge, view.State, view.Says = "idle", "Not required", "Test tenants need no proof. A live tenant of this domain does."
	case p.State == tenant.ProofNotRequired:
		view.Badge, view.State, view.Says = "ok", "Found", "Test tenants need no proof, and this one has it."
	case p.State == tenant.Unproven:
		view.Badge, view.State, view.Open = "bad", "Unproven", true
		view.Says = "Registrations and sign-ins are refused with DOMAIN_UNPROVEN until one of the two is found. Everything else works."
	case p.FailingSince != nil:
		view.Badge, view.State, view.Open = "warn", "Proven, not found now", true
		view.Says = "What proved this domain is not there any more. Nothing stops; publish it again so that it stays known."
	case p.Method == rp.ByVouch:
		view.Badge, view.State, view.Says = "ok", "Vouched for", "An operator of this installation gave their word. The reason is in the audit log."
	case p.Method == rp.ByMigration:
		view.Badge, view.State, view.Says = "ok", "Vouched for", "This tenant is older than domain proofs: who made it vouched."
	default:
		view.Badge, view.State, view.Says = "ok", "Proven", "Looked at again every day. Leave it published."
	}
	return view
}

// partyLabels are what the fields are called.
var partyLabels = map[string]string{
	"rpId": "RP ID", "name": "Name", "origins": "Origins", "relatedOrigins": "Related origins", "androidApps": "Android apps", "iosAppIds": "Apple apps",
	"passkeyEndpoints.enroll": "Page to create a passkey", "passkeyEndpoints.manage": "Page of one’s passkeys",
}

// partyProblem puts a refusal at its field.
func (c *Console) partyProblem(r *http.Request, err error) (*ui.Problem, int) {
	problem, code := c.inForm(r, err)
	if f, ok := fault.As(err); ok && problem != nil && f.Metadata["field"] != "" {
		problem.Field = f.Metadata["field"]
		problem.Message = partyLabels[problem.Field] + " " + strings.TrimPrefix(f.Message, problem.Field+" ") + "."
	}
	if errors.Is(err, tenant.ErrRPIDInUse) {
		problem.Field = "rpId"
	}
	return problem, code
}

func (c *Console) saveParty(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	typed := func(name string) string {
		return strings.TrimSpace(strings.ReplaceAll(r.PostFormValue(name), "\r\n", "\n"))
	}
	form := partyForm{
		RPID: typed("rpId"), Name: clean(r.PostFormValue("name")), Origins: typed("origins"), Related: typed("relatedOrigins"),
		Android: typed("androidApps"), IOS: typed("iosAppIds"), Enroll: typed("passkeyEndpoints.enroll"), Manage: typed("passkeyEndpoints.manage"), ETag: r.PostFormValue("etag"),
		Reason: clean(r.PostFormValue("reason")),
	}
	settings, err := c.tenants.Settings(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	req, err := form.request(&settings.Tenant)
	switch {
	case err == nil && form.ETag == "":
		err = errMalformed
	case err == nil:
		if err = sensitive(v, form.Reason); err == nil {
			_, err = c.tenants.UpdateSettings(r.Context(), p.sc, req)
		}
	}
	problem, code := c.partyProblem(r, err)
	if problem == nil {
		c.done(w, r, "party", p.base+partyPath)
		return
	}
	form.Problem = problem
	if errors.Is(err, etag.ErrMismatch) {
		now := partyFormOf(&settings.Tenant)
		code, form.ETag, form.Changed = http.StatusConflict, now.ETag, form.against(&now)
	}
	c.party200(w, r, v, p, partyView{Form: form}, code)
}

// against is where a form differs from what is stored now.
func (f *partyForm) against(now *partyForm) (changed []changedView) {
	for _, one := range []changedView{
		{"RP ID", now.RPID, f.RPID},
		{"Name", now.Name, f.Name},
		{"Origins", now.Origins, f.Origins},
		{"Related origins", now.Related, f.Related},
		{"Android apps", now.Android, f.Android},
		{"Apple apps", now.IOS, f.IOS},
		{partyLabels["passkeyEndpoints.enroll"], now.Enroll, f.Enroll},
		{partyLabels["passkeyEndpoints.manage"], now.Manage, f.Manage},
	} {
		if one.Now != one.Yours {
			changed = append(changed, one)
		}
	}
	return changed
}

// mayLook bounds how often somebody else's servers are asked.
func (c *Console) mayLook(r *http.Request, p *place) error {
	if c.limits == nil {
		return nil
	}
	return c.limits.Check(r.Context(), p.sc, ratelimit.Ask{Limit: p.tenant.Limits.Of(&ratelimit.PerDomainLook), ID: "all"})
}

func (c *Console) verifyParty(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	err := c.mayLook(r, p)
	var proof tenant.DomainProof
	if err == nil {
		proof, err = c.tenants.VerifyDomain(r.Context(), p.sc)
	}
	switch {
	case err != nil:
		c.fail(w, r, v, err)
	case proof.State == tenant.Unproven || proof.FailingSince != nil:
		c.done(w, r, "notproven", p.base+partyPath)
	default:
		c.done(w, r, "proven", p.base+partyPath)
	}
}

func (c *Console) fetchParty(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	err := c.mayLook(r, p)
	var found []tenant.Published
	if err == nil {
		found, err = c.tenants.Published(r.Context(), p.sc)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := partyView{Asked: true}
	words := map[tenant.PublishedState][2]string{
		tenant.PublishedOK: {"ok", "As it should be"}, tenant.PublishedNotNeeded: {"idle", "Not needed"},
		tenant.PublishedWrong: {"bad", "To mend"}, tenant.PublishedUnreachable: {"bad", "Unreachable"},
	}
	for _, d := range found {
		view.Fetched = append(view.Fetched, documentView{Badge: words[d.State][0], State: words[d.State][1], Address: d.URL, Purpose: d.Purpose, Problems: d.Problems})
	}
	c.party200(w, r, v, p, view, http.StatusOK)
}

// planInto plans a move where the address asks for one.
func (c *Console) planInto(ctx context.Context, r *http.Request, p *place, view *planView) error {
	query := r.URL.Query()
	view.To, view.At = clean(query.Get("to")), strings.TrimSpace(query.Get("at"))
	if view.To == "" {
		return nil
	}
	at := lines(view.At)
	if len(at) == 0 {
		at = []string{"https://" + view.To}
	}
	plan, err := c.parties.Plan(ctx, p.sc, rp.PlanRequest{RPID: view.To, Origins: at})
	if f, ok := fault.As(err); ok && f.Kind == fault.Invalid {
		view.Problem, _ = c.partyProblem(r, err)
		view.Problem.Field = map[string]string{"rpId": "to", "origins": "at"}[view.Problem.Field]
		return nil
	} else if err != nil {
		return err
	}
	view.Plan = &plan
	return nil
}

// wayLabel is what a plan comes to, in words.
func wayLabel(w rp.Way) string {
	switch w {
	case rp.Nothing:
		return "Nothing to do: the RP ID stays and covers these origins"
	case rp.Keep:
		return "Keep the RP ID: the new origins become related origins, and no passkey is lost"
	case rp.Enroll:
		return "New passkeys: nothing carries the old ones over"
	case rp.Move:
		return "Change the RP ID: there are no passkeys that it would orphan"
	}
	return string(w)
}
