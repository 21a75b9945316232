package console

import (
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
)

type rootsView struct {
	ui.Page

	Base    string
	Tabs    []ui.Tab
	Roots   []rootRow
	May     bool
	Form    rootForm
	Problem *ui.Problem
	Fresh   string
	CSV     string
	JSON    string
}

// rootForm is what was typed.
type rootForm struct{ Name, Certificate, AAGUIDs, Reason string }

type rootRow struct {
	ID, Name, Subject, Fingerprint, By string
	Models                             []string
	Until                              ui.Moment
	Over                               bool
}

func (c *Console) showRoots(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.roots200(w, r, v, p, rootForm{}, nil, http.StatusOK)
}

func (c *Console) roots200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form rootForm, problem *ui.Problem, status int) {
	list, err := c.roots.List(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	people := make([]uuid.UUID, len(list))
	for i := range list {
		people[i] = who(list[i].CreatedBy)
	}
	names, err := c.names(r.Context(), people)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := rootsView{
		Page: c.frame(w, r, v, p, "Trusted roots", p.base+modelsPath, ui.Link{Href: p.base + modelsPath, Label: "Authenticators"}), Base: p.base, Tabs: p.modelTabs("roots"),
		May: p.may(apikey.ScopeAttestationRootsWrite), Form: form, Problem: problem, Fresh: freshUntil(v),
	}
	view.Page.Here = p.base + modelsPath + "/roots"
	export := ui.Address{Path: view.Page.Here + "/export"}
	view.CSV, view.JSON = export.Without(), export.With("format", "json")
	for i := range list {
		root := &list[i]
		row := rootRow{
			ID: root.ID.String(), Name: root.Name, Subject: root.Subject(), Fingerprint: hexOf(root.Fingerprint[:]), By: whoLabel(root.CreatedBy, names),
			Until: ui.At(root.NotAfter), Over: !c.now().Before(root.NotAfter),
		}
		for _, id := range root.AAGUIDs {
			row.Models = append(row.Models, authenticator.Describe(id, c.metadata(), authenticator.Traits{}))
		}
		view.Roots = append(view.Roots, row)
	}
	c.render(w, r, status, c.rootsPage(view))
}

// exportRoots writes the list, which is one page.
func (c *Console) exportRoots(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.export(w, r, v, exported{
		Name:    "trusted-roots",
		Columns: []string{"id", "name", "subject", "sha256", "aaguids", "notBefore", "notAfter", "createdBy", "createdAt"},
		Next: func(string) ([][]string, string, error) {
			list, err := c.roots.List(r.Context(), p.sc)
			if err != nil {
				return nil, "", err
			}
			people := make([]uuid.UUID, len(list))
			for i := range list {
				people[i] = who(list[i].CreatedBy)
			}
			names, err := c.names(r.Context(), people)
			rows := make([][]string, len(list))
			for i := range list {
				root := &list[i]
				aaguids := make([]string, len(root.AAGUIDs))
				for j, id := range root.AAGUIDs {
					aaguids[j] = id.String()
				}
				rows[i] = []string{
					root.ID.String(), root.Name, root.Subject(), hexOf(root.Fingerprint[:]), strings.Join(aaguids, " "), iso(&root.NotBefore), iso(&root.NotAfter),
					whoLabel(root.CreatedBy, names), iso(&root.CreatedAt),
				}
			}
			return rows, "", err
		},
	})
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, one := range b {
		out = append(out, digits[one>>4], digits[one&15])
	}
	return string(out)
}

func (c *Console) addRoot(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := rootForm{Name: clean(r.PostFormValue("name")), Certificate: r.PostFormValue("certificate"), AAGUIDs: r.PostFormValue("aaguids"), Reason: clean(r.PostFormValue("reason"))}
	aaguids, err := attestation.ParseAAGUIDs(strings.Fields(strings.ReplaceAll(form.AAGUIDs, ",", " ")))
	switch {
	case err != nil:
	case !v.fresh:
		err = errStale
	case !audit.IsReason(form.Reason): // which the command line and keys may leave out
		err = errWhy
	default:
		_, err = c.roots.Add(r.Context(), p.sc, attestation.AddRequest{
			Name: form.Name, Certificate: []byte(form.Certificate), AAGUIDs: aaguids, Reason: form.Reason,
		})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		if problem.Field == "" && code == http.StatusUnprocessableEntity {
			problem.Field = "certificate"
		}
		if errors.Is(err, attestation.ErrRootPrivateKey) {
			form.Certificate = "" // it travels back to nobody
		}
		c.roots200(w, r, v, p, form, problem, code)
		return
	}
	c.done(w, r, "rootAdded", p.base+modelsPath+"/roots")
}

func (c *Console) showRemoveRoot(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.removeRoot200(w, r, v, p, actForm{}, http.StatusOK)
}

func (c *Console) removeRoot200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form actForm, status int) {
	var root attestation.Root
	id, err := attestation.ParseRootID(r.PathValue("id"))
	if err == nil {
		root, err = c.roots.Get(r.Context(), p.sc, id)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	back := p.base + modelsPath + "/roots"
	view := actView{Name: root.Name, Below: root.Subject(), Act: ui.Act{
		ID: "act", Action: back + "/" + id.String() + "/remove", Title: "Trust it no more", Button: "remove it", Danger: true, Cancel: back,
		Effects: []ui.Effect{
			{Icon: "ban", Text: "Authenticators that only this certificate vouches for are no longer verified, within a second"},
			{Icon: "key", Text: "Passkeys that were registered by it stay as they are, and their evidence verifies"},
		},
		Reason: form.Reason, Fresh: freshUntil(v), Problem: form.Problem,
	}}
	view.Page = c.frame(w, r, v, p, "Remove "+root.Name, p.base+modelsPath, ui.Link{Href: p.base + modelsPath, Label: "Authenticators"}, ui.Link{Href: back, Label: "Trusted roots"})
	view.Page.Here = view.Act.Action
	c.render(w, r, status, c.actPage(view))
}

func (c *Console) removeRoot(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	id, err := attestation.ParseRootID(r.PathValue("id"))
	switch {
	case err != nil:
	case !v.fresh:
		err = errStale
	case !audit.IsReason(form.Reason):
		err = errWhy
	default:
		_, err = c.roots.Remove(r.Context(), p.sc, id, form.Reason)
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.removeRoot200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "rootRemoved", p.base+modelsPath+"/roots")
}
