// Package download answers what is a file and no message: the archive of an export and the audit log, with
// the same keys, scopes and limits as the RPCs beside them (ADR 0046).
package download

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/web/rest"
	"github.com/biocore-id/biocore/web/rpc"
	"github.com/biocore-id/biocore/web/sendfile"
)

// exports opens archives.
type exports interface {
	Download(ctx context.Context, sc scope.Scope, tenant, id uuid.UUID) (*archive.Download, error)
}

// gate knows keys.
type gate interface {
	AnyReader(ctx context.Context, key, wanted string) (scope.Scope, error)
}

// Handler serves GET /admin/v1/tenants/{tenant}/exports/{export}:download. It is safe for
// concurrent use.
type Handler struct {
	exports exports
	gate    gate
	log     *slog.Logger
}

// New returns a Handler.
func New(s *archive.Service, g *rpc.Gate, log *slog.Logger) *Handler {
	return &Handler{exports: s, gate: g, log: log}
}

// Suffix is what the last element of the path ends in.
const Suffix = ":download"

// ServeHTTP implements http.Handler. The path's values are tenant and export.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d, err := h.open(r)
	if err != nil {
		rest.WriteError(w, r, rpc.ToConnect(r.Context(), h.log, err))
		return
	}
	if err := sendfile.Send(w, r, sendfile.File{
		Name: d.Name, Type: archive.MediaType, Size: d.Export.Size, SHA256: d.Export.SHA256,
		Write: d.WriteTo,
	}); err != nil {
		h.log.WarnContext(r.Context(), "a download was broken off", "err", err)
		panic(http.ErrAbortHandler) // so that the client sees it
	}
}

func (h *Handler) open(r *http.Request) (*archive.Download, error) {
	key, ok := rpc.BearerToken(r.Header.Get("Authorization"))
	if !ok {
		return nil, scope.ErrMissing
	}
	sc, err := h.gate.AnyReader(r.Context(), key, apikey.ScopeExportTenant)
	if err != nil {
		return nil, err
	}
	tenant, err := uuid.Parse(r.PathValue("tenant"))
	if err != nil {
		return nil, archive.ErrTenant
	}
	name := r.PathValue("export")
	id, err := archive.ParseID(name[:len(name)-len(Suffix)])
	if err != nil {
		return nil, err
	}
	return h.exports.Download(r.Context(), sc, tenant, id)
}
