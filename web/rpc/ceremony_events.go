package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/web/rest"
	"github.com/biocore-id/biocore/web/sse"
)

// CeremonyEvents serves GET /admin/v1/ceremonies/events: the ceremonies of a key's tenant as
// they begin and finish, as server-sent events. It takes what CeremonyService takes; but a
// stopped tenant's streams end, and none is begun. See docs/ceremonies.md.
type CeremonyEvents struct {
	tail *tail.Service
	gate *Gate
	log  *slog.Logger
}

// NewCeremonyEvents returns a handler.
func NewCeremonyEvents(t *tail.Service, g *Gate, log *slog.Logger) *CeremonyEvents {
	return &CeremonyEvents{t, g, log}
}

// ServeHTTP implements http.Handler.
func (h *CeremonyEvents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h.serve(w, r); err != nil {
		h.fail(w, r, err)
	}
}

func (h *CeremonyEvents) serve(w http.ResponseWriter, r *http.Request) error {
	key, ok := BearerToken(r.Header.Get("Authorization"))
	if !ok {
		return scope.ErrMissing
	}
	sc, err := h.gate.Server(r.Context(), key, apikey.ScopeCeremoniesRead)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	after := r.Header.Get("Last-Event-ID")
	if after == "" {
		after = query.Get("after")
	}
	st, err := h.tail.Open(r.Context(), sc, tail.Request{Filter: query.Get("filter"), After: after})
	if err != nil {
		return err
	}
	defer st.Close(r.Context())
	sse.Serve(w, r, sse.Stream{
		Next: func(ctx context.Context) ([]sse.Message, error) {
			events, err := st.Next(ctx)
			if err != nil {
				return nil, err
			}
			return ceremonyMessages(ctx, events)
		},
		May: func(ctx context.Context) error { return h.gate.Still(ctx, key, apikey.ScopeCeremoniesRead) },
		Log: h.log,
	})
	return nil
}

// ceremonyMessages are events as the API spells them.
func ceremonyMessages(ctx context.Context, events []tail.Event) ([]sse.Message, error) {
	out := make([]sse.Message, 0, len(events))
	for _, e := range events {
		m, err := ceremonyMessage(ctx, &e)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func ceremonyMessage(ctx context.Context, e *tail.Event) (m sse.Message, err error) {
	switch {
	case e.Begun != nil:
		m.Name = "ceremony.begun"
		m.Data, err = json.Marshal(e.Begun)
	case e.Gap != nil:
		m.Name = "gap"
		m.Data, err = json.Marshal(e.Gap)
	case e.Finished != nil:
		m.Name, m.ID = "ceremony.finished", e.Finished.Position
		m.Data, err = finishedJSON(ctx, e.Finished)
	}
	return m, err
}

// finishedJSON is {"begunId":…,"ceremony":…}, the ceremony as ListCeremonies has it.
func finishedJSON(ctx context.Context, f *tail.Finished) ([]byte, error) {
	c, err := toCeremony(&f.Ceremony)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := (rest.Codec{}).MarshalWrite(ctx, &text, c); err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		BegunID  string          `json:"begunId,omitempty"`
		Ceremony json.RawMessage `json:"ceremony"`
	}{f.Begun, text.Bytes()})
}

// fail answers what was refused before it began, as REST does.
func (h *CeremonyEvents) fail(w http.ResponseWriter, r *http.Request, err error) {
	if f, ok := fault.As(err); ok && (f.Kind == fault.Exhausted || f.Kind == fault.Unavailable) {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(f.RetryAfter, minRetryAfter).Seconds()))))
	}
	rest.WriteError(w, r, toConnect(r.Context(), h.log, err))
}
