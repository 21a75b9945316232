package edge

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/biocore-id/biocore/web/download"
	"github.com/biocore-id/biocore/web/rpc"
)

// arrive is the outermost handler of the public port: it learns where the request
// came from, bounds it in time and size, answers with the headers that every
// response has, and writes the request log.
func arrive(next http.Handler, trustedHops int, hsts bool, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		o := origin(r, trustedHops)
		ctx := rpc.NewHeaderContext(rpc.NewOriginContext(r.Context(), o), w.Header())
		if !streams(r) {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, requestTimeout)
			defer cancel()
		}
		h := w.Header()
		h["X-Request-Id"] = []string{o.RequestID}
		h["X-Content-Type-Options"] = nosniff
		h["Referrer-Policy"] = noReferrer
		h["X-Frame-Options"] = frameDeny
		h["Content-Security-Policy"] = apiPolicy // pages set their own
		if hsts {
			h["Strict-Transport-Security"] = hstsYear
		}
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		// A copy: the server looks at the body of its own request to see whether a
		// handler has left some of it unread. With another body in its place it would
		// take the rest for the next request (request smuggling).
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, bodyBytes(r)+frameBytes+1) // one more, so that the handler can tell and say so
		next.ServeHTTP(rec, r)

		level := slog.LevelDebug // a good call is told by its trace, metrics and audit entry
		if rec.status >= 500 {
			level = slog.LevelWarn
		} else if rec.status >= 400 {
			level = slog.LevelInfo
		}
		if log.Enabled(ctx, level) {
			log.LogAttrs(ctx, level, "request",
				slog.String("method", r.Method), slog.String("path", sanitize(r.URL.Path, 256)),
				slog.Int("status", rec.status), slog.Duration("took", time.Since(began)), slog.String("addr", o.Address.String()))
		}
	})
}

// Header values that never change, so that no request allocates them. They must not
// be written to.
var (
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	frameDeny  = []string{"DENY"}
	hstsYear   = []string{"max-age=31536000; includeSubDomains"}
	apiPolicy  = []string{"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}
)

// bodyBytes is how large a body may be: the console bounds by itself what is posted to its forms that have files.
func bodyBytes(r *http.Request) int64 {
	if place, ok := strings.CutPrefix(r.URL.Path, "/console/t/"); ok && r.Method == http.MethodPost {
		if _, path, _ := strings.Cut(place, "/"); path == "data-map/findings/import" || path == "compliance/catalogues" || strings.HasPrefix(path, "compliance/catalogues/") {
			return maxFileBytes
		}
	}
	return maxBodyBytes
}

// streams reports a call that may last: the routes of live events, and of archives. Any other
// is bounded in time, whatever its path looks like.
func streams(r *http.Request) bool {
	if isExport(r) {
		return true
	}
	path := r.URL.Path
	if place, ok := strings.CutPrefix(path, "/console/t/"); ok {
		_, path, _ = strings.Cut(place, "/")
		return r.Method == http.MethodGet && (path == "ceremonies/events" || path == "activity/events")
	}
	return r.Method == http.MethodGet && path == "/admin/v1/ceremonies/events"
}

// isExport reports a download of a tenant's archive, of a user's, or of the audit log, which may be large.
func isExport(r *http.Request) bool {
	switch console := strings.HasPrefix(r.URL.Path, "/console/t/"); {
	case r.Method == http.MethodGet && (r.URL.Path == "/admin/v1/auditEvents:export" || r.URL.Path == "/admin/v1/auditArchives:download"):
		return true
	case r.Method == http.MethodPost && console && strings.HasSuffix(r.URL.Path, "/export"): // of the log, of a user
		return true
	}
	if user, ok := strings.CutPrefix(r.URL.Path, "/admin/v1/users/"); ok && r.Method == http.MethodPost {
		return strings.HasSuffix(user, download.ExportSuffix)
	}
	return strings.Contains(r.URL.Path, "/exports/") && (strings.HasSuffix(r.URL.Path, download.Suffix) || strings.HasSuffix(r.URL.Path, "/download")) // the API's, and the console's
}

// recorder remembers the status for the request log.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Flush is what gRPC and streams ask for by type assertion.
func (r *recorder) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// crossOrigin lets tenants' pages call the API. A preflight carries no key, so it
// cannot be told whose page asks: it allows any origin, without credentials
// (cookies mean nothing to the API), and the real call is checked against the
// tenant's origins.
func crossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") == "" {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h["Access-Control-Allow-Origin"] = anyOrigin
		h["Access-Control-Expose-Headers"] = exposed
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
			h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "+
				"Connect-Protocol-Version, Connect-Timeout-Ms, Grpc-Timeout, X-Grpc-Web, X-User-Agent, X-Biocore-Client-Token, X-API-Key, Traceparent, Tracestate")
			h.Set("Access-Control-Max-Age", "7200") // Chromium's cap
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

var (
	anyOrigin = []string{"*"}
	exposed   = []string{"X-Request-Id, Retry-After, ETag, RateLimit, RateLimit-Policy, Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin"}
)
