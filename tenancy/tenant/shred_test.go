package tenant_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// profile is a field that is sealed.
var profile = keys.Field{Table: "users", Column: "profile"}

func (f *fixture) suspended(t *testing.T) tenant.Tenant {
	t.Helper()
	made := f.create(t)
	out, err := f.svc.Suspend(t.Context(), operator, tenant.SuspendRequest{ID: made.ID})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (f *fixture) verified(t *testing.T, certificate string) keys.Certificate {
	t.Helper()
	ring, err := f.keys.Ring(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	c, err := keys.VerifyCertificate(ring.JWKS(), certificate)
	if err != nil {
		t.Fatalf("VerifyCertificate = %v", err)
	}
	return c
}

func TestShred(t *testing.T) {
	f := newFixture(t)
	acme, globex := f.suspended(t), f.create(t)
	ring, err := f.keys.Ring(t.Context(), of(acme))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Seal(profile, []byte("row"), []byte("ada")); err != nil {
		t.Fatal(err)
	}
	done, err := f.svc.Shred(t.Context(), operator, tenant.ShredRequest{ID: acme.ID, Issuer: "https://auth.example/t/platform", Reason: "contract ended"})
	if err != nil || done.Tenant.State != tenant.Deleting {
		t.Fatalf("Shred = %+v, %v", done.Tenant, err)
	}
	c := f.verified(t, done.Certificate)
	if c.Subject != acme.ID || c.Slug != acme.Slug || c.Reason != "contract ended" || len(c.DataKeys) != 2 || len(c.SigningKeys) != 1 || c.Statement == "" {
		t.Errorf("certificate %+v", c)
	}
	if _, err := f.keys.Ring(t.Context(), of(acme)); !errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("the keys of the shredded tenant: %v, want ErrNoKeys", err)
	}
	if _, err := f.keys.Ring(t.Context(), of(globex)); err != nil {
		t.Errorf("another tenant's keys: %v", err)
	}
	again, err := f.svc.Shred(t.Context(), operator, tenant.ShredRequest{ID: acme.ID})
	if err != nil || again.Certificate != done.Certificate {
		t.Errorf("again: %v, with another certificate", err)
	}
	if kept, err := f.svc.Certificate(t.Context(), operator, acme.ID); err != nil || kept != done.Certificate {
		t.Errorf("Certificate = %v, want the one that was made", err)
	}
	for action, want := range map[string]int64{"tenant.delete": 1, "tenant.shred": 1, "signingkey.revoke": 1} {
		if n := f.store.AuditCount(t, of(acme), action); n != want {
			t.Errorf("%d audit entries %s, want %d", n, action, want)
		}
	}
}

func TestShredRefuses(t *testing.T) {
	f := newFixture(t)
	active, suspended := f.create(t), f.suspended(t)
	for _, tt := range []struct {
		name string
		sc   scope.Scope
		id   uuid.UUID
		want error
	}{
		{"a tenant that works", operator, active.ID, tenant.ErrNotSuspended},
		{"nobody's", operator, uuid.New(), tenant.ErrNotFound},
		{"no id", operator, uuid.Nil, tenant.ErrNotFound},
		{"the platform's own", operator, scope.PlatformTenant, tenant.ErrNotFound},
		{"a tenant by itself", of(suspended), suspended.ID, tenant.ErrPlatformOnly},
		{"a tenant by another", of(active), suspended.ID, tenant.ErrPlatformOnly},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := f.svc.Shred(t.Context(), tt.sc, tenant.ShredRequest{ID: tt.id}); !errors.Is(err, tt.want) {
				t.Errorf("Shred = %v, want %v", err, tt.want)
			}
		})
	}
	for _, made := range []tenant.Tenant{active, suspended} {
		if ring, err := f.keys.Ring(t.Context(), of(made)); err != nil || ring.Signer() == nil {
			t.Errorf("a refusal left it without keys: %v", err)
		}
	}
	if _, err := f.svc.Certificate(t.Context(), of(active), suspended.ID); !errors.Is(err, tenant.ErrPlatformOnly) {
		t.Errorf("a certificate for a tenant: %v", err)
	}
	if _, err := f.svc.Certificate(t.Context(), operator, suspended.ID); !errors.Is(err, tenant.ErrNotFound) {
		t.Errorf("a certificate that was never made: %v", err)
	}
}

// What was broken off goes on: the keys go once, and there is one certificate.
func TestShredTwiceAtOnce(t *testing.T) {
	f := newFixture(t)
	acme := f.suspended(t)
	// Broken off after the tenant was condemned: it cannot be resumed, and shredding goes on.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.svc.Shred(ctx, operator, tenant.ShredRequest{ID: acme.ID}); err == nil {
		t.Fatal("Shred that is canceled succeeded")
	}
	certificates := make([]string, 4)
	var wg sync.WaitGroup
	for i := range certificates {
		wg.Go(func() {
			done, err := f.svc.Shred(t.Context(), operator, tenant.ShredRequest{ID: acme.ID})
			if err != nil && !errors.Is(err, keys.ErrKeysChanged) && !errors.Is(err, keys.ErrNoKeys) {
				t.Error(err)
			}
			certificates[i] = done.Certificate
		})
	}
	wg.Wait()
	kept, err := f.svc.Certificate(t.Context(), operator, acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	f.verified(t, kept)
	for _, c := range certificates {
		if c != "" && c != kept {
			t.Error("two certificates were given out")
		}
	}
	if _, err := f.svc.Resume(t.Context(), operator, tenant.SuspendRequest{ID: acme.ID}); !errors.Is(err, tenant.ErrDeleting) {
		t.Errorf("Resume = %v, want ErrDeleting", err)
	}
	if n := f.store.AuditCount(t, of(acme), "tenant.shred"); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
}
