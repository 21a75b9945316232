package tenant_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fetch"
	"github.com/biocore-id/biocore/tenancy/fetch/fetchtest"
	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// online is a fixture whose service asks a test's own Internet.
func online(t *testing.T) (*fixture, *fetchtest.Internet) {
	t.Helper()
	f, net := newFixture(t), fetchtest.New(t)
	client := fetch.New(net.Options())
	f.svc = tenant.New(tenant.Options{
		Store: f.store.Store, Keys: f.keys, Fetch: client, Prober: rp.NewProber(rp.ProberOptions{Fetch: client, Resolver: net.Resolver()}),
		FirstKeys: f.noKeys,
	})
	return f, net
}

// onDomain makes a live tenant of a domain.
func (f *fixture) onDomain(t *testing.T, domain string, change ...func(*tenant.CreateRequest)) scope.Scope {
	t.Helper()
	return of(f.create(t, append([]func(*tenant.CreateRequest){func(r *tenant.CreateRequest) {
		r.Mode, r.RPID, r.Origins = tenant.Live, domain, []string{"https://" + domain}
	}}, change...)...))
}

func (f *fixture) mayRun(t *testing.T, sc scope.Scope) error {
	t.Helper()
	snap, err := f.svc.Current(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	return snap.MayRunCeremonies()
}

func (f *fixture) verify(t *testing.T, sc scope.Scope) tenant.DomainProof {
	t.Helper()
	p, err := f.svc.VerifyDomain(t.Context(), sc)
	if err != nil {
		t.Fatalf("VerifyDomain: %v", err)
	}
	return p
}

func (f *fixture) types(t *testing.T, sc scope.Scope) (types []event.Type) {
	t.Helper()
	for _, e := range events(t, f.store.Store, sc) {
		if strings.HasPrefix(e.Type, "domain.") {
			types = append(types, event.Type(e.Type))
		}
	}
	slices.Sort(types)
	return types
}

// SECURITY 5: an unproven RP ID is refused in live mode. What another tenant publishes for
// the same domain shows nothing for this one: the token without the tenant in it turns the
// second look red.
func TestDomainProof(t *testing.T) {
	f, net := online(t)
	mine, theirs := f.onDomain(t, "proof.example"), f.onDomain(t, "proof.example")
	if err := f.mayRun(t, mine); !errors.Is(err, tenant.ErrDomainUnproven) {
		t.Fatalf("a live tenant without a proof = %v, want %v", err, tenant.ErrDomainUnproven)
	}
	asked, err := f.svc.DomainProof(t.Context(), mine)
	if err != nil || asked.State != tenant.Unproven || asked.CheckedAt != nil || asked.Challenge.RPID != "proof.example" {
		t.Fatalf("DomainProof = %+v, %v", asked, err)
	}
	if p := f.verify(t, mine); p.State != tenant.Unproven || p.CheckedAt == nil || p.Findings[0].Reason != rp.TXTMissing || p.Challenge != asked.Challenge {
		t.Errorf("nothing is published: %+v", p)
	}
	net.TXT(asked.Challenge.DNSName(), asked.Challenge.Text())
	if p := f.verify(t, theirs); p.State != tenant.Unproven || p.Findings[0].Reason != rp.TXTDifferent {
		t.Errorf("another tenant's proof counts: %+v", p)
	}
	p := f.verify(t, mine)
	if p.State != tenant.Proven || p.Method != rp.ByDNS || p.ProvenAt == nil || p.FailingSince != nil {
		t.Errorf("published: %+v", p)
	}
	if err := f.mayRun(t, mine); err != nil {
		t.Errorf("a proven tenant: %v", err)
	}
	if err := f.mayRun(t, theirs); !errors.Is(err, tenant.ErrDomainUnproven) {
		t.Errorf("the other one: %v", err)
	}
	again := f.verify(t, mine)
	if !again.ProvenAt.Equal(*p.ProvenAt) {
		t.Errorf("the second look moved the first proof: %v, %v", p.ProvenAt, again.ProvenAt)
	}
	if got := f.types(t, mine); !slices.Equal(got, []event.Type{event.DomainProven}) {
		t.Errorf("events = %v", got)
	}
	if n := f.store.AuditCount(t, mine, "domain.verify"); n != 3 {
		t.Errorf("%d audit entries, want one a look", n)
	}
}

// What was proven and is not found any more is a warning: nothing stops.
func TestDomainProofThatVanishes(t *testing.T) {
	f, net := online(t)
	sc := f.onDomain(t, "vanish.example")
	asked, err := f.svc.DomainProof(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	net.Page("vanish.example", rp.ProofPath, fetchtest.Text(asked.Challenge.Text()))
	if p := f.verify(t, sc); p.Method != rp.ByFile {
		t.Fatalf("by the file: %+v", p)
	}
	net.Page("vanish.example", rp.ProofPath, http.NotFound)
	job := scope.New(sc.Tenant(), scope.Actor{Kind: scope.ActorSystem, ID: "job:domain_maintenance"})
	lost := f.verify(t, job)
	if lost.State != tenant.Proven || lost.FailingSince == nil {
		t.Errorf("vanished: %+v", lost)
	}
	if still := f.verify(t, job); !still.FailingSince.Equal(*lost.FailingSince) {
		t.Errorf("since when = %v, then %v", lost.FailingSince, still.FailingSince)
	}
	if err := f.mayRun(t, sc); err != nil {
		t.Errorf("a proof that vanished stops ceremonies: %v", err)
	}
	net.Page("vanish.example", rp.ProofPath, fetchtest.Text(asked.Challenge.Text()))
	if back := f.verify(t, job); back.FailingSince != nil {
		t.Errorf("found again: %+v", back)
	}
	if got, want := f.types(t, sc), []event.Type{event.DomainProofFound, event.DomainProofMissing, event.DomainProven}; !slices.Equal(got, want) {
		t.Errorf("events = %v, want %v", got, want)
	}
	// The daily look leaves no entry where it changes nothing.
	if n := f.store.AuditCount(t, sc, "domain.verify"); n != 3 {
		t.Errorf("%d audit entries, want 3", n)
	}
}

// Another RP ID is another domain: nothing of the old proof counts. A row that is read
// without its RP ID turns this red.
func TestDomainProofIsOfOneDomain(t *testing.T) {
	f, net := online(t)
	sc := f.onDomain(t, "old.example")
	asked, err := f.svc.DomainProof(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	net.TXT(asked.Challenge.DNSName(), asked.Challenge.Text())
	f.verify(t, sc)
	if _, err := f.svc.UpdateSettings(t.Context(), sc, tenant.UpdateSettingsRequest{RPID: new("new.example"), Origins: []string{"https://new.example"}}); err != nil {
		t.Fatal(err)
	}
	if err := f.mayRun(t, sc); !errors.Is(err, tenant.ErrDomainUnproven) {
		t.Errorf("after the move = %v, want %v", err, tenant.ErrDomainUnproven)
	}
	moved, err := f.svc.DomainProof(t.Context(), sc)
	if err != nil || moved.State != tenant.Unproven || moved.CheckedAt != nil || moved.Challenge.Token == asked.Challenge.Token {
		t.Errorf("DomainProof after the move = %+v, %v", moved, err)
	}
	// The old token at the new domain shows nothing either.
	net.TXT(moved.Challenge.DNSName(), asked.Challenge.Text())
	if p := f.verify(t, sc); p.State != tenant.Unproven {
		t.Errorf("the old domain's token: %+v", p)
	}
}

func TestDomainProofIsNotAskedOfTests(t *testing.T) {
	f, _ := online(t)
	local := of(f.create(t, func(r *tenant.CreateRequest) {
		r.Mode, r.RPID, r.Origins = tenant.Test, "localhost", []string{"http://localhost:3000"}
	}))
	if p, err := f.svc.DomainProof(t.Context(), local); err != nil || p.State != tenant.ProofNotRequired {
		t.Errorf("localhost: %+v, %v", p, err)
	}
	if _, err := f.svc.VerifyDomain(t.Context(), local); !errors.Is(err, tenant.ErrDomainLocal) {
		t.Errorf("VerifyDomain of localhost = %v", err)
	}
	named := of(f.create(t, func(r *tenant.CreateRequest) {
		r.Mode, r.RPID, r.Origins = tenant.Test, "app.localhost", []string{"http://app.localhost:3000"}
	}))
	for _, sc := range []scope.Scope{local, named} {
		if err := f.mayRun(t, sc); err != nil {
			t.Errorf("a test tenant: %v", err)
		}
	}
	if _, _, err := f.svc.Create(t.Context(), operator, tenant.CreateRequest{
		Slug: slug(), Name: "Acme", Mode: tenant.Live, RPID: "app.localhost", Origins: []string{"https://app.localhost"},
	}); !errors.Is(err, tenant.ErrInvalid) {
		t.Errorf("a live tenant on localhost = %v", err)
	}
	for name, sc := range map[string]scope.Scope{"the platform": operator, "nobody": scope.New(uuid.New(), operator.Actor())} {
		if _, err := f.svc.VerifyDomain(t.Context(), sc); !errors.Is(err, tenant.ErrNotFound) {
			t.Errorf("VerifyDomain of %s = %v", name, err)
		}
	}
}

func TestVouchDomain(t *testing.T) {
	f, net := online(t)
	at := f.onDomain(t, "airgap.example", func(r *tenant.CreateRequest) { r.VouchReason = "contract 4711" })
	if err := f.mayRun(t, at); err != nil {
		t.Errorf("vouched for when it was made: %v", err)
	}
	sc := f.onDomain(t, "later.example")
	for _, reason := range []string{"", strings.Repeat("x", 257)} {
		if _, err := f.svc.VouchDomain(t.Context(), operator, tenant.VouchRequest{ID: sc.Tenant(), Reason: reason}); !errors.Is(err, tenant.ErrVouchReason) {
			t.Errorf("a reason of %d = %v", len(reason), err)
		}
	}
	if _, err := f.svc.VouchDomain(t.Context(), sc, tenant.VouchRequest{ID: sc.Tenant(), Reason: "it is mine"}); !errors.Is(err, tenant.ErrPlatformOnly) {
		t.Errorf("by the tenant itself = %v", err)
	}
	if f.mayRun(t, sc) == nil {
		t.Error("a refusal vouched")
	}
	for range 2 { // the second changes nothing
		if _, err := f.svc.VouchDomain(t.Context(), operator, tenant.VouchRequest{ID: sc.Tenant(), Reason: "contract 4712"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.mayRun(t, sc); err != nil {
		t.Errorf("vouched: %v", err)
	}
	if n := f.store.AuditCount(t, sc, "domain.vouch"); n != 1 {
		t.Errorf("%d audit entries", n)
	}
	// A look that finds nothing takes nothing away, and is no failure: nothing was published.
	if p := f.verify(t, sc); p.State != tenant.Proven || p.Method != rp.ByVouch || p.FailingSince != nil {
		t.Errorf("a look at a vouched domain: %+v", p)
	}
	// One that finds the proof is worth more.
	asked, err := f.svc.DomainProof(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	net.TXT(asked.Challenge.DNSName(), asked.Challenge.Text())
	if p := f.verify(t, sc); p.Method != rp.ByDNS {
		t.Errorf("seen: %+v", p)
	}
}

// Two looks at once report the first proof once. Without LockTenant both do.
func TestDomainProofRace(t *testing.T) {
	f, net := online(t)
	sc := f.onDomain(t, "race.example")
	asked, err := f.svc.DomainProof(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	net.TXT(asked.Challenge.DNSName(), asked.Challenge.Text())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := f.svc.VerifyDomain(t.Context(), sc); err != nil {
				t.Errorf("VerifyDomain: %v", err)
			}
		})
	}
	wg.Wait()
	if got := f.types(t, sc); len(got) != 1 {
		t.Errorf("events = %v", got)
	}
}

// A proof is due a day later, an operator's word never.
func TestDomainsDue(t *testing.T) {
	f, net := online(t)
	sc := f.onDomain(t, "due.example")
	asked, err := f.svc.DomainProof(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	net.TXT(asked.Challenge.DNSName(), asked.Challenge.Text())
	f.verify(t, sc)
	vouched := f.onDomain(t, "word.example", func(r *tenant.CreateRequest) { r.VouchReason = "contract" })
	conn := f.store.Superuser(t)
	var due time.Time
	if err := conn.QueryRow(t.Context(), "SELECT due_at FROM domain_proofs WHERE tenant_id = $1", sc.Tenant()).Scan(&due); err != nil {
		t.Fatal(err)
	}
	if wait := time.Until(due); wait < 23*time.Hour || wait > 25*time.Hour {
		t.Errorf("due in %v", wait)
	}
	if _, err := conn.Exec(t.Context(), "UPDATE domain_proofs SET due_at = now() - interval '1 minute' WHERE tenant_id = $1", sc.Tenant()); err != nil {
		t.Fatal(err)
	}
	rows, err := f.store.As(t, db.RoleJobs).Query(t.Context(), "SELECT tenant_id::text FROM domain_proofs WHERE due_at <= now()")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var seen []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, id)
	}
	if !slices.Contains(seen, sc.Tenant().String()) || slices.Contains(seen, vouched.Tenant().String()) {
		t.Errorf("due: %v", seen)
	}
}

func TestPublished(t *testing.T) {
	f, net := online(t)
	const app = "14:6D:E9:83:C5:73:06:50:D8:EE:B9:95:2F:34:FC:64:16:A0:83:42:E6:1D:BE:A8:8A:04:96:B2:3F:CF:44:E5"
	sc := f.onDomain(t, "apps.example")
	if _, err := f.svc.UpdateSettings(t.Context(), sc, tenant.UpdateSettingsRequest{
		RelatedOrigins: &[]string{"https://apps.test-bank.example"}, AndroidApps: &[]tenant.AndroidApp{{PackageName: "com.example.bank", Fingerprints: []string{app}}},
	}); err != nil {
		t.Fatal(err)
	}
	states := func() (out []tenant.PublishedState, problems string) {
		t.Helper()
		found, err := f.svc.Published(t.Context(), sc)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range found {
			out = append(out, d.State)
			problems += d.URL + ": " + strings.Join(d.Problems, "; ") + "\n"
		}
		return out, problems
	}
	if got, why := states(); !slices.Equal(got, []tenant.PublishedState{"UNREACHABLE", "UNREACHABLE", "NOT_NEEDED", "NOT_NEEDED"}) {
		t.Errorf("no web server: %v\n%s", got, why)
	}
	net.Page("apps.example", "/.well-known/webauthn", fetchtest.As("application/json", `{"origins":["https://other.example"]}`))
	net.Page("apps.example", "/.well-known/assetlinks.json", fetchtest.As("text/html", `[]`))
	net.Page("apps.example", "/.well-known/apple-app-site-association", fetchtest.Text("<html>"))
	if got, why := states(); !slices.Equal(got, []tenant.PublishedState{"WRONG", "WRONG", "NOT_NEEDED", "NOT_NEEDED"}) ||
		!strings.Contains(why, "origins lacks https://apps.test-bank.example") || !strings.Contains(why, "Content-Type is not application/json; get_login_creds lacks com.example.bank") {
		t.Errorf("wrong documents: %v\n%s", got, why)
	}
	net.Page("apps.example", "/.well-known/webauthn", fetchtest.As("application/json; charset=utf-8", `{"origins":["https://apps.test-bank.example"]}`))
	net.Page("apps.example", "/.well-known/assetlinks.json", fetchtest.As("application/json",
		`[{"relation":["delegate_permission/common.get_login_creds"],"target":{"namespace":"android_app","package_name":"com.example.bank","sha256_cert_fingerprints":["`+app+`"]}}]`))
	if got, why := states(); !slices.Equal(got, []tenant.PublishedState{"OK", "OK", "NOT_NEEDED", "NOT_NEEDED"}) {
		t.Errorf("right documents: %v\n%s", got, why)
	}
	net.Page("apps.example", "/.well-known/webauthn", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) })
	if got, why := states(); got[0] != tenant.PublishedWrong || !strings.Contains(why, "redirects") {
		t.Errorf("a redirect: %v\n%s", got, why)
	}
}
