package main

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// A model that the metadata describes has its name and icon wherever a credential of it
// is; whoever runs the installation learns which tenants it reaches, by key and by command,
// and no tenant learns of another.
func TestModelsOfTheMetadata(t *testing.T) {
	store := dbtest.Fresh(t)
	by := mdstest.New(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.MDSRootsFile = writeTo(t, "roots.pem", by.RootPEM())
	w := startWorld(t, store, cfg)
	sh := newShell(t, cfg)
	model, other, icon := uuid.New(), uuid.New(), mdstest.Icon(t)
	publish := func(number int, reports ...mdstest.Report) {
		t.Helper()
		sh.must(t, "mds", "sync", "--file", writeTo(t, "blob", by.Sign(t, mdstest.BLOB{Number: number, Entries: []mdstest.Entry{
			{AAGUID: model, Name: "Example key", Icon: icon, Reports: reports}, {AAGUID: other, Name: "Another key"},
		}})))
		if err := w.mds.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	publish(7, mdstest.Report{Status: "FIDO_CERTIFIED_L1"})
	c, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	var err error
	if c.authenticator, err = authenticatortest.New(authenticatortest.Options{Attestation: authenticatortest.PackedSelf, AAGUID: model}); err != nil {
		t.Fatal(err)
	}
	w.enroll(t, c, "alice")
	w.enroll(t, globex, "bob")
	iconPath := "/authenticators/" + model.String() + "/icon"
	named := func(what string, a answer, at ...string) {
		t.Helper()
		if got := a.at(append(at, "authenticatorName")...); got != "Example key" {
			t.Errorf("%s: the name is %v", what, got)
		}
		if got := a.at(append(at, "authenticatorIconUrl")...); got != cfg.PublicURL+iconPath {
			t.Errorf("%s: the icon is at %v", what, got)
		}
		if got := a.at(append(at, "nickname")...); got != "Example key" {
			t.Errorf("%s: the nickname is %v", what, got)
		}
	}
	named("a sign-in", w.call(t, "POST", "/v1/authentications:finish", c.secret, w.assert(t, c, c.secret, map[string]any{}, authenticatortest.Deviation{})), "credential")
	named("GetCredential", w.must(t, "GET", "/v1/credentials/"+c.credential, c.secret, nil))
	if a := w.must(t, "GET", "/v1/credentials/"+globex.credential, globex.secret, nil); a.text("authenticatorName") == "" || a.text("authenticatorIconUrl") != "" || a.text("nickname") != "" {
		t.Errorf("a model that nobody knows: %s", a)
	}

	if status, kind, body := fetchBody(t, w.url+iconPath); status != http.StatusOK || kind != "image/png" || !bytes.Equal(body, icon) {
		t.Errorf("its icon: %d, %s, %d bytes", status, kind, len(body))
	}
	if status, kind, body := fetchBody(t, w.url+"/authenticators/"+other.String()+"/icon"); status != http.StatusOK || kind != "image/svg+xml" || !bytes.HasPrefix(body, []byte("<svg")) {
		t.Errorf("the icon of a model without: %d, %s, %.20q", status, kind, body)
	}

	publish(8, mdstest.Report{Status: "FIDO_CERTIFIED_L1"}, mdstest.Report{Status: mds.UserKeyPhysical})
	listed := w.must(t, "GET", "/admin/v1/metadata/models?pageSize=1&filter="+"name%20%3D%20%22*KEY%22%20AND%20certification%20%3E%3D%20FIDO_CERTIFIED", c.secret, nil)
	if models, _ := listed.at("models").([]any); len(models) != 1 || !strings.Contains(listed.raw, model.String()) || strings.Contains(listed.raw, other.String()) || listed.text("nextPageToken") != "" {
		t.Errorf("ListModels: %s", listed)
	}
	one := w.must(t, "GET", "/admin/v1/authenticators/"+model.String(), c.secret, nil)
	if one.text("name") != "Example key" || one.text("certification") != "FIDO_CERTIFIED_L1" || one.at("credentials") != 1.0 || one.at("users") != 1.0 ||
		one.text("iconUrl") != cfg.PublicURL+iconPath || !strings.Contains(one.raw, `"status":"USER_KEY_PHYSICAL_COMPROMISE"`) {
		t.Errorf("GetAuthenticator: %s", one)
	}
	if a := w.must(t, "GET", "/admin/v1/authenticators/"+model.String(), globex.secret, nil); a.at("credentials") != 0.0 || a.at("users") != 0.0 {
		t.Errorf("another tenant's count: %s", a)
	}
	if a := w.call(t, "GET", "/admin/v1/authenticators/"+uuid.NewString(), c.secret, nil); a.status != http.StatusNotFound || a.reason() != "AUTHENTICATOR_UNKNOWN" {
		t.Errorf("a model that nobody knows: %s", a)
	}

	radii := w.must(t, "GET", "/admin/v1/blastRadii", w.platformKey, nil)
	models, _ := radii.at("models").([]any)
	tenants, _ := radii.at("tenants").([]any)
	if len(models) != 1 || len(tenants) != 1 || !strings.Contains(radii.raw, `"tenantSlug":"`+c.slug+`"`) || !strings.Contains(radii.raw, `"reports":["USER_KEY_PHYSICAL_COMPROMISE"]`) {
		t.Errorf("ListBlastRadii: %s", radii)
	}
	if a := w.call(t, "GET", "/admin/v1/blastRadii", c.secret, nil); a.status != http.StatusForbidden {
		t.Errorf("a tenant asks for all tenants: %s", a)
	}
	if n := w.auditCount(t, scope.PlatformTenant.String(), "authenticator.measure"); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}

	if got := sh.read(t, "mds", "models", "--filter", `name = "example*"`).items("models"); len(got) != 1 || got[0].text("aaguid") != model.String() {
		t.Errorf("mds models: %v", got)
	}
	if out := sh.must(t, "mds", "models"); !strings.Contains(out, "Another key") || !strings.Contains(out, "USER_KEY_PHYSICAL_COMPROMISE") {
		t.Errorf("mds models: %s", out)
	}
	sh.refused(t, 1, "filter:", "mds", "models", "--filter", "x = y")
	if got := sh.read(t, "mds", "show", "--tenant", c.slug, model.String()); got.at("credentials") != 1.0 || got.text("name") != "Example key" || got.at("iconBytes") != float64(len(icon)) {
		t.Errorf("mds show: %s", got)
	}
	if out := sh.must(t, "mds", "show", other.String()); !strings.Contains(out, "Another key") || strings.Contains(out, "credentials") {
		t.Errorf("mds show: %s", out)
	}
	sh.refused(t, 1, "neither the metadata nor this tenant", "mds", "show", uuid.NewString())
	sh.refused(t, 2, "is no model's AAGUID", "mds", "show", "x")
	if got := sh.read(t, "mds", "blast-radius"); len(got.items("models")) != 1 || len(got.items("tenants")) != 1 || got.items("tenants")[0].text("tenantSlug") != c.slug {
		t.Errorf("mds blast-radius: %s", got)
	}
	if out := sh.must(t, "mds", "blast-radius", "--aaguid", model.String(), "--tenant", c.slug); !strings.Contains(out, "Example key") || !strings.Contains(out, c.slug) {
		t.Errorf("mds blast-radius: %s", out)
	}
	if out := sh.must(t, "mds", "blast-radius", "--tenant", globex.slug); !strings.Contains(out, "No tenant has") {
		t.Errorf("mds blast-radius of another: %s", out)
	}
	sh.refused(t, 2, "is no model's AAGUID", "mds", "blast-radius", "--aaguid", uuid.Nil.String())
}

func fetchBody(t *testing.T, url string) (status int, contentType string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Content-Type"), body
}
