package edge

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// JWKSMaxAge is how long verifiers may keep a tenant's key set. A new signing key
// is published for longer than this before it signs.
const JWKSMaxAge = 5 * time.Minute

// JWKS serves a tenant's public signing keys by its slug (RFC 7517 §5). Anybody may
// read them, from any origin.
func JWKS(keySet func(ctx context.Context, slug string) ([]byte, error)) http.Handler {
	cacheControl := "public, max-age=" + strconv.Itoa(int(JWKSMaxAge.Seconds()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys, err := keySet(r.Context(), r.PathValue("slug"))
		if err != nil {
			f, ok := fault.As(err)
			switch {
			case ok && f.Kind == fault.NotFound:
				http.Error(w, "no such tenant", http.StatusNotFound)
			case ok && f.Kind == fault.Exhausted:
				w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(f.RetryAfter, time.Second).Seconds()))))
				http.Error(w, "too many requests", http.StatusTooManyRequests)
			default:
				w.Header().Set("Retry-After", "2")
				http.Error(w, "unavailable", http.StatusServiceUnavailable)
			}
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", cacheControl)
		_, _ = w.Write(keys)
	})
}
