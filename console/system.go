package console

import (
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/system"
)

const systemPath = platformBase + "/system"

// systemRoutes are how the installation is, for its staff.
func (c *Console) systemRoutes(mux *router) {
	mux.HandleFunc("GET "+systemPath, c.inPlatform(apikey.ScopeSystemRead, c.showSystem))
	mux.HandleFunc("GET "+systemPath+"/jobs/{id}", c.inPlatform(apikey.ScopeSystemWrite, c.showJob))
	mux.HandleFunc("POST "+systemPath+"/jobs/{id}/retry", c.inPlatform(apikey.ScopeSystemWrite, c.retryJob))
}

type systemView struct {
	ui.Page

	State        system.State
	Level        levelView
	Well         bool
	At           ui.Moment
	Dependencies []dependencyRow
	Servers      []serverRow
	Jobs         []jobRow
	Late         string
}

type dependencyRow struct{ Icon, Name, Class, Health, Detail string }

type serverRow struct {
	Address string
	Version string
	Since   ui.Moment
}

type jobRow struct {
	ID, Kind, Tenant, Error string
	Attempts                int
	At                      ui.Moment
	Href                    string // empty for who may not
}

// dependencyWords are dependencies as people call them, with what they are for.
var dependencyWords = map[string][2]string{
	"postgres": {"db", "PostgreSQL"}, "redis": {"zap", "Redis"}, "kms": {"lock", "KMS"},
	"objectStorage": {"data", "Object storage"}, "metadata": {"finger", "FIDO metadata"},
}

func newDependencyRow(d system.Dependency) dependencyRow {
	row := dependencyRow{Icon: "server", Name: d.Name, Detail: d.Detail}
	if w, ok := dependencyWords[d.Name]; ok {
		row.Icon, row.Name = w[0], w[1]
	}
	switch d.Health {
	case system.Well:
		row.Class, row.Health = "ok", "Answers"
	case system.Degraded:
		row.Class, row.Health = "warn", "Degraded"
	case system.Down:
		row.Class, row.Health = "bad", "Down"
	case system.Absent:
		row.Class, row.Health = "idle", "Not configured"
		if d.Name == "metadata" {
			row.Health = "Not fetched"
		}
	}
	return row
}

func (c *Console) newJobRow(d *system.Job, p *place) jobRow {
	row := jobRow{ID: strconv.FormatInt(d.ID, 10), Kind: d.Kind, Error: d.Error, Attempts: d.Attempts, At: ui.Ago(d.At, c.now())}
	if d.Tenant != uuid.Nil {
		row.Tenant = d.Tenant.String()
	}
	if p.may(apikey.ScopeSystemWrite) {
		row.Href = systemPath + "/jobs/" + row.ID
	}
	return row
}

func (c *Console) showSystem(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	state, err := c.system.Look(r.Context())
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := systemView{State: state, Level: newLevelView(&state.ServiceLevel), Well: state.Well(), At: ui.At(state.At)}
	for _, d := range state.Dependencies {
		view.Dependencies = append(view.Dependencies, newDependencyRow(d))
	}
	for _, one := range state.Servers {
		row := serverRow{Address: one.Address, Version: one.Version, Since: ui.Ago(one.Since, c.now())}
		if row.Address == "" {
			row.Address = "On the database’s machine"
		}
		view.Servers = append(view.Servers, row)
	}
	for i := range state.Jobs.Discarded {
		view.Jobs = append(view.Jobs, c.newJobRow(&state.Jobs.Discarded[i], p))
	}
	if state.Jobs.Late > 0 {
		view.Late = ui.Left(state.Jobs.Late)
	}
	view.Page = c.frame(w, r, v, p, "System", systemPath)
	c.render(w, r, http.StatusOK, c.systemPage(view))
}

type jobView struct {
	ui.Page

	Job jobRow
	Act ui.Act
}

func (c *Console) showJob(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.job200(w, r, v, p, ui.Act{}, http.StatusOK)
}

func (c *Console) job200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act ui.Act, status int) {
	list, err := c.system.GivenUp(r.Context())
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	for i := range list {
		row := c.newJobRow(&list[i], p)
		if row.ID != r.PathValue("id") {
			continue
		}
		act.ID, act.Action, act.Title, act.Button, act.Cancel, act.Fresh = "retry", row.Href+"/retry", "Do it once more", "retry", systemPath, freshUntil(v)
		act.Effects = []ui.Effect{{Icon: "repeat", Text: "It runs at once, on any server, one time more"}, {Icon: "audit", Text: "Your reason stands in the platform’s audit log"}}
		view := jobView{Job: row, Act: act}
		view.Page = c.frame(w, r, v, p, "Job "+row.ID, systemPath, ui.Link{Href: systemPath, Label: "System"})
		view.Page.Here = row.Href
		c.render(w, r, status, c.jobPage(view))
		return
	}
	c.fail(w, r, v, system.ErrJobUnknown)
}

func (c *Console) retryJob(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := ui.Act{Reason: clean(r.PostFormValue("reason"))}
	err := error(errStale)
	if v.fresh {
		err = c.system.Retry(r.Context(), p.sc, r.PathValue("id"), act.Reason)
	}
	if problem, code := c.inForm(r, err); problem != nil {
		act.Problem = problem
		c.job200(w, r, v, p, act, code)
		return
	}
	c.done(w, r, "retried", systemPath)
}

func tries(n int) string {
	if n == 1 {
		return "1 try"
	}
	return strconv.Itoa(n) + " tries"
}
