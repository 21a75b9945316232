// Package console is where people run their tenants, and where the installation's staff
// look after all of them: an http.Handler of server-drawn pages below /console.
//
// People are users of the reserved tenant and sign in with passkeys there. Every page
// asks anew who the browser's cookie stands for and what that person is in the tenant of
// the page (package member): a tenant in which they are nothing does not exist for them.
// What a menu does not show is refused besides.
//
// Everything works by forms and 303, but what is done with a passkey: those exchanges are
// JSON, by fetch, from the page's own origin.
package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/erasure"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/authcore/risk"
	whereabouts "github.com/biocore-id/biocore/authcore/risk/place"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/simulation"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit/anchor"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/audit/view"
	"github.com/biocore-id/biocore/tenancy/dashboard"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/report"
	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/siem"
	"github.com/biocore-id/biocore/tenancy/stats"
	"github.com/biocore-id/biocore/tenancy/support"
	"github.com/biocore-id/biocore/tenancy/system"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/tenancy/usage"
	"github.com/biocore-id/biocore/web/static"
)

// Path is where a Console must be mounted: this path and everything below it.
const Path = ui.Path

// contentSecurityPolicy lets a page load from its own origin and nothing else. There is
// no inline script, style or handler anywhere, so none is allowed.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxBodyBytes bounds what a page may post. An attestation with its certificates is the
// largest of it, but for files.
const maxBodyBytes = 48 << 10

// maxCatalogueBody bounds the post of a catalogue of controls: a text and a file of 128 KiB each.
const maxCatalogueBody = 300 << 10

// maxFlagBody bounds the post of a flag's variants or rules: 64 KiB as JSON, or what of it is typed into fields, each with its name.
const maxFlagBody = 512 << 10

// bodyLimit is how much may be posted to a path.
func bodyLimit(path string) int64 {
	place, ok := strings.CutPrefix(path, Path+"/t/")
	switch {
	case strings.HasPrefix(path, platformBase+flagsPath): // Biocore's own
		return maxFlagBody
	case ok && strings.HasSuffix(place, findingsPath+"/import"):
		return dlp.MaxImportBytes + maxBodyBytes
	case ok && (strings.Contains(place, flagsPath+"/") || strings.HasSuffix(place, flagsPath) || strings.Contains(place, segmentsPath+"/")):
		return maxFlagBody
	case strings.Contains(path, cataloguesPath):
		return maxCatalogueBody
	}
	return maxBodyBytes
}

// Options is what a Console needs. All but Origin, Limits, Log and Now is required.
type Options struct {
	Members     *member.Service
	Ceremonies  *ceremony.Service
	Users       *user.Service
	Credentials *credential.Service
	Sessions    *session.Service
	Recovery    *recovery.Service
	Evidence    *evidence.Service
	Exports     *archive.Service
	Erasures    *erasure.Service
	Tenants     *tenant.Service
	Parties     *rp.Service
	Stats       *stats.Service
	Dashboards  *dashboard.Service
	Support     *support.Service
	APIKeys     *apikey.Service
	Keys        *keys.Service
	Simulations *simulation.Service
	Trail       *trail.Reader
	Anchors     *anchor.Service
	Archives    *cold.Service
	Views       *view.Service
	Streams     *siem.Service
	Reports     *report.Service
	DLP         *dlp.Service
	Flags       *flag.Service
	Risk        *risk.Service
	Blast       *blastradius.Service
	Models      *authenticator.Catalogue
	Roots       *attestation.Service
	Debugger    *debugger.Reader
	Tail        *tail.Service
	Usage       *usage.Service
	System      *system.Service
	Static      *static.Files

	// Places tell where addresses are; nil: nothing is known of any.
	Places *whereabouts.Service

	// Metadata returns what authenticators are named by, nil while there is none.
	Metadata func() *mds.Snapshot

	// PublicURL is where this installation is reached, without a trailing slash. Cookies
	// are Secure where it is https.
	PublicURL string
	// Origin tells where a request came from, as the edge has found out; nil: nothing is
	// known of it.
	Origin func(context.Context) scope.Origin
	// Limits bounds requests by the address that they come from; nil: nothing does.
	Limits *ratelimit.Limiter
	// Log takes what a person is not told; nil means slog.Default().
	Log *slog.Logger
	// Now is the clock that ages are told by; nil means time.Now.
	Now func() time.Time
}

// Console is an http.Handler for Path and what is below it. It keeps nothing and starts
// no goroutines that outlive a request.
type Console struct {
	ui.Kit

	members     *member.Service
	ceremonies  *ceremony.Service
	users       *user.Service
	credentials *credential.Service
	sessions    *session.Service
	places      *whereabouts.Service
	recovery    *recovery.Service
	evidence    *evidence.Service
	exports     *archive.Service
	erasures    *erasure.Service
	tenants     *tenant.Service
	parties     *rp.Service
	stats       *stats.Service
	dashboards  *dashboard.Service
	support     *support.Service
	views       sightings
	apiKeys     *apikey.Service
	keys        *keys.Service
	simulations *simulation.Service
	trail       *trail.Reader
	anchors     *anchor.Service
	archives    *cold.Service
	logViews    *view.Service
	streams     *siem.Service
	reports     *report.Service
	dlp         *dlp.Service
	flags       *flag.Service
	risk        *risk.Service
	blast       *blastradius.Service
	models      *authenticator.Catalogue
	roots       *attestation.Service
	debugger    *debugger.Reader
	tail        *tail.Service
	usage       *usage.Service
	system      *system.Service
	metadata    func() *mds.Snapshot

	publicURL string
	secure    bool
	origin    func(context.Context) scope.Origin
	limits    *ratelimit.Limiter
	log       *slog.Logger
	now       func() time.Time
	handler   http.Handler
	patterns  []string // of everything that is here
}

// router is a mux that knows what it was given.
type router struct {
	http.ServeMux

	patterns []string
}

// HandleFunc gives it a page.
func (m *router) HandleFunc(pattern string, fn func(http.ResponseWriter, *http.Request)) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.HandleFunc(pattern, fn)
}

// New returns a Console, or an error that names the option which is missing.
func New(o Options) (*Console, error) {
	for name, missing := range map[string]bool{
		"Members": o.Members == nil, "Ceremonies": o.Ceremonies == nil, "Users": o.Users == nil, "Credentials": o.Credentials == nil,
		"Sessions": o.Sessions == nil, "Recovery": o.Recovery == nil, "Evidence": o.Evidence == nil, "Tenants": o.Tenants == nil, "Support": o.Support == nil,
		"Parties": o.Parties == nil, "Debugger": o.Debugger == nil, "Tail": o.Tail == nil, "Metadata": o.Metadata == nil, "Static": o.Static == nil, "Stats": o.Stats == nil, "Dashboards": o.Dashboards == nil,
		"APIKeys": o.APIKeys == nil, "Keys": o.Keys == nil, "Simulations": o.Simulations == nil, "Trail": o.Trail == nil, "Anchors": o.Anchors == nil, "Archives": o.Archives == nil, "Views": o.Views == nil, "Streams": o.Streams == nil, "Reports": o.Reports == nil, "DLP": o.DLP == nil, "Flags": o.Flags == nil, "Risk": o.Risk == nil,
		"Blast": o.Blast == nil, "Models": o.Models == nil, "Roots": o.Roots == nil, "Usage": o.Usage == nil, "System": o.System == nil,
	} {
		if missing {
			return nil, errors.New("console: Options." + name + " is required")
		}
	}
	u, err := url.Parse(o.PublicURL)
	if err != nil || u.Host == "" {
		return nil, errors.New("console: Options.PublicURL must be an absolute URL")
	}
	c := &Console{
		Kit: ui.Kit{Static: o.Static}, members: o.Members, ceremonies: o.Ceremonies, users: o.Users, credentials: o.Credentials,
		sessions: o.Sessions, places: o.Places, recovery: o.Recovery, evidence: o.Evidence, exports: o.Exports, erasures: o.Erasures, tenants: o.Tenants, support: o.Support, parties: o.Parties, debugger: o.Debugger, tail: o.Tail, metadata: o.Metadata,
		apiKeys: o.APIKeys, stats: o.Stats, dashboards: o.Dashboards, keys: o.Keys, simulations: o.Simulations, trail: o.Trail, anchors: o.Anchors, archives: o.Archives, logViews: o.Views, streams: o.Streams, reports: o.Reports, dlp: o.DLP, flags: o.Flags, risk: o.Risk,
		blast: o.Blast, models: o.Models, roots: o.Roots, usage: o.Usage, system: o.System,
		publicURL: strings.TrimRight(o.PublicURL, "/"), secure: u.Scheme == "https", origin: o.Origin, limits: o.Limits, log: o.Log, now: o.Now,
	}
	if c.origin == nil {
		c.origin = func(context.Context) scope.Origin { return scope.Origin{} }
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	if c.now == nil {
		c.now = time.Now
	}
	mux := &router{}
	c.routes(mux)
	c.patterns = mux.patterns
	// A page elsewhere must not post here with the visitor's cookie. The cookie is
	// SameSite too, but that treats every port of localhost, and every subdomain, as one.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(c.denyCrossOrigin))
	c.handler = c.secureHeaders(c.limit(c.toPublicHost(guard.Handler(mux))))
	return c, nil
}

// routes are all that there are.
func (c *Console) routes(mux *router) {
	mux.HandleFunc("GET "+Path, c.signedIn(c.showHome))
	mux.HandleFunc("GET "+Path+"/{$}", c.signedIn(c.showHome))
	mux.HandleFunc("GET "+Path+"/search", c.signedIn(func(w http.ResponseWriter, r *http.Request, v *visit) { c.search(w, r, v, nil) }))
	mux.HandleFunc("GET "+Path+"/t/{slug}/search", c.inTenant("", c.search))
	mux.HandleFunc("GET "+platformBase+"/search", c.inPlatform("", c.search))
	mux.HandleFunc("POST "+Path+"/theme", c.setTheme)
	mux.HandleFunc("POST "+Path+"/columns", c.signedIn(c.chooseColumns))
	mux.HandleFunc(Path+"/", c.showNotFound)
	c.gateRoutes(mux)
	c.overviewRoutes(mux)
	c.dashboardRoutes(mux)
	c.memberRoutes(mux)
	c.accountRoutes(mux)
	c.userRoutes(mux)
	c.credentialRoutes(mux)
	c.sessionRoutes(mux)
	c.platformRoutes(mux)
	c.partyRoutes(mux)
	c.foundingRoutes(mux)
	c.supportRoutes(mux)
	c.staffSupportRoutes(mux)
	c.apiKeyRoutes(mux)
	c.signingKeyRoutes(mux)
	c.erasureRoutes(mux)
	c.dataMapRoutes(mux)
	c.policyRoutes(mux)
	c.riskRoutes(mux)
	c.scoringRoutes(mux)
	c.authenticatorRoutes(mux)
	c.ceremonyRoutes(mux)
	c.auditRoutes(mux)
	c.streamRoutes(mux)
	c.flagRoutes(mux)
	c.rolloutRoutes(mux)
	c.segmentRoutes(mux)
	c.reportRoutes(mux)
	c.liveRoutes(mux)
	c.usageRoutes(mux)
	c.limitsRoutes(mux)
	c.settingsRoutes(mux)
	c.systemRoutes(mux)
}

// ServeHTTP answers a request for the console.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// secureHeaders goes around everything, errors too.
func (c *Console) secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "publickey-credentials-create=(self), publickey-credentials-get=(self)")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit(r.URL.Path))
		next.ServeHTTP(w, r)
	})
}

// limit bounds what comes from one address. Nobody need be signed in to begin a sign-in or
// to look at an invitation, and neither is free.
func (c *Console) limit(next http.Handler) http.Handler {
	if c.limits == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sc := c.platformScope(r.Context())
		from := ratelimit.Visitor(sc.Origin().Address).String()
		err := c.limits.Check(r.Context(), sc, ratelimit.Ask{Limit: &ratelimit.PerVisitor, ID: "console@" + from, Who: from})
		if err == nil {
			next.ServeHTTP(w, r)
			return
		}
		if f, ok := fault.As(err); ok && f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
		}
		if isJSON(r) {
			c.refuse(w, r, err)
			return
		}
		c.fail(w, r, nil, err)
	})
}

// toPublicHost sends who typed http://127.0.0.1 to the public address: an IP address is
// no valid RP ID, so no passkey can ever work there (WebAuthn L3 #rp-id).
func (c *Console) toPublicHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr, err := netip.ParseAddrPort(r.Host)
		if err != nil || !addr.Addr().IsLoopback() || r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		http.Redirect(w, r, c.publicURL+r.URL.RequestURI(), http.StatusTemporaryRedirect) //nolint:gosec // the host is our own
	})
}

// render writes a page. What fails here fails on the network, mid-page.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, page templ.Component) {
	if gone(r) {
		w.WriteHeader(statusReaderGone)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := page.Render(r.Context(), w); err != nil {
		c.unwritten(r, err)
	}
}

// statusReaderGone is nginx's status of a request whose sender went away before the answer,
// as web/rest has it: only the request log sees it.
const statusReaderGone = 499

// gone reports that nobody waits for the answer any more: the browser went on to another
// page. A deadline of ours is no such thing.
func gone(r *http.Request) bool { return errors.Is(r.Context().Err(), context.Canceled) }

// unwritten tells the operator of an answer that did not get out whole, unless nobody waits for it.
func (c *Console) unwritten(r *http.Request, err error) {
	if !gone(r) {
		c.log.WarnContext(r.Context(), "answer was not written", "err", err)
	}
}

// platformScope is the reserved tenant before anybody is known.
func (c *Console) platformScope(ctx context.Context) scope.Scope {
	return scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "console"}).WithOrigin(c.origin(ctx))
}

// local returns next if it is an address of the console's own, and the console's front
// page else: a link that somebody was sent must not lead out of here.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || strings.ContainsAny(next, "\\\t\r\n") {
		return Path
	}
	// Path is decoded: ..%2f counts as what a browser would make of it.
	if !strings.HasPrefix(next, Path+"/") && next != Path || strings.Contains(u.Path, "..") || strings.Contains(u.Path, "//") || strings.ContainsAny(u.Path, "\\\t\r\n") {
		return Path
	}
	return u.RequestURI()
}
