package scoring_test

import (
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scoring"
)

// A user is the same to one service, and nobody that another service or tenant knows.
func TestSubject(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	store := dbtest.New(t)
	service := keys.New(keys.Options{Store: store.Store, KMS: k})
	ring := func() *keys.Ring {
		sc := store.Tenant(t)
		if err := service.Ensure(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
		r, err := service.Ring(t.Context(), sc)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	acme, globex := ring(), ring()
	provider, user := uuid.New(), uuid.New()
	got := scoring.Subject(acme, provider, user)
	if len(got) != 22 || got != scoring.Subject(acme, provider, user) {
		t.Errorf("Subject = %q, and again %q", got, scoring.Subject(acme, provider, user))
	}
	for name, other := range map[string]string{
		"another tenant": scoring.Subject(globex, provider, user), "another service": scoring.Subject(acme, uuid.New(), user), "another user": scoring.Subject(acme, provider, uuid.New()),
		"user and service turned about": scoring.Subject(acme, user, provider),
	} {
		if other == got {
			t.Errorf("%s has the same subject", name)
		}
	}
}
