// Package apiref serves the descriptions of the API, and the page on which
// people read and try them: Swagger UI, embedded whole, so that it works
// offline. README.md says where its files come from.
package apiref

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

//go:embed index.html page.css init.js swagger-ui-bundle.js.gz swagger-ui.css.gz
var embedded embed.FS

// policy lets the page load its own files and call this server, nothing else.
// Swagger UI's style sheet holds its icons as data: URLs; scripts and styles
// come from files alone.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// file is something that is served. Both forms are made when first asked for.
type file struct {
	contentType string
	etag        string
	plain       func() []byte
	gzipped     func() []byte
	page        bool // carries the policy
}

// Handler serves
//
//	/openapi/auth.yaml, /openapi/admin.yaml   the descriptions
//	/docs/api, /docs/api/admin                the page, on either
//	/docs/api/NAME                            the page's files
//
// to GET and HEAD. auth and admin are the descriptions, as YAML. Mount it on
// /openapi/, /docs/api and /docs/api/. It panics if what is embedded cannot be
// read, which a test rules out.
func Handler(auth, admin []byte) http.Handler {
	page := embeddedFile("index.html", "text/html; charset=utf-8")
	page.page = true
	files := map[string]file{
		"/openapi/auth.yaml":             newFile(auth, "application/yaml"), // RFC 9512
		"/openapi/admin.yaml":            newFile(admin, "application/yaml"),
		"/docs/api":                      page,
		"/docs/api/":                     page,
		"/docs/api/admin":                page,
		"/docs/api/page.css":             embeddedFile("page.css", "text/css; charset=utf-8"),
		"/docs/api/init.js":              embeddedFile("init.js", "text/javascript; charset=utf-8"),
		"/docs/api/swagger-ui.css":       embeddedFile("swagger-ui.css.gz", "text/css; charset=utf-8"),
		"/docs/api/swagger-ui-bundle.js": embeddedFile("swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8"),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		f.serve(w, r)
	})
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", f.contentType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-cache") // ask each time: most times the answer is 304
	header.Set("ETag", f.etag)
	header.Set("Vary", "Accept-Encoding")
	if f.page {
		header.Set("Content-Security-Policy", policy)
		header.Set("Referrer-Policy", "no-referrer")
	}
	content := f.plain
	// A client that weighs its encodings gets the plain form.
	if accept := r.Header.Get("Accept-Encoding"); strings.Contains(accept, "gzip") && !strings.Contains(accept, "gzip;") {
		header.Set("Content-Encoding", "gzip")
		content = f.gzipped
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content()))
}

// newFile serves content, compressed here.
func newFile(content []byte, contentType string) file {
	return file{
		contentType: contentType,
		etag:        etag(content),
		plain:       func() []byte { return content },
		gzipped:     sync.OnceValue(func() []byte { return compress(content) }),
	}
}

// embeddedFile serves an embedded file, one that ends in .gz as it is.
func embeddedFile(name, contentType string) file {
	content, err := embedded.ReadFile(name)
	if err != nil {
		panic(fmt.Sprintf("apiref: %v", err))
	}
	if !strings.HasSuffix(name, ".gz") {
		return newFile(content, contentType)
	}
	return file{
		contentType: contentType,
		etag:        etag(content),
		plain:       func() []byte { return decompress(content) }, // for the few who cannot: not kept
		gzipped:     func() []byte { return content },
	}
}

// etag is weak, because both encodings carry it (RFC 9110 §8.8.1).
func etag(content []byte) string {
	sum := sha256.Sum256(content)
	return `W/"` + hex.EncodeToString(sum[:12]) + `"`
}

func compress(content []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(content) // a bytes.Buffer takes all it is given
	_ = w.Close()
	return out.Bytes()
}

func decompress(content []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		panic(fmt.Sprintf("apiref: %v", err))
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		panic(fmt.Sprintf("apiref: %v", err))
	}
	return plain
}
