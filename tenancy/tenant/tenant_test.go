package tenant_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/audittest"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/idempotency"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// operator is the platform's key.
var operator = scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorPlatform, ID: "pf1", Name: "ops"}).
	WithOrigin(scope.Origin{RequestID: "req-1"})

type fixture struct {
	store *dbtest.Store
	keys  *keys.Service
	svc   *tenant.Service
	// firstKeys is what the service's FirstKeys does.
	firstKeys func(tx *db.TenantTx) error
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{store: dbtest.New(t), firstKeys: func(*db.TenantTx) error { return nil }}
	f.keys = keys.New(keys.Options{Store: f.store.Store, KMS: sharedKMS(t)})
	if err := f.keys.Ensure(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	f.svc = tenant.New(tenant.Options{
		Store: f.store.Store, Keys: f.keys, FirstKeys: f.noKeys,
	})
	return f
}

func (f *fixture) noKeys(_ context.Context, tx *db.TenantTx, mode tenant.Mode) (tenant.FirstKeys, error) {
	return tenant.FirstKeys{Secret: "bk " + string(mode), Publishable: "pk " + string(mode)}, f.firstKeys(tx)
}

// The platform's tenant is shared by the tests of this process, so its KMS key is.
var kmsOnce struct {
	sync.Once

	kms keys.KMS
	err error
}

func sharedKMS(t *testing.T) keys.KMS {
	t.Helper()
	kmsOnce.Do(func() {
		path := filepath.Join(t.TempDir(), "kms.key")
		if kmsOnce.err = kms.CreateLocal(path); kmsOnce.err == nil {
			kmsOnce.kms, kmsOnce.err = kms.Open(t.Context(), "local:"+path)
		}
	})
	if kmsOnce.err != nil {
		t.Fatal(kmsOnce.err)
	}
	return kmsOnce.kms
}

var slugCount atomic.Int64

func slug() string { return fmt.Sprintf("t%dx%d", time.Now().UnixNano(), slugCount.Add(1)) }

func acmeRequest() tenant.CreateRequest {
	return tenant.CreateRequest{
		Slug: slug(), Name: "Acme Bank", Mode: tenant.Test, RPID: "acme.example",
		Origins: []string{"https://acme.example", "https://login.acme.example:8443"},
	}
}

func (f *fixture) create(t *testing.T, change ...func(*tenant.CreateRequest)) tenant.Tenant {
	t.Helper()
	req := acmeRequest()
	for _, c := range change {
		c(&req)
	}
	made, _, err := f.svc.Create(t.Context(), operator, req)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func of(made tenant.Tenant) scope.Scope {
	return scope.New(made.ID, scope.Actor{Kind: scope.ActorSystem, ID: "test"})
}

func TestCreate(t *testing.T) {
	f := newFixture(t)
	req := acmeRequest()
	req.Name = "  Ångström   Bank " // NFD, and spaces
	made, first, err := f.svc.Create(t.Context(), operator, req)
	if err != nil {
		t.Fatal(err)
	}
	if made.Slug != req.Slug || made.Name != "Ångström Bank" || made.Mode != tenant.Test || made.State != tenant.Active ||
		made.RPID != req.RPID || made.RPName != made.Name || len(made.Origins) != 2 || made.ETag == "" || made.CreatedAt.IsZero() {
		t.Errorf("created %+v", made)
	}
	if first.Secret != "bk TEST" || first.Publishable != "pk TEST" {
		t.Errorf("first keys = %q, %q", first.Secret, first.Publishable)
	}

	sc := of(made)
	snap, err := f.svc.Current(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	if want := policy.Default(); snap.PolicyVersion != 1 || fmt.Sprint(snap.Policy) != fmt.Sprint(want) {
		t.Errorf("policy %d = %+v, want the default as version 1", snap.PolicyVersion, snap.Policy)
	}
	if !snap.HasOrigin("https://acme.example") || snap.HasOrigin("https://acme.example.evil.example") || snap.Usable() != nil {
		t.Errorf("snapshot %+v", snap)
	}
	ring, err := f.keys.Ring(t.Context(), sc)
	if err != nil || ring.Signer() == nil {
		t.Errorf("keys of the new tenant: %v", err)
	}

	entry := lastAudit(t, f.store.Store, sc)
	actor, _ := entry["actor"].(map[string]any)
	if entry["action"] != "tenant.create" || actor["kind"] != "platform" || actor["id"] != "pf1" || entry["requestId"] != "req-1" {
		t.Errorf("audit entry %v", entry)
	}
	if n := len(events(t, f.store.Store, sc)); n != 1 {
		t.Errorf("events = %d, want 1", n)
	}
}

// A reason that the audit log does not take is refused, before anything is done.
func TestReasonsAreBounded(t *testing.T) {
	f := newFixture(t)
	long := strings.Repeat("x", 257)
	made := f.create(t, func(*tenant.CreateRequest) {})
	own := scope.New(made.ID, operator.Actor())
	doomed := f.create(t, func(*tenant.CreateRequest) {})
	if _, err := f.svc.Delete(t.Context(), operator, tenant.DeleteRequest{ID: doomed.ID}); err != nil {
		t.Fatal(err)
	}
	for name, act := range map[string]func() error{
		"create": func() error {
			req := acmeRequest()
			req.Reason = long
			_, _, err := f.svc.Create(t.Context(), operator, req)
			return err
		},
		"suspend": func() error {
			_, err := f.svc.Suspend(t.Context(), operator, tenant.SuspendRequest{ID: made.ID, Reason: long})
			return err
		},
		"delete": func() error {
			_, err := f.svc.Delete(t.Context(), operator, tenant.DeleteRequest{ID: made.ID, Reason: long})
			return err
		},
		"restore": func() error {
			_, err := f.svc.Restore(t.Context(), operator, tenant.DeleteRequest{ID: doomed.ID, Reason: long})
			return err
		},
		"shred": func() error {
			_, err := f.svc.Shred(t.Context(), operator, tenant.ShredRequest{ID: doomed.ID, Reason: long})
			return err
		},
		"roll back": func() error {
			_, err := f.svc.RollbackPolicy(t.Context(), own, tenant.RollbackPolicyRequest{Version: 1, Reason: long})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := act()
			if fl, ok := fault.As(err); !ok || !errors.Is(err, tenant.ErrInvalid) || !strings.HasPrefix(fl.Message, "reason ") {
				t.Errorf("error = %v, want that the reason is too long", err)
			}
		})
	}
	if got, err := f.svc.Get(t.Context(), operator, made.ID); err != nil || got.ETag != made.ETag {
		t.Errorf("the tenant = %+v, %v, want as it was", got, err)
	}
}

func TestCreateIsAllOrNothing(t *testing.T) {
	f := newFixture(t)
	broken := errors.New("broken")
	var id uuid.UUID
	f.firstKeys = func(tx *db.TenantTx) error { id = tx.Scope().Tenant(); return broken }
	req := acmeRequest()
	if _, first, err := f.svc.Create(t.Context(), operator, req); !errors.Is(err, broken) || first.Secret != "" {
		t.Fatalf("Create = %v, want %v and no keys", err, broken)
	}
	if _, err := f.svc.Get(t.Context(), operator, id); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	f.firstKeys = func(*db.TenantTx) error { return nil }
	if _, _, err := f.svc.Create(t.Context(), operator, req); err != nil {
		t.Errorf("the slug of the failed attempt is taken: %v", err)
	}
	if _, _, err := f.svc.Create(t.Context(), operator, req); !errors.Is(err, tenant.ErrExists) {
		t.Errorf("the same slug again = %v, want ErrExists", err)
	}
	req.Slug = "platform"
	if _, _, err := f.svc.Create(t.Context(), operator, req); !errors.Is(err, tenant.ErrExists) {
		t.Errorf("the platform's slug = %v, want ErrExists", err)
	}
}

// Two servers asked for one slug make one tenant.
func TestCreateRace(t *testing.T) {
	f := newFixture(t)
	req := acmeRequest()
	var made, exists atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch _, _, err := f.svc.Create(t.Context(), operator, req); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, tenant.ErrExists):
				exists.Add(1)
			default:
				t.Errorf("Create = %v", err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 || exists.Load() != 7 {
		t.Errorf("made %d, refused %d, want 1 and 7", made.Load(), exists.Load())
	}
}

// A repeat under one Idempotency-Key makes no second tenant, and does not tell the
// keys of the first again; a change answers as it did.
func TestIdempotencyKey(t *testing.T) {
	f := newFixture(t)
	call := func(method string, encode func(any) ([]byte, error)) context.Context {
		return idempotency.NewContext(t.Context(), &idempotency.Call{
			Scope: operator, Method: method, Key: f.store.Now().String(), Encode: encode,
		})
	}
	encode := json.Marshal
	key := func(ctx context.Context) context.Context { // the same call again
		again := *idempotency.FromContext(ctx)
		return idempotency.NewContext(t.Context(), &again)
	}

	ctx := call("create", encode)
	again := key(ctx)
	made, _, err := f.svc.Create(ctx, operator, acmeRequest())
	if err != nil {
		t.Fatal(err)
	}
	if _, first, err := f.svc.Create(again, operator, acmeRequest()); !errors.Is(err, idempotency.ErrNotReplayable) || first.Secret != "" {
		t.Errorf("Create again = %v, want ErrNotReplayable", err)
	}

	ctx = call("suspend", encode)
	again = key(ctx)
	if _, err := f.svc.Suspend(ctx, operator, tenant.SuspendRequest{ID: made.ID, Reason: "once"}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.svc.Resume(t.Context(), operator, tenant.SuspendRequest{ID: made.ID}); err != nil {
		t.Fatal(err)
	}
	_, err = f.svc.Suspend(again, operator, tenant.SuspendRequest{ID: made.ID, Reason: "once"})
	replayed, ok := idempotency.AsReplayed(err)
	if !ok || !strings.Contains(string(replayed.Response), made.ID.String()) {
		t.Fatalf("Suspend again = %v, want the first answer", err)
	}
	if got, err := f.svc.Get(t.Context(), operator, made.ID); err != nil || got.State != tenant.Active {
		t.Errorf("the repeat took effect: %v, %v", got.State, err)
	}
}

// SECURITY 6: a tenant's own actor has no business on the platform plane, whatever
// id it gives.
func TestPlatformPlaneRefusesTenants(t *testing.T) {
	f := newFixture(t)
	acme, globex := f.create(t), f.create(t)
	sc := of(acme)
	calls := map[string]func(sc scope.Scope) error{
		"Create": func(sc scope.Scope) error { _, _, err := f.svc.Create(t.Context(), sc, acmeRequest()); return err },
		"Get":    func(sc scope.Scope) error { _, err := f.svc.Get(t.Context(), sc, globex.ID); return err },
		"List":   func(sc scope.Scope) error { _, err := f.svc.List(t.Context(), sc, listing.Request{}); return err },
		"Update": func(sc scope.Scope) error {
			_, err := f.svc.Update(t.Context(), sc, tenant.UpdateRequest{ID: globex.ID})
			return err
		},
		"Suspend": func(sc scope.Scope) error {
			_, err := f.svc.Suspend(t.Context(), sc, tenant.SuspendRequest{ID: globex.ID})
			return err
		},
		"Resume": func(sc scope.Scope) error {
			_, err := f.svc.Resume(t.Context(), sc, tenant.SuspendRequest{ID: globex.ID})
			return err
		},
	}
	for name, call := range calls {
		for who, sc := range map[string]scope.Scope{"a tenant": sc, "nobody": {}} {
			if err := call(sc); !errors.Is(err, tenant.ErrPlatformOnly) {
				t.Errorf("%s as %s = %v, want ErrPlatformOnly", name, who, err)
			}
		}
	}
	if got, err := f.svc.Get(t.Context(), operator, globex.ID); err != nil || got.State != tenant.Active {
		t.Errorf("it was changed: %+v, %v", got, err)
	}
}

func TestThePlatformTenantIsNoCustomer(t *testing.T) {
	f := newFixture(t)
	id := scope.PlatformTenant
	if _, err := f.svc.Get(t.Context(), operator, id); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
	if _, err := f.svc.Suspend(t.Context(), operator, tenant.SuspendRequest{ID: id}); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("Suspend = %v", err)
	}
	name := "x"
	if _, err := f.svc.Update(t.Context(), operator, tenant.UpdateRequest{ID: id, Name: &name}); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("Update = %v", err)
	}
	snap, err := f.svc.Current(t.Context(), operator)
	if err != nil || snap.Slug != "platform" || snap.Policy.Validate() != nil {
		t.Errorf("Current = %+v, %v", snap, err)
	}
}

func TestUpdate(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	sc := of(made)
	update := func(req tenant.UpdateRequest) (tenant.Tenant, error) {
		req.ID = made.ID
		return f.svc.Update(t.Context(), operator, req)
	}
	name, rpID := "Acme Group", "group.example"

	got, err := update(tenant.UpdateRequest{Name: &name, IfMatch: made.ETag})
	if err != nil || got.Name != name || got.RPName != name || got.ETag == made.ETag || got.Slug != made.Slug {
		t.Fatalf("Update = %+v, %v", got, err)
	}
	entry := lastAudit(t, f.store.Store, sc)
	before, _ := entry["before"].(map[string]any)
	after, _ := entry["after"].(map[string]any)
	if entry["action"] != "tenant.update" || before["name"] != "Acme Bank" || after["name"] != name || after["rpId"] != nil {
		t.Errorf("audit entry %v", entry)
	}

	if _, err := update(tenant.UpdateRequest{Name: &name, IfMatch: made.ETag}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("an old etag = %v, want ErrMismatch", err)
	}
	same, err := update(tenant.UpdateRequest{Name: &name, Origins: made.Origins})
	if err != nil || same.ETag != got.ETag || f.store.AuditCount(t, sc, "tenant.update") != 1 {
		t.Errorf("an update that changes nothing left a trace: %v", err)
	}
	if _, err := update(tenant.UpdateRequest{RPID: &rpID}); !errors.Is(err, tenant.ErrInvalid) {
		t.Errorf("an RP ID that strands the origins = %v, want ErrInvalid", err)
	}
	moved, err := update(tenant.UpdateRequest{RPID: &rpID, Origins: []string{"https://group.example"}})
	if err != nil || moved.RPID != rpID {
		t.Errorf("another RP ID with its origins = %+v, %v", moved, err)
	}
	f.store.User(t, sc, 1)
	back := "acme.example"
	if _, err := update(tenant.UpdateRequest{RPID: &back, Origins: made.Origins}); !errors.Is(err, tenant.ErrRPIDInUse) {
		t.Errorf("another RP ID with credentials = %v, want ErrRPIDInUse", err)
	}
	direct := true
	if got, err := update(tenant.UpdateRequest{DirectTokens: &direct}); err != nil || !got.DirectTokens {
		t.Errorf("direct tokens = %+v, %v", got, err)
	}
	unknown := tenant.UpdateRequest{ID: uuid.New(), Name: &name}
	if _, err := f.svc.Update(t.Context(), operator, unknown); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("an unknown tenant = %v, want ErrNotFound", err)
	}
}

// Removing the row lock lets two writers pass one If-Match.
func TestUpdateRace(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprint("Name ", i)
			_, err := f.svc.Update(t.Context(), operator, tenant.UpdateRequest{ID: made.ID, Name: &name, IfMatch: made.ETag})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, etag.ErrMismatch) {
				t.Errorf("Update = %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d updates passed one If-Match", won.Load())
	}
}

func TestSuspendAndResume(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	sc := of(made)
	suspend := func(reason string) (tenant.Tenant, error) {
		return f.svc.Suspend(t.Context(), operator, tenant.SuspendRequest{ID: made.ID, Reason: reason})
	}
	got, err := suspend("unpaid")
	if err != nil || got.State != tenant.Suspended || got.SuspendReason != "unpaid" {
		t.Fatalf("Suspend = %+v, %v", got, err)
	}
	if entry := lastAudit(t, f.store.Store, sc); entry["action"] != "tenant.suspend" || entry["reason"] != "unpaid" {
		t.Errorf("audit entry %v", entry)
	}
	again, err := suspend("other")
	if err != nil || again.SuspendReason != "unpaid" || again.ETag != got.ETag || f.store.AuditCount(t, sc, "tenant.suspend") != 1 {
		t.Errorf("suspending twice = %+v, %v", again, err)
	}
	resumed, err := f.svc.Resume(t.Context(), operator, tenant.SuspendRequest{ID: made.ID})
	if err != nil || resumed.State != tenant.Active || resumed.SuspendReason != "" {
		t.Errorf("Resume = %+v, %v", resumed, err)
	}
	if _, err := f.svc.Resume(t.Context(), operator, tenant.SuspendRequest{ID: made.ID}); err != nil || f.store.AuditCount(t, sc, "tenant.resume") != 1 {
		t.Errorf("resuming twice: %v", err)
	}

	setState(t, f.store.Store, made.ID, "DELETING")
	for name, verb := range map[string]func(context.Context, scope.Scope, tenant.SuspendRequest) (tenant.Tenant, error){
		"Suspend": f.svc.Suspend, "Resume": f.svc.Resume,
	} {
		if _, err := verb(t.Context(), operator, tenant.SuspendRequest{ID: made.ID}); !errors.Is(err, tenant.ErrDeleting) {
			t.Errorf("%s while deleting = %v, want ErrDeleting", name, err)
		}
	}
}

// SECURITY 47: another server refuses a suspended tenant within a second.
func TestSuspensionIsSeenByTheOtherServer(t *testing.T) {
	f := newFixture(t)
	made := f.create(t)
	replica := f.store.Replica(t)
	other := tenant.New(tenant.Options{Store: replica})
	current := func() *tenant.Snapshot {
		t.Helper()
		snap, err := other.Current(t.Context(), of(made))
		if err != nil {
			t.Fatal(err)
		}
		return snap
	}
	usable := func() error { return current().Usable() }
	for fresh := false; !fresh; { // once more after it is fresh: now it is cached there
		fresh = replica.Fresh()
		if err := usable(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.svc.Suspend(t.Context(), operator, tenant.SuspendRequest{ID: made.ID}); err != nil {
		t.Fatal(err)
	}
	dbtest.Seen(t, "a suspension on the other server", func() string {
		if err := usable(); !errors.Is(err, tenant.ErrSuspended) {
			return fmt.Sprintf("it says %v", err)
		}
		return ""
	})
}

func TestCurrentOfAnUnknownTenant(t *testing.T) {
	f := newFixture(t)
	nobody := scope.New(uuid.New(), scope.Actor{Kind: scope.ActorSystem, ID: "x"})
	if _, err := f.svc.Current(t.Context(), nobody); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("Current = %v, want ErrNotFound", err)
	}
	if _, err := f.svc.Current(t.Context(), scope.Scope{}); !errors.Is(err, db.ErrScope) {
		t.Errorf("Current of the zero scope = %v, want ErrScope", err)
	}
}

func TestBrokenPolicyIsNotTheCallersFault(t *testing.T) {
	f := newFixture(t)
	sc := f.store.TenantWith(t, dbtest.TenantOptions{Policy: `{"userVerification":"maybe"}`})
	_, err := f.svc.Current(t.Context(), sc)
	if err == nil || errors.Is(err, policy.ErrInvalid) {
		t.Errorf("Current = %v, want an error that no caller reads", err)
	}
}

func TestResolve(t *testing.T) {
	f := newFixture(t)
	req := acmeRequest()
	if _, err := f.svc.Resolve(t.Context(), req.Slug, netip.Addr{}); !errors.Is(err, tenant.ErrNotFound) {
		t.Fatalf("Resolve before Create = %v", err)
	}
	made, _, err := f.svc.Create(t.Context(), operator, req)
	if err != nil {
		t.Fatal(err)
	}
	other := tenant.New(tenant.Options{Store: f.store.Store}) // has not looked for it before
	for range 2 {
		if id, err := other.Resolve(t.Context(), req.Slug, netip.Addr{}); err != nil || id != made.ID {
			t.Errorf("Resolve = %v, %v, want %v", id, err, made.ID)
		}
	}
	before := f.store.PlatformCalls()
	for range 10 {
		for _, s := range []string{req.Slug, "No/Slug", "", strings.Repeat("a", 41), "nobody-has-this"} {
			_, _ = other.Resolve(t.Context(), s, netip.Addr{})
		}
	}
	if n := f.store.PlatformCalls() - before; n != 1 {
		t.Errorf("a flood of slugs asked Postgres %d times, want once", n)
	}
}

func TestFirstKeysDoNotPrint(t *testing.T) {
	k := tenant.FirstKeys{Secret: "bk_secret", Publishable: "pk_secret"}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "keys", k)
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s", k, k, k, &k), log.String()} {
		if strings.Contains(text, "_secret") {
			t.Errorf("printed %s", text)
		}
	}
}

func setState(t *testing.T, store *db.Store, id uuid.UUID, state string) {
	t.Helper()
	if err := store.InPlatform(t.Context(), "test", func(tx *db.PlatformTx) error {
		_, err := tx.SetTenantState(t.Context(), platformq.SetTenantStateParams{ID: id, State: state, Now: store.Now()})
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// lastAudit is the tenant's newest audit entry.
func lastAudit(t *testing.T, store *db.Store, sc scope.Scope) map[string]any {
	t.Helper()
	entries := audittest.Entries(t, store, sc, 1)
	if len(entries) == 0 {
		t.Fatal("no entry")
	}
	return entries[0]
}

func events(t *testing.T, store *db.Store, sc scope.Scope) []tenantq.ListEventsRow {
	t.Helper()
	var rows []tenantq.ListEventsRow
	if err := store.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) (err error) {
		rows, err = tx.ListEvents(t.Context(), tenantq.ListEventsParams{MaxRows: 10})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}
