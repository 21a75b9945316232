package edge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/biocore-id/biocore/web/edge"
)

func TestConstant(t *testing.T) {
	ask := func(h http.Handler, method, etag string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest(method, "/schemas/policy/v1.json", nil)
		r.Header.Set("Origin", "https://editor.example")
		if etag != "" {
			r.Header.Set("If-None-Match", etag)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	one := handler(edge.Options{Schema: edge.Constant("application/schema+json", []byte(`{"a":1}`))})
	other := handler(edge.Options{Schema: edge.Constant("application/schema+json", []byte(`{"a":2}`))})
	got := ask(one, http.MethodGet, "")
	etag := got.Header().Get("ETag")
	if got.Code != http.StatusOK || got.Body.String() != `{"a":1}` || got.Header().Get("Content-Type") != "application/schema+json" || etag == "" ||
		got.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("GET = %d %s %v", got.Code, got.Body, got.Header())
	}
	if w := ask(one, http.MethodGet, etag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("with its ETag = %d %s, want 304", w.Code, w.Body)
	}
	if w := ask(other, http.MethodGet, etag); w.Code != http.StatusOK || w.Body.String() != `{"a":2}` {
		t.Errorf("another text with the ETag of the first = %d %s, want the text", w.Code, w.Body)
	}
	if w := ask(one, http.MethodHead, ""); w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("ETag") != etag {
		t.Errorf("HEAD = %d %s %v", w.Code, w.Body, w.Header())
	}
	if w := ask(one, http.MethodPost, ""); w.Code == http.StatusOK {
		t.Errorf("POST = %d", w.Code)
	}
}
