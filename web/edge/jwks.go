package edge

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// JWKSMaxAge is how long verifiers may keep a tenant's key set. A new signing key
// is published for longer than this before it signs.
const JWKSMaxAge = 5 * time.Minute

// JWKS serves a tenant's public signing keys by its slug (RFC 7517 §5). Anybody may
// read them, from any origin. What hinders it goes to log.
func JWKS(log *slog.Logger, keySet func(ctx context.Context, slug string) ([]byte, error)) http.Handler {
	return published(log, "application/jwk-set+json", JWKSMaxAge, keySet)
}

// documentMaxAge is how long what describes a tenant may be kept.
const documentMaxAge = 5 * time.Minute

// Document serves what anybody may read of a tenant, by its slug: JSON, from any origin.
// What hinders it goes to log.
func Document(log *slog.Logger, read func(ctx context.Context, slug string) ([]byte, error)) http.Handler {
	return published(log, "application/json", documentMaxAge, read)
}

// Place serves what is looked for below a relying party's own domain: JSON, from any
// origin. Whose is said by ?tenant= and its slug or, without it, by the Host that is asked:
// it chooses among documents, and is not repeated in one.
func Place(log *slog.Logger, read func(ctx context.Context, slug, host string) ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slug, host := r.URL.Query().Get("tenant"), hostName(r.Host)
		published(log, "application/json", documentMaxAge, func(ctx context.Context, _ string) ([]byte, error) {
			return read(ctx, slug, host)
		}).ServeHTTP(w, r)
	})
}

// logoMaxAge is for good, nearly: another logo has another address.
const logoMaxAge = 7 * 24 * time.Hour

// Logo serves a tenant's logo, a PNG, by its slug and its SHA-256: to anybody, for pages of
// any origin. Opened as a page it is inert. What hinders it goes to log.
func Logo(log *slog.Logger, read func(ctx context.Context, slug, sha256 string) ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		digest, ok := strings.CutSuffix(r.PathValue("file"), ".png")
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", iconPolicy)
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		published(log, "image/png", logoMaxAge, func(ctx context.Context, slug string) ([]byte, error) {
			return read(ctx, slug, digest)
		}).ServeHTTP(w, r)
	})
}

func published(
	log *slog.Logger, contentType string, maxAge time.Duration, read func(ctx context.Context, slug string) ([]byte, error),
) http.Handler {
	cacheControl := "public, max-age=" + strconv.Itoa(int(maxAge.Seconds()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := read(r.Context(), r.PathValue("slug"))
		if err != nil {
			f, ok := fault.As(err)
			switch {
			case ok && f.Kind == fault.NotFound:
				http.Error(w, f.Message, http.StatusNotFound)
			case ok && f.Kind == fault.Exhausted:
				w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(f.RetryAfter, time.Second).Seconds()))))
				http.Error(w, "too many requests", http.StatusTooManyRequests)
			default:
				// The reader learns nothing of the cause; a reader that went away is none.
				if !errors.Is(err, context.Canceled) {
					log.WarnContext(r.Context(), "nothing to publish", "path", sanitize(r.URL.Path, 256), "err", err)
				}
				w.Header().Set("Retry-After", "2")
				http.Error(w, "unavailable", http.StatusServiceUnavailable)
			}
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", cacheControl)
		_, _ = w.Write(text)
	})
}
