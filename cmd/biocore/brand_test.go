package main

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A logo and colours are settled by the API or a command, and read by anybody, as what they are.
func TestBranding(t *testing.T) {
	w := newWorld(t)
	c, other := w.tenant(t, "acme"), w.tenant(t, "globex")
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewNRGBA(image.Rect(0, 0, 32, 16))); err != nil {
		t.Fatal(err)
	}
	patch := func(brand map[string]any, header ...string) answer {
		t.Helper()
		return w.call(t, "PATCH", "/admin/v1/settings", c.secret, map[string]any{"branding": brand}, header...)
	}
	read := w.must(t, "GET", "/admin/v1/settings", c.secret, nil)
	set := patch(map[string]any{"accentColor": "#1A5FB4", "supportUrl": "https://help.acme.example", "logo": base64.StdEncoding.EncodeToString(file.Bytes())}, "If-Match", read.header.Get("ETag"))
	at := set.text("branding", "logoUrl")
	if set.status != http.StatusOK || set.text("branding", "accentColor") != "#1a5fb4" || set.text("branding", "accentColorDark") == "" || at == "" || set.at("branding", "logo") != nil {
		t.Fatalf("set: %s", set)
	}
	get := func(address string) (int, http.Header, []byte) {
		t.Helper()
		res, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, body
	}
	_, path, _ := strings.Cut(at, "/t/")
	path = "/t/" + path
	status, header, body := get(w.url + path)
	if _, err := png.Decode(bytes.NewReader(body)); err != nil || header.Get("Content-Type") != "image/png" || header.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.Contains(header.Get("Content-Security-Policy"), "sandbox") || !strings.Contains(header.Get("Cache-Control"), "max-age=604800") {
		t.Errorf("the logo: %d %v %v", status, header, err)
	}
	for _, none := range []string{strings.Replace(path, c.slug, other.slug, 1), strings.TrimSuffix(path, ".png"), path[:len(path)-6] + "00.png", "/t/initech/logo/x.png"} {
		if status, _, _ := get(w.url + none); status != http.StatusNotFound {
			t.Errorf("%s: %d", none, status)
		}
	}
	if _, _, body := get(w.url + "/t/" + c.slug + "/.well-known/biocore-configuration"); !strings.Contains(string(body), `"light":{"accentColor":"#1a5fb4","inkColor":"#ffffff"}`) ||
		!strings.Contains(string(body), at) || !strings.Contains(string(body), `"supportUrl":"https://help.acme.example"`) {
		t.Errorf("the configuration: %s", body)
	}
	for name, bad := range map[string]map[string]any{
		"a colour that nobody reads": {"accentColor": "#ffcc00"}, "a script": {"supportUrl": "javascript:alert(1)"}, "two addresses": {"supportEmail": "a@b.example, c@d.example"},
		"SVG": {"logo": base64.StdEncoding.EncodeToString([]byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`))},
	} {
		if a := patch(bad); a.status != http.StatusBadRequest || a.reason() != "TENANT_INVALID" {
			t.Errorf("%s: %s", name, a)
		}
	}
	if a := patch(map[string]any{"supportEmail": "x@acme.example"}, "If-Match", read.header.Get("ETag")); a.status != http.StatusConflict && a.status != http.StatusPreconditionFailed {
		t.Errorf("an old etag: %s", a)
	}
	if a := patch(map[string]any{"logo": ""}); a.status != http.StatusOK || a.text("branding", "logoUrl") != "" || a.text("branding", "accentColor") != "#1a5fb4" {
		t.Errorf("without a logo: %s", a)
	}
	s := newShell(t, w.cfg)
	logo := filepath.Join(t.TempDir(), "logo.png")
	if err := os.WriteFile(logo, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := s.read(t, "tenant", "settings", c.slug, "--logo", logo, "--accent-color-dark", "#ffcc00", "--support-email", "help@acme.example", "--reason", "House colours"); len(a.text("branding", "logoSha256")) != 64 ||
		a.text("branding", "accentColorDark") != "#ffcc00" || a.text("branding", "supportEmail") != "help@acme.example" {
		t.Errorf("by a command: %s", a.raw)
	}
}
