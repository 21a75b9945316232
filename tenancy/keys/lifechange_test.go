package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"testing"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
)

// memoryKMS makes signing keys that nobody signs with.
type memoryKMS struct {
	moodyKMS

	made []string
}

func (k *memoryKMS) CreateSigningKey(_ context.Context, _, label string) (RemoteKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return RemoteKey{}, err
	}
	k.made = append(k.made, label)
	return RemoteKey{Name: label, Public: crypto.PublicKey(&key.PublicKey)}, nil
}

func (*memoryKMS) Sign(context.Context, string, string, []byte) ([]byte, error) {
	return nil, errRefused
}

func (k *memoryKMS) DestroySigningKey(_ context.Context, name string) error {
	k.made = slices.DeleteFunc(k.made, func(label string) bool { return label == name })
	return nil
}

// A commit whose answer is lost may have happened: the key that it stored is in use, and
// is not destroyed for the error's sake.
func TestAKeyThatWasStoredAfterAllStays(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	k := &memoryKMS{}
	s := New(Options{Store: store.Store, KMS: k})
	if err := s.Ensure(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	for _, stored := range []bool{true, false} {
		row, err := s.mint(t.Context(), acme, Plan{Algorithm: ES256, InKMS: true})
		if err != nil {
			t.Fatal(err)
		}
		if stored {
			row.State = string(Pending)
			if err := store.InTenant(t.Context(), acme, func(tx *db.TenantTx) error {
				row.CreatedAt = tx.Now()
				return tx.InsertSigningKey(t.Context(), *row)
			}); err != nil {
				t.Fatal(err)
			}
		}
		before := len(k.made)
		ended, cancel := context.WithCancel(t.Context())
		cancel() // the caller has given up
		s.discard(ended, acme, row)
		if kept := len(k.made) == before; kept != stored {
			t.Errorf("stored = %t: the key is kept in the KMS = %t", stored, kept)
		}
	}
}
