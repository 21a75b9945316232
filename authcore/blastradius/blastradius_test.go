package blastradius_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authcoretest"
	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// fixture is a world in which broken may be reported.
type fixture struct {
	*authcoretest.World

	svc     *blastradius.Service
	reports []blastradius.Report
}

func newFixture(t *testing.T, w *authcoretest.World) *fixture {
	t.Helper()
	f := &fixture{World: w}
	queue, err := jobs.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	f.svc, err = blastradius.New(blastradius.Options{
		Store: w.Store.Store, Keys: w.Keys, Tenants: w.Tenants, Queue: queue,
		Reports: func() (int, []blastradius.Report) { return 42, f.reports },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) state(t *testing.T, sc scope.Scope, c credential.Credential) string {
	t.Helper()
	now, err := f.Credentials.Get(t.Context(), sc, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	return string(now.State) + " " + now.Disposition
}

func (f *fixture) order(t *testing.T, sc scope.Scope, model uuid.UUID, d blastradius.Disposition) blastradius.Order {
	t.Helper()
	o, err := f.svc.Give(t.Context(), sc, blastradius.OrderRequest{AAGUID: model, Disposition: d, Reason: "drill"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.svc.CarryOut(t.Context(), sc, o.ID); err != nil {
		t.Fatal(err)
	}
	if o, err = f.svc.Get(t.Context(), sc, o.ID); err != nil || o.FinishedAt == nil {
		t.Fatalf("the order is not finished: %+v, %v", o, err)
	}
	return o
}

func TestMeasure(t *testing.T) {
	f := newFixture(t, authcoretest.New(t))
	acme, globex := f.Tenant(t), f.Tenant(t)
	broken, other := uuid.New(), uuid.New()
	ada, bob, eve := f.User(t, acme), f.User(t, acme), f.User(t, globex)
	adas := f.EnrollModel(t, acme, ada, broken, credential.TrustMDS, 2)
	f.EnrollModel(t, acme, ada, other, credential.TrustMDS, 1)
	bobs := f.EnrollModel(t, acme, bob, broken, credential.TrustNone, 2) // bob has nothing else
	f.EnrollModel(t, globex, eve, broken, credential.TrustMDS, 3)        // another tenant's
	f.SignIn(t, acme, adas[0])
	if _, err := f.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: bobs[1].ID}); err != nil {
		t.Fatal(err)
	}
	f.reports = []blastradius.Report{{AAGUID: broken, Statuses: []string{"REVOKED"}}}
	got, err := f.svc.Measure(t.Context(), acme, broken)
	want := blastradius.Radius{
		AAGUID: broken, Credentials: 3, Proven: 2, Active: 3, Users: 2, UsersAlone: 1, Sessions: 1, Reports: []string{"REVOKED"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Measure = %v (-want +got):\n%s", err, diff)
	}
	if got, err := f.svc.Measure(t.Context(), acme, uuid.New()); err != nil || got.Credentials != 0 || got.Users != 0 {
		t.Errorf("a model that nobody has: %+v, %v", got, err)
	}
	if _, err := f.svc.Measure(t.Context(), acme, uuid.Nil); !errors.Is(err, blastradius.ErrModel) {
		t.Errorf("the zero AAGUID: %v, want ErrModel", err)
	}
	models, err := f.svc.Models(t.Context(), acme)
	if err != nil || len(models) != 2 || models[0].AAGUID != broken || models[0].Credentials != 3 || models[0].Users != 2 || len(models[0].Reports) != 1 || models[1].AAGUID != other {
		t.Errorf("Models = %+v, %v", models, err)
	}
	first, err := f.svc.Credentials(t.Context(), acme, broken, listing.Request{PageSize: 2})
	if err != nil || len(first.Items) != 2 || first.NextToken == "" {
		t.Fatalf("the first page: %+v, %v", first, err)
	}
	second, err := f.svc.Credentials(t.Context(), acme, broken, listing.Request{PageSize: 2, PageToken: first.NextToken})
	if err != nil || len(second.Items) != 1 || second.NextToken != "" || second.Items[0].ID == first.Items[0].ID {
		t.Errorf("the second page: %+v, %v", second, err)
	}
	if _, err := f.svc.Credentials(t.Context(), acme, other, listing.Request{PageToken: first.NextToken}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("a token of another model's list: %v", err)
	}
}

// Each stage after each other, and back. What was suspended or resumed by hand stays so.
func TestStages(t *testing.T) {
	f := newFixture(t, authcoretest.New(t))
	acme, globex := f.Tenant(t), f.Tenant(t)
	broken := uuid.New()
	theirs := f.EnrollModel(t, globex, f.User(t, globex), broken, credential.TrustMDS, 1)[0]
	creds := f.EnrollModel(t, acme, f.User(t, acme), broken, credential.TrustMDS, 4)
	other := f.EnrollModel(t, acme, f.User(t, acme), uuid.New(), credential.TrustMDS, 1)[0]
	byHand, resumed, revoked, plain := creds[0], creds[1], creds[2], creds[3]
	must := func(_ credential.Credential, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(f.Credentials.Suspend(t.Context(), acme, credential.StateRequest{ID: byHand.ID}))
	must(f.Credentials.Revoke(t.Context(), acme, credential.RevokeRequest{ID: revoked.ID}))
	for _, tt := range []struct {
		order                  blastradius.Disposition
		changed                int
		byHand, resumed, plain string
	}{
		{blastradius.Flag, 3, "SUSPENDED FLAG", "ACTIVE FLAG", "ACTIVE FLAG"},
		{blastradius.Flag, 0, "SUSPENDED FLAG", "ACTIVE FLAG", "ACTIVE FLAG"},
		{blastradius.StepUp, 3, "SUSPENDED STEP_UP", "ACTIVE STEP_UP", "ACTIVE STEP_UP"},
		{blastradius.Suspend, 2, "SUSPENDED STEP_UP", "SUSPENDED SUSPEND", "SUSPENDED SUSPEND"},
		{blastradius.None, 3, "SUSPENDED ", "ACTIVE ", "ACTIVE "},
		{blastradius.Suspend, 2, "SUSPENDED ", "SUSPENDED SUSPEND", "SUSPENDED SUSPEND"},
	} {
		audits, events := f.AuditCount(t, acme, "credential.dispose"), f.EventCount(t, acme, event.CredentialDisposed)
		o := f.order(t, acme, broken, tt.order)
		if o.Credentials != tt.changed || o.Automatic || o.MDSNumber != 42 {
			t.Errorf("%s: %+v, want %d changed", tt.order, o, tt.changed)
		}
		if a, e := f.AuditCount(t, acme, "credential.dispose")-audits, f.EventCount(t, acme, event.CredentialDisposed)-events; a != int64(tt.changed) || e != int64(tt.changed) {
			t.Errorf("%s: %d audit entries and %d events, want %d", tt.order, a, e, tt.changed)
		}
		got := []string{f.state(t, acme, byHand), f.state(t, acme, resumed), f.state(t, acme, plain), f.state(t, acme, revoked)}
		if diff := cmp.Diff([]string{tt.byHand, tt.resumed, tt.plain, "REVOKED "}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.order, diff)
		}
	}
	// Somebody vouches for one of them.
	must(f.Credentials.Resume(t.Context(), acme, credential.StateRequest{ID: resumed.ID}))
	if o := f.order(t, acme, broken, blastradius.Suspend); o.Credentials != 0 || f.state(t, acme, resumed) != "ACTIVE SUSPEND" {
		t.Errorf("what was resumed is suspended again: %+v, %s", o, f.state(t, acme, resumed))
	}
	if got := f.state(t, acme, other); got != "ACTIVE " {
		t.Errorf("another model's credential: %s", got)
	}
	if got := f.state(t, globex, theirs); got != "ACTIVE " {
		t.Errorf("another tenant's credential: %s", got)
	}
	for _, bad := range []blastradius.OrderRequest{{AAGUID: broken, Disposition: "DELETE"}, {AAGUID: broken}} {
		if _, err := f.svc.Give(t.Context(), acme, bad); !errors.Is(err, blastradius.ErrDisposition) {
			t.Errorf("Give(%+v) = %v, want ErrDisposition", bad, err)
		}
	}
	page, err := f.svc.List(t.Context(), acme, listing.Request{PageSize: 3, Filter: `aaguid = "` + broken.String() + `"`})
	if err != nil || len(page.Items) != 3 || page.NextToken == "" || page.Items[0].Disposition != blastradius.Suspend {
		t.Errorf("List = %+v, %v", page, err)
	}
	if _, err := f.svc.Get(t.Context(), globex, page.Items[0].ID); !errors.Is(err, blastradius.ErrOrderNotFound) {
		t.Errorf("another tenant's order: %v, want ErrOrderNotFound", err)
	}
	if page, err := f.svc.List(t.Context(), globex, listing.Request{}); err != nil || len(page.Items) != 0 {
		t.Errorf("another tenant's list: %+v, %v", page, err)
	}
}

// The last word counts, whatever is carried out last.
func TestNewerOrderStopsOlder(t *testing.T) {
	f := newFixture(t, authcoretest.New(t))
	acme := f.Tenant(t)
	broken := uuid.New()
	c := f.EnrollModel(t, acme, f.User(t, acme), broken, credential.TrustMDS, 1)[0]
	older, err := f.svc.Give(t.Context(), acme, blastradius.OrderRequest{AAGUID: broken, Disposition: blastradius.Suspend})
	if err != nil {
		t.Fatal(err)
	}
	f.order(t, acme, broken, blastradius.Flag)
	if err := f.svc.CarryOut(t.Context(), acme, older.ID); err != nil {
		t.Fatal(err)
	}
	if older, err = f.svc.Get(t.Context(), acme, older.ID); err != nil || older.FinishedAt == nil || older.Credentials != 0 {
		t.Errorf("the older order: %+v, %v, want it finished without a change", older, err)
	}
	if got := f.state(t, acme, c); got != "ACTIVE FLAG" {
		t.Errorf("the credential is %s", got)
	}
}

// Several workers on one order, and a newer order beside it: three hundred credentials are
// more than a batch. Each is changed once by an order, which is finished once.
func TestOrdersRace(t *testing.T) {
	f := newFixture(t, authcoretest.New(t))
	acme := f.Tenant(t)
	broken := uuid.New()
	var creds []credential.Credential
	for range 3 {
		creds = append(creds, f.EnrollModel(t, acme, f.User(t, acme), broken, credential.TrustMDS, 100)...)
	}
	older, err := f.svc.Give(t.Context(), acme, blastradius.OrderRequest{AAGUID: broken, Disposition: blastradius.StepUp})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := f.svc.CarryOut(t.Context(), acme, older.ID); err != nil {
				t.Errorf("CarryOut = %v", err)
			}
		})
	}
	newer, err := f.svc.Give(t.Context(), acme, blastradius.OrderRequest{AAGUID: broken, Disposition: blastradius.Flag})
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		if err := f.svc.CarryOut(t.Context(), acme, newer.ID); err != nil {
			t.Errorf("CarryOut = %v", err)
		}
	})
	wg.Wait()
	for _, c := range creds {
		if got := f.state(t, acme, c); got != "ACTIVE FLAG" {
			t.Fatalf("a credential is %s, want what the newest order says", got)
		}
	}
	for _, id := range []uuid.UUID{older.ID, newer.ID} {
		if o, err := f.svc.Get(t.Context(), acme, id); err != nil || o.FinishedAt == nil {
			t.Errorf("order %s: %+v, %v", id, o, err)
		}
	}
	if got := f.AuditCount(t, acme, "authenticator.dispose"); got != 2 {
		t.Errorf("%d orders are in the log, want 2", got)
	}
}

func (f *fixture) policy(t *testing.T, sc scope.Scope, document string) {
	t.Helper()
	if _, err := tenant.New(tenant.Options{Store: f.Store.Store, Keys: f.Keys}).PutPolicy(t.Context(), sc, tenant.PutPolicyRequest{Document: []byte(document)}); err != nil {
		t.Fatal(err)
	}
}

// What the tenant's policy says happens to credentials of a model that is reported, once,
// and not against what a person decided.
func TestReconcile(t *testing.T) {
	f := newFixture(t, authcoretest.New(t))
	acme, globex, initech := f.Tenant(t), f.Tenant(t), f.Tenant(t)
	broken := uuid.New()
	enroll := func(sc scope.Scope) credential.Credential {
		return f.EnrollModel(t, sc, f.User(t, sc), broken, credential.TrustMDS, 1)[0]
	}
	acmes, globexes := enroll(acme), enroll(globex)
	f.policy(t, globex, `{"authenticatorStatus":"SUSPEND"}`)
	reconcile := func(sc scope.Scope, want int) {
		t.Helper()
		given, err := f.svc.Reconcile(t.Context(), sc)
		if err != nil || given != want {
			t.Fatalf("Reconcile = %d, %v, want %d orders", given, err, want)
		}
		page, err := f.svc.List(t.Context(), sc, listing.Request{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Items {
			if err := f.svc.CarryOut(t.Context(), sc, o.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	reconcile(acme, 0) // nothing is reported
	f.reports = []blastradius.Report{{AAGUID: broken, Name: "Broken key", Statuses: []string{"REVOKED"}}}
	reconcile(acme, 1)
	reconcile(globex, 1)
	reconcile(initech, 0)
	if got := f.state(t, acme, acmes); got != "ACTIVE FLAG" {
		t.Errorf("by default it is flagged, got %s", got)
	}
	if got := f.state(t, globex, globexes); got != "SUSPENDED SUSPEND" {
		t.Errorf("globex wants it suspended, got %s", got)
	}
	reconcile(globex, 0)
	later := enroll(globex)
	reconcile(globex, 1) // one that came since
	if got := f.state(t, globex, later); got != "SUSPENDED SUSPEND" {
		t.Errorf("one that came since is %s", got)
	}
	f.order(t, globex, broken, blastradius.None)
	reconcile(globex, 0) // a person has decided
	if got := f.state(t, globex, later); got != "ACTIVE " {
		t.Errorf("what a person has lifted is %s", got)
	}
	f.reports[0].Statuses = []string{"REVOKED", "USER_KEY_REMOTE_COMPROMISE"}
	reconcile(globex, 1) // it is worse now
	if got := f.state(t, globex, later); got != "SUSPENDED SUSPEND" {
		t.Errorf("after another report it is %s", got)
	}
	f.policy(t, globex, `{"authenticatorStatus":"FLAG"}`)
	reconcile(globex, 0) // milder: a person's to say
}

func TestJobCarriesOrdersOut(t *testing.T) {
	store := dbtest.Fresh(t)
	f := newFixture(t, authcoretest.On(t, store))
	acme := f.Tenant(t)
	broken := uuid.New()
	c := f.EnrollModel(t, acme, f.User(t, acme), broken, credential.TrustMDS, 1)[0]
	r := jobs.NewRunner(jobs.Options{URL: store.URL(db.RoleJobs), Now: store.Now, Log: slog.New(slog.DiscardHandler)})
	f.svc.Handle(r)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	o, err := f.svc.Give(t.Context(), acme, blastradius.OrderRequest{AAGUID: broken, Disposition: blastradius.Suspend})
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); o.FinishedAt == nil; <-tick.C {
		if o, err = f.svc.Get(t.Context(), acme, o.ID); err != nil || time.Now().After(deadline) {
			t.Fatalf("the order is not carried out: %+v, %v", o, err)
		}
	}
	if got := f.state(t, acme, c); got != "SUSPENDED SUSPEND" {
		t.Errorf("the credential is %s", got)
	}
}

// What a batch costs: ratios to one credential tell whether it is linear.
func BenchmarkCarryOut(b *testing.B) {
	for _, n := range []int{1, 200} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			w := authcoretest.New(b)
			queue, err := jobs.NewQueue()
			if err != nil {
				b.Fatal(err)
			}
			svc, err := blastradius.New(blastradius.Options{Store: w.Store.Store, Keys: w.Keys, Tenants: w.Tenants, Queue: queue, Reports: func() (int, []blastradius.Report) { return 0, nil }})
			if err != nil {
				b.Fatal(err)
			}
			acme := w.Tenant(b)
			broken := uuid.New()
			w.EnrollModel(b, acme, w.User(b, acme), broken, credential.TrustMDS, n)
			stages := []blastradius.Disposition{blastradius.Flag, blastradius.None}
			for i := 0; b.Loop(); i++ {
				o, err := svc.Give(b.Context(), acme, blastradius.OrderRequest{AAGUID: broken, Disposition: stages[i%2]})
				if err != nil {
					b.Fatal(err)
				}
				if err := svc.CarryOut(b.Context(), acme, o.ID); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
