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

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, method, path string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	apiref.Handler([]byte("openapi: auth"), []byte("openapi: admin")).ServeHTTP(rec, r)
	return answer{status: rec.Code, header: rec.Header(), body: rec.Body.String()}
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
			if plain.status != http.StatusOK || plain.header.Get("Content-Type") != tt.contentType || !strings.HasPrefix(plain.body, tt.begins) {
				t.Errorf("%d %s %.60q", plain.status, plain.header.Get("Content-Type"), plain.body)
			}
			zipped := get(t, http.MethodGet, tt.path, "Accept-Encoding: gzip, br")
			zr, err := gzip.NewReader(strings.NewReader(zipped.body))
			if err != nil || zipped.header.Get("Content-Encoding") != "gzip" {
				t.Fatalf("not gzipped: %v", err)
			}
			if text, err := io.ReadAll(zr); err != nil || string(text) != plain.body {
				t.Errorf("the gzipped form differs: %v", err)
			}
			if again := get(t, http.MethodGet, tt.path, "If-None-Match: "+plain.header.Get("ETag")); again.status != http.StatusNotModified {
				t.Errorf("asked again: %d, want 304", again.status)
			}
			if refused := get(t, http.MethodGet, tt.path, "Accept-Encoding: gzip;q=0"); refused.header.Get("Content-Encoding") != "" {
				t.Error("gzipped for who refuses it")
			}
		})
	}
	if res := get(t, http.MethodGet, "/docs/api/swagger-ui-bundle.js.gz"); res.status != http.StatusNotFound {
		t.Errorf("a file that is not served: %d", res.status)
	}
}

// The page loads nothing from elsewhere and runs nothing inline: the policy
// forbids both, and what it names exists.
func TestPage(t *testing.T) {
	res := get(t, http.MethodGet, "/docs/api")
	policy := res.header.Get("Content-Security-Policy")
	if policy == "" || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy = %q", policy)
	}
	if inline := regexp.MustCompile(`<script[^>]*>[^<]|<style|\son[a-z]+=|\sstyle=|https?://`).FindString(res.body); inline != "" {
		t.Errorf("the page has %q", inline)
	}
	for _, match := range regexp.MustCompile(`(?:href|src)="(/[^"]*)"`).FindAllStringSubmatch(res.body, -1) {
		if res := get(t, http.MethodHead, match[1]); res.status != http.StatusOK {
			t.Errorf("%s: %d", match[1], res.status)
		}
	}
}
