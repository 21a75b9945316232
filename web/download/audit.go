package download

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/web/rest"
	"github.com/biocore-id/biocore/web/rpc"
	"github.com/biocore-id/biocore/web/sendfile"
)

// auditLog writes bundles.
type auditLog interface {
	Export(ctx context.Context, sc scope.Scope, from int64, w io.Writer) error
}

// readers knows server keys.
type readers interface {
	Reader(ctx context.Context, key, wanted string) (scope.Scope, error)
}

// Audit serves GET /admin/v1/auditEvents:export?from=, the tenant's audit log from an entry on, as a
// bundle: entry after entry, however many there are. It is safe for concurrent use.
type Audit struct {
	entries auditLog
	gate    readers
	log     *slog.Logger
}

// NewAudit returns an Audit.
func NewAudit(r *trail.Reader, g *rpc.Gate, log *slog.Logger) *Audit {
	return &Audit{entries: r, gate: g, log: log}
}

// NewArchives returns an Audit that serves GET /admin/v1/auditArchives:download?from=, the archive that begins at an
// entry.
func NewArchives(s *cold.Service, g *rpc.Gate, log *slog.Logger) *Audit {
	return &Audit{entries: archives{s}, gate: g, log: log}
}

type archives struct{ *cold.Service }

// Export implements auditLog.
func (a archives) Export(ctx context.Context, sc scope.Scope, from int64, w io.Writer) error {
	return a.Read(ctx, sc, from, w)
}

// ServeHTTP implements http.Handler.
func (h *Audit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sc, from, err := h.open(r)
	if err != nil {
		rest.WriteError(w, r, rpc.ToConnect(r.Context(), h.log, err))
		return
	}
	begun, err := sendfile.Stream(w, r, sendfile.File{
		Name: bundle.FileName(sc.Tenant(), from), Type: bundle.MediaType,
		Write: func(ctx context.Context, w io.Writer) error { return h.entries.Export(ctx, sc, from, w) },
	})
	switch {
	case err == nil:
	case !begun:
		rest.WriteError(w, r, rpc.ToConnect(r.Context(), h.log, err))
	default:
		h.log.WarnContext(r.Context(), "a download was broken off", "err", err)
		panic(http.ErrAbortHandler) // so that the client sees it
	}
}

func (h *Audit) open(r *http.Request) (scope.Scope, int64, error) {
	key, ok := rpc.BearerToken(r.Header.Get("Authorization"))
	if !ok {
		return scope.Scope{}, 0, scope.ErrMissing
	}
	sc, err := h.gate.Reader(r.Context(), key, apikey.ScopeAuditRead)
	if err != nil {
		return scope.Scope{}, 0, err
	}
	text := r.URL.Query().Get("from")
	if text == "" {
		return sc, 0, nil
	}
	from, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return scope.Scope{}, 0, trail.ErrSizes.WithCause(err)
	}
	return sc, from, nil
}
