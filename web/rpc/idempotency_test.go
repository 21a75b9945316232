package rpc_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectinprocess"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/tenancy/idempotency"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/web/rpc"
)

// office serves users out of a real store, to whoever holds a scope.
type office struct {
	store    *dbtest.Store
	keys     *keys.Service
	finished int // sign-ins that the handler was asked for
}

func newOffice(t *testing.T) *office {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	store := dbtest.New(t)
	return &office{store: store, keys: keys.New(keys.Options{Store: store.Store, KMS: k})}
}

func (o *office) tenant(t *testing.T) scope.Scope {
	t.Helper()
	sc := o.store.Tenant(t)
	if err := o.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	return sc
}

// client is one caller's.
func (o *office) client(sc scope.Scope) *connect.Client {
	authenticated := func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			return next(scope.NewContext(ctx, sc), spec, stream)
		}
	}
	claim := func(ctx context.Context, call *idempotency.Call) error {
		return o.store.InTenant(idempotency.NewContext(ctx, call), call.Scope, func(*db.TenantTx) error { return nil })
	}
	server := connect.NewServer(rpc.MapErrors(slog.New(slog.DiscardHandler)), authenticated, rpc.Idempotency(claim, o.keys))
	authv1connect.RegisterUserServiceHandler(server, rpc.NewUserHandler(user.New(user.Options{Store: o.store.Store, Keys: o.keys})))
	authv1connect.RegisterAuthenticationServiceHandler(server, counting{o: o})
	return connect.NewClient(connectinprocess.New(server))
}

type counting struct {
	authv1connect.UnimplementedAuthenticationServiceHandler
	o *office
}

func (c counting) FinishAuthentication(context.Context, *authv1.FinishAuthenticationRequest) (*authv1.FinishAuthenticationResponse, error) {
	c.o.finished++
	return &authv1.FinishAuthenticationResponse{}, nil
}

func create(t *testing.T, c *connect.Client, key, external string) (*authv1.User, error) {
	t.Helper()
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Idempotency-Key", key)
	return authv1connect.NewUserServiceClient(c).CreateUser(ctx, &authv1.CreateUserRequest{ExternalId: external, Name: external})
}

func TestIdempotencyKeys(t *testing.T) {
	o := newOffice(t)
	acme, globex := o.tenant(t), o.tenant(t)
	colleague := acme.WithActor(scope.Actor{Kind: scope.ActorAPIKey, ID: uuid.NewString()})
	first, err := create(t, o.client(acme), "k", "alice")
	if err != nil {
		t.Fatal(err)
	}
	again, err := create(t, o.client(acme), "k", "alice")
	if err != nil || !proto.Equal(again, first) {
		t.Errorf("the repeat = %v, %v, want the first answer %v", again, err, first)
	}
	if _, err := create(t, o.client(acme), "k", "bob"); reasonOf(t, err).GetReason() != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("another request under the key: %v", err)
	}
	// The key is its caller's: others do not meet it.
	if _, err := create(t, o.client(colleague), "k", "alice"); reasonOf(t, err).GetReason() != "USER_EXISTS" {
		t.Errorf("the same by a colleague: %v", err)
	}
	if u, err := create(t, o.client(globex), "k", "alice"); err != nil || u.GetId() == first.GetId() {
		t.Errorf("the same by another tenant: %v, %v", u, err)
	}
	// And its method's.
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Idempotency-Key", "k")
	if _, err := authv1connect.NewUserServiceClient(o.client(acme)).BlockUser(ctx, &authv1.BlockUserRequest{UserId: first.GetId()}); err != nil {
		t.Errorf("the same key for another method: %v", err)
	}
}

// A call that failed has not happened: its key is free.
func TestFailureFreesTheKey(t *testing.T) {
	o := newOffice(t)
	c := o.client(o.tenant(t))
	in, err := create(t, c, "first", "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := create(t, c, "second", "alice"); reasonOf(t, err).GetReason() != "USER_EXISTS" {
		t.Fatalf("the same user again: %v", err)
	}
	if _, err := authv1connect.NewUserServiceClient(c).DeleteUser(t.Context(), &authv1.DeleteUserRequest{UserId: in.GetId()}); err != nil {
		t.Fatal(err)
	}
	if u, err := create(t, c, "second", "alice"); err != nil || u.GetId() == in.GetId() {
		t.Errorf("after the cause is gone: %v, %v", u, err)
	}
}

func TestOneKeyManyCallers(t *testing.T) {
	o := newOffice(t)
	c := o.client(o.tenant(t))
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			u, err := create(t, c, "k", "alice")
			if err != nil {
				t.Error(err)
			}
			ids[i] = u.GetId()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("one key made several users: %v", ids)
		}
	}
}

func TestIdempotencyKeyForm(t *testing.T) {
	o := newOffice(t)
	sc := o.tenant(t)
	c := o.client(sc)
	for key, good := range map[string]bool{
		"": false, strings.Repeat("k", 255): true, strings.Repeat("k", 256): false, "a key": true, "käse": false, "a\x01b": false, "~!@#": true,
	} {
		_, err := create(t, c, key, uuid.NewString())
		if good != (err == nil) || !good && reasonOf(t, err).GetReason() != "IDEMPOTENCY_KEY_MALFORMED" {
			t.Errorf("key %q: %v, want it taken: %t", key, err, good)
		}
	}
	// Where nothing is changed the key means nothing, whatever it looks like.
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Idempotency-Key", "")
	if _, err := authv1connect.NewUserServiceClient(c).ListUsers(ctx, &authv1.ListUsersRequest{}); err != nil {
		t.Errorf("a list: %v", err)
	}
}

// A challenge is for once: the key is claimed before the handler is asked, and a
// repeat is refused without asking it.
func TestCeremoniesAreClaimedFirst(t *testing.T) {
	o := newOffice(t)
	c := authv1connect.NewAuthenticationServiceClient(o.client(o.tenant(t)))
	finish := func(id string) error {
		ctx, info := connect.NewClientContext(t.Context())
		info.RequestHeader().Set("Idempotency-Key", "k")
		_, err := c.FinishAuthentication(ctx, &authv1.FinishAuthenticationRequest{AuthenticationId: id})
		return err
	}
	if err := finish("a"); err != nil || o.finished != 1 {
		t.Fatalf("first: %v, asked %d times", err, o.finished)
	}
	if err := finish("a"); reasonOf(t, err).GetReason() != "IDEMPOTENCY_NOT_REPLAYABLE" {
		t.Errorf("the repeat: %v", err)
	}
	if err := finish("b"); reasonOf(t, err).GetReason() != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("another request: %v", err)
	}
	if o.finished != 1 {
		t.Errorf("the handler was asked %d times", o.finished)
	}
}

// What is kept is sealed for its row: neither the answer nor the request can be read
// from the table, and an answer that was moved to another key is not given out.
func TestKeptAnswersAreSealed(t *testing.T) {
	o := newOffice(t)
	sc := o.tenant(t)
	c := o.client(sc)
	for _, name := range []string{"alice.kowalski", "bob.lindqvist"} {
		if _, err := create(t, c, name[:1], name); err != nil {
			t.Fatal(err)
		}
	}
	conn := o.store.Superuser(t)
	var plain bool
	if err := conn.QueryRow(t.Context(), `SELECT bool_or(position('kowalski'::bytea IN response) > 0) FROM idempotency_keys
		WHERE tenant_id = $1`, sc.Tenant()).Scan(&plain); err != nil || plain {
		t.Errorf("a name stands in the table: %t, %v", plain, err)
	}
	if _, err := conn.Exec(t.Context(), `UPDATE idempotency_keys SET response = (SELECT response FROM idempotency_keys WHERE tenant_id = $1 AND key = 'b')
		WHERE tenant_id = $1 AND key = 'a'`, sc.Tenant()); err != nil {
		t.Fatal(err)
	}
	u, err := create(t, c, "a", "alice.kowalski")
	if err == nil || reasonOf(t, err).GetReason() != "INTERNAL" {
		t.Errorf("alice is answered %v, %v, out of bob's row", u, err)
	}
}
