package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/erasure"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/recovery"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/risk/place"
	"github.com/biocore-id/biocore/authcore/risk/place/placetest"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/simulation"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/anchor"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/audit/view"
	"github.com/biocore-id/biocore/tenancy/dashboard"
	"github.com/biocore-id/biocore/tenancy/fetch"
	"github.com/biocore-id/biocore/tenancy/fetch/fetchtest"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/governance/ledger"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/member"
	rules "github.com/biocore-id/biocore/tenancy/policy"
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

const publicURL = "http://localhost:8080"

// site is a console on a database of its own: the reserved tenant is one for all.
type site struct {
	*console.Console

	store       *dbtest.Store
	keys        *keys.Service
	tenants     *tenant.Service
	usage       *usage.Service
	members     *member.Service
	support     *support.Service
	users       *user.Service
	credentials *credential.Service
	stats       *stats.Service
	dashboards  *dashboard.Service
	apiKeys     *apikey.Service
	sessions    *session.Service
	evidence    *evidence.Service
	ceremonies  *ceremony.Service
	exports     *archive.Service
	anchors     *anchor.Service
	archives    *cold.Service
	tail        *tail.Service
	trail       *trail.Reader
	streams     *siem.Service
	compliance  *report.Service
	dlp         *dlp.Service
	risk        *risk.Service
	behind      *pgx.Conn // the superuser's, for entries
	looking     sync.Mutex
	folder      string // of objects
	home        scope.Scope
	log         bytes.Buffer // what the operator was told
	at          string       // the public URL
	metadata    *mds.Snapshot
	net         *fetchtest.Internet  // on which tenants' domains are
	reports     []blastradius.Report // of the metadata
	unwatched   atomic.Bool          // live streams are turned off
}

func newSite(t *testing.T) *site { return newSiteAt(t, publicURL, nil) }

func newSiteAt(t *testing.T, at string, limits *ratelimit.Limiter) *site {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	redis, err := ephemeral.Open(dbtest.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	s := &site{at: at, store: dbtest.Fresh(t), folder: t.TempDir(), home: scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "cli"})}
	s.behind = s.store.Superuser(t)
	store := s.store.Store
	denials := audit.NewDenials(audit.DenialsOptions{Store: store})
	s.keys = keys.New(keys.Options{Store: store, KMS: k})
	s.net = fetchtest.New(t)
	fetcher := fetch.New(s.net.Options())
	s.tenants = tenant.New(tenant.Options{
		Store: store, Keys: s.keys, FirstKeys: apikey.First, Fetch: fetcher, Prober: rp.NewProber(rp.ProberOptions{Fetch: fetcher, Resolver: s.net.Resolver()}),
	})
	s.usage = usage.New(usage.Options{Store: store})
	s.members = member.New(member.Options{Store: store, Keys: s.keys})
	s.stats, s.dashboards = stats.New(store), dashboard.New(store)
	s.users = user.New(user.Options{Store: store, Keys: s.keys})
	s.support = support.New(support.Options{Store: store, Keys: s.keys, Members: s.members, Name: func(ctx context.Context, person uuid.UUID) (string, error) {
		u, err := s.users.Get(ctx, s.home, user.ID(person))
		return u.Name, err
	}})
	s.credentials = credential.New(credential.Options{Store: store, Keys: s.keys, Tenants: s.tenants})
	sessions, err := session.New(session.Options{Store: store, Keys: s.keys, Tenants: s.tenants, PublicURL: at})
	if err != nil {
		t.Fatal(err)
	}
	if s.tail, err = tail.New(tail.Options{Reader: debugger.NewReader(store, s.keys), Keys: s.keys, Redis: redis, Now: store.Now, On: func(context.Context, scope.Scope) bool { return !s.unwatched.Load() }}); err != nil {
		t.Fatal(err)
	}
	s.evidence = evidence.New(evidence.Options{Store: store, Keys: s.keys})
	ceremonies, err := ceremony.New(ceremony.Options{
		Store: store, Keys: s.keys, Tenants: s.tenants, Sessions: sessions, Ephemeral: redis, Denials: denials, Evidence: s.evidence,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.ceremonies = ceremonies
	if err := s.keys.Ensure(t.Context(), s.home); err != nil {
		t.Fatal(err)
	}
	if err := s.tenants.PlaceConsole(t.Context(), s.home, at); err != nil {
		t.Fatal(err)
	}
	models, err := authenticator.NewCatalogue(authenticator.Options{Keys: s.keys, Metadata: func() *mds.Snapshot { return s.metadata }, Now: store.Now})
	if err != nil {
		t.Fatal(err)
	}
	queue, err := jobs.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	blast, err := blastradius.New(blastradius.Options{
		Store: store, Keys: s.keys, Tenants: s.tenants, Queue: queue, Reports: func() (int, []blastradius.Report) { return 42, s.reports },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.apiKeys = apikey.New(apikey.Options{Store: store, Keys: s.keys, Tenants: s.tenants})
	s.sessions = sessions
	objects, err := blob.Open(t.Context(), "file://"+s.folder)
	if err != nil {
		t.Fatal(err)
	}
	s.anchors = anchor.New(anchor.Options{Store: store, Keys: s.keys, Objects: objects, Host: "id.bank.example"})
	s.trail = trail.NewReader(store, s.keys)
	s.archives = cold.New(cold.Options{Store: store, Keys: s.keys, Trail: s.trail, Objects: objects})
	s.exports = archive.New(archive.Options{Store: store, Keys: s.keys, Evidence: s.evidence, Archived: s.archives, Objects: objects})
	internet := s.net.Options()
	s.streams = siem.New(siem.Options{
		Store: store, Keys: s.keys, Trail: s.trail, Allowed: internet.Allowed, Resolver: internet.Resolver, Roots: internet.Roots, Host: "biocore.example",
	})
	s.dlp = dlp.New(dlp.Options{Store: store, Keys: s.keys, Trail: s.trail})
	s.compliance = report.New(report.Options{
		Store: store, Keys: s.keys, Members: s.members, Objects: objects,
		Policy: func(context.Context, scope.Scope) (rules.Document, error) { return rules.Default(), nil },
		Names: func(ctx context.Context, people []uuid.UUID) (map[uuid.UUID]string, error) {
			return s.users.Names(ctx, s.home, people)
		},
	})
	if s.risk, err = risk.New(risk.Options{
		Store: store, Keys: s.keys, Ephemeral: redis, Allowed: internet.Allowed, Resolver: internet.Resolver, Roots: internet.Roots,
	}); err != nil {
		t.Fatal(err)
	}
	recoveries, err := recovery.New(recovery.Options{Store: store, Keys: s.keys, Tenants: s.tenants, Denials: denials})
	if err != nil {
		t.Fatal(err)
	}
	s.Console, err = console.New(console.Options{
		Members: s.members, Ceremonies: ceremonies, Users: s.users, Credentials: s.credentials, Sessions: sessions, Tenants: s.tenants, Support: s.support, Parties: rp.New(rp.Options{Store: store}),
		Stats: s.stats, Dashboards: s.dashboards, Usage: s.usage,
		APIKeys: s.apiKeys, Keys: s.keys, Simulations: simulation.New(simulation.Options{Store: store}), Trail: s.trail, Anchors: s.anchors, Archives: s.archives, Views: view.New(store), Streams: s.streams, Reports: s.compliance, DLP: s.dlp, Flags: flag.New(store, s.keys), Risk: s.risk,
		Blast: blast, Models: models, Roots: attestation.New(store),
		Recovery: recoveries, Evidence: s.evidence, Exports: s.exports,
		Erasures: erasure.New(erasure.Options{
			Store: store, Keys: s.keys, Users: s.users, Trail: s.trail, Archived: s.archives, Streams: s.streams, BackupDays: 35,
			Ledger: ledger.New(ledger.Options{Store: store, Keys: s.keys, Log: slog.New(slog.DiscardHandler)}),
		}),
		Debugger: debugger.NewReader(store, s.keys), Tail: s.tail, Places: s.places(t),
		System: system.New(system.Options{
			Store: store, Stats: s.stats, Objective: .999, JobsURL: s.store.URL("bc_jobs"), Redis: redis.Version, KMS: func() system.KMS { return system.KMS{Key: "test-kms/key-1"} },
			Metadata: func(context.Context) (system.Dependency, error) {
				return system.Dependency{Name: "metadata", Health: system.Absent}, nil
			},
		}),
		Metadata: func() *mds.Snapshot { return s.metadata }, Static: static.New(), PublicURL: at, Limits: limits, Log: slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), &s.log), nil)), Now: store.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// places know where addresses of documentation are.
func (s *site) places(t *testing.T) *place.Service {
	t.Helper()
	countries, networks := placetest.Documentation(t)
	return place.New(t.Context(), place.Options{CountryFile: countries, ASNFile: networks, Log: slog.New(slog.DiscardHandler)})
}

// tenant mints a tenant and returns its scope and slug.
func (s *site) tenant(t *testing.T) (scope.Scope, string) {
	t.Helper()
	slug := "t-" + strings.ToLower(uuid.NewString()[:8])
	sc := s.store.TenantWith(t, dbtest.TenantOptions{Slug: slug})
	if err := s.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	return sc, slug
}

// exec changes rows past every wall, as only a test may.
func (s *site) exec(t *testing.T, sql string, arguments ...any) {
	t.Helper()
	if _, err := s.store.Superuser(t).Exec(t.Context(), sql, arguments...); err != nil {
		t.Fatal(err)
	}
}

// token is an invitation that the command line made.
func (s *site) token(t *testing.T, sc scope.Scope, role member.Role) string {
	t.Helper()
	cli := scope.New(sc.Tenant(), scope.Actor{Kind: scope.ActorSystem, ID: "cli"})
	made, err := s.members.Invite(t.Context(), cli, member.InviteRequest{Role: role, Label: "Somebody new"})
	if err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// browser is somebody at a browser, with a passkey.
type browser struct {
	site    *site
	name    string
	cookies map[string]*http.Cookie
	device  *authenticatortest.Authenticator
}

func (s *site) browser(t *testing.T, name string) *browser {
	t.Helper()
	device, err := authenticatortest.New(authenticatortest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &browser{site: s, name: name, cookies: map[string]*http.Cookie{}, device: device}
}

// person joins a tenant in a role, as a newcomer.
func (s *site) person(t *testing.T, name string, sc scope.Scope, role member.Role) *browser {
	t.Helper()
	b := s.browser(t, name)
	b.join(t, s.token(t, sc, role))
	return b
}

// answer is what came back.
type answer struct {
	*http.Response

	body string
}

// send sends a request of the console's own pages.
func (b *browser) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	r.Host = "localhost:8080"
	if r.Header.Get("Sec-Fetch-Site") == "" {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, cookie := range b.cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	before := 0
	if r.Method == http.MethodPost {
		before = b.site.entries(t)
	}
	b.site.ServeHTTP(w, r)
	res := w.Result()
	b.site.posted(t, r, res.StatusCode, before)
	defer func() { _ = res.Body.Close() }()
	for _, cookie := range res.Cookies() {
		if cookie.MaxAge < 0 {
			delete(b.cookies, cookie.Name)
		} else {
			b.cookies[cookie.Name] = cookie
		}
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res, string(body)}
}

func (b *browser) get(t *testing.T, path string) answer {
	t.Helper()
	return b.send(t, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
}

// getJSON gets what a page's script asks for.
func (b *browser) getJSON(t *testing.T, path string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Accept", "application/json")
	return b.send(t, r)
}

func (b *browser) form(t *testing.T, path string, fields ...string) answer {
	t.Helper()
	values := url.Values{}
	for pair := range slices.Chunk(fields, 2) {
		values.Set(pair[0], pair[1])
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(t, r)
}

// multipart posts a form with a file.
func (b *browser) multipart(t *testing.T, path string, fields map[string]string, name, file string) answer {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for field, value := range fields {
		if err := w.WriteField(field, value); err != nil {
			t.Fatal(err)
		}
	}
	part, err := w.CreateFormFile(name, "file")
	if err == nil {
		_, err = part.Write([]byte(file))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return b.send(t, r)
}

// told is what a page's script is told.
type told struct {
	status  int
	ID      string          `json:"id"`
	Options json.RawMessage `json:"options"`
	Next    string          `json:"next"`
	Problem struct {
		Reason string `json:"reason"`
		Field  string `json:"field"`
	} `json:"problem"`
	Invitations []struct{ Tenant, Role, Label string } `json:"invitations"`
	SignedIn    bool                                   `json:"signedIn"`
}

func (b *browser) json(t *testing.T, path string, body any) told {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	res := b.send(t, r)
	var out told
	if err := json.Unmarshal([]byte(res.body), &out); err != nil {
		t.Fatalf("POST %s = %d %q: %v", path, res.StatusCode, res.body, err)
	}
	out.status = res.StatusCode
	return out
}

type object map[string]any

// create makes a passkey under path.
func (b *browser) create(t *testing.T, path string, begin, finish object) told {
	t.Helper()
	begun := b.json(t, path+"/begin", begin)
	if begun.status != http.StatusOK {
		return begun
	}
	made, err := b.device.Create(begun.Options, b.site.at)
	if err != nil {
		t.Fatal(err)
	}
	finish["id"], finish["response"] = begun.ID, made
	return b.json(t, path+"/finish", finish)
}

// use uses the passkey under path.
func (b *browser) use(t *testing.T, path, next string) told {
	t.Helper()
	begun := b.json(t, path+"/begin", object{})
	if begun.status != http.StatusOK {
		return begun
	}
	made, err := b.device.Get(begun.Options, b.site.at)
	if err != nil {
		t.Fatal(err)
	}
	return b.json(t, path+"/finish", object{"id": begun.ID, "response": made, "next": next})
}

// join becomes a member by an invitation: a newcomer, with a new passkey.
func (b *browser) join(t *testing.T, token string) {
	t.Helper()
	if made := b.create(t, "/console/join", object{"token": token, "name": b.name}, object{"token": token}); made.status != http.StatusOK {
		t.Fatalf("join: %+v", made)
	}
	b.signIn(t)
	if joined := b.json(t, "/console/join/accept", object{"token": token}); joined.status != http.StatusOK {
		t.Fatalf("accept: %+v", joined)
	}
}

func (b *browser) signIn(t *testing.T) {
	t.Helper()
	if in := b.use(t, "/console/signin", "/console"); in.status != http.StatusOK {
		t.Fatalf("sign in: %+v", in)
	}
}

// grow makes every passkey's last use six minutes old.
func (s *site) grow(t *testing.T) {
	t.Helper()
	s.exec(t, `UPDATE console_sessions SET proved_at = proved_at - interval '6 minutes'`)
}

// memberID is the member whom a page names.
func (b *browser) memberID(t *testing.T, page, name string) string {
	t.Helper()
	body := b.get(t, page).body
	found := regexp.MustCompile(`/members/([0-9a-f-]{36})" aria-label="Change… ` + regexp.QuoteMeta(name)).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("%s shows no button to change %s:\n%s", page, name, body)
	}
	return found[1]
}
