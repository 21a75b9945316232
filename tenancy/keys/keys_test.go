package keys_test

import (
	"context"
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
)

var secret = keys.Field{Table: "users", Column: "profile"}

// countingKMS counts what it is asked.
type countingKMS struct {
	keys.KMS

	unwraps atomic.Int64
}

func (k *countingKMS) Unwrap(ctx context.Context, name string, wrapped, ad []byte) ([]byte, error) {
	k.unwraps.Add(1)
	return k.KMS.Unwrap(ctx, name, wrapped, ad)
}

func localKMS(t *testing.T) *countingKMS {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.Open(t.Context(), "local:"+path)
	if err != nil {
		t.Fatal(err)
	}
	return &countingKMS{KMS: k}
}

// silentStore is a server whose change feed does not run.
func silentStore(t *testing.T, store *dbtest.Store) *db.Store {
	t.Helper()
	s, err := db.Open(t.Context(), store.Options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func create(t *testing.T, store *db.Store, svc *keys.Service, sc scope.Scope) {
	t.Helper()
	if err := store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error { return svc.Create(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func ring(t *testing.T, svc *keys.Service, sc scope.Scope) *keys.Ring {
	t.Helper()
	r, err := svc.Ring(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCreateThenRing(t *testing.T) {
	store := dbtest.New(t)
	acme, globex := store.Tenant(t), store.Tenant(t)
	k := localKMS(t)
	svc := keys.New(keys.Options{Store: store.Store, KMS: k})

	if _, err := svc.Ring(t.Context(), acme); !errors.Is(err, keys.ErrNoKeys) {
		t.Fatalf("Ring before Create = %v, want ErrNoKeys", err)
	}
	create(t, store.Store, svc, acme)
	create(t, store.Store, svc, globex)
	ours, theirs := ring(t, svc, acme), ring(t, svc, globex)

	sealed, err := ours.Seal(secret, []byte("row"), []byte("alice"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ours.Open(secret, []byte("row"), sealed); err != nil || string(got) != "alice" {
		t.Fatalf("Open = %q, %v", got, err)
	}
	if _, err := theirs.Open(secret, []byte("row"), sealed); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("another tenant opens it: %v", err)
	}
	if ours.Signer() == nil || ours.Signer().KID == theirs.Signer().KID {
		t.Error("two tenants share a signing key, or have none")
	}

	// A second server with the same KMS opens it; one Unwrap a tenant serves for ever.
	second := keys.New(keys.Options{Store: store.Replica(t), KMS: k})
	if got, err := ring(t, second, acme).Open(secret, []byte("row"), sealed); err != nil || string(got) != "alice" {
		t.Errorf("second server: Open = %q, %v", got, err)
	}
	before := k.unwraps.Load()
	for range 100 {
		ring(t, svc, acme)
	}
	if n := k.unwraps.Load() - before; n != 0 {
		t.Errorf("the KMS was asked %d times for a cached ring", n)
	}
}

// Rows copied from one tenant to another by somebody with the database must not
// open there: the wrapped key is bound to its tenant, the signing key to its ring.
func TestStolenRowsDoNotOpen(t *testing.T) {
	store := dbtest.New(t)
	acme, thief := store.Tenant(t), store.Tenant(t)
	svc := keys.New(keys.Options{Store: store.Store, KMS: localKMS(t)})
	create(t, store.Store, svc, acme)

	var data []tenantq.ListDataKeysRow
	if err := store.ReadTenant(t.Context(), acme, func(tx *db.TenantTx) (err error) {
		data, err = tx.ListDataKeys(t.Context())
		return err
	}); err != nil || len(data) != 2 {
		t.Fatalf("data keys: %d, %v", len(data), err)
	}
	if err := store.InTenant(t.Context(), thief, func(tx *db.TenantTx) error {
		return tx.InsertDataKey(t.Context(), tenantq.InsertDataKeyParams{
			Version: data[0].Version, Wrapped: data[0].Wrapped, KmsKey: data[0].KmsKey, CreatedAt: data[0].CreatedAt,
		})
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := svc.Ring(t.Context(), thief); err == nil || errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("a ring from another tenant's data key: %v", err)
	}
}

func TestAnotherKMSKeyIsNamed(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	create(t, store.Store, keys.New(keys.Options{Store: store.Store, KMS: localKMS(t)}), acme)
	_, err := keys.New(keys.Options{Store: store.Store, KMS: localKMS(t)}).Ring(t.Context(), acme)
	if err == nil {
		t.Fatal("a ring opened with another KMS key")
	}
}

// SECURITY 47: a key change is seen on every server within a second.
func TestNewDataKeyIsSeenByTheOtherServer(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	k := localKMS(t)
	first := keys.New(keys.Options{Store: store.Store, KMS: k})
	replica := store.Replica(t)
	second := keys.New(keys.Options{Store: replica, KMS: k})
	create(t, store.Store, first, acme)
	old := ring(t, second, acme)
	for fresh := false; !fresh; { // once more after it is fresh: now it is cached there
		fresh = replica.Fresh()
		old = ring(t, second, acme)
	}

	if err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
		// Wrapped with the right associated data only by Mint, so a bad key must show as an error.
		if err := tx.InsertDataKey(t.Context(), tenantq.InsertDataKeyParams{
			Version: 2, Wrapped: []byte("junk"), KmsKey: k.KeyName(), CreatedAt: tx.Now(),
		}); err != nil {
			return err
		}
		return tx.Changed(t.Context(), db.NounTenant, "")
	}); err != nil {
		t.Fatal(err)
	}
	dbtest.Seen(t, "a new data key on the second server", func() string {
		r, err := second.Ring(t.Context(), acme)
		if err != nil {
			return "" // it met the new row
		}
		if r != old {
			t.Fatal("another ring without the new key")
		}
		return "it has the old ring"
	})
}

// Without a change feed nothing is believed from the cache, but rows that read the
// same do not go to the KMS again.
func TestKMSIsAskedOnceAlthoughTheFeedIsSilent(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	k := localKMS(t)
	create(t, store.Store, keys.New(keys.Options{Store: store.Store, KMS: k}), acme)
	silent := keys.New(keys.Options{Store: silentStore(t, store), KMS: k})
	a, b := ring(t, silent, acme), ring(t, silent, acme)
	if a == b {
		t.Error("a ring was believed although nothing vouches for it")
	}
	if n := k.unwraps.Load(); n != 2 {
		t.Errorf("the KMS was asked %d times, want 2: for the root and for the data key", n)
	}
}

func TestEnsureOnTwoServers(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	k := localKMS(t)
	services := []*keys.Service{
		keys.New(keys.Options{Store: store.Store, KMS: k}),
		keys.New(keys.Options{Store: store.Replica(t), KMS: k}),
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := services[i%2].Ensure(t.Context(), acme); err != nil {
				t.Errorf("Ensure = %v", err)
			}
		})
	}
	wg.Wait()
	a, b := ring(t, services[0], acme), ring(t, services[1], acme)
	if a.Signer().KID != b.Signer().KID {
		t.Error("two servers made two signing keys")
	}
	if _, err := b.OpenToken("p", a.SealToken("p", nil, nil)); err != nil {
		t.Errorf("two servers made two data keys: %v", err)
	}
}

func TestZeroScopeHasNoRing(t *testing.T) {
	store := dbtest.New(t)
	svc := keys.New(keys.Options{Store: store.Store, KMS: localKMS(t)})
	if _, err := svc.Ring(t.Context(), scope.Scope{}); !errors.Is(err, db.ErrScope) {
		t.Errorf("Ring = %v, want ErrScope", err)
	}
}

func encoded(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func parts(token string) (header, payload, signature string) {
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ = strings.Cut(rest, ".")
	return header, payload, signature
}
