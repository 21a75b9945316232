package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
)

// flagForm is a flag as it is typed: to make, or what its environments share, to change.
type flagForm struct {
	Key, Name, Type, Description, Owner, RemoveBy, Variants, Off, Default, Reason, ETag string
	ClientVisible                                                                       bool
	Problem                                                                             *ui.Problem
	Changed                                                                             bool // somebody else changed it meanwhile
}

type flagFormView struct {
	ui.Page

	New                   bool
	Action, Cancel, Fresh string
	Form                  flagForm
	Types                 []ui.Choice
}

func readFlagForm(r *http.Request) flagForm {
	return flagForm{
		Key: clean(r.PostFormValue("key")), Name: clean(r.PostFormValue("name")), Type: r.PostFormValue("type"), Description: plainLines(r.PostFormValue("description")), Owner: clean(r.PostFormValue("owner")),
		RemoveBy: clean(r.PostFormValue("removeBy")), Variants: strings.TrimSpace(r.PostFormValue("variants")), Off: clean(r.PostFormValue("offVariant")), Default: clean(r.PostFormValue("defaultVariant")),
		Reason: clean(r.PostFormValue("reason")), ETag: r.PostFormValue("etag"), ClientVisible: r.PostFormValue("clientVisible") != "",
	}
}

// read reads what is typed as text. ErrInvalid where that cannot be read.
func (f *flagForm) read() (removeBy *time.Time, variants map[string]json.RawMessage, err error) {
	if f.RemoveBy != "" {
		day, wrong := time.Parse(time.DateOnly, f.RemoveBy)
		if removeBy = &day; wrong != nil {
			return nil, nil, flag.ErrInvalid.WithMessage("removeBy: a day is written as 2027-01-15").With("field", "removeBy")
		}
	}
	if f.Variants != "" {
		if wrong := json.Unmarshal([]byte(f.Variants), &variants); wrong != nil {
			return nil, nil, flag.ErrInvalid.WithMessage("variants: one JSON object of names and values, as {\"plain\": 1, \"big\": 2}").With("field", "variants")
		}
	}
	return removeBy, variants, nil
}

func (c *Console) showNewFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.newFlag200(w, r, v, p, flagForm{Type: string(flag.Boolean)}, http.StatusOK)
}

func (c *Console) newFlag200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form flagForm, status int) {
	here := p.base + flagsPath
	view := flagFormView{
		Page: c.frame(w, r, v, p, "New feature flag", here, ui.Link{Href: here, Label: "Feature flags"}), New: true, Action: here, Cancel: here, Fresh: freshUntil(v), Form: form,
	}
	for _, t := range flag.Types() {
		view.Types = append(view.Types, ui.Choice{Value: string(t), Label: flagTypes[t]})
	}
	c.render(w, r, status, c.flagFormPage(view))
}

func (c *Console) createFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := readFlagForm(r)
	err := sensitive(v, form.Reason)
	var made flag.Stored
	if err == nil {
		req := flag.CreateRequest{
			About: flag.About{Name: form.Name, Description: form.Description, Owner: form.Owner}, Key: form.Key, Type: flag.Type(form.Type), OffVariant: form.Off, DefaultVariant: form.Default,
			ClientVisible: form.ClientVisible, Reason: form.Reason,
		}
		if req.RemoveBy, req.Variants, err = form.read(); err == nil {
			made, err = c.flags.Create(r.Context(), p.sc, req)
		}
	}
	problem, code := c.flagProblem(r, err)
	if problem == nil {
		c.done(w, r, "flagMade", p.base+flagsPath+"/"+made.Key)
		return
	}
	form.Problem = problem
	c.newFlag200(w, r, v, p, form, code)
}

func (c *Console) showFlagForm(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	all, at, err := c.flagOf(r.Context(), r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	f := &all[at]
	c.flagForm200(w, r, v, p, f, flagForm{
		Name: f.Name, Description: f.Description, Owner: f.Owner, RemoveBy: dayText(f.RemoveBy), Variants: variantsText(f), ClientVisible: f.ClientVisible, ETag: f.ETag,
	}, http.StatusOK)
}

// variantsText is a flag's variants as they are typed, one to a line.
func variantsText(f *flag.Stored) string {
	var lines []string
	for _, name := range variantNames(f) {
		lines = append(lines, "  "+flag.ValueText(name)+": "+flag.ValueText(f.Variants[name]))
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n}"
}

func (c *Console) flagForm200(w http.ResponseWriter, r *http.Request, v *visit, p *place, f *flag.Stored, form flagForm, status int) {
	row := c.flagRow(p, f)
	form.Key, form.Type = f.Key, row.TypeIs
	c.render(w, r, status, c.flagFormPage(flagFormView{
		Page:   c.frame(w, r, v, p, "Change details", p.base+flagsPath, ui.Link{Href: p.base + flagsPath, Label: "Feature flags"}, ui.Link{Href: row.Href, Label: f.Name}),
		Action: row.below("/edit"), Cancel: row.Href, Fresh: freshUntil(v), Form: form,
	}))
}

// saveFlag changes what of a flag its environments share. Its variants are all of them: one that is served somewhere has to be there.
func (c *Console) saveFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	all, at, err := c.flagOf(r.Context(), r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	f, form := &all[at], readFlagForm(r)
	switch err = sensitive(v, form.Reason); {
	case err != nil:
	case form.ETag == "":
		err = errMalformed
	default:
		err = c.doSaveFlag(r, p, f, &form)
	}
	problem, code := c.flagProblem(r, err)
	if problem == nil {
		c.done(w, r, "saved", c.flagRow(p, f).Href)
		return
	}
	if errors.Is(err, flag.ErrInvalid) && !slices.Contains([]string{"name", "description", "owner", "removeBy"}, problem.Field) {
		problem.Field = "variants" // one that a rule serves is not among them
		if refused, ok := fault.As(err); ok {
			problem.Message = sentence(strings.TrimPrefix(refused.Message, "variants: "))
		}
	}
	form.Problem = problem
	if errors.Is(err, etag.ErrMismatch) {
		code, form.ETag, form.Changed = http.StatusConflict, f.ETag, true
	}
	c.flagForm200(w, r, v, p, f, form, code)
}

func (c *Console) doSaveFlag(r *http.Request, p *place, f *flag.Stored, form *flagForm) error {
	removeBy, variants, err := form.read()
	if err != nil {
		return err
	}
	if variants == nil {
		variants = map[string]json.RawMessage{} // none, which is refused: a flag that is changed has no others by itself
	}
	_, err = c.flags.Update(r.Context(), p.sc, flag.UpdateRequest{
		Key: f.Key, Environment: f.Environment, Name: &form.Name, Description: &form.Description, Owner: &form.Owner, RemoveBy: &removeBy, Variants: variants, ClientVisible: &form.ClientVisible,
		Reason: form.Reason, IfMatch: form.ETag,
	})
	return err
}
