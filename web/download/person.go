package download

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/web/rest"
	"github.com/biocore-id/biocore/web/rpc"
	"github.com/biocore-id/biocore/web/sendfile"
)

// persons makes archives of one user.
type persons interface {
	OfPerson(ctx context.Context, sc scope.Scope, req archive.PersonRequest) (*archive.Person, error)
}

// Person serves POST /admin/v1/users/{user}:export, all that the tenant has of one user, as an archive that is written while it is read. It is
// safe for concurrent use.
type Person struct {
	persons persons
	gate    readers
	log     *slog.Logger
}

// NewPerson returns a Person.
func NewPerson(s *archive.Service, g *rpc.Gate, log *slog.Logger) *Person {
	return &Person{persons: s, gate: g, log: log}
}

// ExportSuffix is what the last element of its path ends in.
const ExportSuffix = ":export"

// ServeHTTP implements http.Handler. The path's value is user.
func (h *Person) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, err := h.open(w, r)
	if err != nil {
		rest.WriteError(w, r, rpc.ToConnect(r.Context(), h.log, err))
		return
	}
	begun, err := sendfile.Stream(w, r, sendfile.File{Name: p.Name, Type: archive.MediaType, Write: p.WriteTo})
	switch {
	case err == nil:
	case !begun:
		rest.WriteError(w, r, rpc.ToConnect(r.Context(), h.log, err))
	default:
		h.log.WarnContext(r.Context(), "a download was broken off", "err", err)
		panic(http.ErrAbortHandler) // so that the client sees it
	}
}

// maxBody bounds the request, which is a reason.
const maxBody = 4 << 10

func (h *Person) open(w http.ResponseWriter, r *http.Request) (*archive.Person, error) {
	key, ok := rpc.BearerToken(r.Header.Get("Authorization"))
	if !ok {
		return nil, scope.ErrMissing
	}
	sc, err := h.gate.Reader(r.Context(), key, apikey.ScopeExportUser)
	if err != nil {
		return nil, err
	}
	name := r.PathValue("user")
	id, err := user.ParseID(name[:len(name)-len(ExportSuffix)])
	if err != nil {
		return nil, err
	}
	var body struct {
		Reason string `json:"reason"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return nil, rest.ErrMalformed.WithCause(err)
	}
	return h.persons.OfPerson(r.Context(), sc, archive.PersonRequest{User: id, Reason: body.Reason})
}
