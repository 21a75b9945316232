package keys_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// signingKMS keeps signing keys as a KMS does: by name, and never out.
type signingKMS struct {
	keys.KMS

	mu        sync.Mutex
	made      map[string]crypto.Signer
	destroyed []string
	err       error
	lies      bool   // it signs with another key
	arrive    func() // called for each key that is to be made
}

func (k *signingKMS) CreateSigningKey(_ context.Context, algorithm, label string) (keys.RemoteKey, error) {
	if k.arrive != nil {
		k.arrive()
	}
	var key crypto.Signer
	var err error
	switch algorithm {
	case keys.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case keys.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case keys.RS256:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made["test:"+label] = key
	return keys.RemoteKey{Name: "test:" + label, Public: key.Public()}, errors.Join(err, k.err)
}

func (k *signingKMS) Sign(_ context.Context, name, algorithm string, input []byte) ([]byte, error) {
	k.mu.Lock()
	key, err := k.made[name], k.err
	k.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case key == nil:
		return nil, errors.New("no such key")
	case k.lies:
		key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	digest := sha256.Sum256(input)
	switch algorithm {
	case keys.EdDSA:
		return key.Sign(rand.Reader, input, crypto.Hash(0))
	case keys.RS256:
		return key.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("not a key for ES256")
	}
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		return nil, err
	}
	return append(padded(r), padded(s)...), nil
}

func padded(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }

func (k *signingKMS) DestroySigningKey(_ context.Context, name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	delete(k.made, name)
	k.destroyed = append(k.destroyed, name)
	return nil
}

// Keys in the KMS: they sign there, are never stored, and are destroyed there when
// their life is over.
func TestSigningKeyInTheKMS(t *testing.T) {
	k := &signingKMS{KMS: localKMS(t), made: map[string]crypto.Signer{}}
	l := newLine(t, k)
	for _, algorithm := range []string{keys.ES256, keys.EdDSA, keys.RS256} {
		t.Run(algorithm, func(t *testing.T) {
			*l.at = 0
			*l.plan = keys.Plan{Algorithm: algorithm, InKMS: true}
			acme := l.tenant(t)
			if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Now: true}); err != nil {
				t.Fatal(err)
			}
			r := ring(t, l.svc, acme)
			if !r.Signer().Remote() || r.Signer().Algorithm != algorithm {
				t.Fatalf("the signer is %s, remote = %t", r.Signer().Algorithm, r.Signer().Remote())
			}
			if !verifies(sign(t, r), published(t, r)) {
				t.Error("another library refuses what the KMS has signed")
			}
			k.lies = true
			if _, err := r.Signer().Sign(t.Context(), nil, []byte("a.b")); err == nil {
				t.Error("a signature of another key left")
			}
			k.lies = false
			k.err = keys.ErrKMSUnavailable
			if _, err := r.Signer().Sign(t.Context(), nil, []byte("a.b")); !errors.Is(err, keys.ErrKMSUnavailable) {
				t.Errorf("Sign without the KMS = %v, want ErrKMSUnavailable", err)
			}
			k.err = nil

			kid, before := r.Signer().KID, len(k.destroyed)
			if _, err := l.svc.Revoke(t.Context(), acme, keys.RevokeKeyRequest{KID: kid}); err != nil {
				t.Fatal(err)
			}
			k.err = keys.ErrKMSUnavailable
			if err := l.svc.Maintain(t.Context(), acme); !errors.Is(err, keys.ErrKMSUnavailable) {
				t.Errorf("Maintain without the KMS = %v, want ErrKMSUnavailable", err)
			}
			k.err = nil
			l.maintain(t, acme)
			l.maintain(t, acme)
			if n := len(k.destroyed) - before; n != 1 {
				t.Errorf("%d keys were destroyed in the KMS, want 1", n)
			}
			if n := l.AuditCount(t, acme, "signingkey.destroy"); n != 1 {
				t.Errorf("%d audit entries of it, want 1", n)
			}
		})
	}
	// A key that is made and not needed does not stay behind.
	*l.plan = keys.Plan{Algorithm: keys.ES256, InKMS: true}
	acme := l.tenant(t)
	before := len(k.made)
	var wg, arrived sync.WaitGroup
	arrived.Add(3)
	k.arrive = func() { arrived.Done(); arrived.Wait() } // each has found that a key is needed
	for range 3 {
		wg.Go(func() {
			if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{}); err != nil && !errors.Is(err, keys.ErrKeyPending) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(k.made) - before; n != 1 {
		t.Errorf("three rotations at once leave %d keys in the KMS, want 1", n)
	}
}

// A KMS that makes no keys keeps nobody from revoking one, and the maintenance from
// nothing but the successor.
func TestRevokeWithoutAKMSThatSigns(t *testing.T) {
	l := newLine(t, localKMS(t))
	acme := l.tenant(t)
	old := ring(t, l.svc, acme).Signer().KID
	if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Now: true}); err != nil {
		t.Fatal(err)
	}
	*l.at = time.Minute
	l.plan.InKMS, l.plan.Since = true, time.Now().Add(time.Hour)
	*l.at = keys.RetireAfter + time.Minute
	if err := l.svc.Maintain(t.Context(), acme); !errors.Is(err, keys.ErrNoSigner) {
		t.Errorf("Maintain = %v, want ErrNoSigner", err)
	}
	if r := ring(t, l.svc, acme); r.Knows(old) {
		t.Error("a key whose time was over still verifies")
	}
	leaked := ring(t, l.svc, acme).Signer().KID
	if _, err := l.svc.Revoke(t.Context(), acme, keys.RevokeKeyRequest{KID: leaked}); err != nil {
		t.Fatalf("Revoke = %v", err)
	}
	r := ring(t, l.svc, acme)
	if r.Knows(leaked) || r.Signer() == nil || r.Signer().Remote() {
		t.Error("the leaked key verifies still, or no sealed key took its place")
	}
	// When none can be made at all, it is revoked all the same, and one comes later.
	l.plan.InKMS, l.plan.Algorithm = false, "none"
	leaked = r.Signer().KID
	if _, err := l.svc.Revoke(t.Context(), acme, keys.RevokeKeyRequest{KID: leaked}); err != nil {
		t.Fatalf("Revoke = %v", err)
	}
	if r := ring(t, l.svc, acme); r.Knows(leaked) || r.Signer() != nil {
		t.Error("the leaked key verifies still, or another signs")
	}
	l.plan.Algorithm = keys.EdDSA
	l.maintain(t, acme)
	if r := ring(t, l.svc, acme); r.Signer() == nil || r.Signer().Algorithm != keys.EdDSA {
		t.Error("the maintenance made no successor")
	}
	// And none for a tenant that is being deleted.
	ending := l.tenant(t)
	l.plan.Ending = true
	if _, err := l.svc.PrepareDestruction(t.Context(), ending); err != nil {
		t.Fatal(err)
	}
	l.maintain(t, ending)
	if r := ring(t, l.svc, ending); r.Signer() != nil {
		t.Error("a tenant that is being deleted got a key")
	}
}

// renamedKMS is the same KMS by another name: tenants move to it.
type renamedKMS struct {
	*signingKMS

	name, was string
}

func (k *renamedKMS) KeyName() string { return k.name }

func (k *renamedKMS) Unwrap(ctx context.Context, _ string, wrapped, ad []byte) ([]byte, error) {
	return k.signingKMS.Unwrap(ctx, k.was, wrapped, ad)
}

// A signing key goes with the KMS that it is in: it gets a successor in the one that is
// configured.
func TestASigningKeyLeavesWithItsKMS(t *testing.T) {
	k := &signingKMS{KMS: localKMS(t), made: map[string]crypto.Signer{}}
	l := newLine(t, k)
	*l.plan = keys.Plan{Algorithm: keys.ES256, InKMS: true}
	acme := l.tenant(t)
	if _, err := l.svc.Rotate(t.Context(), acme, keys.RotateRequest{Now: true}); err != nil {
		t.Fatal(err)
	}
	l.maintain(t, acme)
	if n := len(l.states(t, acme)); n != 2 {
		t.Fatalf("%d keys, want no successor yet", n)
	}
	moved := &renamedKMS{signingKMS: k, name: "test:new", was: k.KeyName()}
	if home := ring(t, l.svc, acme).Signer().Home(); home != k.KeyName() {
		t.Errorf("Home = %q, want %q", home, k.KeyName())
	}
	l.svc = keys.New(keys.Options{Store: l.svcStore(t), KMS: moved, Plan: func(context.Context, scope.Scope) (keys.Plan, error) { return *l.plan, nil }})
	l.maintain(t, acme)
	*l.at = keys.PublishAhead + time.Second
	l.maintain(t, acme)
	if home := ring(t, l.svc, acme).Signer().Home(); home != "test:new" {
		t.Errorf("the key that signs is of %q, want the new KMS's", home)
	}
}
