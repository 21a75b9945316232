package static_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/web/static"
)

// get asks for a path with headers written "Name: value".
func get(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestServe(t *testing.T) {
	files := static.New()
	const immutable = "public, max-age=31536000, immutable"
	for _, tt := range []struct {
		name         string
		path         string
		wantStatus   int
		wantType     string
		wantCaching  string
		wantContains string
	}{
		{"a style sheet by its versioned URL", files.URL("css/base.css"), 200, "text/css; charset=utf-8", immutable, "@layer base"},
		{"the same without a version", "/static/css/base.css", 200, "text/css; charset=utf-8", "no-cache", "@layer base"},
		{"another release's version", "/static/0123456789abcdef/css/base.css", 200, "text/css; charset=utf-8", "no-cache", "@layer base"},
		{"the sdk", files.URL("biocore.js"), 200, "text/javascript; charset=utf-8", immutable, "DO NOT EDIT"},
		{"the icons", files.URL("icons.svg"), 200, "image/svg+xml", immutable, "<symbol"},
		{"a font", files.URL("fonts/inter-latin.woff2"), 200, "font/woff2", immutable, "wOF2"},
		{"a licence", files.URL("fonts/LICENSE-inter.txt"), 200, "text/plain; charset=utf-8", immutable, "SIL Open Font License"},
		{"no such file", files.URL("css/none.css"), 404, "text/plain; charset=utf-8", "", ""},
		{"a folder", files.URL("css/"), 404, "text/plain; charset=utf-8", "", ""},
		{"a way out", "/static/../static.go", 404, "text/plain; charset=utf-8", "", ""},
		{"Go source", files.URL("static.go"), 404, "text/plain; charset=utf-8", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := get(t, files, tt.path)
			if res.Code != tt.wantStatus {
				t.Fatalf("status = %d, want %d", res.Code, tt.wantStatus)
			}
			if got := res.Header().Get("Content-Type"); got != tt.wantType {
				t.Errorf("Content-Type = %q, want %q", got, tt.wantType)
			}
			if got := res.Header().Get("Cache-Control"); got != tt.wantCaching {
				t.Errorf("Cache-Control = %q, want %q", got, tt.wantCaching)
			}
			if got := res.Header().Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("X-Content-Type-Options = %q, want nosniff", got)
			}
			if got := res.Body.String(); !strings.Contains(got, tt.wantContains) {
				t.Errorf("body lacks %q", tt.wantContains)
			}
		})
	}
}

func TestCompression(t *testing.T) {
	files := static.New()
	for _, tt := range []struct {
		accept string
		want   string
	}{
		{"gzip, deflate, br", "gzip"},
		{"br;q=1.0, gzip;q=0.8", "gzip"},
		{"GZIP", "gzip"},
		{"br, gzip;q=0", ""},
		{"identity", ""},
		{"", ""},
	} {
		t.Run(tt.accept, func(t *testing.T) {
			res := get(t, files, files.URL("css/components.css"), "Accept-Encoding: "+tt.accept)
			if got := res.Header().Get("Content-Encoding"); got != tt.want {
				t.Fatalf("Content-Encoding = %q, want %q", got, tt.want)
			}
			if got := res.Header().Get("Vary"); got != "Accept-Encoding" {
				t.Errorf("Vary = %q, want Accept-Encoding", got)
			}
			var content io.Reader = res.Body
			if tt.want == "gzip" {
				unzipped, err := gzip.NewReader(res.Body)
				if err != nil {
					t.Fatal(err)
				}
				content = unzipped
			}
			got, err := io.ReadAll(content)
			if err != nil {
				t.Fatal(err)
			}
			if plain := get(t, files, files.URL("css/components.css")).Body.String(); string(got) != plain {
				t.Errorf("content differs: %d bytes, want %d", len(got), len(plain))
			}
		})
	}
	if got := get(t, files, files.URL("fonts/inter-latin.woff2"), "Accept-Encoding: gzip").Header().Get("Content-Encoding"); got != "" {
		t.Errorf("a font, compressed already, has Content-Encoding %q", got)
	}
}

func TestRevalidation(t *testing.T) {
	files := static.New()
	etag := get(t, files, "/static/icons.svg").Header().Get("ETag")
	res := get(t, files, "/static/icons.svg", "If-None-Match: "+etag, "Accept-Encoding: gzip")
	if res.Code != http.StatusNotModified {
		t.Errorf("status = %d, want 304 for the same ETag in another encoding", res.Code)
	}
}

func TestOnlyReads(t *testing.T) {
	w := httptest.NewRecorder()
	static.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/static/icons.svg", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST = %d, want 405", w.Code)
	}
}

// TestNeighboursExist follows what files name in each other: a style sheet's
// fonts and a module's imports.
func TestNeighboursExist(t *testing.T) {
	files := static.New()
	for name, reference := range map[string]*regexp.Regexp{
		"css/tokens.css":  regexp.MustCompile(`url\(\.\./([^)]+)\)`),
		"demo/page.js":    regexp.MustCompile(`from "\.\.?/([^"]+)"`),
		"demo/signin.js":  regexp.MustCompile(`from "\.\.?/([^"]+)"`),
		"demo/enroll.js":  regexp.MustCompile(`from "\.\.?/([^"]+)"`),
		"demo/account.js": regexp.MustCompile(`from "\.\.?/([^"]+)"`),
	} {
		found := reference.FindAllStringSubmatch(get(t, files, files.URL(name)).Body.String(), -1)
		if len(found) == 0 {
			t.Errorf("%s names no neighbour: the pattern is wrong", name)
		}
		for _, m := range found {
			here, above := files.URL("demo/"+m[1]), files.URL(m[1])
			if get(t, files, here).Code != 200 && get(t, files, above).Code != 200 {
				t.Errorf("%s names %s, which is not served", name, m[1])
			}
		}
	}
}
