package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scoring"
)

// scoringForm is the form of the service as it was typed: it stays so until it is right, but for the credential.
type scoringForm struct {
	Kind                          scoring.Kind
	Address, Organization, Policy string
	MaxScore, Timeout             string
	Certificates, Credential      string
	Told                          map[string]bool
	Reason, ETag                  string // ETag is empty where there was no service
	Problem                       *ui.Problem
	Changed                       []changedView // what somebody else changed meanwhile
}

// scoringLabels are what the fields are called, by the names of the API.
var scoringLabels = map[string]string{
	"kind": "Kind", "address": "Address", "organization": "Organization", "policy": "Policy", "maxScore": "Worst score", "timeoutMillis": "Timeout", "caCertificates": "Certificates",
}

func scoringFormOf(p *risk.Provider) scoringForm {
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	c := &p.Config
	return scoringForm{
		Kind: c.Kind, Address: c.Address, Organization: c.Organization, Policy: c.Policy, MaxScore: number(c.MaxScore), Timeout: number(c.TimeoutMillis),
		Certificates: strings.TrimSpace(c.CACertificates), Told: sends(c), ETag: p.ETag,
	}
}

func typedScoring(r *http.Request) scoringForm {
	text := func(name string) string {
		return strings.TrimSpace(strings.ReplaceAll(r.PostFormValue(name), "\r\n", "\n"))
	}
	f := scoringForm{
		Kind: scoring.Kind(r.PostFormValue("kind")), Address: text("address"), Organization: text("organization"), Policy: text("policy"), MaxScore: text("maxScore"), Timeout: text("timeoutMillis"),
		Certificates: text("caCertificates"), Credential: text("credential"), Told: map[string]bool{}, Reason: clean(r.PostFormValue("reason")), ETag: r.PostFormValue("etag"),
	}
	for _, one := range scoringTold {
		f.Told[one.name] = r.PostFormValue(one.name) == "on"
	}
	return f
}

// request is what the form asks of the service. A number that is none is refused as one that is out of bounds.
func (f *scoringForm) request() (risk.PutProviderRequest, error) {
	// Who saw none means to make one, and not to overwrite another's: no service has this tag.
	req := risk.PutProviderRequest{Credential: f.Credential, Reason: f.Reason, IfMatch: cmp.Or(f.ETag, risk.NoProvider)}
	number := func(field, typed, bounds string) (int, error) {
		if typed == "" {
			return 0, nil
		}
		n, err := strconv.Atoi(typed)
		if err != nil || n == 0 { // 0 is the API's word for what an empty field says here
			return 0, risk.ErrProvider.WithMessage(field+" is "+bounds).With("field", field)
		}
		return n, nil
	}
	c := scoring.Config{
		Kind: f.Kind, Address: f.Address, Organization: f.Organization, Policy: f.Policy, CACertificates: f.Certificates,
		SendSubject: f.Told["sendSubject"], SendAddress: f.Told["sendAddress"], SendPlace: f.Told["sendPlace"], SendUserAgent: f.Told["sendUserAgent"],
	}
	var err error
	if c.MaxScore, err = number("maxScore", f.MaxScore, "1 to 10000"); err != nil {
		return req, err
	}
	if c.TimeoutMillis, err = number("timeoutMillis", f.Timeout, fmt.Sprintf("%d to %d", scoring.MinTimeout.Milliseconds(), scoring.MaxTimeout.Milliseconds())); err != nil {
		return req, err
	}
	req.Config, err = json.Marshal(c)
	return req, err
}

// against is where a form differs from what is stored now.
func (f *scoringForm) against(now *scoringForm) (changed []changedView) {
	for _, one := range []changedView{
		{scoringLabels["kind"], scoringKinds[now.Kind].label, scoringKinds[f.Kind].label},
		{scoringLabels["address"], now.Address, f.Address},
		{scoringLabels["organization"], now.Organization, f.Organization},
		{scoringLabels["policy"], now.Policy, f.Policy},
		{scoringLabels["maxScore"], now.MaxScore, f.MaxScore},
		{scoringLabels["timeoutMillis"], now.Timeout, f.Timeout},
		{scoringLabels["caCertificates"], now.Certificates, f.Certificates},
		{"What it is told", toldWords(now.Told), toldWords(f.Told)},
	} {
		if one.Now != one.Yours {
			changed = append(changed, one)
		}
	}
	return changed
}

// scoringProblem puts a refusal at its field, by the name that the field has here.
func (c *Console) scoringProblem(r *http.Request, kind scoring.Kind, err error) (*ui.Problem, int) {
	problem, code := c.inForm(r, err)
	f, ok := fault.As(err)
	if problem == nil || !ok || f.Metadata["field"] == "" {
		return problem, code
	}
	problem.Field = f.Metadata["field"]
	problem.Message = sentence(f.Message)
	label := scoringLabels[problem.Field]
	if problem.Field == "credential" {
		label = scoringSecrets[kind]
	}
	if rest, cut := strings.CutPrefix(f.Message, problem.Field+" "); cut && label != "" {
		problem.Message = label + " " + rest + "."
	}
	return problem, code
}

type scoringFormView struct {
	ui.Page

	Base    string
	Action  string
	Edit    bool           // there is one already
	Kinds   []scoring.Kind // to choose from: none is chosen yet
	Other   string         // address of the choice of another kind
	Form    scoringForm
	KindIs  string
	Fresh   string
	Inputs  []ui.Input // of the service itself
	Asking  []ui.Input // of how it is asked
	Because ui.Input
}

// showScoringForm asks for a kind first where there is no service, or where another kind is wished for: the fields of each are others.
func (c *Console) showScoringForm(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	now, err := c.scoringNow(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	form := scoringForm{Kind: now.Kind, ETag: now.ETag}
	if query := r.URL.Query(); query.Has("kind") {
		form.Kind = scoring.Kind(query.Get("kind"))
	}
	if form.Kind == now.Kind {
		form = now
	}
	c.render(w, r, http.StatusOK, c.scoringFormPage(c.scoringFormView(w, r, v, p, form, now.ETag != "")))
}

// scoringNow is the form as the service is; empty where there is none.
func (c *Console) scoringNow(r *http.Request, p *place) (scoringForm, error) {
	now, err := c.risk.Provider(r.Context(), p.sc)
	if errors.Is(err, risk.ErrNoProvider) {
		return scoringForm{}, nil
	} else if err != nil {
		return scoringForm{}, err
	}
	return scoringFormOf(&now), nil
}

func (c *Console) saveScoring(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := typedScoring(r)
	var req risk.PutProviderRequest
	var err error
	if !slices.Contains(scoring.Kinds(), form.Kind) {
		err = errMalformed
	} else if err = sensitive(v, form.Reason); err == nil {
		if req, err = form.request(); err == nil {
			_, err = c.risk.PutProvider(r.Context(), p.sc, req)
		}
	}
	problem, code := c.scoringProblem(r, form.Kind, err)
	if problem == nil {
		c.done(w, r, "scoringSaved", p.base+riskServicePath)
		return
	}
	now, failed := c.scoringNow(r, p)
	if failed != nil {
		c.fail(w, r, v, failed)
		return
	}
	form.Problem = problem
	if errors.Is(err, etag.ErrMismatch) {
		code, form.ETag, form.Changed = http.StatusConflict, now.ETag, form.against(&now)
	}
	c.render(w, r, code, c.scoringFormPage(c.scoringFormView(w, r, v, p, form, now.ETag != "")))
}

func (c *Console) removeScoring(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := actOf(r)
	now, err := c.risk.Provider(r.Context(), p.sc)
	switch {
	case err != nil:
	case act.Typed != now.Config.Host():
		err = errConfirm
	default:
		if err = sensitive(v, act.Reason); err == nil {
			err = c.risk.RemoveProvider(r.Context(), p.sc, act.Reason, now.ETag) // what stood above the name that was typed
		}
	}
	if problem, code := c.inForm(r, err); problem != nil {
		act.Problem = problem
		c.scoring200(w, r, v, p, act, code)
		return
	}
	c.done(w, r, "scoringRemoved", p.base+riskServicePath)
}

func (c *Console) scoringFormView(w http.ResponseWriter, r *http.Request, v *visit, p *place, form scoringForm, edit bool) scoringFormView {
	list := p.base + riskServicePath
	view := scoringFormView{Base: p.base, Action: list, Edit: edit, Form: form, KindIs: scoringKinds[form.Kind].label, Fresh: freshUntil(v)}
	title := "Set up a scoring service"
	if edit {
		title = "Change the scoring service"
	}
	view.Page = c.frame(w, r, v, p, title, p.base+riskPath, ui.Link{Href: p.base + riskPath, Label: "Risk"}, ui.Link{Href: list, Label: "Scoring service"})
	view.Page.Here = list + "/edit"
	if !slices.Contains(scoring.Kinds(), form.Kind) {
		view.Kinds = scoring.Kinds()
		return view
	}
	view.Other = list + "/edit?kind="
	input := func(name, hint, value string, most int, optional bool) ui.Input {
		return ui.Input{ID: "service-" + name, Name: name, Label: scoringLabels[name], Hint: hint, Value: value, Max: most, Optional: optional, Problem: form.Problem}
	}
	secret := input("credential", "What the service knows you by. It is sealed, and never shown again.", "", 4096, edit)
	secret.Label, secret.Type = scoringSecrets[form.Kind], "password"
	switch {
	case form.Credential != "": // no page holds one
		secret.Hint = "Give it once more: it is not kept between two tries."
	case edit:
		secret.Hint = "Empty: as it is. Another server or kind needs it anew."
	}
	view.Inputs = append(view.Inputs, input("address", "Begins with https://, with a path where the service’s API begins there.", form.Address, 2048, false), secret)
	certificates := input("caCertificates", "In PEM: whom the service’s certificate must come from. Empty: the system’s authorities.", form.Certificates, 32_000, true)
	certificates.Rows = 3
	timeout := input("timeoutMillis", fmt.Sprintf("In milliseconds, %d to %d: a sign-in waits no longer. Empty: %d.",
		scoring.MinTimeout.Milliseconds(), scoring.MaxTimeout.Milliseconds(), scoring.DefaultTimeout.Milliseconds()), form.Timeout, 4, true)
	switch form.Kind {
	case scoring.ThreatMetrix:
		view.Inputs = append(view.Inputs, input("organization", "Its org_id.", form.Organization, 64, false), input("policy", "The service’s own policy that decides. Empty: its default.", form.Policy, 64, true))
	case scoring.Feedzai:
		worst := scoring.Config{}
		view.Inputs = append(view.Inputs, input("maxScore", fmt.Sprintf("What it gives at worst. Empty: %s.", ui.Thousands(worst.WorstScore())), form.MaxScore, 5, true))
	}
	view.Asking = []ui.Input{timeout, certificates}
	view.Because = input("reason", "Kept in the audit log with your name.", form.Reason, 256, false)
	view.Because.Label = "Reason"
	return view
}
