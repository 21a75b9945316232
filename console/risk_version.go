package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// riskVersionRow is a version of the risk rules in a list.
type riskVersionRow struct {
	Version int
	Now     bool
	Mode    modeBadge
	Rules   string
	Reason  string
	By      string
	At      ui.Moment
}

func (c *Console) riskVersionRows(ctx context.Context, list []risk.RulesVersion) ([]riskVersionRow, error) {
	people := make([]uuid.UUID, len(list))
	for i := range list {
		people[i] = who(list[i].CreatedBy)
	}
	names, err := c.names(ctx, people)
	if err != nil {
		return nil, err
	}
	rows := make([]riskVersionRow, len(list))
	for i := range list {
		one := &list[i]
		rows[i] = riskVersionRow{
			Version: one.Version, Mode: riskModes[one.Document.Mode], Rules: ui.Count(len(one.Document.Rules), "rule"), Reason: one.Reason,
			By: whoLabel(one.CreatedBy, names), At: ui.Ago(one.CreatedAt, c.now()),
		}
	}
	return rows, nil
}

// riskText is a document with a member a line, as people write it: && in an expression stays that.
func riskText(d *risk.Document) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return string(d.JSON()) // cannot be: texts, numbers and lists
	}
	return strings.TrimSuffix(out.String(), "\n")
}

type riskVersionsView struct {
	ui.Page

	Base     string
	Versions []riskVersionRow
	Columns  ui.Columns
	Pager    ui.Pager
	CSV      string
	JSON     string
}

func (c *Console) showRiskVersions(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	at := ui.Address{Path: p.base + riskVersionsPath, Query: r.URL.Query()}
	rows, next, err := c.riskVersionsAt(r.Context(), p, listing.Request{PageToken: at.Get("after")})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := riskVersionsView{Base: p.base, Versions: rows, Pager: ui.Pager{Says: ui.Count(len(rows), "version"), ByTime: true}}
	view.Columns = columnsOf(r, v, at, "riskversions",
		ui.Column{Label: "Version"}, ui.Column{Label: "State", Name: "state"}, ui.Column{Label: "Mode", Class: "opt", Name: "mode"}, ui.Column{Label: "Rules", Class: "opt", Name: "rules"},
		ui.Column{Label: "Why", Name: "why"}, ui.Column{Label: "By", Class: "opt", Name: "by"}, ui.Column{Label: "When", Class: "when", Name: "when"})
	view.Pager.Turn(at, at.Query, next)
	export := ui.Address{Path: at.Path + "/export"}
	view.CSV, view.JSON = export.Without(), export.With("format", "json")
	view.Page = c.frame(w, r, v, p, "Versions", p.base+riskPath, ui.Link{Href: p.base + riskPath, Label: "Risk"})
	c.render(w, r, http.StatusOK, c.riskVersionsPage(view))
}

func (c *Console) riskVersionsAt(ctx context.Context, p *place, req listing.Request) ([]riskVersionRow, string, error) {
	now, err := c.risk.Rules(ctx, p.sc)
	if err != nil {
		return nil, "", err
	}
	page, err := c.risk.RulesVersions(ctx, p.sc, req)
	if err != nil {
		return nil, "", err
	}
	rows, err := c.riskVersionRows(ctx, page.Items)
	for i := range rows {
		rows[i].Now = rows[i].Version == now.Version
	}
	return rows, page.NextToken, err
}

func (c *Console) exportRiskVersions(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.export(w, r, v, exported{
		Name: "risk-versions", Columns: []string{"version", "inForce", "mode", "rules", "reason", "createdBy", "createdAt"},
		Next: func(token string) ([][]string, string, error) {
			list, next, err := c.riskVersionsAt(r.Context(), p, listing.Request{PageSize: listing.MaxPageSize, PageToken: token})
			rows := make([][]string, len(list))
			for i := range list {
				one := &list[i]
				rows[i] = []string{strconv.Itoa(one.Version), strconv.FormatBool(one.Now), one.Mode.Label, one.Rules, one.Reason, one.By, one.At.ISO}
			}
			return rows, next, err
		},
	})
}

type riskVersionView struct {
	ui.Page

	Base     string
	May      bool
	Version  riskVersionRow
	ETag     string // of what is in force
	Compared comparison
	Rollback ui.Act
}

func (c *Console) showRiskVersion(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.riskVersion200(w, r, v, p, ui.Act{}, http.StatusOK)
}

// riskVersions are the one of a page, the one in force, and the one that it is compared with.
type riskVersions struct{ one, now, other risk.RulesVersion }

func (c *Console) riskVersionsOf(r *http.Request, p *place) (riskVersions, error) {
	ctx := r.Context()
	var out riskVersions
	n, err := strconv.Atoi(r.PathValue("version"))
	if err != nil {
		return out, risk.ErrVersion
	}
	if out.one, err = c.risk.RulesVersion(ctx, p.sc, n); err != nil {
		return out, err
	}
	if out.now, err = c.risk.Rules(ctx, p.sc); err != nil {
		return out, err
	}
	out.other = out.now
	if against, err := strconv.Atoi(r.URL.Query().Get("against")); err == nil {
		out.other, err = c.risk.RulesVersion(ctx, p.sc, against)
		return out, err
	}
	if n == out.now.Version && n > 1 {
		out.other, err = c.risk.RulesVersion(ctx, p.sc, n-1)
	}
	return out, err
}

func (c *Console) riskVersion200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act ui.Act, status int) {
	all, err := c.riskVersionsOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	rows, err := c.riskVersionRows(r.Context(), []risk.RulesVersion{all.one})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	n, now := all.one.Version, all.now.Version
	here := p.base + riskVersionsPath + "/" + strconv.Itoa(n)
	view := riskVersionView{Base: p.base, May: p.may(apikey.ScopeRiskWrite), Version: rows[0], ETag: all.now.ETag, Rollback: act}
	view.Version.Now = n == now
	view.Compared = compareVersions(n, all.other.Version, now, riskText(&all.one.Document), riskText(&all.other.Document))
	view.Compared.Here, view.Compared.What = here, "The rules as JSON"
	a := &view.Rollback
	a.ID, a.Title, a.Button, a.Action, a.Fresh = "rollback", "Roll back to v"+strconv.Itoa(n), "roll back", here+"/rollback", freshUntil(v)
	a.Effects = []ui.Effect{
		{Icon: "history", Text: "A new version with these rules is in force within a second"},
		{Icon: "sliders", Text: "Its mode comes with it: " + rows[0].Mode.Label},
	}
	view.Page = c.frame(w, r, v, p, "v"+strconv.Itoa(n), p.base+riskPath, ui.Link{Href: p.base + riskPath, Label: "Risk"}, ui.Link{Href: p.base + riskVersionsPath, Label: "Versions"})
	view.Page.Here = here
	c.render(w, r, status, c.riskVersionPage(view))
}

func (c *Console) rollbackRiskRules(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := actOf(r)
	n, err := strconv.Atoi(r.PathValue("version"))
	if err != nil {
		err = risk.ErrVersion
	} else if err = sensitive(v, act.Reason); err == nil {
		_, err = c.risk.RollbackRules(r.Context(), p.sc, n, act.Reason, r.PostFormValue("etag"))
	}
	if problem, code := c.inForm(r, err); problem != nil {
		if errors.Is(err, etag.ErrMismatch) {
			problem.Message, code = "Somebody put another version in force meanwhile: compare again, then roll back.", http.StatusConflict
		}
		act.Problem = problem
		c.riskVersion200(w, r, v, p, act, code)
		return
	}
	c.done(w, r, "rolledBack", p.base+riskPath)
}
