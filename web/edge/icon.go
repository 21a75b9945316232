package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// How long browsers and proxies may keep an icon. A model's changes with the metadata,
// seldom; a model that is unknown today may be known tomorrow.
const (
	iconCacheControl    = "public, max-age=604800"
	defaultCacheControl = "public, max-age=3600"
)

// iconPolicy makes inert whatever an icon would be in a browser that opens it as a page.
const iconPolicy = "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// Icons serves the icons of authenticators' models by their AAGUID, to anybody, for pages
// of any origin: as PNG what icon returns, and fallback, an SVG, where that is nil. The
// AAGUID has one spelling, lower case with hyphens; for anything else there is nothing,
// so that nobody fills a cache with one icon under many names.
func Icons(icon func(uuid.UUID) []byte, fallback []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.PathValue("aaguid")
		aaguid, err := uuid.Parse(text)
		if err != nil || aaguid.String() != text {
			http.NotFound(w, r)
			return
		}
		content, contentType, cacheControl := icon(aaguid), "image/png", iconCacheControl
		if content == nil {
			content, contentType, cacheControl = fallback, "image/svg+xml", defaultCacheControl
		}
		sum := sha256.Sum256(content)
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", cacheControl)
		h.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", iconPolicy)
		h.Set("Cross-Origin-Resource-Policy", "cross-origin") // for tenants' pages, those under COEP too
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}
