package keys_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

func (l *line) versions(t *testing.T, sc scope.Scope) []uint32 {
	t.Helper()
	list, err := l.svc.DataKeys(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	var out []uint32
	for _, k := range list {
		out = append(out, k.Version)
	}
	return out
}

func seal(t *testing.T, r *keys.Ring, plain string) []byte {
	t.Helper()
	sealed, err := r.Seal(secret, []byte("row"), []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// A data key is replaced, drained and destroyed, and indexes and MACs stay.
func TestDataKeyLife(t *testing.T) {
	l := newLine(t, localKMS(t))
	var resealed []string
	left := 2*500 + 3 // values at rest under the old key
	svc := keys.New(keys.Options{
		Store: l.svcStore(t), KMS: l.kms,
		Reseal: func(_ context.Context, sc scope.Scope, limit int) (int, error) {
			resealed = append(resealed, sc.Tenant().String())
			n := min(left, limit)
			left -= n
			return n, nil
		},
	})
	l.svc = svc
	acme := l.tenant(t)
	before := ring(t, svc, acme)
	old, token, index, mac := seal(t, before, "ada"), before.SealToken("p", nil, []byte("x")), before.Index(secret, "ada"), before.MAC("m", nil)
	signer := before.Signer().KID

	version, err := svc.RotateDataKey(t.Context(), acme, "yearly")
	if err != nil || version != 2 {
		t.Fatalf("RotateDataKey = %d, %v, want 2", version, err)
	}
	for _, s := range []struct {
		when     string
		at       time.Duration
		seals    uint32
		versions []uint32
		opens    bool // what the old key sealed
	}{
		{"at once", 0, 1, []uint32{2, 1, 0}, true},
		{"after a moment", 6 * time.Second, 2, []uint32{2, 1, 0}, true},
		{"drained", 2 * time.Minute, 2, []uint32{2, 1, 0}, true},
		{"while tokens live", 24 * time.Hour, 2, []uint32{2, 1, 0}, true},
		{"afterwards", 26 * time.Hour, 2, []uint32{2, 0}, false},
	} {
		*l.at = s.at
		l.maintain(t, acme)
		l.maintain(t, acme)
		r := ring(t, svc, acme)
		if r.SealingVersion() != s.seals {
			t.Errorf("%s: version %d seals, want %d", s.when, r.SealingVersion(), s.seals)
		}
		if diff := cmp.Diff(s.versions, l.versions(t, acme)); diff != "" {
			t.Errorf("%s: versions (-want +got):\n%s", s.when, diff)
		}
		if got, err := r.Open(secret, []byte("row"), old); (err == nil && string(got) == "ada") != s.opens || (err != nil && !errors.Is(err, keys.ErrSealed)) {
			t.Errorf("%s: what was sealed before: %q, %v", s.when, got, err)
		}
		if _, err := r.OpenToken("p", token); (err == nil) != s.opens {
			t.Errorf("%s: a token of before: %v", s.when, err)
		}
		if got, err := r.Open(secret, []byte("row"), seal(t, r, "eve")); err != nil || string(got) != "eve" {
			t.Errorf("%s: what is sealed now: %q, %v", s.when, got, err)
		}
		if !bytes.Equal(r.Index(secret, "ada"), index) || r.MAC("m", nil) != mac {
			t.Errorf("%s: an index or a MAC has changed", s.when)
		}
		if r.Signer() == nil || r.Signer().KID != signer {
			t.Errorf("%s: the signing key is another, or lost", s.when)
		}
	}
	if left != 0 || len(slices.Compact(resealed)) != 1 || len(resealed) < 3 || resealed[0] != acme.Tenant().String() {
		t.Errorf("%d values are left under the old key after %d batches", left, len(resealed))
	}
	for action, n := range map[string]int64{"datakey.create": 3, "datakey.drain": 1, "datakey.destroy": 1} {
		if got := l.AuditCount(t, acme, action); got != n {
			t.Errorf("%d audit entries %s, want %d", got, action, n)
		}
	}
}

// A version whose values could not all be sealed anew is not drained, and stays.
func TestDataKeyStaysWhileSomethingIsSealedUnderIt(t *testing.T) {
	l := newLine(t, localKMS(t))
	broken := errors.New("a row does not open")
	svc := keys.New(keys.Options{
		Store: l.svcStore(t), KMS: l.kms,
		Reseal: func(context.Context, scope.Scope, int) (int, error) { return 0, broken },
	})
	l.svc = svc
	acme := l.tenant(t)
	if _, err := svc.RotateDataKey(t.Context(), acme, ""); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Duration{2 * time.Minute, 50 * time.Hour} {
		*l.at = at
		if err := svc.Maintain(t.Context(), acme); !errors.Is(err, broken) {
			t.Errorf("Maintain = %v, want the reason", err)
		}
		if diff := cmp.Diff([]uint32{2, 1, 0}, l.versions(t, acme)); diff != "" {
			t.Errorf("versions (-want +got):\n%s", diff)
		}
		var due time.Time
		if err := l.Superuser(t).QueryRow(t.Context(), "SELECT min(due_at) FROM data_keys WHERE tenant_id = $1", acme.Tenant()).Scan(&due); err != nil ||
			due.Before(time.Now().Add(at+time.Hour)) {
			t.Errorf("it is due again at %s, %v, want hours later", due, err)
		}
	}
}

// Tenants that were made before there was a root keep their first data key for it.
func TestTenantsWithoutARoot(t *testing.T) {
	l := newLine(t, localKMS(t))
	acme := l.tenant(t)
	if _, err := l.Superuser(t).Exec(t.Context(), "DELETE FROM data_keys WHERE tenant_id = $1 AND version = 0", acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	index := ring(t, l.svc, acme).Index(secret, "ada")
	if _, err := l.svc.RotateDataKey(t.Context(), acme, ""); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Duration{2 * time.Minute, 30 * time.Hour} {
		*l.at = at
		l.maintain(t, acme)
	}
	r := ring(t, l.svc, acme)
	if diff := cmp.Diff([]uint32{2, 1}, l.versions(t, acme)); diff != "" || !bytes.Equal(r.Index(secret, "ada"), index) || r.SealingVersion() != 2 {
		t.Errorf("version %d seals, versions (-want +got):\n%s", r.SealingVersion(), diff)
	}
}

func TestDataKeyByPolicy(t *testing.T) {
	l := newLine(t, localKMS(t))
	acme := l.tenant(t)
	l.plan.RotateDataAfter = 24 * time.Hour
	*l.at = 23 * time.Hour
	l.maintain(t, acme)
	if n := len(l.versions(t, acme)); n != 2 {
		t.Errorf("before its time: %d versions, want the root and one", n)
	}
	*l.at = 25 * time.Hour
	l.maintain(t, acme)
	l.maintain(t, acme)
	if n := len(l.versions(t, acme)); n != 3 {
		t.Errorf("in its time: %d versions, want one more", n)
	}
}

func TestRotateDataKeyRace(t *testing.T) {
	l := newLine(t, localKMS(t))
	acme := l.tenant(t)
	got := make([]uint32, 3)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			var err error
			if got[i], err = l.svc.RotateDataKey(t.Context(), acme, ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(got)
	if diff := cmp.Diff([]uint32{2, 3, 4}, got); diff != "" {
		t.Errorf("versions of three rotations at once (-want +got):\n%s", diff)
	}
	ring(t, l.svc, acme)
	if _, err := l.svc.RotateDataKey(t.Context(), l.Tenant(t), ""); !errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("a tenant without keys: %v, want ErrNoKeys", err)
	}
}

// rewrapLine is a database of its own, since Rewrap goes through every tenant.
func rewrapLine(t *testing.T, k keys.KMS) *line {
	t.Helper()
	store := dbtest.Fresh(t)
	return &line{Store: store, kms: k, svc: keys.New(keys.Options{Store: store.Store, KMS: k})}
}

// twoKMS wraps with the current one and unwraps with whichever knows the key.
type twoKMS struct {
	keys.KMS // the current one

	old   keys.KMS
	wraps int
	stop  func() // called at each wrap
}

func (k *twoKMS) Wrap(ctx context.Context, key, ad []byte) ([]byte, error) {
	k.wraps++
	if k.stop != nil {
		k.stop()
	}
	return k.KMS.Wrap(ctx, key, ad)
}

func (k *twoKMS) Unwrap(ctx context.Context, name string, wrapped, ad []byte) ([]byte, error) {
	if name == k.old.KeyName() {
		return k.old.Unwrap(ctx, name, wrapped, ad)
	}
	return k.KMS.Unwrap(ctx, name, wrapped, ad)
}

// Rewrapping goes on where it was stopped, does nothing twice, and changes no key.
func TestRewrap(t *testing.T) {
	old := localKMS(t)
	l := rewrapLine(t, old)
	sealed := map[scope.Scope][]byte{}
	platform := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	if err := l.svc.Ensure(t.Context(), platform); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		acme := l.tenant(t)
		sealed[acme] = seal(t, ring(t, l.svc, acme), "ada")
	}
	both := &twoKMS{KMS: localKMS(t), old: old}
	moved := keys.New(keys.Options{Store: l.Store.Store, KMS: both})
	names := func() map[string]int {
		count := map[string]int{}
		rows, err := l.Superuser(t).Query(t.Context(), "SELECT kms_key FROM data_keys")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			count[name]++
		}
		return count
	}

	// Killed amid the third tenant.
	ctx, kill := context.WithCancel(t.Context())
	both.stop = func() {
		if both.wraps == 5 {
			kill()
		}
	}
	if err := moved.Rewrap(ctx, platform.Actor(), false, func(keys.Rewrapped) {}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Rewrap that is killed = %v, want it canceled", err)
	}
	if got := names(); got[old.KeyName()] == 0 || got[both.KeyName()] == 0 {
		t.Fatalf("after the kill: %v, want some of both", got)
	}
	for sc, value := range sealed { // every server works on meanwhile
		if got, err := ring(t, moved, sc).Open(secret, []byte("row"), value); err != nil || string(got) != "ada" {
			t.Fatalf("amid it: %q, %v", got, err)
		}
	}
	// What is left, and no more.
	done := names()[both.KeyName()]
	both.wraps, both.stop = 0, nil
	var last keys.Rewrapped
	if err := moved.Rewrap(t.Context(), platform.Actor(), false, func(p keys.Rewrapped) { last = p }); err != nil {
		t.Fatal(err)
	}
	if last.Done != 6 || last.All != 6 || both.wraps != 12-done {
		t.Errorf("it ended at %d of %d tenants with %d wraps, want 6 of 6 and %d", last.Done, last.All, both.wraps, 12-done)
	}
	if diff := cmp.Diff(map[string]int{both.KeyName(): 12}, names()); diff != "" {
		t.Errorf("KMS keys (-want +got):\n%s", diff)
	}
	both.wraps = 0
	if err := moved.Rewrap(t.Context(), platform.Actor(), false, func(keys.Rewrapped) {}); err != nil || both.wraps != 0 {
		t.Errorf("once more: %v, %d wraps, want none", err, both.wraps)
	}
	if err := moved.Rewrap(t.Context(), platform.Actor(), true, func(keys.Rewrapped) {}); err != nil || both.wraps != 12 {
		t.Errorf("by force: %v, %d wraps, want 12", err, both.wraps)
	}
	// The old KMS key is needed no more.
	alone := keys.New(keys.Options{Store: l.Store.Store, KMS: both.KMS})
	for sc, value := range sealed {
		if got, err := ring(t, alone, sc).Open(secret, []byte("row"), value); err != nil || string(got) != "ada" {
			t.Errorf("without the old KMS: %q, %v", got, err)
		}
		if n := l.AuditCount(t, sc, "datakey.rewrap"); n != 4 {
			t.Errorf("%d audit entries, want 2 for each time", n)
		}
	}
}

// A tenant whose keys do not open is named, and does not keep the others.
func TestRewrapNamesWhatDoesNotOpen(t *testing.T) {
	old := localKMS(t)
	l := rewrapLine(t, old)
	good, bad := l.tenant(t), l.tenant(t)
	if _, err := l.Superuser(t).Exec(t.Context(), "UPDATE data_keys SET wrapped = '\\x00' WHERE tenant_id = $1", bad.Tenant()); err != nil {
		t.Fatal(err)
	}
	both := &twoKMS{KMS: localKMS(t), old: old}
	moved := keys.New(keys.Options{Store: l.Store.Store, KMS: both})
	seen := map[string]int{}
	err := moved.Rewrap(t.Context(), scope.Actor{Kind: scope.ActorSystem, ID: "test"}, false, func(p keys.Rewrapped) { seen[p.Tenant.String()] = p.Keys })
	var slug string
	if scanErr := l.Superuser(t).QueryRow(t.Context(), "SELECT slug FROM tenants WHERE id = $1", bad.Tenant()).Scan(&slug); scanErr != nil {
		t.Fatal(scanErr)
	}
	if err == nil || !strings.Contains(err.Error(), slug) {
		t.Errorf("Rewrap = %v, want tenant %s named", err, slug)
	}
	if seen[good.Tenant().String()] != 2 || seen[bad.Tenant().String()] != 0 {
		t.Errorf("rewrapped by tenant: %v", slices.Collect(maps.Values(seen)))
	}
}

// Rewrapping, rotating and destroying at once lose nothing.
func TestRewrapMeetsRotation(t *testing.T) {
	old := localKMS(t)
	l := rewrapLine(t, old)
	acme := l.tenant(t)
	value := seal(t, ring(t, l.svc, acme), "ada")
	both := &twoKMS{KMS: localKMS(t), old: old}
	moved := keys.New(keys.Options{Store: l.Store.Store, KMS: both})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := keys.New(keys.Options{Store: l.Store.Store, KMS: &twoKMS{KMS: both.KMS, old: old}}).
				Rewrap(t.Context(), scope.Actor{Kind: scope.ActorSystem, ID: "test"}, true, func(keys.Rewrapped) {}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := l.svc.RotateDataKey(t.Context(), acme, ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := ring(t, moved, acme).Open(secret, []byte("row"), value); err != nil || string(got) != "ada" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
	if n := len(l.versions(t, acme)); n != 5 {
		t.Errorf("%d versions, want the root and four", n)
	}
}

// A server that has a ring cached turns to the new data key when that begins to seal,
// although nothing changes in the database at that moment.
func TestACachedRingTurnsToTheNewKey(t *testing.T) {
	store := dbtest.New(t)
	acme := store.Tenant(t)
	var ahead atomic.Int64
	svc := keys.New(keys.Options{
		Store: store.Store, KMS: localKMS(t),
		Now: func() time.Time { return store.Now().Add(time.Duration(ahead.Load())) },
	})
	if err := svc.Ensure(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	if _, err := svc.RotateDataKey(t.Context(), acme, ""); err != nil {
		t.Fatal(err)
	}
	cached := func() *keys.Ring {
		for deadline := time.Now().Add(10 * time.Second); ; {
			if a, b := ring(t, svc, acme), ring(t, svc, acme); a == b {
				return a
			}
			if time.Now().After(deadline) {
				t.Fatal("the ring is not cached")
			}
		}
	}
	if v := cached().SealingVersion(); v != 1 {
		t.Fatalf("version %d seals at once, want 1", v)
	}
	ahead.Store(int64(6 * time.Second))
	if v := cached().SealingVersion(); v != 2 {
		t.Errorf("six seconds later version %d seals, want 2", v)
	}
}

// What somebody sealed late under a drained key is found before that key is destroyed.
func TestDrainedKeysAreLookedAtOnceMore(t *testing.T) {
	l := newLine(t, localKMS(t))
	late := 0
	l.svc = keys.New(keys.Options{Store: l.svcStore(t), KMS: l.kms, Reseal: func(context.Context, scope.Scope, int) (int, error) {
		n := late
		late = 0
		return n, nil
	}})
	acme := l.tenant(t)
	if _, err := l.svc.RotateDataKey(t.Context(), acme, ""); err != nil {
		t.Fatal(err)
	}
	*l.at = 2 * time.Minute
	l.maintain(t, acme)
	late = 1
	for _, s := range []struct {
		at   time.Duration
		want []uint32
	}{{26 * time.Hour, []uint32{2, 1, 0}}, {50 * time.Hour, []uint32{2, 1, 0}}, {52 * time.Hour, []uint32{2, 0}}} {
		*l.at = s.at
		l.maintain(t, acme)
		if diff := cmp.Diff(s.want, l.versions(t, acme)); diff != "" || late != 0 {
			t.Errorf("after %s, with %d values left (-want +got):\n%s", s.at, late, diff)
		}
	}
}
