package edge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/web/edge"
)

// The reader of a key set is told when to come again, and the operator why there is none.
func TestPublishedRefusals(t *testing.T) {
	absent := fault.New(fault.NotFound, "TENANT_UNKNOWN", "no such tenant")
	for _, tt := range []struct {
		name   string
		err    error
		status int
		logged int
	}{
		{"no such tenant", absent, http.StatusNotFound, 0},
		{"too many guesses", fault.New(fault.Exhausted, "RATE_LIMITED", "too many"), http.StatusTooManyRequests, 0},
		{"a dependency is gone", fault.New(fault.Unavailable, "KMS_UNAVAILABLE", "no answer").WithCause(errors.New("dial tcp")), http.StatusServiceUnavailable, 1},
		{"an error of ours", errors.New("dial tcp"), http.StatusServiceUnavailable, 1},
		{"the reader is gone", fmt.Errorf("read: %w", context.Canceled), http.StatusServiceUnavailable, 0},
	} {
		for kind, published := range map[string]func(*slog.Logger, func(context.Context, string) ([]byte, error)) http.Handler{
			"JWKS": edge.JWKS, "Document": edge.Document,
		} {
			var log bytes.Buffer
			h := published(slog.New(slog.NewTextHandler(&log, nil)), func(context.Context, string) ([]byte, error) { return nil, tt.err })
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/t/acme/.well-known/x", nil))
			if w.Code != tt.status || (w.Header().Get("Retry-After") == "") != (tt.status == http.StatusNotFound) {
				t.Errorf("%s, %s: %d, %v", kind, tt.name, w.Code, w.Header())
			}
			if strings.Contains(w.Body.String(), "dial") || strings.Count(log.String(), "dial tcp") != tt.logged || strings.Count(log.String(), "\n") != tt.logged {
				t.Errorf("%s, %s: told %q, logged %q", kind, tt.name, w.Body, log.String())
			}
		}
	}
}
