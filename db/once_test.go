package db_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/idempotency"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// action is what the calls of these tests do: they leave an audit entry.
const action = "test.once"

// work leaves one trace of having been done.
func work(ctx context.Context, tx *db.TenantTx) error {
	return tx.InsertAuditEntry(ctx, tenantq.InsertAuditEntryParams{ID: uuid.New(), At: tx.Now(), Action: action, Entry: "{}"})
}

// callOf is a call as the edge makes it; its answer is kept as it is.
func callOf(sc scope.Scope, key, body string) *idempotency.Call {
	return &idempotency.Call{
		Scope: sc, Method: "/biocore.test.v1.TestService/Do", Key: key, BodyHash: sha256.Sum256([]byte(body)),
		Encode: func(result any) ([]byte, error) { return []byte(fmt.Sprint(result)), nil },
	}
}

// doOnce makes a call that works and answers.
func doOnce(t *testing.T, store *db.Store, call *idempotency.Call, answer string) error {
	t.Helper()
	ctx := idempotency.NewContext(t.Context(), call)
	return store.InTenant(ctx, call.Scope, func(tx *db.TenantTx) error {
		tx.Result(answer)
		return work(ctx, tx)
	})
}

// expectReplay wants err to be the earlier answer.
func expectReplay(t *testing.T, err error, answer string) {
	t.Helper()
	if r, ok := idempotency.AsReplayed(err); !ok || string(r.Response) != answer {
		t.Errorf("a repeat = %v (%v), want the answer %q", r, err, answer)
	}
}

func expectWork(t *testing.T, store *dbtest.Store, sc scope.Scope, want int64) {
	t.Helper()
	if n := store.AuditCount(t, sc, action); n != want {
		t.Errorf("it was done %d times, want %d", n, want)
	}
}

func TestOnce(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	if err := doOnce(t, store.Store, callOf(acme, "k", "body"), "first"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		expectReplay(t, doOnce(t, store.Store, callOf(acme, "k", "body"), "second"), "first")
	}
	if err := doOnce(t, store.Store, callOf(acme, "k", "another body"), "second"); !errors.Is(err, idempotency.ErrReused) {
		t.Errorf("another body = %v, want %v", err, idempotency.ErrReused)
	}
	expectWork(t, store, acme, 1)
}

// A key is of one tenant, actor and method. Leaving one out of the primary key, or of
// the queries, turns this red.
func TestKeysAreIndependent(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	byMethod := callOf(acme, "k", "body")
	byMethod.Method = "/biocore.test.v1.TestService/DoOther"
	for i, call := range []*idempotency.Call{
		callOf(acme, "k", "body"),
		callOf(acme, "k2", "body"),
		callOf(acme, "K", "body"),
		byMethod,
		callOf(acme.WithActor(scope.Actor{Kind: scope.ActorAPIKey, ID: "another"}), "k", "body"),
		callOf(acme.WithActor(scope.Actor{Kind: scope.ActorOperator, ID: acme.Actor().ID}), "k", "body"),
		callOf(globex.WithActor(acme.Actor()), "k", "body"),
	} {
		if err := doOnce(t, store.Store, call, fmt.Sprint(i)); err != nil {
			t.Errorf("call %d = %v", i, err)
		}
	}
	expectReplay(t, doOnce(t, store.Store, callOf(acme, "k", "body"), "again"), "0")
	expectReplay(t, doOnce(t, store.Store, callOf(globex.WithActor(acme.Actor()), "k", "body"), "again"), "6")
	expectWork(t, store, acme, 6)
	expectWork(t, store, globex, 1)
}

// What is not kept, since it holds a secret or nobody said what it was, cannot be
// answered again; it must not be done again either.
func TestNotReplayable(t *testing.T) {
	store := dbtest.New(t)
	for _, tt := range []struct {
		name   string
		change func(*idempotency.Call)
		result any
	}{
		{"no Result", func(*idempotency.Call) {}, nil},
		{"no Encode", func(c *idempotency.Call) { c.Encode = nil }, "answer"},
		{"Encode keeps nothing", func(c *idempotency.Call) { c.Encode = func(any) ([]byte, error) { return nil, nil } }, "answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			acme := store.Tenant(t)
			do := func() error {
				call := callOf(acme, "k", "body")
				tt.change(call)
				ctx := idempotency.NewContext(t.Context(), call)
				return store.InTenant(ctx, acme, func(tx *db.TenantTx) error {
					tx.Result(tt.result)
					return work(ctx, tx)
				})
			}
			if err := do(); err != nil {
				t.Fatal(err)
			}
			if err := do(); !errors.Is(err, idempotency.ErrNotReplayable) {
				t.Errorf("a repeat = %v, want %v", err, idempotency.ErrNotReplayable)
			}
			expectWork(t, store, acme, 1)
		})
	}
}

// An answer of no bytes is an answer.
func TestEmptyAnswer(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	if err := doOnce(t, store.Store, callOf(acme, "k", "body"), ""); err != nil {
		t.Fatal(err)
	}
	expectReplay(t, doOnce(t, store.Store, callOf(acme, "k", "body"), "second"), "")
}

// A call that failed was not made: its key is free, also for another body.
func TestFailedCallLeavesTheKey(t *testing.T) {
	store := dbtest.New(t)
	mishap := errors.New("mishap")
	for _, tt := range []struct {
		name string
		fail func(*idempotency.Call)
		fn   func(context.Context, *db.TenantTx) error
	}{
		{"fn fails", func(*idempotency.Call) {}, func(ctx context.Context, tx *db.TenantTx) error {
			return errors.Join(work(ctx, tx), mishap)
		}},
		{"the answer cannot be encoded", func(c *idempotency.Call) {
			c.Encode = func(any) ([]byte, error) { return nil, mishap }
		}, work},
	} {
		t.Run(tt.name, func(t *testing.T) {
			acme := store.Tenant(t)
			call := callOf(acme, "k", "body")
			tt.fail(call)
			ctx := idempotency.NewContext(t.Context(), call)
			err := store.InTenant(ctx, acme, func(tx *db.TenantTx) error {
				tx.Result("answer")
				return tt.fn(ctx, tx)
			})
			if !errors.Is(err, mishap) || call.Done {
				t.Fatalf("InTenant = %v, done %t; want %v", err, call.Done, mishap)
			}
			expectWork(t, store, acme, 0)
			if err := doOnce(t, store.Store, callOf(acme, "k", "another body"), "answer"); err != nil {
				t.Errorf("after the failure = %v", err)
			}
			expectWork(t, store, acme, 1)
		})
	}
}

// Without the primary key, or with a claim that does not wait, two do it.
func TestOnceAtOnce(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	var (
		first   atomic.Int64
		callers sync.WaitGroup
	)
	for i := range 16 {
		callers.Go(func() {
			err := doOnce(t, store.Store, callOf(acme, "k", "body"), "answer")
			if err == nil {
				first.Add(1)
				return
			}
			if r, ok := idempotency.AsReplayed(err); !ok || string(r.Response) != "answer" {
				t.Errorf("caller %d = %v, want the one answer", i, err)
			}
		})
	}
	callers.Wait()
	if first.Load() != 1 {
		t.Errorf("%d callers did it, want one", first.Load())
	}
	expectWork(t, store, acme, 1)
}

// A repeat that comes while the first is at work waits for its fate, and takes its
// place when it fails.
func TestRepeatTakesThePlaceOfAFailure(t *testing.T) {
	f := newFixture(t)
	acme := f.store.Tenant(t)
	mishap := errors.New("mishap")
	var waiting sync.WaitGroup
	var second error
	ctx := idempotency.NewContext(t.Context(), callOf(acme, "k", "body"))
	first := f.store.InTenant(ctx, acme, func(tx *db.TenantTx) error {
		if err := work(ctx, tx); err != nil {
			return err
		}
		waiting.Go(func() { second = doOnce(t, f.store.Store, callOf(acme, "k", "body"), "answer") })
		waitFor(t, "waiting repeat", func() bool {
			var n int
			err := f.admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
				WHERE NOT l.granted AND a.datname = current_database()`).Scan(&n)
			if err != nil {
				t.Error(err)
			}
			return n > 0
		})
		return mishap
	})
	waiting.Wait()
	if !errors.Is(first, mishap) || second != nil {
		t.Errorf("the first = %v, the second = %v; want %v and success", first, second, mishap)
	}
	expectWork(t, f.store, acme, 1)
	expectReplay(t, doOnce(t, f.store.Store, callOf(acme, "k", "body"), "third"), "answer")
}

// The transaction that loses against another is run again within the same call: its
// own claim, which was rolled back with it, must not look like a repeat, and what the
// first run answered must not be kept.
func TestOnceRunsAgain(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	runs := 0
	ctx := idempotency.NewContext(t.Context(), callOf(acme, "k", "body"))
	err := store.InTenant(ctx, acme, func(tx *db.TenantTx) error {
		if runs++; runs == 1 {
			tx.Result("of the run that lost")
			return errors.Join(work(ctx, tx), &pgconn.PgError{Code: "40001"})
		}
		tx.Result("of the run that won")
		return work(ctx, tx)
	})
	if err != nil || runs != 2 {
		t.Fatalf("InTenant = %v after %d runs, want success after 2", err, runs)
	}
	expectWork(t, store, acme, 1)
	expectReplay(t, doOnce(t, store.Store, callOf(acme, "k", "body"), "again"), "of the run that won")
}

// Only a call's first read-write transaction is the call: those before it that read,
// those apart, and those after it are not.
func TestWhichTransactionIsTheCall(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	call := callOf(acme, "k", "body")
	ctx := idempotency.NewContext(t.Context(), call)
	nothing := func(*db.TenantTx) error { return nil }
	if err := errors.Join(store.ReadTenant(ctx, acme, nothing), store.InTenantApart(ctx, acme, nothing)); err != nil || call.Done {
		t.Fatalf("done %t by a transaction that is not the call's: %v", call.Done, err)
	}
	if err := store.InTenant(ctx, acme, func(tx *db.TenantTx) error { tx.Result("answer"); return nil }); err != nil || !call.Done {
		t.Fatalf("InTenant = %v, done %t", err, call.Done)
	}
	if err := store.InTenant(ctx, acme, func(tx *db.TenantTx) error { return work(ctx, tx) }); err != nil {
		t.Errorf("a later transaction of the same call = %v", err)
	}
	expectWork(t, store, acme, 1)
	expectReplay(t, doOnce(t, store.Store, callOf(acme, "k", "body"), "again"), "answer")
}

func TestKeysExpire(t *testing.T) {
	f := newFixture(t)
	acme := f.store.Tenant(t)
	began := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	now := began
	o := f.store.Options()
	o.Now = func() time.Time { return now } // and no feed, which would correct it
	store := f.openWith(t, o)
	if err := doOnce(t, store, callOf(acme, "k", "body"), "first"); err != nil {
		t.Fatal(err)
	}
	now = began.Add(24 * time.Hour)
	expectReplay(t, doOnce(t, store, callOf(acme, "k", "body"), "second"), "first")
	now = began.Add(24*time.Hour + time.Microsecond)
	if err := doOnce(t, store, callOf(acme, "k", "another body"), "second"); err != nil {
		t.Errorf("after 24 h = %v, want a new call", err)
	}
	expectReplay(t, doOnce(t, store, callOf(acme, "k", "another body"), "third"), "second")
	expectWork(t, f.store, acme, 2)
}

// The platform plane keeps its keys in the caller's own tenant, wherever the
// transaction moves on to.
func TestOnceInPlatform(t *testing.T) {
	store := dbtest.New(t)
	home, acme := store.Tenant(t), store.Tenant(t)
	do := func(key, body string) error {
		ctx := idempotency.NewContext(t.Context(), callOf(home, key, body))
		return store.InPlatform(ctx, "test", func(tx *db.PlatformTx) error {
			own, err := tx.AsTenant(ctx, acme)
			if err != nil {
				return err
			}
			tx.Result("answer")
			return work(ctx, own)
		})
	}
	if err := do("k", "body"); err != nil {
		t.Fatal(err)
	}
	expectReplay(t, do("k", "body"), "answer")
	if err := do("k", "another body"); !errors.Is(err, idempotency.ErrReused) {
		t.Errorf("another body = %v, want %v", err, idempotency.ErrReused)
	}
	expectWork(t, store, acme, 1)
	if err := doOnce(t, store.Store, callOf(acme.WithActor(home.Actor()), "k", "body"), "answer"); err != nil {
		t.Errorf("the same key in the tenant it was about = %v, want it free", err)
	}
	expectReplay(t, doOnce(t, store.Store, callOf(home, "k", "body"), "again"), "answer")

	// Without a key nothing is kept, and Result does no harm.
	if err := store.InPlatform(t.Context(), "test", func(tx *db.PlatformTx) error { tx.Result("x"); return nil }); err != nil {
		t.Errorf("InPlatform without a key = %v", err)
	}
}
