// Package static holds what pages load beside their HTML: the design system's
// style sheets, two typefaces, the icon sprite, the pages' scripts and the
// JavaScript SDK. All of it is embedded, so one binary serves whole pages and
// no page reaches for a third party.
//
// Style sheets load in the order tokens, base, layout, components, charts;
// demo only on the demo's pages. Every file works under a policy of 'self'.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/biocore-id/biocore/sdk/js"
)

// Prefix is the path that a Files must be mounted on.
const Prefix = "/static/"

//go:embed console css demo fonts icons.svg authenticator.svg LICENSE-lucide.txt
var embedded embed.FS

// minGzipBytes is where compression starts to pay: below it the header and
// Vary cost about what is saved.
const minGzipBytes = 1024

// contentTypes are fixed here because package mime also reads the system's
// tables, and an SVG that some machine calls text/xml draws no icons.
var contentTypes = map[string]string{
	".css":   "text/css; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".svg":   "image/svg+xml",
	".txt":   "text/plain; charset=utf-8",
	".woff2": "font/woff2",
}

// versionSegment is the shape of a version in a path, ours or another release's.
var versionSegment = regexp.MustCompile(`^[0-9a-f]{16}/`)

// Files serves the embedded files below Prefix. It is safe for concurrent use.
type Files struct {
	version string
	files   map[string]*file
}

// file is one embedded file and how it goes out.
type file struct {
	contentType string
	etag        string
	plain       []byte
	gzipped     func() []byte // nil where compression doesn't pay
}

// New reads what is embedded; it fails only by a mistake in this package, and
// then panics. Files are compressed when they are first asked for.
func New() *Files {
	f := &Files{files: map[string]*file{}}
	f.add("biocore.js", []byte(js.Module))
	err := fs.WalkDir(embedded, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		f.add(name, content)
		return nil
	})
	if err != nil {
		panic(fmt.Sprintf("static: read embedded files: %v", err))
	}
	f.version = f.digest()
	return f
}

// Handler returns the files as a handler to mount on Prefix.
func Handler() http.Handler { return New() }

func (f *Files) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	one := &file{
		contentType: contentTypes[path.Ext(name)],
		// Weak, because both encodings carry it (RFC 9110 §8.8.1).
		etag:  `W/"` + hex.EncodeToString(sum[:12]) + `"`,
		plain: content,
	}
	if one.contentType == "" {
		panic("static: no content type for " + name)
	}
	if len(content) >= minGzipBytes && !strings.HasSuffix(name, ".woff2") {
		one.gzipped = sync.OnceValue(func() []byte { return compress(content) })
	}
	f.files[name] = one
}

// digest names the whole set: any change to any file changes every URL. That
// is coarse, but it lets a style sheet and a module name their neighbours
// relatively and still be cached for good.
func (f *Files) digest() string {
	names := make([]string, 0, len(f.files))
	for name := range f.files {
		names = append(names, name)
	}
	slices.Sort(names)
	h := sha256.New()
	for _, name := range names {
		fmt.Fprintf(h, "%s %s\n", name, f.files[name].etag)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// URL returns the path under which a page should load a file, such as
// "css/base.css". Its answer may be cached for good, because the path changes
// with the content.
func (f *Files) URL(name string) string { return Prefix + f.version + "/" + name }

// AuthenticatorIcon returns the icon of an authenticator whose model has none: an SVG that
// goes with light and dark. Nobody changes it.
func (f *Files) AuthenticatorIcon() []byte { return f.files["authenticator.svg"].plain }

// ServeHTTP answers GET and HEAD for Prefix + version + "/" + name, and without
// the version for people and tools, who are told to ask again each time.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, Prefix)
	cacheControl := "no-cache"
	if version := versionSegment.FindString(name); version != "" {
		name = name[len(version):]
		// During a rollout a page of one release may load from another. It gets
		// what there is, but must not keep it under that name.
		if version == f.version+"/" {
			cacheControl = "public, max-age=31536000, immutable"
		}
	}
	one, ok := f.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}

	content := one.plain
	header := w.Header()
	header.Set("Content-Type", one.contentType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", cacheControl)
	header.Set("ETag", one.etag)
	if one.gzipped != nil {
		header.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			header.Set("Content-Encoding", "gzip")
			content = one.gzipped()
		}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// acceptsGzip reads Accept-Encoding far enough for gzip (RFC 9110 §12.5.3).
func acceptsGzip(values []string) bool {
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		coding, params, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q, found := strings.CutPrefix(strings.TrimSpace(params), "q=")
		if !found {
			return true
		}
		weight, err := strconv.ParseFloat(q, 64)
		return err == nil && weight > 0
	}
	return false
}

func compress(content []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(fmt.Sprintf("static: %v", err)) // the level is a constant of the package's own
	}
	// A bytes.Buffer takes all it is given.
	_, _ = w.Write(content)
	_ = w.Close()
	return out.Bytes()
}
