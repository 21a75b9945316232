package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

func (c *Console) versionRows(ctx context.Context, list []tenant.PolicyVersion) ([]versionRow, error) {
	people := make([]uuid.UUID, len(list))
	for i := range list {
		people[i] = who(list[i].CreatedBy)
	}
	names, err := c.names(ctx, people)
	if err != nil {
		return nil, err
	}
	rows := make([]versionRow, len(list))
	for i := range list {
		one := &list[i]
		rows[i] = versionRow{Version: one.Version, By: whoLabel(one.CreatedBy, names), At: ui.Ago(one.CreatedAt, c.now()), First: one.CreatedAt.IsZero()}
	}
	return rows, nil
}

type versionsView struct {
	ui.Page

	Base     string
	Versions []versionRow
	Columns  ui.Columns
	Pager    ui.Pager
	CSV      string
	JSON     string
}

func (c *Console) showPolicyVersions(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	at := ui.Address{Path: p.base + policiesPath + "/versions", Query: r.URL.Query()}
	rows, next, err := c.versionsAt(r.Context(), p, listing.Request{PageToken: at.Get("after")})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := versionsView{Base: p.base, Versions: rows, Pager: ui.Pager{Says: ui.Count(len(rows), "version"), ByTime: true}}
	view.Columns = columnsOf(r, v, at, "versions",
		ui.Column{Label: "Version"}, ui.Column{Label: "State", Name: "state"}, ui.Column{Label: "Changed", Class: "opt", Name: "changed"},
		ui.Column{Label: "By", Class: "opt", Name: "by"}, ui.Column{Label: "When", Class: "when", Name: "when"})
	view.Pager.Turn(at, at.Query, next)
	export := ui.Address{Path: at.Path + "/export"}
	view.CSV, view.JSON = export.Without(), export.With("format", "json")
	view.Page = c.frame(w, r, v, p, "Versions", p.base+policiesPath, ui.Link{Href: p.base + policiesPath, Label: "Policy"})
	c.render(w, r, http.StatusOK, c.versionsPage(view))
}

// versionsAt is a page of the policy's versions, each with the fields that it changed.
func (c *Console) versionsAt(ctx context.Context, p *place, req listing.Request) ([]versionRow, string, error) {
	now, err := c.tenants.Policy(ctx, p.sc)
	if err != nil {
		return nil, "", err
	}
	page, err := c.tenants.PolicyVersions(ctx, p.sc, req)
	if err != nil {
		return nil, "", err
	}
	rows, err := c.versionRows(ctx, page.Items)
	if err != nil {
		return nil, "", err
	}
	for i := range rows {
		rows[i].Now = rows[i].Version == now.Version
		var before tenant.PolicyVersion
		switch {
		case i+1 < len(rows):
			before = page.Items[i+1]
		case page.NextToken == "": // of the first nothing was before
			continue
		default:
			if before, err = c.tenants.PolicyVersion(ctx, p.sc, rows[i].Version-1); err != nil {
				return nil, "", err
			}
		}
		if err := policy.Differences(before.Document, page.Items[i].Document, func(field string, _, _ json.RawMessage) {
			rows[i].Fields = append(rows[i].Fields, field)
		}); err != nil {
			return nil, "", err
		}
	}
	return rows, page.NextToken, nil
}

func (c *Console) exportPolicyVersions(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.export(w, r, v, exported{
		Name: "policy-versions", Columns: []string{"version", "active", "changed", "createdBy", "createdAt"},
		Next: func(token string) ([][]string, string, error) {
			list, next, err := c.versionsAt(r.Context(), p, listing.Request{PageSize: listing.MaxPageSize, PageToken: token})
			rows := make([][]string, len(list))
			for i := range list {
				one := &list[i]
				rows[i] = []string{strconv.Itoa(one.Version), strconv.FormatBool(one.Now), strings.Join(one.Fields, " "), one.By, one.At.ISO}
				if one.First {
					rows[i][4] = "" // it was there before there were versions
				}
			}
			return rows, next, err
		},
	})
}

type versionView struct {
	ui.Page

	Base     string
	May      bool
	Version  versionRow
	Now      int
	Compared comparison
	Rollback ui.Act
}

func (c *Console) showPolicyVersion(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.version200(w, r, v, p, ui.Act{}, http.StatusOK)
}

func (c *Console) version200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act ui.Act, status int) {
	ctx := r.Context()
	n, err := strconv.Atoi(r.PathValue("version"))
	if err != nil {
		c.fail(w, r, v, tenant.ErrPolicyVersion)
		return
	}
	one, err := c.tenants.PolicyVersion(ctx, p.sc, n)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	now, err := c.tenants.Policy(ctx, p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	other := now
	if against, err := strconv.Atoi(r.URL.Query().Get("against")); err == nil {
		if other, err = c.tenants.PolicyVersion(ctx, p.sc, against); err != nil {
			c.fail(w, r, v, err)
			return
		}
	} else if n == now.Version && n > 1 {
		if other, err = c.tenants.PolicyVersion(ctx, p.sc, n-1); err != nil {
			c.fail(w, r, v, err)
			return
		}
	}
	rows, err := c.versionRows(ctx, []tenant.PolicyVersion{one})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	text, err := pretty(&one.Document)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	against, err := pretty(&other.Document)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + policiesPath + "/versions/" + strconv.Itoa(n)
	view := versionView{Base: p.base, May: p.may(apikey.ScopePolicyWrite), Version: rows[0], Now: now.Version, Rollback: act}
	view.Version.Now = n == now.Version
	view.Compared = compareVersions(n, other.Version, now.Version, text, against)
	view.Compared.Here, view.Compared.What = here, "The policy as JSON"
	a := &view.Rollback
	a.ID, a.Title, a.Button, a.Action, a.Fresh = "rollback", "Roll back to v"+strconv.Itoa(n), "roll back", here+"/rollback", freshUntil(v)
	a.Effects = []ui.Effect{
		{Icon: "history", Text: "A new version with this document is in force within a second"},
		{Icon: "clock", Text: "Ceremonies that have begun finish under it"},
	}
	view.Page = c.frame(w, r, v, p, "v"+strconv.Itoa(n), p.base+policiesPath, ui.Link{Href: p.base + policiesPath, Label: "Policy"}, ui.Link{Href: p.base + policiesPath + "/versions", Label: "Versions"})
	view.Page.Here = here
	c.render(w, r, status, c.versionPage(view))
}

func (c *Console) rollbackPolicy(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := actOf(r)
	n, err := strconv.Atoi(r.PathValue("version"))
	if err != nil {
		err = tenant.ErrPolicyVersion
	} else if err = sensitive(v, act.Reason); err == nil {
		err = c.goBack(r, p, n, act.Reason)
	}
	if problem, code := c.inForm(r, err); problem != nil {
		if errors.Is(err, etag.ErrMismatch) {
			problem.Message, code = "Somebody put another version in force meanwhile: compare again, then roll back.", http.StatusConflict
		}
		act.Problem = problem
		c.version200(w, r, v, p, act, code)
		return
	}
	c.done(w, r, "rolledBack", p.base+policiesPath)
}

// goBack goes back to version n, if the version that the page compared with is still in force.
func (c *Console) goBack(r *http.Request, p *place, n int, reason string) error {
	from, err := strconv.Atoi(r.PostFormValue("base"))
	if err != nil {
		return errMalformed
	}
	was, err := c.tenants.PolicyVersion(r.Context(), p.sc, from)
	if err != nil {
		return err
	}
	_, err = c.tenants.RollbackPolicy(r.Context(), p.sc, tenant.RollbackPolicyRequest{Version: n, Reason: reason, IfMatch: was.ETag})
	return err
}
