package ledger_test

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/governance/ledger"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// shelf is servers that keep one ledger.
type shelf struct {
	*dbtest.Store
	acme    scope.Scope
	keys    *keys.Service
	objects *blob.Bucket
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{Store: dbtest.Fresh(t)}
	s.acme = s.Tenant(t)
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	s.keys = keys.New(keys.Options{Store: s.Store.Store, KMS: k})
	if err := s.keys.Ensure(t.Context(), scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "test"})); err != nil {
		t.Fatal(err)
	}
	if s.objects, err = blob.Open(t.Context(), "file://"+t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shelf) server() *ledger.Ledger {
	return ledger.New(ledger.Options{Store: s.Store.Store, Keys: s.keys, Objects: s.objects})
}

// erase leaves the row of an erasure, and returns its id.
func (s *shelf) erase(t *testing.T, at time.Time) uuid.UUID {
	t.Helper()
	id, person := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	subject := ledger.SubjectOf(s.acme.Tenant(), person)
	if _, err := s.Superuser(t).Exec(t.Context(), "INSERT INTO erasures (tenant_id, id, subject, user_id, at, erased_by) VALUES ($1, $2, $3, $4, $5, 'system:test')",
		s.acme.Tenant(), id, subject[:], person, at); err != nil {
		t.Fatal(err)
	}
	return id
}

// has reports whether the ledger has all of them, once each.
func (s *shelf) has(t *testing.T, ids ...uuid.UUID) bool {
	t.Helper()
	entries, err := s.server().Read(t.Context(), s.Now().AddDate(0, 0, -10))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		n := 0
		for i := range entries {
			if entries[i].ID == id {
				n++
			}
		}
		if n != 1 {
			return false
		}
	}
	return len(entries) == len(ids)
}

// One server reads, another one stores a later erasure of the day and marks it, and then the first writes what it has read: the later line is
// gone, though it is marked as stored. The next turn of anybody puts it back. Without the look at today it would stay lost.
func TestALineThatWasOverwrittenComesBack(t *testing.T) {
	s := newShelf(t)
	first := s.erase(t, s.Now())
	slow, fast := s.server(), s.server()
	var second uuid.UUID
	var once sync.Once
	slow.AfterRead(func() {
		once.Do(func() {
			second = s.erase(t, s.Now())
			if err := fast.Store(t.Context()); err != nil {
				t.Error(err)
			}
			if !s.has(t, first, second) {
				t.Error("the fast server has not stored both")
			}
		})
	})
	if err := slow.Store(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.server().Store(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !s.has(t, first, second) {
		t.Error("a line is lost")
	}
	var waiting int
	if err := s.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM erasures WHERE stored_at IS NULL").Scan(&waiting); err != nil || waiting != 0 {
		t.Errorf("%d wait, %v", waiting, err)
	}
}

// Servers that erase and store at once leave every line, once the last of them has had its turn.
func TestServersStoreAtOnce(t *testing.T) {
	s := newShelf(t)
	var all []uuid.UUID
	for range 4 {
		all = append(all, s.erase(t, s.Now()), s.erase(t, s.Now().AddDate(0, 0, -1)), s.erase(t, s.Now().AddDate(0, 0, -5)))
		var turns sync.WaitGroup
		for range 3 {
			turns.Go(func() {
				if err := s.server().Store(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		turns.Wait()
	}
	if err := s.server().Store(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !s.has(t, all...) {
		t.Error("lines are lost, or there twice")
	}
	if err := s.server().Store(t.Context()); err != nil || !s.has(t, slices.Clone(all)...) {
		t.Errorf("a turn with nothing new: %v", err)
	}
}
