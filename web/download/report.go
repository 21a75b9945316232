package download

import (
	"context"
	"io"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/report"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/web/rest"
	"github.com/biocore-id/biocore/web/rpc"
	"github.com/biocore-id/biocore/web/sendfile"
)

// reports opens reports.
type reports interface {
	Download(ctx context.Context, sc scope.Scope, id uuid.UUID, name string) (*report.Download, error)
}

// Report serves GET /admin/v1/reports/{report}:download?name=, one file of a report, or all of them in a zip. It is safe
// for concurrent use.
type Report struct {
	reports reports
	gate    readers
	log     *slog.Logger
}

// NewReport returns a Report.
func NewReport(s *report.Service, g *rpc.Gate, log *slog.Logger) *Report {
	return &Report{reports: s, gate: g, log: log}
}

// ServeHTTP implements http.Handler. The path's value is report.
func (h *Report) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d, err := h.open(r)
	if err != nil {
		rest.WriteError(w, r, rpc.ToConnect(r.Context(), h.log, err))
		return
	}
	if err := sendfile.Send(w, r, sendfile.File{
		Name: d.Name, Type: d.Type, Size: int64(len(d.Body)), SHA256: d.SHA256,
		Write: func(_ context.Context, w io.Writer) error {
			_, err := w.Write(d.Body)
			return err
		},
	}); err != nil {
		h.log.WarnContext(r.Context(), "a download was broken off", "err", err)
		panic(http.ErrAbortHandler) // so that the client sees it
	}
}

func (h *Report) open(r *http.Request) (*report.Download, error) {
	key, ok := rpc.BearerToken(r.Header.Get("Authorization"))
	if !ok {
		return nil, scope.ErrMissing
	}
	sc, err := h.gate.Reader(r.Context(), key, apikey.ScopeReportsRead)
	if err != nil {
		return nil, err
	}
	name := r.PathValue("report")
	id, err := report.ParseID(name[:len(name)-len(Suffix)])
	if err != nil {
		return nil, err
	}
	return h.reports.Download(r.Context(), sc, id, r.URL.Query().Get("name"))
}
