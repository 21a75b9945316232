package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/tenancy/jwe"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// settingsJSON is a tenant's settings under --json, as the API spells them.
type settingsJSON struct {
	RelyingParty struct {
		RPID    string   `json:"rpId"`
		Name    string   `json:"name"`
		Origins []string `json:"origins"`

		RelatedOrigins   []string             `json:"relatedOrigins"`
		NativeApps       nativeAppsJSON       `json:"nativeApps"`
		PasskeyEndpoints passkeyEndpointsJSON `json:"passkeyEndpoints"`
	} `json:"relyingParty"`
	Tokens struct {
		Audience               string          `json:"audience,omitempty"`
		DirectTokens           bool            `json:"directTokens"`
		EncryptionKey          json.RawMessage `json:"encryptionKey,omitempty"`
		AccessTokenSeconds     int             `json:"accessTokenSeconds"`
		RefreshIdleSeconds     int             `json:"refreshIdleSeconds"`
		SessionLifetimeSeconds int             `json:"sessionLifetimeSeconds"`
	} `json:"tokens"`
	Branding  brandJSON `json:"branding"`
	ETag      string    `json:"etag"`
	UpdatedAt time.Time `json:"updatedAt"`
}

type brandJSON struct {
	AccentColor     string `json:"accentColor"`
	AccentColorDark string `json:"accentColorDark"`
	SupportURL      string `json:"supportUrl"`
	SupportEmail    string `json:"supportEmail"`
	LogoSHA256      string `json:"logoSha256"`
}

// brandFlags say how the tenant looks to its users.
func brandFlags(fs *flag.FlagSet, b *tenant.BrandRequest) {
	text := func(name string, to **string, usage string) {
		fs.Func(name, usage, func(v string) error {
			*to = &v
			return nil
		})
	}
	text("accent-color", &b.AccentColor, "`colour` of buttons and links on pages in light, as #1a5fb4; empty: none")
	text("accent-color-dark", &b.AccentColorDark, "`colour` of the same on pages in dark; empty: what follows from the other")
	text("support-url", &b.SupportURL, "https `address` where users find help; empty: none")
	text("support-email", &b.SupportEmail, "`address` that users write to; empty: none")
	fs.Func("logo", "`file` with the logo, a PNG of up to 40 KiB and 512 pixels a side; none: no logo", func(v string) error {
		logo := []byte{}
		if v != none {
			file, err := os.ReadFile(v)
			if err != nil {
				return err
			}
			logo = file
		}
		b.Logo = &logo
		return nil
	})
}

type nativeAppsJSON struct {
	AndroidApps []androidAppJSON `json:"androidApps"`
	IOSAppIDs   []string         `json:"iosAppIds"`
}

type androidAppJSON struct {
	PackageName  string   `json:"packageName"`
	Fingerprints []string `json:"sha256CertFingerprints"`
}

type passkeyEndpointsJSON struct {
	Enroll          string `json:"enroll"`
	Manage          string `json:"manage"`
	PRFUsageDetails string `json:"prfUsageDetails"`
}

func toSettingsJSON(s tenant.Settings) settingsJSON {
	out := settingsJSON{ETag: s.ETag, UpdatedAt: s.UpdatedAt, Branding: brandJSON(s.Brand)}
	out.RelyingParty.RPID, out.RelyingParty.Name, out.RelyingParty.Origins = s.RPID, s.RPName, s.Origins
	out.RelyingParty.RelatedOrigins = append([]string{}, s.RelatedOrigins...)
	out.RelyingParty.NativeApps = nativeAppsJSON{AndroidApps: []androidAppJSON{}, IOSAppIDs: append([]string{}, s.IOSApps...)}
	for _, a := range s.AndroidApps {
		out.RelyingParty.NativeApps.AndroidApps = append(out.RelyingParty.NativeApps.AndroidApps, androidAppJSON(a))
	}
	out.RelyingParty.PasskeyEndpoints = passkeyEndpointsJSON(s.PasskeyEndpoints)
	t := &out.Tokens
	t.Audience, t.DirectTokens = s.TokenAudience, s.DirectTokens
	if s.EncryptionKey != "" {
		t.EncryptionKey = json.RawMessage(s.EncryptionKey)
	}
	t.AccessTokenSeconds, t.RefreshIdleSeconds = s.Policy.AccessTokenSeconds, s.Policy.RefreshIdleSeconds
	t.SessionLifetimeSeconds = s.Policy.SessionLifetimeSeconds
	return out
}

// runTenantSettings shows a tenant's settings, after the flags have changed them.
func runTenantSettings(ctx context.Context, env *environment, args []string) error {
	const command = "tenant settings"
	var asJSON bool
	var req tenant.UpdateSettingsRequest
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	fs.Func("audience", "aud of access tokens: a `string` or URI; empty for the RP ID", func(v string) error {
		req.TokenAudience = &v
		return nil
	})
	fs.Func("encryption-key", "`file` with a public JWK that access tokens are encrypted to; none: only signed", func(v string) (err error) {
		req.EncryptionKey, err = readEncryptionKey(v)
		return err
	})
	fs.BoolFunc("direct-tokens", "whether publishable keys get an access token instead of a code", func(v string) error {
		direct, err := strconv.ParseBool(v)
		req.DirectTokens = &direct
		return err
	})
	brandFlags(fs, &req.Brand)
	reason := reasonFlag(fs, "`text` for the audit log")
	places := placeFlags(fs)
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	req.Reason = *reason
	if err := places.into(&req); err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	sc, err := c.of(ctx, fs.Arg(0))
	if err != nil {
		return err
	}
	if err := places.merge(ctx, c, sc, &req); err != nil {
		return err
	}
	s, err := c.tenants.UpdateSettings(ctx, sc, req) // one that changes nothing only reads
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(env.out, toSettingsJSON(s))
	}
	delivery, encrypted := "codes", "no"
	if s.DirectTokens {
		delivery = "tokens"
	}
	if s.EncryptionKey != "" {
		key, err := jwe.ParseKey([]byte(s.EncryptionKey))
		if err != nil {
			return fmt.Errorf("the stored encryption key: %w", err)
		}
		encrypted = key.Algorithm + " to key " + key.KID
	}
	rows := [][]string{{"RP ID", s.RPID}, {"name", s.RPName}, {"origins", joined(s.Origins)}}
	for _, row := range [][]string{ // few tenants have any
		{"related origins", joined(s.RelatedOrigins)},
		{"Android apps", joined(packages(s.AndroidApps))},
		{"iOS apps", joined(s.IOSApps)},
		{"enroll page", s.PasskeyEndpoints.Enroll},
		{"manage page", s.PasskeyEndpoints.Manage},
		{"PRF page", s.PasskeyEndpoints.PRFUsageDetails},
		{"accent", s.Brand.AccentColor},
		{"accent in dark", s.Brand.AccentColorDark},
		{"support page", s.Brand.SupportURL},
		{"support mail", s.Brand.SupportEmail},
		{"logo", s.Brand.LogoSHA256},
	} {
		if row[1] != "" && row[1] != "-" {
			rows = append(rows, row)
		}
	}
	return table(env.out, append(rows, [][]string{
		{"audience", s.Audience()},
		{"browsers get", delivery},
		{"tokens encrypted", encrypted},
		{"access token", s.Policy.AccessTokenLife().String()},
		{"idle session", s.Policy.RefreshIdle().String()},
		{"session", s.Policy.SessionLifetime().String()},
	}...))
}

// readEncryptionKey reads a JWK from a file; "none" takes the key away.
func readEncryptionKey(path string) ([]byte, error) {
	if path == "none" {
		return []byte{}, nil
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(key) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return key, nil
}
