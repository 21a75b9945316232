// Package wellknown writes what anybody may read of a tenant to work with its tokens:
// biocore-configuration, and OAuth 2.0 Authorization Server Metadata (RFC 8414) for
// libraries that look for that. Both hold public data alone, and no address but the
// configured one: what a request calls us (Host) is never repeated.
package wellknown

import (
	"encoding/json"
	"strings"

	"github.com/biocore-id/biocore/authcore/token"
	"github.com/biocore-id/biocore/tenancy/brand"
	"github.com/biocore-id/biocore/tenancy/jwe"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Metadata are the members that RFC 8414 §2 has, spelled as it does.
type Metadata struct {
	Issuer  string `json:"issuer"`
	JWKSURI string `json:"jwks_uri"`

	// No authorization or token endpoint, since there is none: sessions are opened by
	// ceremonies. There are no grants or response types either, and a list without
	// elements must be left out (RFC 8414 §3.2), also the one that §2 requires.

	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`

	Documentation string `json:"service_documentation"`
}

// Configuration is biocore-configuration: the metadata, and what is ours, spelled as
// our API does.
type Configuration struct {
	Metadata

	RPID        string      `json:"rpId,omitempty"`
	AccessToken AccessToken `json:"accessToken"`
	API         API         `json:"api"`
	Branding    *Branding   `json:"branding,omitempty"`
}

// Branding is how the tenant looks to its users, for pages that they see. What is not
// settled is left out.
type Branding struct {
	Name         string `json:"name"`
	Light        *Tint  `json:"light,omitempty"`
	Dark         *Tint  `json:"dark,omitempty"`
	LogoURL      string `json:"logoUrl,omitempty"`
	SupportURL   string `json:"supportUrl,omitempty"`
	SupportEmail string `json:"supportEmail,omitempty"`
}

// Tint is the accent on pages in light or in dark: of links and buttons, and of text on a
// button of that colour.
type Tint struct {
	Accent string `json:"accentColor"`
	Ink    string `json:"inkColor"`
}

// BrandingOf is the branding of a tenant.
func BrandingOf(publicURL string, t *tenant.Tenant) *Branding {
	b := &Branding{Name: t.RPName, LogoURL: LogoURL(publicURL, t), SupportURL: t.Brand.SupportURL, SupportEmail: t.Brand.SupportEmail}
	tint := func(text string) *Tint {
		c, err := brand.ParseColor(text)
		if err != nil { // none is settled
			return nil
		}
		return &Tint{Accent: text, Ink: c.Ink().String()}
	}
	b.Light, b.Dark = tint(t.Brand.AccentColor), tint(t.Brand.AccentColorDark)
	return b
}

// LogoURL is where anybody finds the logo of a tenant; empty: it has none.
func LogoURL(publicURL string, t *tenant.Tenant) string {
	if t.Brand.LogoSHA256 == "" {
		return ""
	}
	return strings.TrimSuffix(publicURL, "/") + "/t/" + t.Slug + "/logo/" + t.Brand.LogoSHA256 + ".png"
}

// AccessToken is what access tokens can be.
type AccessToken struct {
	Type string `json:"type"` // the typ in their header
	// SigningAlgorithms are all that this installation signs with; a key names its own.
	SigningAlgorithms    []string `json:"signingAlgorithms"`
	EncryptionAlgorithms []string `json:"encryptionAlgorithms"` // for a registered key
	ContentEncryption    string   `json:"contentEncryption"`
	// Encrypted says that access tokens are nested in a JWE to the tenant's own key.
	Encrypted bool `json:"encrypted"`
}

// API is where the API is.
type API struct {
	REST    string   `json:"rest"`    // before /v1/… and /admin/v1/…
	Connect string   `json:"connect"` // before /biocore.auth.v1.… ; gRPC too
	OpenAPI []string `json:"openapi"`
}

// MetadataOf is the OAuth metadata of the tenant of a slug. publicURL is the
// installation's.
func MetadataOf(publicURL, slug string) Metadata {
	root, issuer := strings.TrimSuffix(publicURL, "/"), token.Issuer(publicURL, slug)
	return Metadata{
		Issuer: issuer, JWKSURI: issuer + "/.well-known/jwks.json",
		IntrospectionEndpoint: issuer + "/oauth/introspect", IntrospectionAuth: []string{"client_secret_basic", "Bearer"},
		RevocationEndpoint: issuer + "/oauth/revoke", RevocationAuth: []string{"client_secret_basic"},
		Documentation: root + "/docs/api",
	}
}

// ConfigurationOf is the biocore-configuration of a tenant.
func ConfigurationOf(publicURL string, t *tenant.Tenant) Configuration {
	root := strings.TrimSuffix(publicURL, "/")
	return Configuration{
		Metadata: MetadataOf(publicURL, t.Slug), RPID: t.RPID, Branding: BrandingOf(publicURL, t),
		AccessToken: AccessToken{
			Type: token.Type, SigningAlgorithms: []string{keys.ES256, keys.EdDSA, keys.RS256},
			EncryptionAlgorithms: jwe.Algorithms(), ContentEncryption: jwe.Encryption, Encrypted: t.EncryptionKey != "",
		},
		API: API{REST: root, Connect: root, OpenAPI: []string{root + "/openapi/auth.yaml", root + "/openapi/admin.yaml"}},
	}
}

// JSON is a document as it is served.
func JSON(document any) ([]byte, error) { return json.Marshal(document) }
