package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/view"
)

const auditViewsPath = auditPath + "/views"

// savedView is what can be done about the view that is looked at: it is saved, or it is one that is.
type savedView struct {
	Action  string // address to post to; empty for nothing
	Delete  bool
	About   string // who saved it
	Name    ui.Input
	Problem *ui.Problem
}

// viewAddress is a saved view as the list's filters.
func viewAddress(base string, v *view.View) string {
	a := ui.Address{Path: base}
	days := ""
	if v.Days > 0 {
		days = strconv.Itoa(v.Days) + "d"
	}
	return a.With("q", v.Target, "outcome", string(v.Outcome), "kind", v.TargetKind, "since", days, "action", v.Action, "actor", v.Actor)
}

// viewFilter is what the list's filters look for.
func viewFilter(a ui.Address) view.Filter {
	f := view.Filter{Outcome: audit.Outcome(a.Get("outcome")), TargetKind: a.Get("kind"), Action: a.Get("action"), Actor: a.Get("actor")}
	f.Days, _ = strconv.Atoi(strings.TrimSuffix(a.Get("since"), "d"))
	if q := a.Get("q"); strings.Contains(q, "/") {
		f.Target = q
	} else if _, err := uuid.Parse(q); err == nil {
		f.Actor = q
	} else if q != "" {
		f.Action = q
	}
	return f
}

// auditViews fills in the tabs of the page, and what can be done about the view that is looked at.
func (c *Console) auditViews(r *http.Request, p *place, a ui.Address, page *auditView, form savedView) error {
	base := p.base + auditPath
	filtered, here := len(page.Filters.Chips) > 0 || a.Get("q") != "", false
	for _, t := range auditTabs {
		tab := ui.Tab{Label: t.label, Href: base, Here: t.name == "" && !filtered}
		if t.name != "" {
			tab.Href = (ui.Address{Path: base}).With(t.name, t.value)
			tab.Here = a.Get(t.name) == t.value && len(page.Filters.Chips) == 1 && a.Get("q") == ""
		}
		here = here || tab.Here
		page.Tabs = append(page.Tabs, tab)
	}
	list, err := c.logViews.List(r.Context(), p.sc)
	if err != nil {
		return err
	}
	asked := viewFilter(a)
	for i := range list {
		one := &list[i]
		tab := ui.Tab{Label: one.Name, Href: viewAddress(base, one), Here: !here && filtered && one.Filter == asked}
		page.Tabs = append(page.Tabs, tab)
		if !tab.Here {
			continue
		}
		here = true
		names, err := c.names(r.Context(), []uuid.UUID{who(one.CreatedBy)})
		if err != nil {
			return err
		}
		page.Saved = savedView{About: "Saved by " + whoLabel(one.CreatedBy, names) + " on " + one.CreatedAt.UTC().Format("2 Jan 2006") + ", for everybody who reads the log."}
		if p.may(apikey.ScopeAuditViews) {
			page.Saved.Action, page.Saved.Delete = p.base+auditViewsPath+"/"+one.ID.String()+"/delete", true
		}
	}
	if form.Problem != nil || filtered && !here && p.may(apikey.ScopeAuditViews) {
		form.Name.ID, form.Name.Name, form.Name.Label, form.Name.Max, form.Name.Problem = "view-name", "name", "Name of the view", 80, form.Problem
		form.Name.Hint = "Such as Refused this week"
		form.Action = a.At(p.base + auditViewsPath)
		page.Saved = form // in the place of one that looks for the same, when that could not be saved again
	}
	return nil
}

func (c *Console) createAuditView(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	a := addressOf(r, "q", "outcome", "kind", "since", "action", "actor")
	a.Path = p.base + auditPath
	name := r.PostFormValue("name")
	made, err := c.logViews.Create(r.Context(), p.sc, name, viewFilter(a))
	if problem, code := c.inForm(r, err); problem != nil {
		if errors.Is(err, view.ErrName) || errors.Is(err, view.ErrTaken) {
			problem.Field = "name"
		}
		c.listAudit(w, r, v, p, code, savedView{Problem: problem, Name: ui.Input{Value: name}})
		return
	}
	c.done(w, r, "view-saved", viewAddress(a.Path, &made))
}

func (c *Console) deleteAuditView(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		err = errNowhere
	} else {
		err = c.logViews.Delete(r.Context(), p.sc, id)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.done(w, r, "view-deleted", p.base+auditPath)
}
