// Package download answers what is a file and no message: the archive of an export, with
// the same keys, scope and limits as the RPCs beside it (ADR 0046).
package download

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/web/rest"
	"github.com/biocore-id/biocore/web/rpc"
)

// exports opens archives.
type exports interface {
	Download(ctx context.Context, sc scope.Scope, tenant, id uuid.UUID) (*archive.Download, error)
}

// gate knows keys.
type gate interface {
	Reader(ctx context.Context, key, wanted string) (scope.Scope, error)
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
	if err := Send(w, r, d); err != nil {
		h.log.WarnContext(r.Context(), "a download was broken off", "err", err)
		panic(http.ErrAbortHandler) // so that the client sees it
	}
}

func (h *Handler) open(r *http.Request) (*archive.Download, error) {
	key, ok := rpc.BearerToken(r.Header.Get("Authorization"))
	if !ok {
		return nil, scope.ErrMissing
	}
	sc, err := h.gate.Reader(r.Context(), key, apikey.ScopeExportTenant)
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

// stall is how long a client may take for one part.
const stall = time.Minute

// Send answers an archive: its length, its SHA-256 (RFC 9530) and then its bytes. An error
// after the header leaves the connection to be broken off.
func Send(w http.ResponseWriter, r *http.Request, d *archive.Download) error {
	sum, err := hex.DecodeString(d.Export.SHA256)
	if err != nil {
		return err
	}
	head := w.Header()
	head.Set("Content-Type", "application/zip")
	head.Set("Content-Disposition", `attachment; filename="`+d.Name+`"`)
	head.Set("Content-Length", strconv.FormatInt(d.Export.Size, 10))
	head.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	head.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	return d.WriteTo(r.Context(), &patient{ResponseController: http.NewResponseController(w), w: w})
}

// patient gives each part its own time, instead of the whole answer.
type patient struct {
	*http.ResponseController

	w io.Writer
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.w.Write(b)
}
