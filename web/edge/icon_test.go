package edge_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/web/edge"
)

// An icon comes from a maker of authenticators, by way of a document that somebody else
// signs: it is a picture and nothing more, and everybody sees the same.
func TestIcons(t *testing.T) {
	known := uuid.MustParse("2fc0579f-8113-47ea-b116-bb5a8db9202a")
	picture, fallback := []byte("picture"), []byte("<svg/>")
	h := handler(edge.Options{Icons: edge.Icons(func(aaguid uuid.UUID) []byte {
		if aaguid == known {
			return picture
		}
		return nil
	}, fallback)})
	get := func(method, aaguid, etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/authenticators/"+aaguid+"/icon", nil)
		if etag != "" {
			r.Header.Set("If-None-Match", etag)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, tt := range []struct{ name, aaguid, body, kind, cache string }{
		{"a model with an icon", known.String(), "picture", "image/png", "public, max-age=604800"},
		{"a model that nobody knows", "11111111-2222-3333-4444-555555555555", "<svg/>", "image/svg+xml", "public, max-age=3600"},
		{"the zero AAGUID", uuid.Nil.String(), "<svg/>", "image/svg+xml", "public, max-age=3600"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := get(http.MethodGet, tt.aaguid, "")
			if w.Code != http.StatusOK || w.Body.String() != tt.body {
				t.Fatalf("GET = %d %q", w.Code, w.Body)
			}
			for name, want := range map[string]string{
				"Content-Type": tt.kind, "Cache-Control": tt.cache, "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "cross-origin",
				"Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
			} {
				if got := w.Header().Values(name); len(got) != 1 || got[0] != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
			etag := w.Header().Get("ETag")
			if again := get(http.MethodGet, tt.aaguid, etag); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
				t.Errorf("the same again = %d, %d bytes", again.Code, again.Body.Len())
			}
			if other := get(http.MethodGet, tt.aaguid, `"other"`); other.Code != http.StatusOK {
				t.Errorf("another one before = %d", other.Code)
			}
			if head := get(http.MethodHead, tt.aaguid, ""); head.Code != http.StatusOK || head.Body.Len() != 0 {
				t.Errorf("HEAD = %d, %d bytes", head.Code, head.Body.Len())
			}
		})
	}
	for name, aaguid := range map[string]string{
		"upper case": strings.ToUpper(known.String()), "without hyphens": strings.ReplaceAll(known.String(), "-", ""),
		"braces": "%7B" + known.String() + "%7D", "a URN": "urn:uuid:" + known.String(), "no AAGUID": "icons", "a path": "..%2f..%2fetc",
	} {
		if w := get(http.MethodGet, aaguid, ""); w.Code != http.StatusNotFound || strings.Contains(w.Header().Get("Cache-Control"), "public") {
			t.Errorf("%s = %d, %q", name, w.Code, w.Header().Get("Cache-Control"))
		}
	}
	if w := get(http.MethodPost, known.String(), ""); w.Code != http.StatusNotFound {
		t.Errorf("POST = %d", w.Code)
	}
}
