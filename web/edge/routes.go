package edge

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"

	"github.com/biocore-id/biocore/web/download"
	"github.com/biocore-id/biocore/web/rest"
)

// Options is what the public port serves.
type Options struct {
	RPC       *connect.Server // every method of both planes, with its interceptors
	Open      *connect.Server // what takes no key: gRPC's health check and reflection; nil: not served
	REST      http.Handler    // the same methods by their google.api.http paths
	Events    http.Handler    // /admin/v1/ceremonies/events
	Reference http.Handler    // /openapi/*.yaml and /docs/api
	Schema    http.Handler    // /schemas/policy/v1.json, see Constant
	Static    http.Handler    // /static/
	Icons     http.Handler    // /authenticators/{aaguid}/icon
	Exports   http.Handler    // /admin/v1/tenants/{tenant}/exports/{export}:download
	Person    http.Handler    // POST /admin/v1/users/{user}:export
	AuditLog  http.Handler    // /admin/v1/auditEvents:export
	Archives  http.Handler    // /admin/v1/auditArchives:download
	Reports   http.Handler    // /admin/v1/reports/{report}:download
	JWKS      http.Handler    // /t/{slug}/.well-known/jwks.json
	OAuth     http.Handler    // /t/{slug}/oauth/introspect and revoke: for servers, and for no page
	OFREP     http.Handler    // /ofrep/v1/evaluate/flags, and below /flags/{environment}

	// What describes a tenant, by its slug.
	Logo          http.Handler // /t/{slug}/logo/{file}
	Configuration http.Handler // /t/{slug}/.well-known/biocore-configuration
	Metadata      http.Handler // RFC 8414's, at both of the places where it is looked for

	// What is looked for below a relying party's own domain, see Place.
	RelatedOrigins     http.Handler // WebAuthn L3's list of other domains
	PasskeyEndpoints   http.Handler // pages for credential managers
	AssetLinks         http.Handler // Android apps
	AppSiteAssociation http.Handler // apps on Apple's platforms

	Demo    http.Handler // /demo; nil: not served
	Console http.Handler // /console; nil: not served

	// Ready tells how each dependency is, by its name. nil: fine. An error makes the server
	// unready, unless it is Degraded.
	Ready func(*http.Request) map[string]error

	// TrustedHops is how many reverse proxies stand in front and append to
	// X-Forwarded-For. 0: none, and the header is ignored.
	TrustedHops int
	// HSTS says that the public URL is https.
	HSTS bool
	Log  *slog.Logger
}

// New returns the handler of the public port: all of its routes.
func New(o Options) http.Handler {
	api := http.NewServeMux()
	// Connect's JSON calls are read and written like REST's: no duplicate keys, empty fields included.
	codecs := connecthttp.WithCodecs(&connectproto.BinaryCodec{}, rest.Codec{})
	connecthttp.Mount(api, o.RPC, connecthttp.WithReadMaxBytes(maxBodyBytes), codecs)
	if o.Open != nil {
		connecthttp.Mount(api, o.Open, connecthttp.WithReadMaxBytes(maxBodyBytes), codecs)
	}
	api.Handle("/v1/", o.REST)
	api.Handle("/admin/v1/", o.REST)
	api.Handle("GET /admin/v1/ceremonies/events", o.Events)
	api.Handle("GET /admin/v1/tenants/{tenant}/exports/{export}", fileOf("export", download.Suffix, o.Exports, o.REST))
	api.Handle("GET /admin/v1/reports/{report}", fileOf("report", download.Suffix, o.Reports, o.REST))
	api.Handle("POST /admin/v1/users/{user}", fileOf("user", download.ExportSuffix, o.Person, o.REST))
	if o.AuditLog != nil {
		api.Handle("GET /admin/v1/auditEvents:export", o.AuditLog)
		api.Handle("GET /admin/v1/auditArchives:download", o.Archives)
	}
	api.Handle("/ofrep/v1/evaluate/flags", o.OFREP)
	api.Handle("/ofrep/v1/evaluate/flags/{key}", o.OFREP)
	api.Handle("/flags/{environment}/ofrep/v1/evaluate/flags", o.OFREP)
	api.Handle("/flags/{environment}/ofrep/v1/evaluate/flags/{key}", o.OFREP)
	api.Handle("GET /t/{slug}/.well-known/jwks.json", o.JWKS)
	api.Handle("GET /t/{slug}/.well-known/biocore-configuration", o.Configuration)
	api.Handle("GET /t/{slug}/.well-known/oauth-authorization-server", o.Metadata)
	api.Handle("GET /.well-known/oauth-authorization-server/t/{slug}", o.Metadata) // RFC 8414 §3.1

	api.Handle("GET /t/{slug}/logo/{file}", o.Logo)

	api.Handle("GET /.well-known/webauthn", o.RelatedOrigins)
	api.Handle("GET /.well-known/passkey-endpoints", o.PasskeyEndpoints)
	api.Handle("GET /.well-known/assetlinks.json", o.AssetLinks)
	api.Handle("GET /.well-known/apple-app-site-association", o.AppSiteAssociation)

	api.Handle("GET /schemas/policy/v1.json", o.Schema) // editors in pages read it, too

	mux := http.NewServeMux()
	mux.Handle("/", crossOrigin(api))
	mux.Handle("/t/{slug}/oauth/", o.OAuth)
	mux.Handle("GET /openapi/", o.Reference)
	mux.Handle("GET /docs/api", o.Reference)
	mux.Handle("GET /docs/api/", o.Reference)
	mux.Handle("GET /static/", o.Static)
	mux.Handle("GET /authenticators/{aaguid}/icon", o.Icons)
	mux.Handle("GET /healthz", status(nil))
	mux.Handle("GET /readyz", status(o.Ready))
	if o.Console != nil {
		mux.Handle("/console", o.Console)
		mux.Handle("/console/", o.Console)
	}
	if o.Demo != nil {
		mux.Handle("/demo", o.Demo)
		mux.Handle("/demo/", o.Demo)
		mux.Handle("GET /{$}", http.RedirectHandler("/demo", http.StatusFound))
	}
	return arrive(asWritten(crossOrigin(o.REST), mux), o.TrustedHops, o.HSTS, o.Log)
}

// asWritten sends calls whose path has an empty segment or one that begins with a dot to api, which takes a path as it is written.
// mux would redirect to a shorter path, which names something else: GET /v1/users//sessions, where an id is missing, is not the
// user "sessions".
func asWritten(api, mux http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if (strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/admin/v1/")) && (strings.Contains(path, "//") || strings.Contains(path, "/.")) {
			api.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// fileOf tells the file of an export, a report or a user, which a value of the path names and a suffix follows, from the thing itself.
func fileOf(value, suffix string, file, other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if file != nil && strings.HasSuffix(r.PathValue(value), suffix) {
			file.ServeHTTP(w, r)
			return
		}
		other.ServeHTTP(w, r)
	})
}

// OpsOptions is what the operations port serves: to operators alone, on loopback
// unless it is configured otherwise.
type OpsOptions struct {
	Metrics http.Handler
	Ready   func(*http.Request) map[string]error
	// Hosts are the names by which operators reach this port, in lower case and without
	// a port. Addresses and localhost need not be among them.
	Hosts []string
}

// NewOps returns the handler of the operations port.
func NewOps(o OpsOptions) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", o.Metrics)
	mux.Handle("GET /healthz", status(nil))
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		out, code := map[string]string{}, http.StatusOK
		for name, err := range o.Ready(r) {
			out[name] = "ok"
			if err != nil {
				out[name] = err.Error()
			}
			if unready(err) {
				code = http.StatusServiceUnavailable
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(out) // the client is gone
	})
	// Index serves the named profiles (goroutine, heap, …). The command line is not
	// served: operators type things there that they should not.
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	return knownHosts(mux, o.Hosts)
}

// Degraded says that a dependency is not well and that the server goes on without it
// for now: operators read it by name, load balancers go on sending.
func Degraded(err error) error { return degradedError{err} }

type degradedError struct{ err error }

func (e degradedError) Error() string { return "degraded: " + e.err.Error() }
func (e degradedError) Unwrap() error { return e.err }

func unready(err error) bool {
	_, degraded := errors.AsType[degradedError](err)
	return err != nil && !degraded
}

// status answers a load balancer: 200 or 503, and nothing that tells of the inside.
func status(ready func(*http.Request) map[string]error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if ready != nil {
			for _, err := range ready(r) {
				if unready(err) {
					w.Header().Set("Retry-After", "2")
					w.WriteHeader(http.StatusServiceUnavailable)
					_, _ = w.Write([]byte(`{"status":"unavailable"}` + "\n"))
					return
				}
			}
		}
		_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
	})
}
