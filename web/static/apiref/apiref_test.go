package apiref_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/web/static/apiref"
)

func get(t *testing.T, method, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	apiref.Handler([]byte("openapi: auth"), []byte("openapi: admin")).ServeHTTP(rec, r)
	return rec.Result()
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestHandler(t *testing.T) {
	for _, tt := range []struct{ path, contentType, begins string }{
		{"/openapi/auth.yaml", "application/yaml", "openapi: auth"},
		{"/openapi/admin.yaml", "application/yaml", "openapi: admin"},
		{"/docs/api", "text/html; charset=utf-8", "<!doctype html>"},
		{"/docs/api/", "text/html; charset=utf-8", "<!doctype html>"},
		{"/docs/api/admin", "text/html; charset=utf-8", "<!doctype html>"},
		{"/docs/api/init.js", "text/javascript; charset=utf-8", "// Starts Swagger UI"},
		{"/docs/api/page.css", "text/css; charset=utf-8", "/* Around Swagger UI"},
		{"/docs/api/swagger-ui.css", "text/css; charset=utf-8", ".swagger-ui"},
		{"/docs/api/swagger-ui-bundle.js", "text/javascript; charset=utf-8", "/*!"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			plain := get(t, http.MethodGet, tt.path)
			body := read(t, plain.Body)
			if plain.StatusCode != http.StatusOK || plain.Header.Get("Content-Type") != tt.contentType || !strings.HasPrefix(body, tt.begins) {
				t.Errorf("%s %s %.60q", plain.Status, plain.Header.Get("Content-Type"), body)
			}
			zipped := get(t, http.MethodGet, tt.path, "Accept-Encoding: gzip, br")
			zr, err := gzip.NewReader(zipped.Body)
			if err != nil || zipped.Header.Get("Content-Encoding") != "gzip" {
				t.Fatalf("not gzipped: %v", err)
			}
			if read(t, zr) != body {
				t.Error("the gzipped form differs")
			}
			if again := get(t, http.MethodGet, tt.path, "If-None-Match: "+plain.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
				t.Errorf("asked again: %s, want 304", again.Status)
			}
			if refused := get(t, http.MethodGet, tt.path, "Accept-Encoding: gzip;q=0"); refused.Header.Get("Content-Encoding") != "" {
				t.Error("gzipped for who refuses it")
			}
		})
	}
	if res := get(t, http.MethodGet, "/docs/api/swagger-ui-bundle.js.gz"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a file that is not served: %s", res.Status)
	}
}

// The page loads nothing from elsewhere and runs nothing inline: the policy
// forbids both, and what it names exists.
func TestPage(t *testing.T) {
	res := get(t, http.MethodGet, "/docs/api")
	policy := res.Header.Get("Content-Security-Policy")
	if policy == "" || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy = %q", policy)
	}
	body := read(t, res.Body)
	if inline := regexp.MustCompile(`<script[^>]*>[^<]|<style|\son[a-z]+=|\sstyle=|https?://`).FindString(body); inline != "" {
		t.Errorf("the page has %q", inline)
	}
	for _, match := range regexp.MustCompile(`(?:href|src)="(/[^"]*)"`).FindAllStringSubmatch(body, -1) {
		if res := get(t, http.MethodHead, match[1]); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", match[1], res.Status)
		}
	}
}
