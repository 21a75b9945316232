// Package ofrep serves a tenant's feature flags by the OpenFeature Remote Evaluation Protocol, 0.3
// (https://github.com/open-feature/protocol), to every OpenFeature SDK that has a provider for it. A server key
// evaluates all flags, a publishable key those that are client-visible, from the tenant's own pages.
//
// OFREP knows no environments: the base URL names one, as /flags/staging, and without it the first is meant.
package ofrep

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/web/rest"
	"github.com/biocore-id/biocore/web/rpc"
)

// gate knows keys.
type gate interface {
	Application(ctx context.Context, key, wanted, origin string) (sc scope.Scope, page bool, err error)
}

// flags knows flags.
type flags interface {
	Flags(ctx context.Context, sc scope.Scope, environment string) (*flag.Set, error)
}

// Handler serves /ofrep/v1/evaluate/flags, and the same below /flags/{environment}. It is safe for concurrent use.
type Handler struct {
	gate  gate
	flags flags
	log   *slog.Logger
	mux   *http.ServeMux
}

// New returns a Handler.
func New(g *rpc.Gate, s *flag.Service, log *slog.Logger) *Handler { return newHandler(g, s, log) }

func newHandler(g gate, s flags, log *slog.Logger) *Handler {
	h := &Handler{gate: g, flags: s, log: log, mux: http.NewServeMux()}
	for _, base := range []string{"", "/flags/{environment}"} {
		h.mux.Handle(base+"/ofrep/v1/evaluate/flags", h.endpoint(h.all))
		h.mux.Handle(base+"/ofrep/v1/evaluate/flags/{key}", h.endpoint(h.one))
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// maxBodyBytes bounds a request's body: a context has dozens of attributes, not thousands.
const maxBodyBytes = 64 << 10

// call is one request that is let in.
type call struct {
	set     *flag.Set
	subject flag.Subject
	page    bool // of a browser: client-visible flags alone
}

// sees reports a flag that the caller may evaluate: another is as none.
func (c *call) sees(key string) bool { return !c.page || c.set.IsClientVisible(key) }

// endpoint authenticates before it reads: whoever is refused costs no decoding.
func (h *Handler) endpoint(do func(w http.ResponseWriter, r *http.Request, c *call) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // of shared caches and of the browser's: an SDK keeps what it needs
		if err := h.serve(w, r, do); err != nil {
			h.fail(w, r, err)
		}
	})
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, do func(w http.ResponseWriter, r *http.Request, c *call) error) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return rest.ErrMethodNotAllowed
	}
	key, ok := rpc.BearerToken(r.Header.Get("Authorization"))
	if !ok {
		if key = r.Header.Get("X-API-Key"); key == "" {
			return scope.ErrMissing
		}
	}
	sc, page, err := h.gate.Application(r.Context(), key, apikey.ScopeFlags, r.Header.Get("Origin"))
	if err != nil {
		return err
	}
	c := &call{page: page}
	if c.set, err = h.flags.Flags(r.Context(), sc, r.PathValue("environment")); err != nil {
		return err
	}
	if err := c.read(w, r); err != nil {
		return err
	}
	return do(w, r, c)
}

// errContext is OFREP's INVALID_CONTEXT: the body has no evaluation context that could be read.
var errContext = fault.New(fault.Invalid, "FLAG_CONTEXT_INVALID", "the body is {\"context\": {\"targetingKey\": \"…\", …}}, with a targeting key that is a string")

// read reads the evaluation context. None is an empty one.
func (c *call) read(w http.ResponseWriter, r *http.Request) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.ContentLength != 0 && (err != nil || media != "application/json") {
		return rest.ErrMediaType.WithMessage("the body must be application/json")
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return rest.ErrTooLarge
	} else if err != nil {
		return rest.ErrMalformed.WithCause(err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	var body struct {
		Context map[string]any `json:"context"`
	}
	if err := json.Unmarshal(text, &body); err != nil {
		if _, syntax := errors.AsType[*json.SyntaxError](err); syntax {
			return rest.ErrMalformed.WithCause(err)
		}
		return errContext.WithCause(err)
	}
	c.subject.Attributes = body.Context
	if key, given := body.Context[flag.TargetingKey]; given {
		if c.subject.Key, given = key.(string); !given {
			return errContext
		}
	}
	return nil
}

// evaluation is what OFREP says of one flag: evaluationSuccess, or evaluationFailure.
type evaluation struct {
	Key      string          `json:"key"`
	Reason   flag.Reason     `json:"reason,omitempty"`
	Variant  string          `json:"variant,omitempty"`
	Value    json.RawMessage `json:"value,omitempty"`
	Metadata *metadata       `json:"metadata,omitempty"`
	Code     flag.Code       `json:"errorCode,omitempty"`
	Details  string          `json:"errorDetails,omitempty"`
}

// metadata is told of a flag that is off.
type metadata struct {
	Enabled bool `json:"enabled"`
}

func (c *call) evaluate(key string) evaluation {
	got := flag.Result{Code: flag.FlagNotFound}
	if c.sees(key) { // what is not seen is not counted
		got = c.set.Evaluate(key, &c.subject)
	}
	if got.Code != "" {
		return evaluation{Key: key, Code: got.Code, Details: got.Code.Message()}
	}
	out := evaluation{Key: key, Reason: got.Reason, Variant: got.Variant.Name, Value: got.Variant.JSON}
	if got.Reason == flag.Disabled {
		// Providers take DISABLED for "use the default of the code", which would make the kill switch a matter of each caller. What
		// everybody gets is static.
		out.Reason, out.Metadata = flag.Static, &metadata{}
	}
	return out
}

// one answers for one flag: 404 for one that is not there, 400 where the context will not do.
func (h *Handler) one(w http.ResponseWriter, r *http.Request, c *call) error {
	got, status := c.evaluate(r.PathValue("key")), http.StatusOK
	switch got.Code {
	case "":
	case flag.FlagNotFound:
		status = http.StatusNotFound
	default:
		status = http.StatusBadRequest
	}
	text, err := json.Marshal(got)
	if err != nil {
		return err
	}
	write(w, status, text)
	return nil
}

// all answers for every flag that the caller may evaluate, with an ETag of the answer: the same context and the same
// flags give the same, on every server.
func (h *Handler) all(w http.ResponseWriter, r *http.Request, c *call) error {
	out := struct {
		Flags []evaluation `json:"flags"`
	}{Flags: []evaluation{}}
	for _, key := range c.set.Keys() {
		if c.sees(key) {
			out.Flags = append(out.Flags, c.evaluate(key))
		}
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", etag)
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	write(w, http.StatusOK, text)
	return nil
}

// matches compares weakly (RFC 9110 §13.1.2).
func matches(headers []string, etag string) bool {
	for _, h := range headers {
		for one := range strings.SplitSeq(h, ",") {
			if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == etag || one == "*" {
				return true
			}
		}
	}
	return false
}

func write(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client is gone
}

// statuses are what HTTP has of each kind.
var statuses = map[fault.Kind]int{
	fault.Invalid: http.StatusBadRequest, fault.Unauthenticated: http.StatusUnauthorized, fault.Forbidden: http.StatusForbidden, fault.NotFound: http.StatusNotFound,
	fault.Conflict: http.StatusConflict, fault.Precondition: http.StatusBadRequest, fault.TooLarge: http.StatusRequestEntityTooLarge, fault.Exhausted: http.StatusTooManyRequests,
	fault.Unavailable: http.StatusServiceUnavailable, fault.MethodMismatch: http.StatusMethodNotAllowed, fault.MediaMismatch: http.StatusUnsupportedMediaType,
}

// failure is OFREP's bulkEvaluationFailure and generalErrorResponse; reason is ours.
type failure struct {
	Key     string `json:"key,omitempty"`
	Code    string `json:"errorCode"`
	Details string `json:"errorDetails"`
	Reason  string `json:"reason,omitempty"`
}

// fail answers what cannot be evaluated at all.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := fault.As(err)
	status := 0
	if ok {
		status = statuses[f.Kind]
	}
	if status == 0 {
		if r.Context().Err() == nil {
			h.log.ErrorContext(r.Context(), "flags cannot be evaluated", "err", err)
		}
		f, status = &fault.Error{Message: "internal error"}, http.StatusInternalServerError
	}
	out := failure{Key: r.PathValue("key"), Code: "GENERAL", Details: f.Message, Reason: f.Reason}
	switch {
	case errors.Is(err, errContext):
		out.Code = string(flag.InvalidContext)
	case errors.Is(err, rest.ErrMalformed), errors.Is(err, rest.ErrTooLarge):
		out.Code = "PARSE_ERROR"
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(f.RetryAfter.Seconds())), 10))
	} else if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(retrySoon/time.Second), 10))
	}
	text, err := json.Marshal(out)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	write(w, status, text)
}

// retrySoon is when to come back where nothing says it better.
const retrySoon = time.Second
