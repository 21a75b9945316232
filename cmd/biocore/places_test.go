package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

const (
	appFingerprint = "91:F7:CB:F9:D6:81:53:1B:C7:A5:8F:B8:33:CC:A1:4D:AB:ED:E5:09:C5:85:B4:12:E8:18:A6:95:C2:5B:9A:58"
	appOrigin      = "android:apk-key-hash:kffL-daBUxvHpY-4M8yhTavt5QnFhbQS6BimlcJbmlg"
)

// at signs c in from a page or app of that origin.
func (w *world) at(t testing.TB, c *customer, page string) answer {
	t.Helper()
	begun := w.must(t, "POST", "/v1/authentications:begin", c.secret, map[string]any{})
	response, err := c.authenticator.GetWith(marshal(t, begun.at("options")), page, authenticatortest.Deviation{})
	if err != nil {
		t.Fatal(err)
	}
	return w.call(t, "POST", "/v1/authentications:finish", c.secret, map[string]any{
		"authenticationId": begun.text("authenticationId"), "credential": json.RawMessage(marshal(t, response)),
	})
}

// wellKnown reads a document of a relying party's domain, as whoever asks for host.
func (w *world) wellKnown(t testing.TB, name, host string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/.well-known/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("X-Forwarded-Host", "forwarded.example")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, raw: strings.TrimSpace(string(raw))}
}

// Where else a tenant's passkeys are used: what is settled is published, and taken in
// ceremonies exactly.
func TestPlaces(t *testing.T) {
	w := newWorld(t)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	documents := []string{"webauthn", "passkey-endpoints", "assetlinks.json", "apple-app-site-association"}
	for i, want := range []string{`{"origins":[]}`, `{}`, `[]`, `{"webcredentials":{"apps":[]}}`} {
		if a := w.wellKnown(t, documents[i], "example.com"); a.status != http.StatusOK || a.raw != want {
			t.Errorf("%s before anything is settled: %s, want %s", documents[i], a, want)
		}
	}
	elsewhere := []string{"https://example.co.uk", "https://brand.example:8443", appOrigin, "https://example.com"}
	for _, page := range elsewhere {
		if a := w.at(t, c, page); a.reason() != "ORIGIN_NOT_ALLOWED" {
			t.Errorf("%s before it is settled: %s", page, a)
		}
	}
	patch := func(rp map[string]any) answer {
		return w.call(t, "PATCH", "/admin/v1/settings", c.secret, map[string]any{"relyingParty": rp})
	}
	changed := patch(map[string]any{
		"relatedOrigins": []string{"https://example.co.uk", "https://brand.example:8443"},
		"nativeApps": map[string]any{
			"androidApps": []map[string]any{{"packageName": "com.acme.bank", "sha256CertFingerprints": []string{appFingerprint}}},
			"iosAppIds":   []string{"A1B2C3D4E5.com.acme.bank"},
		},
		"passkeyEndpoints": map[string]any{"enroll": "https://login.example.com/passkeys/new", "prfUsageDetails": "https://example.co.uk/help"},
	})
	if changed.status != http.StatusOK || !strings.Contains(changed.raw, `"relatedOrigins":["https://example.co.uk","https://brand.example:8443"]`) ||
		!strings.Contains(changed.raw, appFingerprint) {
		t.Fatalf("PATCH: %s", changed)
	}
	wants := []string{
		`{"origins":["https://example.co.uk","https://brand.example:8443"]}`,
		`{"enroll":"https://login.example.com/passkeys/new","prfUsageDetails":"https://example.co.uk/help"}`,
		`[{"relation":["delegate_permission/common.handle_all_urls","delegate_permission/common.get_login_creds"],"target":{"namespace":"android_app",` +
			`"package_name":"com.acme.bank","sha256_cert_fingerprints":["` + appFingerprint + `"]}}]`,
		`{"webcredentials":{"apps":["A1B2C3D4E5.com.acme.bank"]}}`,
	}
	for i, want := range wants {
		for _, ask := range []struct{ query, host string }{
			{"", "example.com"}, {"", "EXAMPLE.com:443"}, {"", "example.com."}, {"?tenant=acme", "auth.biocore.example"}, {"?tenant=acme", ""},
		} {
			a := w.wellKnown(t, documents[i]+ask.query, ask.host)
			if a.status != http.StatusOK || a.raw != want || a.header.Get("Content-Type") != "application/json" ||
				a.header.Get("Cache-Control") != "public, max-age=300" || a.header.Get("Location") != "" {
				t.Errorf("%s%s of %q: %s, want %s", documents[i], ask.query, ask.host, a, want)
			}
		}
		for _, ask := range []struct{ query, host string }{
			{"", "evil.example"}, {"", "login.example.com"}, {"", "127.0.0.1"}, {"?tenant=initech", "example.com"}, {"?tenant=..%2facme", "example.com"},
		} {
			a := w.wellKnown(t, documents[i]+ask.query, ask.host)
			if a.status != http.StatusNotFound || strings.Contains(a.raw, ask.host) || strings.Contains(a.raw, "forwarded") {
				t.Errorf("%s%s of %q: %s, want 404 and nothing repeated", documents[i], ask.query, ask.host, a)
			}
		}
	}
	for _, page := range elsewhere {
		if a := w.at(t, c, page); a.status != http.StatusOK || a.text("decision") != "ALLOW" {
			t.Errorf("%s: %s", page, a)
		}
	}
	// SECURITY 4: exactly these.
	for _, page := range []string{
		"https://example.co.uk/", "https://example.co.uk:443", "http://example.co.uk", "https://www.example.co.uk", "https://EXAMPLE.co.uk",
		"https://brand.example", "https://brand.example:8444", "https://example.co.uk.evil.example", "null", "",
		appOrigin + "=", strings.ToUpper(appOrigin), appOrigin[:len(appOrigin)-1], "android:apk-key-hash:" + appFingerprint,
		"ios:bundle-id:com.acme.bank", "https://example.com:8443",
	} {
		if a := w.at(t, c, page); a.reason() != "ORIGIN_NOT_ALLOWED" {
			t.Errorf("%s: %s, want ORIGIN_NOT_ALLOWED", page, a)
		}
	}
	// A related page may use the publishable key; an app's origin is no page's.
	for page, want := range map[string]int{"https://example.co.uk": http.StatusOK, "https://evil.example": http.StatusForbidden, appOrigin: http.StatusForbidden} {
		if a := w.call(t, "POST", "/v1/authentications:begin", c.publishable, map[string]any{}, "Origin", page); a.status != want {
			t.Errorf("the publishable key on %s: %s, want %d", page, a, want)
		}
	}
	for name, rp := range map[string]map[string]any{
		"six labels": {"relatedOrigins": []string{
			"https://a.example", "https://b.example", "https://c.example", "https://d.example", "https://e.example", "https://f.example",
		}},
		"an own page":           {"relatedOrigins": []string{"https://login.example.com"}},
		"a page elsewhere":      {"passkeyEndpoints": map[string]any{"enroll": "https://evil.example/"}},
		"an app without a team": {"nativeApps": map[string]any{"iosAppIds": []string{"com.acme.bank"}}},
	} {
		if a := patch(rp); a.status != http.StatusBadRequest || a.reason() != "TENANT_INVALID" {
			t.Errorf("%s: %s", name, a)
		}
	}
	for name, rp := range map[string]map[string]any{
		"numbers":             {"relatedOrigins": []any{1, 2}},
		"a short fingerprint": {"nativeApps": map[string]any{"androidApps": []map[string]any{{"packageName": "com.acme.bank", "sha256CertFingerprints": []string{"91:F7"}}}}},
	} {
		if a := patch(rp); a.status != http.StatusBadRequest || a.reason() != "REQUEST_INVALID" {
			t.Errorf("%s: %s", name, a)
		}
	}
	if a := patch(map[string]any{"relatedOrigins": []string{}, "nativeApps": map[string]any{}, "passkeyEndpoints": map[string]any{}}); a.status != http.StatusOK {
		t.Fatalf("taken back: %s", a)
	}
	for _, page := range elsewhere {
		if a := w.at(t, c, page); a.reason() != "ORIGIN_NOT_ALLOWED" {
			t.Errorf("%s after it was taken back: %s", page, a)
		}
	}
	// A second tenant that names the domain gets nothing said of it by Host, and takes the
	// first one's documents away from nobody who asks by slug.
	w.tenant(t, "globex")
	eventually(t, "end of a document that two live tenants lay claim to", func() bool {
		return w.wellKnown(t, "webauthn", "example.com").status == http.StatusNotFound
	})
	if a := w.wellKnown(t, "webauthn?tenant=acme", "example.com"); a.status != http.StatusOK {
		t.Errorf("by slug: %s", a)
	}
}

func TestTenantPlacesCommand(t *testing.T) {
	w := newWorld(t)
	s := newShell(t, w.cfg)
	s.must(t, "tenant", "create", "globex", "--mode", "live", "--rp-id", "example.com")
	changed := s.read(t, "tenant", "settings", "globex", "--related-origin", "https://example.co.uk", "--related-origin", "https://brand.example",
		"--android-app", "com.globex.bank="+appFingerprint, "--ios-app", "A1B2C3D4E5.com.globex.bank", "--passkey-manage-url", "https://example.com/passkeys")
	rp, _ := changed.at("relyingParty").(map[string]any)
	if got := string(marshal(t, rp)); !strings.Contains(got, `"relatedOrigins":["https://example.co.uk","https://brand.example"]`) ||
		!strings.Contains(got, appFingerprint) || !strings.Contains(got, "A1B2C3D4E5.com.globex.bank") || !strings.Contains(got, `"manage":"https://example.com/passkeys"`) {
		t.Errorf("tenant settings --json = %s", got)
	}
	both := s.read(t, "tenant", "settings", "globex", "--passkey-enroll-url", "https://example.com/new")
	if both.text("relyingParty", "passkeyEndpoints", "manage") == "" || both.text("relyingParty", "passkeyEndpoints", "enroll") == "" {
		t.Errorf("one page took the other away: %s", both.raw)
	}
	back := s.read(t, "tenant", "settings", "globex", "--related-origin", "none", "--android-app", "none", "--ios-app", "none", "--passkey-manage-url=", "--passkey-enroll-url=")
	if !strings.Contains(back.raw, `"relatedOrigins": []`) || !strings.Contains(back.raw, `"androidApps": []`) || !strings.Contains(back.raw, `"iosAppIds": []`) {
		t.Errorf("taken back: %s", back.raw)
	}
}
