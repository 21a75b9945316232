package attestation_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// lasting makes a root that no clock of a test is beyond.
func lasting(t testing.TB, name string) attestation.AddRequest {
	t.Helper()
	id := template{name: name, ca: true, notBefore: now.AddDate(-20, 0, 0), notAfter: now.AddDate(20, 0, 0)}.by(t, nil)
	return attestation.AddRequest{Name: name, Certificate: id.cert.Raw}
}

func add(t testing.TB, svc *attestation.Service, sc scope.Scope, req attestation.AddRequest) attestation.Root {
	t.Helper()
	root, err := svc.Add(t.Context(), sc, req)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// The life of a root, and that it is of nobody else. Row-level security removed turns the
// cases of the other tenant red.
func TestRoots(t *testing.T) {
	store := dbtest.New(t)
	svc := attestation.New(store.Store)
	acme, globex := store.Tenant(t), store.Tenant(t)
	req := lasting(t, "  Fleet   of keys ")
	req.AAGUIDs = []uuid.UUID{model, another}
	root := add(t, svc, acme, req)
	if root.Name != "Fleet of keys" || !root.Attests(another) || root.Attests(uuid.New()) || root.CreatedBy == "" || root.CreatedAt.IsZero() {
		t.Errorf("Add = %+v", root)
	}
	if _, err := svc.Add(t.Context(), acme, req); !errors.Is(err, attestation.ErrRootExists) {
		t.Errorf("the same again: %v, want ErrRootExists", err)
	}
	theirs := add(t, svc, globex, req) // the same certificate, of another tenant
	list, err := svc.List(t.Context(), acme)
	if err != nil || len(list) != 1 || list[0].ID != root.ID || !list[0].Certificate.Equal(root.Certificate) || list[0].Fingerprint != root.Fingerprint {
		t.Errorf("List = %+v, %v", list, err)
	}
	if _, err := svc.Get(t.Context(), acme, theirs.ID); !errors.Is(err, attestation.ErrRootNotFound) {
		t.Errorf("another tenant's: %v, want ErrRootNotFound", err)
	}
	if _, err := svc.Remove(t.Context(), acme, theirs.ID, ""); !errors.Is(err, attestation.ErrRootNotFound) {
		t.Errorf("another tenant's, to be removed: %v, want ErrRootNotFound", err)
	}
	if got, err := svc.Get(t.Context(), globex, theirs.ID); err != nil || got.ID != theirs.ID {
		t.Errorf("theirs afterwards: %v", err)
	}
	if removed, err := svc.Remove(t.Context(), acme, root.ID, ""); err != nil || removed.Name != root.Name {
		t.Errorf("Remove = %+v, %v", removed, err)
	}
	if _, err := svc.Remove(t.Context(), acme, root.ID, ""); !errors.Is(err, attestation.ErrRootNotFound) {
		t.Errorf("removed twice: %v, want ErrRootNotFound", err)
	}
	for action, want := range map[string]int64{"attestationroot.create": 1, "attestationroot.delete": 1} {
		if n := store.AuditCount(t, acme, action); n != want {
			t.Errorf("%d entries %s, want %d", n, action, want)
		}
	}
	var events int
	if err := store.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM event_outbox WHERE tenant_id = $1 AND type LIKE 'attestationroot.%'", acme.Tenant()).Scan(&events); err != nil || events != 2 {
		t.Errorf("%d events, %v, want 2", events, err)
	}
	for _, name := range []string{"", " ", "\u202e", "a\x00b"} {
		bad := lasting(t, "R")
		bad.Name = name
		if _, err := svc.Add(t.Context(), acme, bad); !errors.Is(err, attestation.ErrRootName) {
			t.Errorf("the name %q: %v, want ErrRootName", name, err)
		}
	}
}

// Many at once do not exceed the limit together. Without the lock they do.
func TestRootsAreBounded(t *testing.T) {
	store := dbtest.New(t)
	svc := attestation.New(store.Store)
	acme := store.Tenant(t)
	for i := range 28 {
		add(t, svc, acme, lasting(t, fmt.Sprint("root ", i)))
	}
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		req := lasting(t, fmt.Sprint("racing ", i))
		wg.Go(func() { _, errs[i] = svc.Add(t.Context(), acme, req) })
	}
	wg.Wait()
	added := 0
	for _, err := range errs {
		if err == nil {
			added++
		} else if !errors.Is(err, attestation.ErrTooManyRoots) {
			t.Errorf("Add = %v, want ErrTooManyRoots", err)
		}
	}
	list, err := svc.List(t.Context(), acme)
	if err != nil || added != 4 || len(list) != 32 {
		t.Errorf("%d of 8 were added to 28, and there are %d, %v; want 32", added, len(list), err)
	}
	if _, err := svc.Remove(t.Context(), acme, list[0].ID, ""); err != nil {
		t.Fatal(err)
	}
	add(t, svc, acme, lasting(t, "in its place"))
}

// What is cached is never over a second behind, on the server that made the change and on
// the other. Without the notice the other server turns red.
func TestRootsAreSeenByEveryServer(t *testing.T) {
	store := dbtest.New(t)
	here, there := attestation.New(store.Store), attestation.New(store.Replica(t))
	acme := store.Tenant(t)
	sees := func(svc *attestation.Service) int {
		roots, err := svc.Current(t.Context(), acme)
		if err != nil {
			t.Fatal(err)
		}
		return len(roots)
	}
	within := func(want int) {
		t.Helper()
		if n := sees(here); n != want {
			t.Errorf("here %d roots, want %d at once", n, want)
		}
		dbtest.Seen(t, "roots on the other server", func() string {
			if n := sees(there); n != want {
				return fmt.Sprintf("there are %d, want %d", n, want)
			}
			return ""
		})
	}
	within(0)
	root := add(t, here, acme, lasting(t, "Fleet"))
	within(1)
	if _, err := here.Remove(t.Context(), acme, root.ID, ""); err != nil {
		t.Fatal(err)
	}
	within(0)
}
