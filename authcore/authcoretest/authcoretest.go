// Package authcoretest is a small world for tests of authcore and what stands on it:
// tenants with keys, and users with credentials and sessions whose rows are whole, in
// a real database.
//
//	w := authcoretest.New(t)
//	acme := w.Tenant(t)                  // with its own keys
//	ada := w.User(t, acme)
//	phone := w.Enroll(t, acme, ada, 1)[0]
//	sess, tokens := w.SignIn(t, acme, phone)
//
// No ceremony runs here: credentials have keys by chance, which no authenticator has.
// Tests that sign in for real use authenticatortest.
package authcoretest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// PublicURL is where the installation of the test says it is.
const PublicURL = "https://auth.example"

// World is one server: its store and the services on it.
type World struct {
	*dbtest.Store

	Keys        *keys.Service
	Tenants     *tenant.Service
	Users       *user.Service
	Credentials *credential.Service
	Sessions    *session.Service

	server *db.Store // whose services these are: Store's, or a replica's
	kms    keys.KMS
}

// New returns a server on the database of the test's process.
func New(t testing.TB) *World {
	t.Helper()
	return On(t, dbtest.New(t))
}

// On returns a server on a database that is special.
func On(t testing.TB, store *dbtest.Store) *World {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatalf("authcoretest: make a kms key: %v", err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatalf("authcoretest: open kms: %v", err)
	}
	return build(t, store, store.Store, k, nil)
}

func build(t testing.TB, base *dbtest.Store, store *db.Store, k keys.KMS, denials *audit.Denials) *World {
	t.Helper()
	w := &World{Store: base, server: store, kms: k}
	w.Keys = keys.New(keys.Options{Store: store, KMS: k})
	w.Tenants = tenant.New(tenant.Options{Store: store})
	w.Users = user.New(user.Options{Store: store, Keys: w.Keys})
	w.Credentials = credential.New(credential.Options{Store: store, Keys: w.Keys, Tenants: w.Tenants})
	var err error
	w.Sessions, err = session.New(session.Options{Store: store, Keys: w.Keys, Tenants: w.Tenants, PublicURL: PublicURL, Denials: denials})
	if err != nil {
		t.Fatalf("authcoretest: %v", err)
	}
	return w
}

// Server is the store of these services: with a clock that is ahead, in a world that is Later.
func (w *World) Server() *db.Store { return w.server }

// Replica is another server on the same database, with caches of its own.
func (w *World) Replica(t testing.TB) *World {
	t.Helper()
	return build(t, w.Store, w.Store.Replica(t), w.kms, nil)
}

// Later is this world's server as it will be after d: its clock is ahead. It caches
// nothing, since no change feed vouches for it.
func (w *World) Later(t testing.TB, d time.Duration) *World {
	t.Helper()
	store := w.later(t, d)
	return build(t, w.Store, store, w.kms, nil)
}

// Recording is Later for a server that records denials, each by itself.
func (w *World) Recording(t testing.TB, d time.Duration) *World {
	t.Helper()
	store := w.later(t, d)
	return build(t, w.Store, store, w.kms, audit.NewDenials(audit.DenialsOptions{Store: store}))
}

func (w *World) later(t testing.TB, d time.Duration) *db.Store {
	t.Helper()
	o := w.Options()
	o.Now = func() time.Time { return time.Now().Add(d) }
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("authcoretest: open a store: %v", err)
	}
	t.Cleanup(store.Close)
	return store
}

// Tenant mints a tenant with keys.
func (w *World) Tenant(t testing.TB) scope.Scope {
	t.Helper()
	return w.TenantWith(t, dbtest.TenantOptions{})
}

// TenantWith is Tenant for a tenant that is special.
func (w *World) TenantWith(t testing.TB, o dbtest.TenantOptions) scope.Scope {
	t.Helper()
	sc := w.Store.TenantWith(t, o)
	if err := w.Keys.Ensure(t.Context(), sc); err != nil {
		t.Fatalf("authcoretest: make keys: %v", err)
	}
	return sc
}

// Ring returns the tenant's keys.
func (w *World) Ring(t testing.TB, sc scope.Scope) *keys.Ring {
	t.Helper()
	ring, err := w.Keys.Ring(t.Context(), sc)
	if err != nil {
		t.Fatalf("authcoretest: open keys: %v", err)
	}
	return ring
}

// NextDataKey gives the tenant another data key version, which seals at once, and
// returns a server that has it.
func (w *World) NextDataKey(t testing.TB, sc scope.Scope) *World {
	t.Helper()
	err := w.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListDataKeys(t.Context())
		if err != nil {
			return err
		}
		version := rows[0].Version + 1
		id := sc.Tenant()
		ad := binary.BigEndian.AppendUint32(append([]byte("biocore data key v1\x00"), id[:]...), uint32(version)) //nolint:gosec // small
		wrapped, err := w.kms.Wrap(t.Context(), chance(32), ad)
		if err != nil {
			return err
		}
		return tx.InsertDataKey(t.Context(), tenantq.InsertDataKeyParams{
			Version: version, Wrapped: wrapped, KmsKey: w.kms.KeyName(), CreatedAt: tx.Now().Add(-time.Hour),
		})
	})
	if err != nil {
		t.Fatalf("authcoretest: make a data key: %v", err)
	}
	return build(t, w.Store, w.server, w.kms, nil)
}

var people atomic.Int64 // so that names differ

// User creates a user with names of its own.
func (w *World) User(t testing.TB, sc scope.Scope) user.User {
	t.Helper()
	n := people.Add(1)
	u, err := w.Users.Create(t.Context(), sc, user.Profile{
		ExternalID: fmt.Sprintf("customer-%d", n), Name: fmt.Sprintf("ada%d@example.com", n), DisplayName: fmt.Sprintf("Ada %d", n),
	}, user.Contact{})
	if err != nil {
		t.Fatalf("authcoretest: create a user: %v", err)
	}
	return u
}

// Enroll gives the user so many active credentials, the oldest first.
func (w *World) Enroll(t testing.TB, sc scope.Scope, u user.User, n int) []credential.Credential {
	t.Helper()
	return w.EnrollModel(t, sc, u, uuid.Nil, credential.TrustNone, n)
}

// EnrollModel is Enroll for authenticators of a model, which is proven so far.
func (w *World) EnrollModel(t testing.TB, sc scope.Scope, u user.User, model uuid.UUID, trust credential.Trust, n int) []credential.Credential {
	t.Helper()
	enrolled := make([]credential.Credential, 0, n)
	err := w.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		enrolled = enrolled[:0] // this may be the second run
		for i := range n {
			row, err := tx.InsertCredential(t.Context(), tenantq.InsertCredentialParams{
				Trust: string(trust), Extensions: "{}",
				ID: chance(32), UserID: u.ID.UUID(), PublicKey: chance(77), Algorithm: -7, Aaguid: model,
				AttestationFormat: "none", AttestationType: "NONE", Transports: []string{"internal", "hybrid"},
				RegisteredVia: string(credential.ViaServerKey),
				Now:           tx.Now().Add(-time.Duration(n-i) * time.Minute), // ages differ, so that an order by age is one
			})
			if err != nil {
				return err
			}
			enrolled = append(enrolled, credential.FromRow(row))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("authcoretest: enroll: %v", err)
	}
	return enrolled
}

// SignIn opens a session as a sign-in with c does, and issues its tokens.
func (w *World) SignIn(t testing.TB, sc scope.Scope, c credential.Credential) (session.Session, session.Tokens) {
	t.Helper()
	snap, err := w.Tenants.Current(t.Context(), sc)
	if err != nil {
		t.Fatalf("authcoretest: tenant: %v", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("authcoretest: %v", err)
	}
	var sess session.Session
	err = w.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		if err := tx.InsertSession(t.Context(), tenantq.InsertSessionParams{
			ID: id, UserID: c.UserID.UUID(), CredentialID: c.ID.Bytes(), Aal: 2, UserVerified: true,
			UserAgent: "test", CreatedAt: tx.Now(), ExpiresAt: tx.Now().Add(snap.Policy.SessionLifetime()),
		}); err != nil {
			return err
		}
		row, err := tx.GetSession(t.Context(), id)
		sess = session.FromRow(row)
		return err
	})
	if err != nil {
		t.Fatalf("authcoretest: sign in: %v", err)
	}
	tokens, err := w.Sessions.Issue(t.Context(), w.Ring(t, sc), snap, sess, true)
	if err != nil {
		t.Fatalf("authcoretest: issue tokens: %v", err)
	}
	return sess, tokens
}

// EventCount returns how many events of one type the tenant has.
func (w *World) EventCount(t testing.TB, sc scope.Scope, typ event.Type) int64 {
	t.Helper()
	var n int64
	err := w.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListEvents(t.Context(), tenantq.ListEventsParams{AfterAt: time.Time{}, MaxRows: 10_000})
		for _, row := range rows {
			if row.Type == string(typ) {
				n++
			}
		}
		return err
	})
	if err != nil {
		t.Fatalf("authcoretest: count events: %v", err)
	}
	return n
}

// Forgets fills caches of a server with things of sc's tenant, and returns what waits
// until the server has forgotten all of them: an idle server takes less than a second,
// and nothing but the change feed makes these caches forget.
func Forgets(t testing.TB, server *World, sc scope.Scope, things map[db.Noun]string) (wait func()) {
	t.Helper()
	var cached []func() bool
	for noun, id := range things {
		cache := db.NewCache[bool](server.server, noun, 8, time.Hour)
		load := func() bool {
			_, err := cache.Get(t.Context(), sc.Tenant(), id, func(context.Context) (bool, error) { return true, nil })
			_, ok := cache.Peek(sc.Tenant(), id)
			return err == nil && ok
		}
		if !eventually(load) { // once the feed has begun
			t.Fatalf("authcoretest: %s %s is not cached", noun, id)
		}
		cached = append(cached, func() bool {
			_, ok := cache.Peek(sc.Tenant(), id)
			return ok || !server.server.Fresh() // a silent feed hides everything
		})
	}
	return func() {
		t.Helper()
		if !eventually(func() bool {
			return !slices.ContainsFunc(cached, func(kept func() bool) bool { return kept() })
		}) {
			t.Error("a server still has what another has changed")
		}
	}
}

// eventually waits for cond to hold, for five seconds at most.
func eventually(cond func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// Holder is a connection of the superuser in a transaction, for one side of a race.
type Holder struct {
	Tx pgx.Tx

	t     testing.TB
	watch *pgx.Conn
	pid   uint32
}

// Hold begins a transaction that sees all tenants.
func (w *World) Hold(t testing.TB) *Holder {
	t.Helper()
	conn := w.Superuser(t)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatalf("authcoretest: begin: %v", err)
	}
	return &Holder{Tx: tx, t: t, watch: w.Superuser(t), pid: conn.PgConn().PID()}
}

// Exec runs a statement in the transaction.
func (h *Holder) Exec(sql string, args ...any) {
	h.t.Helper()
	if _, err := h.Tx.Exec(h.t.Context(), sql, args...); err != nil {
		h.t.Fatalf("authcoretest: %s: %v", sql, err)
	}
}

// Await returns when another transaction waits for this one.
func (h *Holder) Await() {
	h.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		var waiting bool
		if err := h.watch.QueryRow(h.t.Context(),
			"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid)))", int32(h.pid), //nolint:gosec // a process id
		).Scan(&waiting); err != nil {
			h.t.Fatalf("authcoretest: look for who waits: %v", err)
		}
		if waiting {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatal("authcoretest: nobody waits for the transaction")
		}
	}
}

// Commit ends the transaction.
func (h *Holder) Commit() {
	h.t.Helper()
	if err := h.Tx.Commit(h.t.Context()); err != nil {
		h.t.Fatalf("authcoretest: commit: %v", err)
	}
}

func chance(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}
