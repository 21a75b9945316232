package console

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/tenancy/usage"
)

// tenantActRoutes are what the staff does to tenants.
func (c *Console) tenantActRoutes(mux *router) {
	const one = platformBase + "/tenants/{slug}"
	mux.HandleFunc("GET "+newTenantPath, c.inPlatform(apikey.ScopeTenantsWrite, c.showNewTenant))
	mux.HandleFunc("POST "+tenantsPath, c.inPlatform(apikey.ScopeTenantsWrite, c.createTenant))
	for _, act := range tenantActs {
		mux.HandleFunc("GET "+one+"/"+act.name, c.inPlatform(apikey.ScopeTenantsWrite, func(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
			c.tenantAct200(w, r, v, p, act, tenantActForm{}, http.StatusOK)
		}))
		mux.HandleFunc("POST "+one+"/"+act.name, c.inPlatform(apikey.ScopeTenantsWrite, func(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
			c.doTenantAct(w, r, v, p, act)
		}))
	}
}

// tenantAct is something that the staff does to a tenant, with a reason and a fresh passkey.
type tenantAct struct {
	name, label, title, button, done string
	danger, typed                    bool
	effects                          []ui.Effect
	inputs                           func(t *tenant.Tenant, quotas []usage.Quota) []ui.Input // of its own
	fits                             func(t *tenant.Tenant, now time.Time) bool
	do                               func(ctx context.Context, c *Console, v *visit, t *tenant.Tenant, form tenantActForm) error
}

// tenantActForm is what was typed.
type tenantActForm struct {
	act    ui.Act
	values map[string]string
}

func inState(states ...tenant.State) func(*tenant.Tenant, time.Time) bool {
	return func(t *tenant.Tenant, _ time.Time) bool {
		return slices.Contains(states, t.State)
	}
}

var tenantActs = []tenantAct{
	{
		name: "edit", label: "Edit…", title: "Edit", button: "save", done: "saved",
		effects: []ui.Effect{{Icon: "eye", Text: "Its members see plan and region under Settings"}, {Icon: "audit", Text: "Your reason stands in its audit log"}},
		inputs: func(t *tenant.Tenant, _ []usage.Quota) []ui.Input {
			return []ui.Input{
				{Name: "name", Label: "Name", Value: t.Name, Max: 128},
				{Name: "plan", Label: "Plan", Value: t.Plan, Max: 64, Optional: true, Hint: "As the contract calls it."},
				{Name: "region", Label: "Region", Value: t.Region, Max: 64, Optional: true, Hint: "Where its data is said to live: a label, it moves nothing."},
			}
		},
		fits: inState(tenant.Active, tenant.Suspended),
		do: func(ctx context.Context, c *Console, v *visit, t *tenant.Tenant, form tenantActForm) error {
			name, plan, region := form.values["name"], form.values["plan"], form.values["region"]
			_, err := c.tenants.Update(ctx, v.platform(), tenant.UpdateRequest{ID: t.ID, Name: &name, Plan: &plan, Region: &region})
			return err
		},
	},
	{
		name: "quotas", label: "Quotas…", title: "Quotas of", button: "settle the quotas", done: "quotas",
		effects: []ui.Effect{
			{Icon: "bell", Text: "Members see a notice at 80 and at 100 percent"},
			{Icon: "ban", Text: "A hard one that is used up refuses: registrations and imports; of ceremonies, sign-ins too"},
		},
		inputs: func(_ *tenant.Tenant, quotas []usage.Quota) []ui.Input {
			return quotaInputs(quotas)
		},
		fits: inState(tenant.Active, tenant.Suspended),
		do: func(ctx context.Context, c *Console, v *visit, t *tenant.Tenant, form tenantActForm) error {
			set, remove, err := quotasOf(form.values)
			if err != nil {
				return err
			}
			_, err = c.usage.SetQuotas(ctx, v.platform(), usage.QuotasRequest{Tenant: t.ID, Set: set, Remove: remove, Reason: form.act.Reason})
			return err
		},
	},
	{
		name: "limits", label: "Limits…", title: "Limits of", button: "settle the limits", done: "limits",
		effects: []ui.Effect{
			{Icon: "gauge", Text: "Every server goes by them within a second"},
			{Icon: "ban", Text: "Calls beyond are refused with 429, and told when to come back"},
			{Icon: "eye", Text: "Members see them under Limits"},
		},
		inputs: func(t *tenant.Tenant, _ []usage.Quota) []ui.Input { return limitInputs(&t.Limits) },
		fits:   inState(tenant.Active, tenant.Suspended),
		do: func(ctx context.Context, c *Console, v *visit, t *tenant.Tenant, form tenantActForm) error {
			set, remove := limitsOf(form.values)
			_, err := c.tenants.SetLimits(ctx, v.platform(), tenant.LimitsRequest{ID: t.ID, Set: set, Remove: remove, Reason: form.act.Reason})
			return err
		},
	},
	{
		name: "suspend", label: "Suspend…", title: "Suspend", button: "suspend", danger: true, done: "suspended",
		effects: []ui.Effect{
			{Icon: "ban", Text: "Its keys, sign-ins and sessions are refused within a second, on every server"},
			{Icon: "eye", Text: "Its members look at everything, change nothing, and read your reason on every page"},
			{Icon: "refresh", Text: "Nothing is deleted: it can be resumed"},
		},
		fits: inState(tenant.Active),
		do: func(ctx context.Context, c *Console, v *visit, t *tenant.Tenant, form tenantActForm) error {
			_, err := c.tenants.Suspend(ctx, v.platform(), tenant.SuspendRequest{ID: t.ID, Reason: form.act.Reason})
			return err
		},
	},
	{
		name: "resume", label: "Resume…", title: "Resume", button: "resume", done: "resumed",
		effects: []ui.Effect{{Icon: "play", Text: "Its keys, sign-ins and sessions work again within a second"}},
		fits:    inState(tenant.Suspended),
		do: func(ctx context.Context, c *Console, v *visit, t *tenant.Tenant, form tenantActForm) error {
			_, err := c.tenants.Resume(ctx, v.platform(), tenant.SuspendRequest{ID: t.ID, Reason: form.act.Reason})
			return err
		},
	},
	{
		name: "delete", label: "Delete…", title: "Delete", button: "delete", danger: true, typed: true, done: "deleting",
		effects: []ui.Effect{
			{Icon: "ban", Text: "Its keys, sign-ins and sessions are refused within a second, on every server"},
			{Icon: "clock", Text: "For 30 days the staff can restore it; its owners cannot"},
			{Icon: "trash", Text: "Then its users, passkeys, evidence and keys are destroyed, with a certificate"},
			{Icon: "hash", Text: "Its slug is never given to anybody again"},
		},
		fits: inState(tenant.Active, tenant.Suspended),
		do: func(ctx context.Context, c *Console, v *visit, t *tenant.Tenant, form tenantActForm) error {
			if form.act.Typed != t.Slug {
				return tenant.ErrSlugTyped
			}
			_, err := c.tenants.Delete(ctx, v.platform(), tenant.DeleteRequest{ID: t.ID, Reason: form.act.Reason})
			return err
		},
	},
	{
		name: "restore", label: "Restore…", title: "Restore", button: "restore", done: "restored",
		effects: []ui.Effect{{Icon: "refresh", Text: "It is again what it was before: active, or suspended"}},
		fits:    func(t *tenant.Tenant, now time.Time) bool { return t.Restorable(now) },
		do: func(ctx context.Context, c *Console, v *visit, t *tenant.Tenant, form tenantActForm) error {
			_, err := c.tenants.Restore(ctx, v.platform(), tenant.DeleteRequest{ID: t.ID, Reason: form.act.Reason})
			return err
		},
	},
}

// quotaInputs are the fields of a form that settles quotas, with those that are settled.
func quotaInputs(quotas []usage.Quota) []ui.Input {
	var inputs []ui.Input
	for _, kind := range usage.Kinds() {
		input := ui.Input{
			Name: string(kind), Label: meterLabel(kind), Max: 24, Optional: true,
			Hint: "A month, a whole number. With :hard behind it, more are refused. Empty: no limit.",
		}
		if kind == usage.Storage {
			input.Label, input.Hint = "Storage, in bytes", "A whole number. With :hard behind it, more is refused. Empty: no limit."
		}
		for _, q := range quotas {
			if q.Kind == kind {
				input.Value = q.Text()
			}
		}
		inputs = append(inputs, input)
	}
	return inputs
}

// quotasOf reads what quotaInputs asks for: by kind, what is set, and what is bounded by
// nothing. usage.ErrQuota, with the field.
func quotasOf(values map[string]string) (set []usage.Quota, none []usage.Kind, err error) {
	for _, kind := range usage.Kinds() {
		text := values[string(kind)]
		if text == "" {
			none = append(none, kind)
			continue
		}
		q, err := usage.ParseQuota(kind, text)
		if err != nil {
			return nil, nil, err
		}
		set = append(set, q)
	}
	return set, none, nil
}

type tenantActView struct {
	ui.Page

	Tenant tenantRow
	Act    ui.Act
	Inputs []ui.Input
}

func (c *Console) tenantAct200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act tenantAct, form tenantActForm, status int) {
	t, err := c.customer(r, v, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := tenantActView{Tenant: tenantRow{Name: t.Name, Slug: t.Slug, Href: t.href()}, Act: form.act}
	a := &view.Act
	a.ID, a.Action, a.Cancel, a.Title, a.Button, a.Danger = act.name, t.href()+"/"+act.name, t.href(), act.title+" "+t.Name, act.button, act.danger
	a.Effects, a.Fresh = act.effects, freshUntil(v)
	if act.typed {
		a.Confirm = t.Slug
	}
	if act.inputs != nil {
		report, err := c.usage.Report(r.Context(), t.sc, time.Time{}, time.Time{})
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
		var quotas []usage.Quota
		for _, m := range report.Meters {
			if m.Quota != nil {
				quotas = append(quotas, *m.Quota)
			}
		}
		view.Inputs = act.inputs(&t.Tenant, quotas)
		for i := range view.Inputs {
			input := &view.Inputs[i]
			input.ID, input.Problem = act.name+"-"+input.Name, form.act.Problem
			if typed, ok := form.values[input.Name]; ok {
				input.Value = typed
			}
		}
	}
	view.Page = c.frame(w, r, v, p, strings.TrimSuffix(act.title, " of"), tenantsPath, ui.Link{Href: tenantsPath, Label: "Tenants"}, ui.Link{Href: t.href(), Label: t.Name})
	view.Page.Here = a.Action
	c.render(w, r, status, c.tenantActPage(view))
}

func (c *Console) doTenantAct(w http.ResponseWriter, r *http.Request, v *visit, p *place, act tenantAct) {
	form := tenantActForm{act: ui.Act{Typed: clean(r.PostFormValue("confirm")), Reason: clean(r.PostFormValue("reason"))}}
	t, err := c.customer(r, v, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	if act.inputs != nil {
		form.values = map[string]string{}
		for _, input := range act.inputs(&t.Tenant, nil) {
			form.values[input.Name] = clean(r.PostFormValue(input.Name))
		}
	}
	err = c.withReason(r.Context(), v, form.act.Reason, func(ctx context.Context) (tenant.Tenant, error) {
		return tenant.Tenant{}, act.do(ctx, c, v, &t.Tenant, form)
	})
	if problem, code := c.inForm(r, err); problem != nil {
		atField(problem, err)
		form.act.Problem = problem
		c.tenantAct200(w, r, v, p, act, form, code)
		return
	}
	c.done(w, r, act.done, t.href())
}

// atField puts a refusal at the input that a fault names.
func atField(problem *ui.Problem, err error) {
	if f, ok := fault.As(err); ok && f.Metadata["field"] != "" {
		problem.Field, problem.Message = f.Metadata["field"], sentence(f.Message)
	}
}

type newTenantView struct {
	ui.Page

	Act    ui.Act
	Inputs []ui.Input
	Mode   ui.Input
	Modes  []ui.Choice
}

type createdView struct {
	ui.Page

	Name, Href, Slug    string
	Secret, Publishable string
}

func (c *Console) showNewTenant(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.newTenant200(w, r, v, p, map[string]string{"mode": "TEST"}, nil, http.StatusOK)
}

func (c *Console) newTenant200(w http.ResponseWriter, r *http.Request, v *visit, p *place, typed map[string]string, problem *ui.Problem, status int) {
	view := newTenantView{
		Act: ui.Act{
			ID: "create", Action: tenantsPath, Title: "A new customer", Button: "create", Reason: typed["reason"], Cancel: tenantsPath, Fresh: freshUntil(v), Problem: problem,
			Effects: []ui.Effect{{Icon: "key", Text: "It gets a data key, a signing key, a policy and two API keys, which are shown once"}, {Icon: "lock", Text: "Slug and mode never change"}},
		},
		Mode:  ui.Input{ID: "new-mode", Name: "mode", Label: "Mode", Value: typed["mode"], Problem: problem},
		Modes: []ui.Choice{{Value: "TEST", Label: "Test · trials and development"}, {Value: "LIVE", Label: "Live · real users"}},
		Inputs: []ui.Input{
			{Name: "name", Label: "Name", Max: 128},
			{Name: "slug", Label: "Slug", Max: 40, Hint: "In URLs: 2 to 40 of a–z, 0–9 and inner hyphens, a letter first."},
			{Name: "rpId", Label: "RP ID", Max: 253, Hint: "The domain that its passkeys are for, such as acme.example. Another one later orphans them."},
			{Name: "origins", Label: "Origins", Max: 4096, Rows: 3, Optional: true, Hint: "One a line, such as https://www.acme.example. Empty: https:// and the RP ID."},
		},
	}
	for i := range view.Inputs {
		input := &view.Inputs[i]
		input.ID, input.Value, input.Problem = "new-"+input.Name, typed[input.Name], problem
	}
	view.Page = c.frame(w, r, v, p, "Create tenant", tenantsPath, ui.Link{Href: tenantsPath, Label: "Tenants"})
	view.Page.Here = newTenantPath
	c.render(w, r, status, c.newTenantPage(view))
}

// createTenant shows the first keys in the answer to this request and nowhere else, so
// there is no 303.
func (c *Console) createTenant(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	typed := map[string]string{}
	for _, name := range []string{"name", "slug", "rpId", "origins", "mode", "reason"} {
		typed[name] = clean(r.PostFormValue(name))
	}
	req := tenant.CreateRequest{
		Slug: typed["slug"], Name: typed["name"], Mode: tenant.Mode(typed["mode"]), RPID: typed["rpId"], Origins: strings.Fields(typed["origins"]), Reason: typed["reason"],
	}
	if len(req.Origins) == 0 {
		req.Origins = []string{"https://" + req.RPID}
	}
	var made tenant.Tenant
	var first tenant.FirstKeys
	var err error
	switch {
	case !v.fresh:
		err = errStale
	case !audit.IsReason(req.Reason): // which the command line and keys may leave out
		err = errWhy
	default:
		made, first, err = c.tenants.Create(r.Context(), p.sc, req)
	}
	if problem, code := c.inForm(r, err); problem != nil {
		atField(problem, err)
		c.newTenant200(w, r, v, p, typed, problem, code)
		return
	}
	view := createdView{Name: made.Name, Slug: made.Slug, Href: tenantsPath + "/" + made.Slug, Secret: first.Secret, Publishable: first.Publishable}
	view.Page = c.frame(w, r, v, p, "Created", tenantsPath, ui.Link{Href: tenantsPath, Label: "Tenants"})
	c.render(w, r, http.StatusOK, c.createdPage(view))
}
