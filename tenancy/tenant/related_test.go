package tenant_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/tenancy/tenant"
)

// fingerprint is a SHA-256 as keytool shows it; hash is the same as WebAuthn clients on
// Android send it.
const (
	fingerprint = "91:F7:CB:F9:D6:81:53:1B:C7:A5:8F:B8:33:CC:A1:4D:AB:ED:E5:09:C5:85:B4:12:E8:18:A6:95:C2:5B:9A:58"
	hash        = "kffL-daBUxvHpY-4M8yhTavt5QnFhbQS6BimlcJbmlg"
)

func TestPlaces(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	sc := of(made)
	apps := []tenant.AndroidApp{{PackageName: "com.acme.bank", Fingerprints: []string{fingerprint}}}
	pages := tenant.PasskeyEndpoints{Enroll: "https://acme.example/passkeys/new", Manage: "https://acme.co.uk/passkeys?tab=all"}
	got, err := f.svc.UpdateSettings(t.Context(), sc, tenant.UpdateSettingsRequest{
		RelatedOrigins: &[]string{"https://acme.co.uk", "https://acme-brand.example:8443"}, AndroidApps: &apps,
		IOSApps: &[]string{"A1B2C3D4E5.com.acme.bank"}, PasskeyEndpoints: &pages,
	})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := f.svc.Current(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	for _, read := range []tenant.Tenant{got.Tenant, snap.Tenant} {
		if diff := cmp.Diff(apps, read.AndroidApps); diff != "" {
			t.Errorf("Android apps (-want +got):\n%s", diff)
		}
		if read.PasskeyEndpoints != pages || !slices.Equal(read.IOSApps, []string{"A1B2C3D4E5.com.acme.bank"}) || len(read.RelatedOrigins) != 2 {
			t.Errorf("settings = %+v", read)
		}
	}
	want := append(slices.Clone(made.Origins), "https://acme.co.uk", "https://acme-brand.example:8443", "android:apk-key-hash:"+hash)
	if own := "https://acme.example"; !slices.Contains(want, own) {
		want = append(want, own)
	}
	if diff := cmp.Diff(want, snap.CeremonyOrigins); diff != "" {
		t.Errorf("origins of ceremonies (-want +got):\n%s", diff)
	}
	if !snap.HasOrigin("https://acme.co.uk") || snap.HasOrigin("android:apk-key-hash:"+hash) || snap.HasOrigin("https://evil.example") {
		t.Errorf("pages that may use a publishable key are not the tenant's")
	}
	entry := lastAudit(t, f.store.Store, sc)
	after, _ := entry["after"].(map[string]any)
	if fmt.Sprint(after["relatedOrigins"]) != "[https://acme.co.uk https://acme-brand.example:8443]" || after["androidApps"] == nil ||
		after["iosAppIds"] == nil || after["passkeyEnrollUrl"] != pages.Enroll {
		t.Errorf("audit entry %v", entry)
	}
	// What is absent stays; what is empty goes.
	if got, err = f.svc.UpdateSettings(t.Context(), sc, tenant.UpdateSettingsRequest{RPName: new("Acme Login")}); err != nil || len(got.RelatedOrigins) != 2 {
		t.Errorf("another setting changed: %+v, %v", got, err)
	}
	got, err = f.svc.UpdateSettings(t.Context(), sc, tenant.UpdateSettingsRequest{
		RelatedOrigins: &[]string{}, AndroidApps: &[]tenant.AndroidApp{}, IOSApps: &[]string{}, PasskeyEndpoints: &tenant.PasskeyEndpoints{},
	})
	if err != nil || len(got.RelatedOrigins)+len(got.AndroidApps)+len(got.IOSApps) != 0 || got.PasskeyEndpoints != (tenant.PasskeyEndpoints{}) {
		t.Errorf("taken back = %+v, %v", got, err)
	}
	if snap, err = f.svc.Current(t.Context(), sc); err != nil || !slices.Equal(snap.CeremonyOrigins, made.Origins) {
		t.Errorf("origins of ceremonies = %v, %v, want %v", snap.CeremonyOrigins, err, made.Origins)
	}
}

func TestPlacesRefused(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	related := func(origins ...string) tenant.UpdateSettingsRequest {
		return tenant.UpdateSettingsRequest{RelatedOrigins: &origins}
	}
	android := func(apps ...tenant.AndroidApp) tenant.UpdateSettingsRequest {
		return tenant.UpdateSettingsRequest{AndroidApps: &apps}
	}
	app := func(name string, fingerprints ...string) tenant.AndroidApp {
		return tenant.AndroidApp{PackageName: name, Fingerprints: fingerprints}
	}
	ios := func(apps ...string) tenant.UpdateSettingsRequest { return tenant.UpdateSettingsRequest{IOSApps: &apps} }
	pages := func(address string) tenant.UpdateSettingsRequest {
		return tenant.UpdateSettingsRequest{PasskeyEndpoints: &tenant.PasskeyEndpoints{Manage: address}}
	}
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("https://h%d.brand.example", i)
	}
	for _, tt := range []struct {
		name string
		req  tenant.UpdateSettingsRequest
		ok   bool
	}{
		{"five labels under six domains", related("https://a.example", "https://b.example", "https://c.example", "https://d.example", "https://e.example", "https://a.co.uk"), true},
		{"six labels", related("https://a.example", "https://b.example", "https://c.example", "https://d.example", "https://e.example", "https://f.example"), false},
		{"65 origins of one label", related(many...), false},
		{"an entry twice", related("https://a.example", "https://a.example"), false},
		{"the RP ID's own domain", related("https://acme.example"), false},
		{"a subdomain of it", related("https://login.acme.example"), false},
		{"http", related("http://a.example"), false},
		{"a public suffix", related("https://co.uk"), false},
		{"localhost", related("https://localhost"), false},
		{"an address", related("https://192.0.2.1"), false},
		{"a final slash", related("https://a.example/"), false},
		{"the default port", related("https://a.example:443"), false},
		{"upper case", related("https://A.example"), false},
		{"an app's origin", related("android:apk-key-hash:" + hash), false},
		{"null", related("null"), false},
		{"nothing", related(""), false},

		{"an app with two keys", android(app("com.acme.bank", fingerprint, strings.Replace(fingerprint, "91:", "92:", 1))), true},
		{"an app without a key", android(app("com.acme.bank")), false},
		{"a fingerprint in lower case", android(app("com.acme.bank", strings.ToLower(fingerprint))), false},
		{"a fingerprint without colons", android(app("com.acme.bank", strings.ReplaceAll(fingerprint, ":", ""))), false},
		{"a fingerprint of SHA-1", android(app("com.acme.bank", fingerprint[:59])), false},
		{"a package of one part", android(app("bank", fingerprint)), false},
		{"a package with a slash", android(app("com.acme/bank", fingerprint)), false},
		{"a package twice", android(app("com.acme.bank", fingerprint), app("com.acme.bank", fingerprint)), false},

		{"a bundle without its team", ios("com.acme.bank"), false},
		{"any bundle of a team", ios("A1B2C3D4E5.*"), false},
		{"a team in lower case", ios("a1b2c3d4e5.com.acme.bank"), false},
		{"an app twice", ios("A1B2C3D4E5.com.acme.bank", "A1B2C3D4E5.com.acme.bank"), false},

		{"a page of the tenant", pages("https://acme.example/passkeys"), true},
		{"a page elsewhere", pages("https://evil.example/passkeys"), false},
		{"a page of a neighbour", pages("https://acme.example.evil.example/"), false},
		{"a page with a user", pages("https://acme.example@evil.example/"), false},
		{"a script", pages("javascript:alert(1)"), false},
		{"a path", pages("/passkeys"), false},
		{"a page on http", pages("http://acme.example/passkeys"), false},
		{"an address of 2049 bytes", pages("https://acme.example/" + strings.Repeat("a", 2049-21)), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := f.svc.UpdateSettings(t.Context(), of(made), tt.req)
			if tt.ok != (err == nil) || !tt.ok && !errors.Is(err, tenant.ErrInvalid) {
				t.Errorf("UpdateSettings = %v, want accepted: %v", err, tt.ok)
			}
		})
	}
	// Another RP ID would make its own domain's pages related ones, and strand the rest.
	test := f.create(t, func(r *tenant.CreateRequest) { r.Mode = tenant.Test })
	if _, err := f.svc.UpdateSettings(t.Context(), of(test), related("https://bank.example")); err != nil {
		t.Fatal(err)
	}
	move := tenant.UpdateSettingsRequest{RPID: new("bank.example"), Origins: []string{"https://bank.example"}}
	if _, err := f.svc.UpdateSettings(t.Context(), of(test), move); !errors.Is(err, tenant.ErrInvalid) {
		t.Errorf("an RP ID that is among the related origins = %v, want %v", err, tenant.ErrInvalid)
	}
	move.RelatedOrigins = &[]string{"https://acme.example"}
	if _, err := f.svc.UpdateSettings(t.Context(), of(test), move); err != nil {
		t.Errorf("with the list that goes with it: %v", err)
	}
}

// Whose document a domain shows: a tenant for whose domain somebody vouches, and never
// one of two.
func TestResolveDomain(t *testing.T) {
	f := newFixture(t)
	from := netip.MustParseAddr("192.0.2.1")
	named := func(mode tenant.Mode, rpID string) tenant.Tenant {
		return f.create(t, func(r *tenant.CreateRequest) {
			r.Mode, r.RPID, r.Origins = mode, rpID, []string{"https://" + rpID}
			if mode == tenant.Live {
				r.VouchReason = "contract"
			}
		})
	}
	f.onDomain(t, "unproven.example")
	f.onDomain(t, "claimed.example")
	claimed := named(tenant.Test, "claimed.example")
	alone := named(tenant.Test, "alone.example")
	live := named(tenant.Live, "both.example")
	named(tenant.Test, "both.example")
	named(tenant.Test, "both.example")
	named(tenant.Test, "tests.example")
	named(tenant.Test, "tests.example")
	named(tenant.Live, "lives.example")
	named(tenant.Live, "lives.example")
	gone := named(tenant.Live, "gone.example")
	setState(t, f.store.Store, gone.ID, "DELETING")
	for domain, want := range map[string]*tenant.Tenant{
		"alone.example": &alone, "both.example": &live, "claimed.example": &claimed, "unproven.example": nil,
		"tests.example": nil, "lives.example": nil, "gone.example": nil, "nobody.example": nil,
		"": nil, "192.0.2.1": nil, "Alone.example": nil, "www.alone.example": nil, "alone.example:443": nil,
	} {
		for range 2 { // and once from what is remembered
			id, err := f.svc.ResolveDomain(t.Context(), domain, from)
			switch {
			case want == nil && !errors.Is(err, tenant.ErrNotFound):
				t.Errorf("ResolveDomain(%q) = %v, %v, want %v", domain, id, err, tenant.ErrNotFound)
			case want != nil && (err != nil || id != want.ID):
				t.Errorf("ResolveDomain(%q) = %v, %v, want %v", domain, id, err, want.ID)
			}
		}
	}
}
