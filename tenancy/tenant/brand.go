package tenant

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"net/url"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/brand"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrNoLogo is returned where a tenant has no logo, or has another one by now.
var ErrNoLogo = fault.New(fault.NotFound, "LOGO_UNKNOWN", "the tenant has no such logo")

// Brand is how a tenant looks to its users. What is empty is not settled.
type Brand struct {
	AccentColor     string // #rrggbb, legible on pages in light
	AccentColorDark string // and in dark; set where AccentColor is
	SupportURL      string // https, or mailto is SupportEmail's
	SupportEmail    string
	LogoSHA256      string // of the PNG, hex
}

// BrandRequest holds what to change of it; nil leaves one as it is, empty takes it away.
type BrandRequest struct {
	AccentColor     *string // AccentColorDark follows it, unless that was or is given; without it there is none
	AccentColorDark *string // empty: what follows from AccentColor
	SupportURL      *string // https, up to 2048 bytes
	SupportEmail    *string // up to 254 bytes
	Logo            *[]byte // a PNG, see brand.NewLogo

	png []byte // what apply has made of Logo
}

// givenDark is the accent in dark if somebody chose it; empty: it follows from the other.
func (b *Brand) givenDark() string {
	if p, err := brand.NewPalette(b.AccentColor, ""); err == nil && p.Dark == b.AccentColorDark {
		return ""
	}
	return b.AccentColorDark
}

const maxSupportURLBytes, maxSupportEmailBytes = 2048, 254

func (r *BrandRequest) apply(b Brand) (Brand, error) {
	if r.AccentColor != nil || r.AccentColorDark != nil {
		light, dark := b.AccentColor, b.givenDark()
		if r.AccentColor != nil {
			if light = *r.AccentColor; light == "" {
				dark = ""
			}
		}
		if r.AccentColorDark != nil {
			dark = *r.AccentColorDark
		}
		p, err := brand.NewPalette(light, dark)
		if err != nil {
			return Brand{}, wrong(err)
		}
		b.AccentColor, b.AccentColorDark = p.Light, p.Dark
	}
	if r.SupportURL != nil {
		if err := checkSupportURL(*r.SupportURL); err != nil {
			return Brand{}, err
		}
		b.SupportURL = *r.SupportURL
	}
	if r.SupportEmail != nil {
		if err := checkSupportEmail(*r.SupportEmail); err != nil {
			return Brand{}, err
		}
		b.SupportEmail = *r.SupportEmail
	}
	if r.Logo != nil {
		b.LogoSHA256, r.png = "", nil
		if len(*r.Logo) > 0 {
			logo, err := brand.NewLogo(*r.Logo)
			if err != nil {
				return Brand{}, wrong(err)
			}
			b.LogoSHA256, r.png = logo.SHA256, logo.PNG
		}
	}
	return b, nil
}

// store keeps the logo, if it is another one.
func (r *BrandRequest) store(ctx context.Context, tx *db.TenantTx, before, after Brand) error {
	var err error
	switch {
	case before.LogoSHA256 == after.LogoSHA256:
	case after.LogoSHA256 == "":
		err = tx.DeleteLogo(ctx)
	default:
		err = tx.PutLogo(ctx, r.png)
	}
	if err != nil {
		return fmt.Errorf("keep logo: %w", err)
	}
	return nil
}

// wrong is what brand refuses, as ErrInvalid.
func wrong(err error) error {
	if w, ok := errors.AsType[*brand.FieldError](err); ok {
		return invalid(w.Field, w.Why)
	}
	return err
}

func checkSupportURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(text) > maxSupportURLBytes || !printable(text) {
		return invalid("supportUrl", "is an https address of up to 2048 ASCII characters")
	}
	return nil
}

func checkSupportEmail(text string) error {
	if text == "" {
		return nil
	}
	a, err := mail.ParseAddress(text)
	if err != nil || a.Name != "" || a.Address != text || len(text) > maxSupportEmailBytes || !printable(text) {
		return invalid("supportEmail", "is an e-mail address of up to 254 ASCII characters")
	}
	return nil
}

// printable reports whether text is visible ASCII: it stands in links.
func printable(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' || c == '"' || c == '<' || c == '>' || c == '\\' {
			return false
		}
	}
	return true
}

// Logo is the tenant's logo, a PNG, by the digest that Brand has. ErrNoLogo.
func (s *Service) Logo(ctx context.Context, sc scope.Scope, sha256 string) ([]byte, error) {
	if sha256 == "" {
		return nil, ErrNoLogo
	}
	var png []byte
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		png, err = tx.GetLogo(ctx, sha256)
		if db.IsNoRows(err) {
			return ErrNoLogo
		}
		return err
	})
	return png, err
}
