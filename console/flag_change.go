package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
)

func (c *Console) switchFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := flagActs{toggle: actOf(r)}
	all, at, err := c.flagOf(r.Context(), r, p)
	if err == nil {
		err = sensitive(v, acts.toggle.Reason)
	}
	// The form says what is to be, and not that it changes: the kill switch, pressed by two people at once, is not pressed back.
	enabled, toast := false, "flagOff"
	switch to := r.PostFormValue("enabled"); {
	case err != nil:
	case to == "true":
		enabled, toast = true, "flagOn"
	case to != "false":
		err = errMalformed
	}
	if err == nil {
		_, err = c.flags.Update(r.Context(), p.sc, flag.UpdateRequest{Key: all[at].Key, Environment: all[at].Environment, Enabled: &enabled, Reason: acts.toggle.Reason})
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
