package support_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit/audittest"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/support"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

type world struct {
	*dbtest.Store
	*support.Service

	keys    *keys.Service
	members *member.Service
	names   map[uuid.UUID]string
}

var home = scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "cli", Name: "root"})

func newWorld(t *testing.T) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.Open(t.Context(), "local:"+path)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Store: dbtest.Fresh(t), names: map[uuid.UUID]string{}} // the reserved tenant is one for all
	w.keys = keys.New(keys.Options{Store: w.Store.Store, KMS: k})
	w.members = member.New(member.Options{Store: w.Store.Store, Keys: w.keys})
	w.Service = support.New(support.Options{
		Store: w.Store.Store, Keys: w.keys, Members: w.members,
		Name: func(_ context.Context, person uuid.UUID) (string, error) { return w.names[person], nil },
	})
	w.ensure(t, home)
	return w
}

func (w *world) ensure(t *testing.T, sc scope.Scope) {
	t.Helper()
	if err := w.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
}

func (w *world) tenant(t *testing.T) scope.Scope {
	t.Helper()
	sc := w.Store.Tenant(t)
	w.ensure(t, sc)
	return sc
}

// person is somebody with a role in sc's tenant, as they act in the tenant in.
func (w *world) person(t *testing.T, name string, sc scope.Scope, role member.Role) (uuid.UUID, func(in scope.Scope) scope.Scope) {
	t.Helper()
	made, err := w.members.Invite(t.Context(), sc.WithActor(home.Actor()), member.InviteRequest{Role: role, Label: name})
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.New()
	if _, _, err := w.members.Accept(t.Context(), id, scope.Origin{}, made.Token); err != nil {
		t.Fatal(err)
	}
	w.names[id] = name
	return id, func(in scope.Scope) scope.Scope {
		return scope.New(in.Tenant(), scope.Actor{Kind: scope.ActorOperator, ID: id.String(), Name: name})
	}
}

func (w *world) ask(t *testing.T, in scope.Scope, person uuid.UUID, access support.Access) support.Grant {
	t.Helper()
	g, err := w.Request(t.Context(), home, support.Request{TenantID: in.Tenant(), PersonID: person, Reason: "sign-ins fail", Ticket: "SUP-1", For: 30 * time.Minute, Access: access})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// sees is how many users a scope sees.
func (w *world) sees(t *testing.T, sc scope.Scope) int {
	t.Helper()
	var n int
	if err := w.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListUserFactsNewest(t.Context(), tenantq.ListUserFactsNewestParams{MaxRows: 10})
		n = len(rows)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// A whole story: asked, narrowed, looked, refused to write, recorded with both names,
// revoked, over at once.
func TestSupportAccess(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t), w.tenant(t)
	w.User(t, acme, 1)
	sam, asSam := w.person(t, "Sam Staff", home, member.StaffSupport)
	_, asAna := w.person(t, "Ana Admin", acme, member.Admin)

	asked := w.ask(t, acme, sam, support.Act)
	if !asked.Waits() || asked.PersonName != "Sam Staff" || asked.Wanted != 30*time.Minute {
		t.Fatalf("Request = %+v", asked)
	}
	if !asked.Scope(scope.Origin{}).IsZero() {
		t.Error("a request has a scope")
	}
	if n := w.sees(t, scope.ForSupport(acme.Tenant(), sam, "Sam", scope.Support{GrantID: asked.ID, By: home.Actor()})); n != 0 {
		t.Fatalf("a request shows %d users", n)
	}
	if _, err := w.Get(t.Context(), globex, asked.ID); !errors.Is(err, support.ErrNotFound) {
		t.Errorf("another tenant: Get error = %v, want %v", err, support.ErrNotFound)
	}
	granted, err := w.Grant(t.Context(), asAna(acme), support.GrantRequest{ID: asked.ID, Access: support.View, For: 10 * time.Minute, Reason: "look"})
	if err != nil || !granted.Runs() || granted.Access != support.View || granted.ExpiresAt.Sub(*granted.DecidedAt) != 10*time.Minute {
		t.Fatalf("Grant = %+v, %v", granted, err)
	}
	in := granted.Scope(scope.Origin{})
	if n := w.sees(t, in); n != 1 {
		t.Errorf("a grant shows %d users, want 1", n)
	}
	if ring, err := w.keys.Ring(t.Context(), in); err != nil || ring == nil {
		t.Errorf("names do not open: %v", err)
	}
	if err := w.Viewed(t.Context(), in, "/users"); err != nil {
		t.Fatal(err)
	}
	for _, slugs := range []func(context.Context, uuid.UUID) ([]support.Placed, error){w.Running, w.OfPerson} {
		if placed, err := slugs(t.Context(), sam); err != nil || len(placed) != 1 || placed[0].ID != asked.ID {
			t.Errorf("of the person = %+v, %v", placed, err)
		}
	}
	actions, err := w.Actions(t.Context(), asAna(acme), asked.ID, listing.Request{})
	if err != nil || len(actions.Items) != 1 || actions.Items[0].Page != "/users" || actions.Items[0].Action != support.ActionView {
		t.Errorf("Actions = %+v, %v", actions, err)
	}
	if _, err := w.Actions(t.Context(), globex, asked.ID, listing.Request{}); !errors.Is(err, support.ErrNotFound) {
		t.Errorf("another tenant: Actions error = %v, want %v", err, support.ErrNotFound)
	}
	entry := audittest.Entries(t, w.Store.Store, acme, 1)[0]
	actor, _ := entry["actor"].(map[string]any)
	by, _ := entry["onBehalfOf"].(map[string]any)
	if actor["kind"] != "support" || actor["id"] != sam.String() || actor["name"] != "Sam Staff" || by["kind"] != "operator" || by["name"] != "Ana Admin" {
		t.Errorf("the entry is of %v on behalf of %v", actor, by)
	}
	if _, err := w.Revoke(t.Context(), asAna(acme), asked.ID, "enough"); err != nil {
		t.Fatal(err)
	}
	if n := w.sees(t, in); n != 0 {
		t.Errorf("a revoked grant shows %d users", n)
	}
	if err := w.Viewed(t.Context(), in, "/users"); !errors.Is(err, db.ErrSupportMayNot) {
		t.Errorf("Viewed error = %v, want %v", err, db.ErrSupportMayNot)
	}
	for _, action := range []string{"support.request", "support.grant", "support.view", "support.revoke"} {
		if n := w.AuditCount(t, acme, action); n != 1 {
			t.Errorf("%d entries %s, want 1", n, action)
		}
	}
	again := w.ask(t, acme, sam, support.View)
	if _, err := w.End(t.Context(), asSam(acme), again.ID); err != nil {
		t.Errorf("taking a request back: %v", err)
	}
	if _, err := w.Grant(t.Context(), asAna(acme), support.GrantRequest{ID: again.ID, Reason: "late"}); !errors.Is(err, support.ErrOver) {
		t.Errorf("Grant of what was taken back: error = %v, want %v", err, support.ErrOver)
	}
}

func TestRequestRefuses(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	sam, asSam := w.person(t, "Sam", home, member.StaffSupport)
	mia, _ := w.person(t, "Mia", home, member.StaffSupport)
	vic, _ := w.person(t, "Vic", acme, member.Viewer)
	both, _ := w.person(t, "Bo", home, member.StaffSupport)
	made, err := w.members.Invite(t.Context(), acme.WithActor(home.Actor()), member.InviteRequest{Role: member.Viewer, Label: "Bo"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.members.Accept(t.Context(), both, scope.Origin{}, made.Token); err != nil {
		t.Fatal(err)
	}
	good := support.Request{TenantID: acme.Tenant(), PersonID: sam, Reason: "why", Ticket: "T", For: time.Minute, Access: support.View}
	for _, tt := range []struct {
		name  string
		spoil func(*support.Request)
		sc    scope.Scope
		want  error
	}{
		{"no reason", func(r *support.Request) { r.Reason = "" }, home, member.ErrReason},
		{"a long reason", func(r *support.Request) { r.Reason = strings.Repeat("é", 257) }, home, member.ErrReason},
		{"no ticket", func(r *support.Request) { r.Ticket = "" }, home, member.ErrTicket},
		{"over an hour", func(r *support.Request) { r.For = 61 * time.Minute }, home, support.ErrMinutes},
		{"no time", func(r *support.Request) { r.For = 0 }, home, support.ErrMinutes},
		{"half a minute", func(r *support.Request) { r.For = 90 * time.Second }, home, support.ErrMinutes},
		{"another access", func(r *support.Request) { r.Access = "ALL" }, home, support.ErrAccess},
		{"somebody else", func(*support.Request) {}, scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorOperator, ID: mia.String()}), member.ErrStaff},
		{"from a tenant", func(*support.Request) {}, acme, member.ErrStaff},
		{"not of the staff", func(r *support.Request) { r.PersonID = vic }, home, member.ErrStaff},
		{"a member", func(r *support.Request) { r.PersonID = both }, home, support.ErrMember},
		{"no such tenant", func(r *support.Request) { r.TenantID = uuid.New() }, home, tenant.ErrNotFound},
		{"the reserved tenant", func(r *support.Request) { r.TenantID = scope.PlatformTenant }, home, tenant.ErrNotFound},
	} {
		req := good
		tt.spoil(&req)
		if _, err := w.Request(t.Context(), tt.sc, req); !errors.Is(err, tt.want) {
			t.Errorf("%s: error = %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := w.Request(t.Context(), asSam(home), good); err != nil {
		t.Fatalf("a good one: %v", err)
	}
	if _, err := w.Request(t.Context(), asSam(home), good); !errors.Is(err, support.ErrOpen) {
		t.Errorf("a second one: error = %v, want %v", err, support.ErrOpen)
	}
	// Another tenant's open requests are not counted here, though the platform plane sees them.
	other := w.tenant(t)
	for range 20 {
		id, _ := w.person(t, "P", home, member.StaffSupport)
		w.ask(t, other, id, support.View)
	}
	w.ask(t, acme, mia, support.View)
	req := good
	req.TenantID, req.PersonID = other.Tenant(), sam
	if _, err := w.Request(t.Context(), home, req); !errors.Is(err, support.ErrTooMany) {
		t.Errorf("the 21st: error = %v, want %v", err, support.ErrTooMany)
	}
	// What is over stands in nobody's way.
	if _, err := w.Superuser(t).Exec(t.Context(), "UPDATE support_grants SET open_until = now() WHERE person_id = $1", sam); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Request(t.Context(), home, good); err != nil {
		t.Errorf("after an expired one: %v", err)
	}
}

// key is an API key of sc's tenant that maker has made, as it acts.
func (w *world) key(t *testing.T, sc scope.Scope, maker scope.Actor) scope.Scope {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	if _, err := w.Superuser(t).Exec(t.Context(), `INSERT INTO api_keys (tenant_id, id, key_id, kind, name, prefix, secret_hash, scopes, created_by, created_at)
		VALUES ($1, $2, $3, 'SECRET', 'ops', 'bk_', $4, $5, $6, now())`, sc.Tenant(), id, rand.Int64(), append(id[:], id[:]...), []string{apikey.ScopeSupportGrant}, string(maker.Kind)+":"+maker.ID); err != nil {
		t.Fatal(err)
	}
	return scope.New(sc.Tenant(), scope.Actor{Kind: scope.ActorAPIKey, ID: id.String(), Name: "ops"})
}

// Who may decide: owners and admins of the tenant and its keys, never the person, and never
// somebody of the staff who is nothing there. Without mayDecide the staff lets itself in.
func TestWhoLetsIn(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	sam, asSam := w.person(t, "Sam", home, member.StaffAdmin)
	_, asMia := w.person(t, "Mia", home, member.StaffAdmin)
	asked := w.ask(t, acme, sam, support.View)
	callers := map[string]scope.Scope{
		"the person":                 asSam(acme),
		"another of the staff":       asMia(acme),
		"a platform key":             scope.New(acme.Tenant(), scope.Actor{Kind: scope.ActorPlatform, ID: "k"}),
		"an end user":                scope.New(acme.Tenant(), scope.Actor{Kind: scope.ActorUser, ID: sam.String()}),
		"the command line, granting": scope.New(acme.Tenant(), home.Actor()),
	}
	_, asOda := w.person(t, "Oda", acme, member.Owner)
	oda, mia := asOda(acme).Actor(), asMia(acme).Actor()
	callers["a key that staff have made"] = w.key(t, acme, mia)
	callers["a key that the tenant was made with by staff"] = w.key(t, acme, scope.Actor{Kind: scope.ActorPlatform, ID: "k"})
	callers["a key of such a key"] = w.key(t, acme, callers["a key that staff have made"].Actor())
	callers["a key of nobody"] = scope.New(acme.Tenant(), scope.Actor{Kind: scope.ActorAPIKey, ID: uuid.NewString()})
	for _, role := range []member.Role{member.Security, member.Developer, member.Auditor, member.Support, member.Viewer} {
		_, as := w.person(t, string(role), acme, role)
		callers[string(role)] = as(acme)
	}
	for name, sc := range callers {
		if _, err := w.Grant(t.Context(), sc, support.GrantRequest{ID: asked.ID, Reason: "x"}); !errors.Is(err, support.ErrMayNot) {
			t.Errorf("%s: Grant error = %v, want %v", name, err, support.ErrMayNot)
		}
		if kind := sc.Actor().Kind; kind == scope.ActorSystem || kind == scope.ActorAPIKey {
			continue // they take away
		}
		if _, err := w.Refuse(t.Context(), sc, asked.ID, "x"); !errors.Is(err, support.ErrMayNot) {
			t.Errorf("%s: Refuse error = %v, want %v", name, err, support.ErrMayNot)
		}
	}
	key := w.key(t, acme, w.key(t, acme, oda).Actor())
	for _, tt := range []struct {
		name string
		req  support.GrantRequest
		want error
	}{
		{"no reason", support.GrantRequest{ID: asked.ID}, member.ErrReason},
		{"more time", support.GrantRequest{ID: asked.ID, For: 31 * time.Minute, Reason: "x"}, support.ErrWider},
		{"more access", support.GrantRequest{ID: asked.ID, Access: support.Act, Reason: "x"}, support.ErrWider},
		{"over an hour", support.GrantRequest{ID: asked.ID, For: 2 * time.Hour, Reason: "x"}, support.ErrMinutes},
		{"another access", support.GrantRequest{ID: asked.ID, Access: "ROOT", Reason: "x"}, support.ErrAccess},
		{"an unknown one", support.GrantRequest{ID: uuid.New(), Reason: "x"}, support.ErrNotFound},
	} {
		if _, err := w.Grant(t.Context(), key, tt.req); !errors.Is(err, tt.want) {
			t.Errorf("%s: error = %v, want %v", tt.name, err, tt.want)
		}
	}
	// Two who decide at once: one of them does.
	var wg sync.WaitGroup
	results := make(chan error, 8)
	for i := range cap(results) {
		wg.Go(func() {
			var err error
			if i%2 == 0 {
				_, err = w.Grant(t.Context(), key, support.GrantRequest{ID: asked.ID, Reason: "x"})
			} else {
				_, err = w.Refuse(t.Context(), key, asked.ID, "x")
			}
			results <- err
		})
	}
	wg.Wait()
	close(results)
	done := 0
	for err := range results {
		if err == nil {
			done++
		} else if !errors.Is(err, support.ErrOver) {
			t.Error(err)
		}
	}
	if done != 1 {
		t.Errorf("%d decisions, want 1", done)
	}
	if n := w.AuditCount(t, acme, "support.grant") + w.AuditCount(t, acme, "support.refuse"); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	if _, err := w.Revoke(t.Context(), asMia(acme), asked.ID, "x"); !errors.Is(err, support.ErrMayNot) {
		t.Errorf("Revoke error = %v, want %v", err, support.ErrMayNot)
	}
	if _, err := w.End(t.Context(), asMia(acme), asked.ID); !errors.Is(err, support.ErrNotFound) {
		t.Errorf("End of another's: error = %v, want %v", err, support.ErrNotFound)
	}
}

func TestListPages(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	for i := range 3 {
		id, _ := w.person(t, fmt.Sprint("P", i), home, member.StaffSupport)
		w.ask(t, acme, id, support.View)
	}
	first, err := w.List(t.Context(), acme, listing.Request{PageSize: 2})
	if err != nil || len(first.Items) != 2 || first.Items[0].PersonName != "P2" || first.NextToken == "" {
		t.Fatalf("List = %+v, %v", first, err)
	}
	rest, err := w.List(t.Context(), acme, listing.Request{PageSize: 2, PageToken: first.NextToken})
	if err != nil || len(rest.Items) != 1 || rest.NextToken != "" {
		t.Fatalf("List = %+v, %v", rest, err)
	}
	if _, err := w.List(t.Context(), w.tenant(t), listing.Request{PageToken: first.NextToken}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("another tenant's token: error = %v", err)
	}
	if _, err := w.List(t.Context(), acme, listing.Request{Filter: `state = "GRANTED"`}); !errors.Is(err, listing.ErrFilter) {
		t.Errorf("a filter: error = %v", err)
	}
	if open, err := w.Open(t.Context(), acme); err != nil || len(open) != 3 {
		t.Errorf("Open = %v, %v", open, err)
	}
}
