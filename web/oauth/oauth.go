// Package oauth answers resource servers that speak OAuth 2.0 and not our API:
// token introspection (RFC 7662) and token revocation (RFC 7009). Both do what
// SessionService does, with the same keys, scope and limits; Biocore is no
// authorization server, and issues nothing here (ADR-0018).
//
// The tenant is that of the key. The path names it too, as its metadata says; a key of
// another tenant is answered as a wrong key, whether or not there is a tenant of that
// name.
package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/web/rest"
	"github.com/biocore-id/biocore/web/rpc"
)

// sessions knows tokens.
type sessions interface {
	Introspect(ctx context.Context, sc scope.Scope, token string) (session.Introspection, error)
	RevokeToken(ctx context.Context, sc scope.Scope, token, reason string) error
}

// gate knows keys.
type gate interface {
	Server(ctx context.Context, key, wanted string) (scope.Scope, error)
}

// tenants knows the tenant that a scope names.
type tenants interface {
	Current(ctx context.Context, sc scope.Scope) (*tenant.Snapshot, error)
}

// Options configures a Handler. All are required.
type Options struct {
	Sessions *session.Service
	Gate     *rpc.Gate
	Tenants  *tenant.Service
	Log      *slog.Logger
}

// Handler serves /t/{slug}/oauth/introspect and /t/{slug}/oauth/revoke. It is safe for
// concurrent use.
type Handler struct {
	sessions sessions
	gate     gate
	tenants  tenants
	log      *slog.Logger
	mux      *http.ServeMux
}

// New returns a Handler.
func New(o Options) *Handler {
	h := &Handler{sessions: o.Sessions, gate: o.Gate, tenants: o.Tenants, log: o.Log, mux: http.NewServeMux()}
	h.mux.Handle("/t/{slug}/oauth/introspect", h.endpoint(h.introspect))
	h.mux.Handle("/t/{slug}/oauth/revoke", h.endpoint(h.revoke))
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// maxFormBytes bounds a request's body.
const maxFormBytes = 64 << 10

// Errors of requests that are no form.
var (
	errMethod = rest.ErrMethodNotAllowed
	errMedia  = rest.ErrMediaType.WithMessage("the body must be application/x-www-form-urlencoded")
	errForm   = rest.ErrMalformed.WithMessage("the body must be a form with one parameter token")
	errLarge  = rest.ErrTooLarge
)

// endpoint authenticates before it reads: whoever is refused costs no decoding.
func (h *Handler) endpoint(do func(w http.ResponseWriter, r *http.Request, sc scope.Scope, token string) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := h.serve(w, r, do); err != nil {
			h.fail(w, r, err)
		}
	})
}

func (h *Handler) serve(
	w http.ResponseWriter, r *http.Request, do func(w http.ResponseWriter, r *http.Request, sc scope.Scope, token string) error,
) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return errMethod
	}
	sc, err := h.authenticate(r)
	if err != nil {
		return err
	}
	token, err := readToken(w, r)
	if err != nil {
		return err
	}
	return do(w, r, sc, token)
}

// authenticate takes a server key with the scope of sessions, as a Bearer token or, for
// libraries that know nothing else, as a client's secret (RFC 6749 §2.3.1,
// client_secret_basic). The client is the tenant, by its slug.
func (h *Handler) authenticate(r *http.Request) (scope.Scope, error) {
	header, slug := r.Header.Get("Authorization"), r.PathValue("slug")
	key, ok := rpc.BearerToken(header)
	if !ok {
		id, secret, basic := r.BasicAuth()
		if !basic {
			return scope.Scope{}, scope.ErrMissing
		}
		client, err := url.QueryUnescape(id) // both are form-encoded before they are joined
		if err != nil || client != slug {
			return scope.Scope{}, apikey.ErrKey
		}
		if key, err = url.QueryUnescape(secret); err != nil {
			return scope.Scope{}, apikey.ErrKey
		}
	}
	sc, err := h.gate.Server(r.Context(), key, apikey.ScopeSessions)
	if err != nil {
		return scope.Scope{}, err
	}
	snap, err := h.tenants.Current(r.Context(), sc)
	if err != nil {
		return scope.Scope{}, err
	}
	if snap.Slug != slug {
		return scope.Scope{}, apikey.ErrKey
	}
	return sc, nil
}

// readToken reads the form. The hint of a token's type is not needed: a token says
// itself what it is.
func readToken(w http.ResponseWriter, r *http.Request) (string, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return "", errMedia
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFormBytes))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return "", errLarge
	} else if err != nil {
		return "", errForm.WithCause(err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", errForm
	}
	// RFC 6749 §3.2: no parameter more than once.
	for _, values := range form {
		if len(values) != 1 {
			return "", errForm
		}
	}
	token := form.Get("token")
	if token == "" {
		return "", errForm
	}
	return token, nil
}

// introspect answers RFC 7662 §2.2: a token that is not good is answered with that
// alone, whatever is wrong with it.
func (h *Handler) introspect(w http.ResponseWriter, r *http.Request, sc scope.Scope, token string) error {
	found, err := h.sessions.Introspect(r.Context(), sc, token)
	if err != nil {
		return err
	}
	if !found.Active {
		return write(w, http.StatusOK, map[string]any{"active": false})
	}
	return write(w, http.StatusOK, describe(found))
}

// errEncrypted refuses a JWE, which only the tenant can open: a 200 would say that the
// token within is revoked (RFC 7009 §2.2.1).
var errEncrypted = fault.New(fault.Invalid, "TOKEN_ENCRYPTED", "this token is a JWE: decrypt it, and revoke the signed token within")

// revoke answers RFC 7009 §2.2: 200 for every token that could be ours, also for one
// that is none.
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request, sc scope.Scope, token string) error {
	if strings.Count(token, ".") == 4 { // RFC 7516 §9: a JWE has five parts
		return errEncrypted
	}
	if err := h.sessions.RevokeToken(r.Context(), sc, token, "token revoked"); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func write(w http.ResponseWriter, status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client is gone
	return nil
}

// codes are what OAuth tells more exactly than by the kind.
var codes = map[string]string{
	errEncrypted.Reason:           "unsupported_token_type", // RFC 7009 §2.2.1
	apikey.ErrScopeMissing.Reason: "insufficient_scope",     // RFC 6750 §3.1, by RFC 7662 §2.3
}

// refusals are how OAuth tells of each kind: a status and a code (RFC 6749 §5.2).
var refusals = map[fault.Kind]struct {
	status int
	code   string
}{
	fault.Invalid:         {http.StatusBadRequest, "invalid_request"},
	fault.Unauthenticated: {http.StatusUnauthorized, "invalid_client"},
	fault.Forbidden:       {http.StatusForbidden, "unauthorized_client"},
	fault.NotFound:        {http.StatusUnauthorized, "invalid_client"}, // the key's tenant is gone
	fault.TooLarge:        {http.StatusRequestEntityTooLarge, "invalid_request"},
	fault.MethodMismatch:  {http.StatusMethodNotAllowed, "invalid_request"},
	fault.MediaMismatch:   {http.StatusUnsupportedMediaType, "invalid_request"},
	fault.Exhausted:       {http.StatusTooManyRequests, "temporarily_unavailable"},
	fault.Unavailable:     {http.StatusServiceUnavailable, "temporarily_unavailable"},
}

// fail answers an error: its own words if it is a fault, and nothing of it otherwise.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	f, ok := fault.As(err)
	refusal, known := refusals[kindOf(f)]
	if !ok || !known {
		h.log.ErrorContext(r.Context(), "request failed", "err", err)
		_ = write(w, http.StatusInternalServerError, map[string]string{"error": "server_error"}) // a map of strings is JSON
		return
	}
	if code := codes[f.Reason]; code != "" {
		refusal.code = code
	}
	switch refusal.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="biocore", Bearer realm="biocore"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(f.RetryAfter, time.Second).Seconds()))))
	}
	// The reason goes along: it is how our documentation lists the error.
	_ = write(w, refusal.status, map[string]string{"error": refusal.code, "error_description": f.Message + " (" + f.Reason + ")"})
}

func kindOf(f *fault.Error) fault.Kind {
	if f == nil {
		return 0
	}
	return f.Kind
}
