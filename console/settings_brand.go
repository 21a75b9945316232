package console

import (
	"errors"
	"io"
	"maps"
	"net/http"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/brand"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// brandRoutes are how a tenant looks to its users.
func (c *Console) brandRoutes(mux *router) {
	const at = Path + "/t/{slug}/settings/branding"
	mux.HandleFunc("GET "+at, c.inTenant(apikey.ScopeSettingsWrite, c.showBrand))
	mux.HandleFunc("POST "+at, c.inTenant(apikey.ScopeSettingsWrite, c.saveBrand))
}

// brandInputs are the texts of the form, by the names of the API's fields.
var brandInputs = []struct {
	ui.Input

	of func(*tenant.Brand) string
	to func(*tenant.BrandRequest) **string
}{
	{
		ui.Input{Name: "accentColor", Label: "Accent on light pages", Hint: "As #1a5fb4. Text in it must be legible: a contrast of 4.5. Empty: none.", Max: 7, Optional: true},
		func(b *tenant.Brand) string { return b.AccentColor }, func(r *tenant.BrandRequest) **string { return &r.AccentColor },
	},
	{
		ui.Input{Name: "accentColorDark", Label: "Accent on dark pages", Hint: "Empty: a lighter one that follows from the other.", Max: 7, Optional: true},
		func(b *tenant.Brand) string { return b.AccentColorDark }, func(r *tenant.BrandRequest) **string { return &r.AccentColorDark },
	},
	{
		ui.Input{Name: "supportUrl", Label: "Support page", Hint: "An https address where users find help.", Max: 2048, Optional: true},
		func(b *tenant.Brand) string { return b.SupportURL }, func(r *tenant.BrandRequest) **string { return &r.SupportURL },
	},
	{
		ui.Input{Name: "supportEmail", Label: "Support e-mail", Hint: "Where they write to.", Max: 254, Optional: true},
		func(b *tenant.Brand) string { return b.SupportEmail }, func(r *tenant.BrandRequest) **string { return &r.SupportEmail },
	},
}

// brandCard is what the settings show of it.
type brandCard struct {
	Href        string // where it is changed; empty for who may not
	Logo        string // address; empty: none
	Light, Dark string // colours; empty: none
	Rows        []fact
}

func newBrandCard(t *tenant.Tenant, may bool, base string) brandCard {
	card := brandCard{Logo: logoPath(t), Light: t.Brand.AccentColor, Dark: t.Brand.AccentColorDark}
	if may {
		card.Href = base + "/settings/branding"
	}
	for _, one := range brandInputs[2:] {
		card.Rows = append(card.Rows, fact{Label: one.Label, Text: one.of(&t.Brand)})
	}
	return card
}

// logoPath is where this server has the logo.
func logoPath(t *tenant.Tenant) string {
	if t.Brand.LogoSHA256 == "" {
		return ""
	}
	return "/t/" + t.Slug + "/logo/" + t.Brand.LogoSHA256 + ".png"
}

type brandView struct {
	ui.Page

	ETag     string
	Fields   []settingField
	File     ui.Input
	Logo     string // address; empty: none
	Remove   bool   // the logo is to go
	Act      ui.Act
	Conflict []string // what somebody else has changed meanwhile
}

func (c *Console) showBrand(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.brand200(w, r, v, p, brandForm{}, http.StatusOK)
}

// brandForm is what was sent.
type brandForm struct {
	settingsForm

	remove bool // the logo is to go
}

// brandTexts are the values of the form's texts.
func brandTexts(b *tenant.Brand) map[string]string {
	texts := map[string]string{}
	for _, one := range brandInputs {
		texts[one.Name] = one.of(b)
	}
	return texts
}

func (c *Console) brand200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form brandForm, status int) {
	now, err := c.tenants.Settings(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	settings := p.base + "/settings"
	view := brandView{
		ETag: now.ETag, Logo: logoPath(&now.Tenant), Remove: form.remove,
		Act: ui.Act{
			ID: "branding", Title: "Change", Button: "save", Action: settings + "/branding", Cancel: settings, Files: true, Fresh: freshUntil(v),
			Reason: form.reason, Problem: form.problem,
			Effects: []ui.Effect{{Icon: "globe", Text: "Anybody reads it within a second, in biocore-configuration"}},
		},
		File: ui.Input{ID: "brand-logo", Name: "logo", Label: "Logo", Hint: "A PNG of up to 40 KiB, 16 to 512 pixels a side. Only the picture is kept.", Problem: form.problem},
	}
	is := brandTexts(&now.Brand)
	typed := form.values
	if typed == nil {
		typed = is
	}
	for _, one := range brandInputs {
		f := settingField{Input: one.Input, Was: is[one.Name]}
		f.ID, f.Value, f.Problem = "brand-"+f.Name, typed[f.Name], form.problem
		if form.conflict && form.was[f.Name] != f.Was {
			view.Conflict = append(view.Conflict, f.Label+" was "+inQuotes(form.was[f.Name])+" and is now "+inQuotes(f.Was))
		}
		view.Fields = append(view.Fields, f)
	}
	if form.conflict && len(view.Conflict) == 0 {
		view.Conflict = []string{"The settings are others than when the page was drawn"}
	}
	if form.conflict {
		view.Act.Problem = nil // said above
	}
	view.Page = c.frame(w, r, v, p, "Branding", settings, ui.Link{Href: settings, Label: "Settings"})
	view.Page.Here = settings + "/branding"
	c.render(w, r, status, c.brandPage(view))
}

// saveBrand changes what differs from what the page had shown, as saveSettings does, with a
// reason and a fresh passkey.
func (c *Console) saveBrand(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	req := tenant.UpdateSettingsRequest{IfMatch: r.PostFormValue("etag"), Reason: clean(r.PostFormValue("reason"))} // reads the whole form, whose size is bounded
	form := brandForm{settingsForm{values: map[string]string{}, was: map[string]string{}, reason: req.Reason}, r.PostFormValue("removeLogo") == "on"}
	for _, one := range brandInputs {
		typed, was := clean(r.PostFormValue(one.Name)), r.PostFormValue("was-"+one.Name)
		if form.values[one.Name], form.was[one.Name] = typed, was; typed != was {
			*one.to(&req.Brand) = &typed
		}
	}
	var err error
	if req.Brand.Logo, err = logoOf(r, form.remove); err == nil {
		err = sensitive(v, req.Reason)
	}
	if err == nil {
		_, err = c.tenants.UpdateSettings(r.Context(), p.sc, req)
	}
	if errors.Is(err, etag.ErrMismatch) {
		// What has changed may be nothing that the page shows.
		if now, failed := c.tenants.Settings(r.Context(), p.sc); failed == nil && maps.Equal(brandTexts(&now.Brand), form.was) {
			req.IfMatch = now.ETag
			_, err = c.tenants.UpdateSettings(r.Context(), p.sc, req)
		}
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.problem = problem
		atField(problem, err)
		if form.conflict = errors.Is(err, etag.ErrMismatch); form.conflict {
			code = http.StatusConflict
		}
		c.brand200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "saved", p.base+"/settings")
}

// logoOf is the file that was sent; nil: none was, empty: the logo is to go.
func logoOf(r *http.Request, remove bool) (*[]byte, error) {
	if remove {
		return &[]byte{}, nil
	}
	file, head, err := r.FormFile("logo")
	switch {
	case errors.Is(err, http.ErrMissingFile), errors.Is(err, http.ErrNotMultipart), err == nil && head.Size == 0:
		return nil, nil //nolint:nilnil // nothing to change
	case err != nil:
		return nil, errMalformed
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, brand.MaxLogoBytes+1))
	return &content, err
}
