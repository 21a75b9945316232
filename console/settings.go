package console

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/jwe"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// settingsRoutes are what a tenant settles about itself, and its end.
func (c *Console) settingsRoutes(mux *router) {
	const base = Path + "/t/{slug}/settings"
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeSettingsRead, c.showSettings))
	mux.HandleFunc("POST "+base, c.inTenant(apikey.ScopeSettingsWrite, c.saveSettings))
	c.lifetimeRoutes(mux)
	c.archiveRoutes(mux)
	c.brandRoutes(mux)
	mux.HandleFunc("GET "+base+"/delete", c.inTenant(member.ScopeTenantDelete, c.showDeletion))
	mux.HandleFunc("POST "+base+"/delete", c.inTenant(member.ScopeTenantDelete, c.deleteTenant))
	mux.HandleFunc("POST "+base+"/restore", c.inStopped(member.ScopeTenantDelete, c.restoreTenant))
}

type settingsView struct {
	ui.Page

	Base, Path string
	Slug, ID   string
	Mode       string
	State      string
	Region     string
	Plan       string
	Created    ui.Moment
	Lifetimes  lifetimesCard
	Brand      brandCard
	MayWrite   bool
	MayDelete  bool
	MayExport  bool
	MayRestore bool
	Deletes    *ui.Moment // when it is destroyed; nil: it is not being deleted
	Left       string
	Imports    []ui.Snippet
	ETag       string
	Name       settingField
	Tokens     []settingField
	Why        ui.Input // the reason for what the tokens are changed
	Fresh      string
	Problem    *ui.Problem
	Conflict   []string // what somebody else has changed meanwhile
	Restore    ui.Act
}

// settingField is one that can be changed: what it was when the page was drawn, and what
// was typed.
type settingField struct {
	ui.Input

	Why     string
	Was     string
	Changed string // said below while the two differ
	Choices []ui.Choice
	Mono    bool
}

// settingNames are the inputs, in the order of the page.
const (
	settingName       = "name"
	settingDelivery   = "delivery"
	settingAudience   = "audience"
	settingEncryption = "encryptionKey"
)

const (
	deliveryCode   = "code"
	deliveryDirect = "direct"
)

// settingValues are what a tenant's settings are in the page's inputs.
func settingValues(t *tenant.Tenant) map[string]string {
	delivery := deliveryCode
	if t.DirectTokens {
		delivery = deliveryDirect
	}
	return map[string]string{settingName: t.RPName, settingDelivery: delivery, settingAudience: t.TokenAudience, settingEncryption: t.EncryptionKey}
}

func settingFields(values, was map[string]string, rpID string, problem *ui.Problem) []settingField {
	fields := []settingField{
		{
			Input: ui.Input{Name: settingName, Label: "Name", Hint: "1 to 128 characters.", Max: 128},
			Why:   "What your users read in their device’s prompt when they make or use a passkey.",
		},
		{
			Input: ui.Input{Name: settingDelivery, Label: "Delivery"},
			Why:   "How a page with the publishable key gets its session. A code is exchanged by your server, so that no token is in the page.",
			Choices: []ui.Choice{
				{Value: deliveryCode, Label: "A code, which your server exchanges"}, {Value: deliveryDirect, Label: "Tokens, at once"},
			},
		},
		{
			Input: ui.Input{Name: settingAudience, Label: "Audience", Hint: "Empty: " + rpID + ". Tokens with the audience of before are not good from then on.", Max: 512, Optional: true},
			Why:   "Whom access tokens are for (aud): the API that checks them.",
			Mono:  true,
		},
		{
			Input: ui.Input{Name: settingEncryption, Label: "Encryption key", Hint: "A public JWK. Empty: tokens are only signed.", Rows: 4, Max: 8192, Optional: true},
			Why:   "Access tokens are encrypted to it (JWE), and only who has the private half reads them.",
			Mono:  true,
		},
	}
	for i := range fields {
		f := &fields[i]
		f.ID, f.Value, f.Was, f.Problem = "set-"+f.Name, values[f.Name], was[f.Name], problem
		if f.Value != f.Was {
			f.Changed = "Changed from " + inQuotes(f.label(f.Was))
		}
	}
	return fields
}

// label is a value as the page shows it.
func (f *settingField) label(value string) string {
	for _, one := range f.Choices {
		if one.Value == value {
			return one.Label
		}
	}
	return value
}

// inQuotes is a value in a sentence.
func inQuotes(value string) string {
	switch {
	case value == "":
		return "nothing"
	case len(value) > 60:
		return "“" + strings.ToValidUTF8(value[:60], "") + "…”"
	}
	return "“" + value + "”"
}

func (c *Console) showSettings(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.settings200(w, r, v, p, settingsForm{}, http.StatusOK)
}

// settingsForm is what was typed, and what the page had shown, of the fields that were sent.
type settingsForm struct {
	values, was map[string]string
	reason      string
	problem     *ui.Problem
	conflict    bool
	restore     ui.Act
}

func (c *Console) settings200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form settingsForm, status int) {
	now, err := c.tenants.Settings(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	path := p.base + "/settings"
	current := settingValues(&now.Tenant)
	view := settingsView{
		Base: p.base, Path: path, Slug: now.Slug, ID: now.ID.String(), Mode: modeLabel(string(now.Mode)), State: string(now.State),
		Region: now.Region, Plan: now.Plan, Created: ui.At(now.CreatedAt), ETag: now.ETag, Problem: form.problem,
		MayWrite:  p.may(apikey.ScopeSettingsWrite) && now.State == tenant.Active,
		MayDelete: p.may(member.ScopeTenantDelete) && now.State == tenant.Active, MayExport: p.may(apikey.ScopeExportTenant),
		Lifetimes: newLifetimesCard(&now, p),
		Imports: []ui.Snippet{
			{Title: "Import users and passkeys", Text: "biocore import --tenant " + now.Slug + " --rp-id " + now.RPID + " --dry-run users.jsonl"},
			{Title: "Export users and public keys", Text: "biocore export users --tenant " + now.Slug + " users.jsonl"},
		},
	}
	view.Brand = newBrandCard(&now.Tenant, view.MayWrite, p.base)
	values, was := maps.Clone(current), maps.Clone(current)
	maps.Copy(values, form.values)
	maps.Copy(was, form.was)
	if form.conflict {
		for _, f := range settingFields(current, was, now.RPID, nil) {
			if f.Changed != "" {
				view.Conflict = append(view.Conflict, f.Label+" was "+inQuotes(f.label(f.Was))+" and is now "+inQuotes(f.label(f.Value)))
			}
		}
	}
	fields := settingFields(values, current, now.RPID, form.problem)
	view.Name, view.Tokens, view.Fresh = fields[0], fields[1:], freshUntil(v)
	view.Why = ui.Input{ID: "set-reason", Name: "reason", Label: "Reason", Hint: "Kept in the audit log with your name.", Value: form.reason, Max: maxReason, Problem: form.problem}
	if now.Restorable(c.now()) {
		view.Deletes, view.Left = at(now.DeleteAfter), "in "+ui.Left(now.DeleteAfter.Sub(c.now()))
		view.MayRestore = p.may(member.ScopeTenantDelete) && now.DeletedByTenant
		view.Restore = form.restore
		view.Restore.ID, view.Restore.Action, view.Restore.Title, view.Restore.Button = "restore", path+"/restore", "Restore this tenant", "restore"
		view.Restore.Fresh = freshUntil(v)
		view.Restore.Effects = []ui.Effect{{Icon: "refresh", Text: "Keys, sign-ins and sessions work again, within a second"}, {Icon: "audit", Text: "Your reason stands in the audit log"}}
	}
	if !view.MayRestore && form.restore.Problem != nil { // its form is not there any more
		view.Problem = form.restore.Problem
	}
	view.Page = c.frame(w, r, v, p, "Settings", path)
	c.render(w, r, status, c.settingsPage(view))
}

// saveSettings changes what differs from what the page had shown, of the fields that are sent:
// the name, or how tokens are made, which takes a reason and a fresh passkey. Where somebody
// else was quicker it changes nothing, says what they changed, and keeps what was typed.
func (c *Console) saveSettings(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := settingsForm{values: map[string]string{}, was: map[string]string{}, reason: clean(r.PostFormValue("reason"))}
	req := tenant.UpdateSettingsRequest{IfMatch: r.PostFormValue("etag"), Reason: form.reason}
	for _, name := range []string{settingName, settingDelivery, settingAudience, settingEncryption} {
		if r.PostForm.Has(name) {
			form.values[name], form.was[name] = clean(r.PostFormValue(name)), r.PostFormValue("was-"+name)
		}
	}
	changed := func(name string) bool { return form.values[name] != form.was[name] }
	if name := form.values[settingName]; changed(settingName) {
		req.RPName = &name
	}
	if audience := form.values[settingAudience]; changed(settingAudience) {
		req.TokenAudience = &audience
	}
	if changed(settingDelivery) {
		direct := form.values[settingDelivery] == deliveryDirect
		req.DirectTokens = &direct
	}
	if changed(settingEncryption) {
		req.EncryptionKey = []byte(form.values[settingEncryption])
		if req.EncryptionKey == nil {
			req.EncryptionKey = []byte{}
		}
	}
	var err error
	if req.TokenAudience != nil || req.DirectTokens != nil || req.EncryptionKey != nil {
		err = sensitive(v, form.reason)
	}
	if err == nil {
		_, err = c.tenants.UpdateSettings(r.Context(), p.sc, req)
	}
	if errors.Is(err, etag.ErrMismatch) {
		// What has changed may be nothing that the form shows, such as the policy.
		if now, failed := c.tenants.Settings(r.Context(), p.sc); failed == nil && within(form.was, settingValues(&now.Tenant)) {
			req.IfMatch = now.ETag
			_, err = c.tenants.UpdateSettings(r.Context(), p.sc, req)
		}
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.problem = problem
		atField(problem, err)
		if errors.Is(err, jwe.ErrKey) {
			problem.Field = settingEncryption
		}
		if form.conflict = errors.Is(err, etag.ErrMismatch); form.conflict {
			code = http.StatusConflict
		}
		c.settings200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "saved", p.base+"/settings")
}

// within reports whether all of some is in all.
func within(some, all map[string]string) bool {
	for key, value := range some {
		if all[key] != value {
			return false
		}
	}
	return true
}

type deletionView struct {
	ui.Page

	Name string
	Act  ui.Act
}

func (c *Console) showDeletion(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.deletion200(w, r, v, p, ui.Act{}, http.StatusOK)
}

func (c *Console) deletion200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act ui.Act, status int) {
	path := p.base + "/settings"
	act.ID, act.Action, act.Cancel, act.Title, act.Button, act.Danger = "delete", path+"/delete", path, "Delete "+p.name, "delete", true
	act.Confirm, act.Fresh = r.PathValue("slug"), freshUntil(v)
	act.Effects = []ui.Effect{
		{Icon: "ban", Text: "Keys, sign-ins and sessions of all its users stop within a second"},
		{Icon: "clock", Text: "For 30 days an owner can restore it, from this console"},
		{Icon: "trash", Text: "Then its users, passkeys, evidence and keys are destroyed, and nobody brings them back"},
		{Icon: "hash", Text: "Its slug is never given to anybody again"},
	}
	view := deletionView{Name: p.name, Act: act}
	view.Page = c.frame(w, r, v, p, "Delete", path, ui.Link{Href: path, Label: "Settings"})
	view.Page.Here = path + "/delete"
	c.render(w, r, status, c.deletionPage(view))
}

func (c *Console) deleteTenant(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := ui.Act{Typed: clean(r.PostFormValue("confirm")), Reason: clean(r.PostFormValue("reason"))}
	err := c.withReason(r.Context(), v, act.Reason, func(ctx context.Context) (tenant.Tenant, error) {
		return c.tenants.DeleteOwn(ctx, p.sc, act.Typed, act.Reason)
	})
	if problem, code := c.inForm(r, err); problem != nil {
		act.Problem = problem
		c.deletion200(w, r, v, p, act, code)
		return
	}
	c.done(w, r, "deleting", p.base+"/settings")
}

func (c *Console) restoreTenant(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := settingsForm{restore: ui.Act{Reason: clean(r.PostFormValue("reason"))}}
	err := c.withReason(r.Context(), v, form.restore.Reason, func(ctx context.Context) (tenant.Tenant, error) {
		return c.tenants.RestoreOwn(ctx, p.sc, form.restore.Reason)
	})
	if problem, code := c.inForm(r, err); problem != nil {
		form.restore.Problem = problem
		c.settings200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "restored", p.base+"/settings")
}

const maxReason = 256

// withReason does what takes a reason and a fresh passkey.
func (c *Console) withReason(ctx context.Context, v *visit, reason string, do func(context.Context) (tenant.Tenant, error)) error {
	switch {
	case reason == "" || len([]rune(reason)) > maxReason:
		return member.ErrReason
	case !v.fresh:
		return errStale
	}
	_, err := do(ctx)
	return err
}
