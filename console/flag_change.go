package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
)

func (c *Console) switchFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := flagActs{toggle: actOf(r)}
	all, at, err := c.flagOf(r.Context(), r, p)
	if err == nil {
		err = sensitive(v, acts.toggle.Reason)
	}
	toast := "flagOn"
	if err == nil {
		enabled := !all[at].Enabled
		if !enabled {
			toast = "flagOff"
		}
		_, err = c.flags.Update(r.Context(), p.sc, flag.UpdateRequest{Key: all[at].Key, Environment: all[at].Environment, Enabled: &enabled, Reason: acts.toggle.Reason, IfMatch: all[at].ETag})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		acts.toggle.Problem = problem
		c.flag200(w, r, v, p, acts, code)
		return
	}
	c.done(w, r, toast, c.flagRow(p, &all[at]).Href)
}

func (c *Console) deleteFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := flagActs{remove: actOf(r)}
	all, _, err := c.flagOf(r.Context(), r, p)
	switch {
	case err != nil:
	case acts.remove.Typed != all[0].Key:
		err = errConfirm
	default:
		if err = sensitive(v, acts.remove.Reason); err == nil {
			err = c.flags.Delete(r.Context(), p.sc, flag.DeleteRequest{Key: all[0].Key, Reason: acts.remove.Reason})
		}
	}
	if problem, code := c.inForm(r, err); problem != nil {
		acts.remove.Problem = problem
		c.flag200(w, r, v, p, acts, code)
		return
	}
	c.done(w, r, "flagDeleted", p.base+flagsPath)
}

// flagForm is a flag to make.
type flagForm struct {
	Key, Name, Type, Description, Owner, RemoveBy, Variants, Off, Default, Reason string
	ClientVisible                                                                 bool
	Problem                                                                       *ui.Problem
}

type flagFormView struct {
	ui.Page

	Action, Cancel, Fresh string
	Form                  flagForm
	Types                 []ui.Choice
}

func (c *Console) showNewFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.newFlag200(w, r, v, p, flagForm{Type: string(flag.Boolean)}, http.StatusOK)
}

func (c *Console) newFlag200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form flagForm, status int) {
	here := p.base + flagsPath
	view := flagFormView{
		Page: c.frame(w, r, v, p, "New feature flag", here, ui.Link{Href: here, Label: "Feature flags"}), Action: here, Cancel: here, Fresh: freshUntil(v), Form: form,
	}
	for _, t := range flag.Types() {
		view.Types = append(view.Types, ui.Choice{Value: string(t), Label: flagTypes[t]})
	}
	c.render(w, r, status, c.flagFormPage(view))
}

func (c *Console) createFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := flagForm{
		Key: clean(r.PostFormValue("key")), Name: clean(r.PostFormValue("name")), Type: r.PostFormValue("type"), Description: r.PostFormValue("description"), Owner: clean(r.PostFormValue("owner")),
		RemoveBy: clean(r.PostFormValue("removeBy")), Variants: strings.TrimSpace(r.PostFormValue("variants")), Off: clean(r.PostFormValue("offVariant")), Default: clean(r.PostFormValue("defaultVariant")),
		Reason: clean(r.PostFormValue("reason")), ClientVisible: r.PostFormValue("clientVisible") != "",
	}
	req := flag.CreateRequest{
		About: flag.About{Name: form.Name, Description: form.Description, Owner: form.Owner}, Key: form.Key, Type: flag.Type(form.Type), OffVariant: form.Off, DefaultVariant: form.Default,
		ClientVisible: form.ClientVisible, Reason: form.Reason,
	}
	err := sensitive(v, form.Reason)
	if err == nil && form.RemoveBy != "" {
		day, wrong := time.Parse(time.DateOnly, form.RemoveBy)
		if req.RemoveBy = &day; wrong != nil {
			err = flag.ErrInvalid.WithMessage("removeBy: a day is written as 2027-01-15").With("field", "removeBy")
		}
	}
	if err == nil && form.Variants != "" {
		if wrong := json.Unmarshal([]byte(form.Variants), &req.Variants); wrong != nil {
			err = flag.ErrInvalid.WithMessage("variants: one JSON object of names and values, as {\"plain\": 1, \"big\": 2}").With("field", "variants")
		}
	}
	var made flag.Stored
	if err == nil {
		made, err = c.flags.Create(r.Context(), p.sc, req)
	}
	problem, code := c.flagProblem(r, err)
	if problem == nil {
		c.done(w, r, "flagMade", p.base+flagsPath+"/"+made.Key)
		return
	}
	form.Problem = problem
	c.newFlag200(w, r, v, p, form, code)
}

// flagProblem puts a refusal at its field.
func (c *Console) flagProblem(r *http.Request, err error) (*ui.Problem, int) {
	problem, code := c.inForm(r, err)
	f, ok := fault.As(err)
	if problem == nil || !ok {
		return problem, code
	}
	switch {
	case errors.Is(err, flag.ErrTaken):
		problem.Field = "key"
	case errors.Is(err, flag.ErrInvalid):
		field := f.Metadata["field"]
		name, _, _ := strings.Cut(field, ".")
		name, _, _ = strings.Cut(name, "[")
		problem.Field, problem.Message = name, sentence(strings.TrimPrefix(f.Message, name+": "))
	}
	return problem, code
}

type flagRulesView struct {
	ui.Page

	Flag                                 flagRow
	Action, Cancel, Fresh, ETag, Example string
	Problem                              *ui.Problem
	Changed                              bool // somebody else changed it meanwhile
	Rules, Off, Default                  ui.Input
	Choices                              []ui.Choice
	Reason                               ui.Input
}

const ruleExample = `[
  {
    "when": {"all": [
      {"attribute": "country", "operator": "IN", "values": ["NO", "SE"]},
      {"attribute": "appVersion", "operator": "VERSION_AT_LEAST", "values": ["4.2.0"]}
    ]},
    "variant": "on"
  },
  {"rollout": [{"variant": "on", "weight": 25}, {"variant": "off", "weight": 75}]}
]`

func (c *Console) showFlagRules(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	all, at, err := c.flagOf(r.Context(), r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	text, err := json.MarshalIndent(all[at].Rules, "", "  ")
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.rules200(w, r, v, p, &all[at], typedRules{text: string(text), off: all[at].OffVariant, fallback: all[at].DefaultVariant, etag: all[at].ETag}, http.StatusOK)
}

// typedRules is what was typed into the form of an environment's rules.
type typedRules struct {
	text, off, fallback, reason, etag string
	problem                           *ui.Problem
	changed                           bool
}

func (c *Console) rules200(w http.ResponseWriter, r *http.Request, v *visit, p *place, f *flag.Stored, typed typedRules, status int) {
	row := c.flagRow(p, f)
	view := flagRulesView{
		Page: c.frame(w, r, v, p, "Rules in "+row.Where, p.base+flagsPath, ui.Link{Href: p.base + flagsPath, Label: "Feature flags"}, ui.Link{Href: row.Href, Label: f.Name}),
		Flag: row, Action: row.below("/rules"), Cancel: row.Href, Fresh: freshUntil(v), ETag: typed.etag, Example: ruleExample, Problem: typed.problem, Changed: typed.changed,
		Rules: ui.Input{
			ID: "flag-rules", Name: "rules", Label: "Rules", Hint: "A list in JSON: the first rule that matches decides. A rule without an id gets one.", Value: typed.text, Max: 64 << 10, Rows: 18, Problem: typed.problem,
		},
		Off:     ui.Input{ID: "flag-off", Name: "offVariant", Label: "While it is off, everybody gets", Value: typed.off, Problem: typed.problem},
		Default: ui.Input{ID: "flag-default", Name: "defaultVariant", Label: "When no rule matches", Value: typed.fallback, Problem: typed.problem},
		Reason:  ui.Input{ID: "flag-reason", Name: "reason", Label: "Reason", Hint: "Kept in the flag’s history and the audit log with your name.", Value: typed.reason, Max: 256, Problem: typed.problem},
	}
	for name := range f.Variants {
		view.Choices = append(view.Choices, ui.Choice{Value: name, Label: name})
	}
	slices.SortFunc(view.Choices, func(a, b ui.Choice) int { return strings.Compare(a.Value, b.Value) })
	c.render(w, r, status, c.flagRulesPage(view))
}

func (c *Console) saveFlagRules(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	all, at, err := c.flagOf(r.Context(), r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	typed := typedRules{
		text: r.PostFormValue("rules"), off: r.PostFormValue("offVariant"), fallback: r.PostFormValue("defaultVariant"), reason: clean(r.PostFormValue("reason")), etag: r.PostFormValue("etag"),
	}
	f := &all[at]
	var rules []flag.Rule
	switch err = sensitive(v, typed.reason); {
	case err != nil:
	case typed.etag == "":
		err = errMalformed
	default:
		if rules, err = parseRules(typed.text); err == nil {
			_, err = c.flags.Update(r.Context(), p.sc, flag.UpdateRequest{
				Key: f.Key, Environment: f.Environment, Rules: &rules, OffVariant: &typed.off, DefaultVariant: &typed.fallback, Reason: typed.reason, IfMatch: typed.etag,
			})
		}
	}
	problem, code := c.flagProblem(r, err)
	if problem == nil {
		c.done(w, r, "saved", c.flagRow(p, f).Href)
		return
	}
	typed.problem = problem
	if errors.Is(err, etag.ErrMismatch) {
		code, typed.etag, typed.changed = http.StatusConflict, f.ETag, true
	}
	c.rules200(w, r, v, p, f, typed, code)
}

// parseRules reads what was typed. A refusal says in which line reading stopped.
func parseRules(text string) ([]flag.Rule, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	rules := []flag.Rule{}
	err := dec.Decode(&rules)
	if err == nil && dec.More() {
		err = errors.New("one list stands there, and nothing after it")
	}
	if err == nil {
		return rules, nil
	}
	at, says := int(dec.InputOffset()), strings.TrimPrefix(err.Error(), "json: ")
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = int(syntax.Offset)
	} else if typed, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		at, says = int(typed.Offset), typed.Value+" cannot stand here"
		if typed.Field != "" {
			says = typed.Value + " cannot stand at " + typed.Field
		}
	} else if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		at, says = len(text), "the list has no end"
	}
	line := 1 + strings.Count(text[:min(max(at, 0), len(text))], "\n")
	return nil, flag.ErrInvalid.WithMessage(fmt.Sprintf("rules: line %d: %s", line, says)).With("field", "rules")
}
