package wellknown

import "github.com/biocore-id/biocore/tenancy/tenant"

// RelatedOrigins is the document webauthn (WebAuthn L3 #sctn-related-origins). Browsers
// want the list, also when it is empty.
type RelatedOrigins struct {
	Origins []string `json:"origins"`
}

// PasskeyEndpoints is the document passkey-endpoints (W3C, A Well-Known URL for Relying
// Party Passkey Endpoints). Empty, it says that there are passkeys.
type PasskeyEndpoints struct {
	Enroll          string `json:"enroll,omitempty"`
	Manage          string `json:"manage,omitempty"`
	PRFUsageDetails string `json:"prfUsageDetails,omitempty"`
}

// Statement is an entry of assetlinks.json (Google Digital Asset Links).
type Statement struct {
	Relation []string `json:"relation"`
	Target   Target   `json:"target"`
}

// Target is the app that a Statement is about.
type Target struct {
	Namespace    string   `json:"namespace"`
	PackageName  string   `json:"package_name"`
	Fingerprints []string `json:"sha256_cert_fingerprints"`
}

// AppSiteAssociation is the document apple-app-site-association, with what passkeys need
// of it (https://developer.apple.com/documentation/xcode/supporting-associated-domains).
type AppSiteAssociation struct {
	WebCredentials struct {
		Apps []string `json:"apps"`
	} `json:"webcredentials"`
}

// RelatedOriginsOf lists the tenant's related origins.
func RelatedOriginsOf(t *tenant.Tenant) RelatedOrigins {
	return RelatedOrigins{Origins: present(t.RelatedOrigins)}
}

// PasskeyEndpointsOf names the tenant's pages for credential managers.
func PasskeyEndpointsOf(t *tenant.Tenant) PasskeyEndpoints {
	return PasskeyEndpoints(t.PasskeyEndpoints)
}

// AssetLinksOf lists the tenant's Android apps. They share the site's credentials
// (get_login_creds), which Credential Manager wants together with the right to open its
// links (https://developer.android.com/identity/sign-in/credential-manager#add-support-dal).
func AssetLinksOf(t *tenant.Tenant) []Statement {
	out := []Statement{}
	for _, a := range t.AndroidApps {
		out = append(out, Statement{
			Relation: []string{"delegate_permission/common.handle_all_urls", "delegate_permission/common.get_login_creds"},
			Target:   Target{Namespace: "android_app", PackageName: a.PackageName, Fingerprints: a.Fingerprints},
		})
	}
	return out
}

// AppSiteAssociationOf lists the tenant's apps on Apple's platforms.
func AppSiteAssociationOf(t *tenant.Tenant) AppSiteAssociation {
	var a AppSiteAssociation
	a.WebCredentials.Apps = present(t.IOSApps)
	return a
}

func present(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
