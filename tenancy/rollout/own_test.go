package rollout_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/rollout"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// reserved is the reserved tenant of a new database, with its keys.
func reserved(t *testing.T) (*dbtest.Store, *flag.Service, scope.Scope) {
	t.Helper()
	store := dbtest.Fresh(t)
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	ks := keys.New(keys.Options{Store: store.Store, KMS: k})
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "serve"})
	if err := ks.Ensure(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	return store, flag.New(store.Store, ks), home
}

// Servers that start at once make each flag once; one that died halfway is gone on with; what a person has changed stays; what is
// deleted is made again. At no moment does a flag say anything but its default.
func TestPrepare(t *testing.T) {
	store, flags, home := reserved(t)
	own := rollout.Own{Service: flags}
	says := func(s rollout.Switch) (on, there bool) {
		t.Helper()
		set, err := own.Flags(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := set.Evaluate(s.Key, &flag.Subject{Key: "t"})
		return got.Variant != nil && got.Variant.Bool, got.Variant != nil
	}

	// One that died after making a flag: it is off, and says what the default says.
	half := rollout.LiveStreams
	if _, err := flags.Create(t.Context(), home, flag.CreateRequest{Key: half.Key, Type: flag.Boolean, OffVariant: "on", DefaultVariant: "on", About: flag.About{Name: half.Name}}); err != nil {
		t.Fatal(err)
	}
	if on, _ := says(half); !on {
		t.Error("halfway it is off")
	}
	done, watched := make(chan struct{}), make(chan error, 1)
	go func() { watched <- alwaysOn(t.Context(), own, done) }()
	var group sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		group.Go(func() { errs[i] = rollout.Prepare(t.Context(), flags, home) })
	}
	group.Wait()
	close(done)
	for _, err := range slices.Concat(errs, []error{<-watched}) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, s := range rollout.All() {
		if on, there := says(s); !there || on != s.Default {
			t.Errorf("%s says %t", s.Key, on)
		}
		f, err := flags.Get(t.Context(), home, s.Key)
		if err != nil || !f[0].Enabled || f[0].OffVariant != "off" || f[1].Enabled {
			t.Errorf("%s is %+v, %v", s.Key, f, err)
		}
	}
	for action, n := range map[string]int64{"flag.create": 3, "flag.update": 3} {
		if got := store.AuditCount(t, home, action); got != n {
			t.Errorf("%d entries of %s, want %d", got, action, n)
		}
	}

	off := false
	if _, err := flags.Update(t.Context(), home, flag.UpdateRequest{Key: half.Key, Enabled: &off}); err != nil {
		t.Fatal(err)
	}
	if err := flags.Delete(t.Context(), home, flag.DeleteRequest{Key: rollout.TextScans.Key}); err != nil {
		t.Fatal(err)
	}
	if err := rollout.Prepare(t.Context(), flags, home); err != nil {
		t.Fatal(err)
	}
	if on, _ := says(half); on {
		t.Error("what the staff turned off is on again")
	}
	if on, there := says(rollout.TextScans); !on || !there {
		t.Error("what was deleted is not there again")
	}

	// A flag of this key that is not what it should be keeps no server from starting, and stays as somebody made it.
	for name, req := range map[string]flag.CreateRequest{
		"a text":     {Type: flag.String, Variants: map[string]json.RawMessage{"on": json.RawMessage(`"yes"`)}},
		"always on":  {Type: flag.Boolean, Variants: map[string]json.RawMessage{"on": json.RawMessage(`true`)}},
		"other text": {Type: flag.String, Variants: map[string]json.RawMessage{"on": json.RawMessage(`"yes"`), "off": json.RawMessage(`"no"`)}},
	} {
		if err := flags.Delete(t.Context(), home, flag.DeleteRequest{Key: rollout.TextScans.Key}); err != nil {
			t.Fatal(err)
		}
		req.Key, req.Name, req.OffVariant = rollout.TextScans.Key, name, "on"
		made, err := flags.Create(t.Context(), home, req)
		if err != nil {
			t.Fatal(err)
		}
		if err := rollout.Prepare(t.Context(), flags, home); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := flags.Get(t.Context(), home, req.Key); err != nil || got[0].ETag != made.ETag {
			t.Errorf("%s: it is now %+v, %v", name, got, err)
		}
	}
}

// Who looks at the provider every few seconds finds what is missing and what is no boolean, and is nobody who asked: what people read of
// how often a flag was evaluated is of evaluations.
func TestLookingIsNotCounted(t *testing.T) {
	store, flags, home := reserved(t)
	own := rollout.Own{Service: flags}
	r, err := rollout.Open(t.Context(), rollout.Options{Provider: flag.NewProvider(own), Look: own.Look})
	if err != nil {
		t.Fatal(err)
	}
	if missing, err := r.Look(t.Context()); err != nil || len(missing) != len(rollout.All()) {
		t.Errorf("before there are any: %q, %v", missing, err)
	}
	if err := rollout.Prepare(t.Context(), flags, home); err != nil {
		t.Fatal(err)
	}
	counted := func() (n int64) {
		t.Helper()
		if _, err := flags.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		used, err := flags.Usage(t.Context(), home, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range used {
			n += u.Total()
		}
		return n
	}
	if missing, err := r.Look(t.Context()); err != nil || len(missing) != 0 || counted() != 0 {
		t.Errorf("looked: %q, %v, counted %d", missing, err, counted())
	}
	if !r.On(t.Context(), home, rollout.LiveStreams) || counted() != 1 {
		t.Errorf("asked once, counted %d", counted())
	}
	if err := flags.Delete(t.Context(), home, flag.DeleteRequest{Key: rollout.TextScans.Key}); err != nil {
		t.Fatal(err)
	}
	// There is room for no other flag: the default holds, and a server starts.
	if _, err := store.Superuser(t).Exec(t.Context(), `INSERT INTO flags (tenant_id, key, type, name, description, owner, variants, client_visible, created_by, created_at, updated_by, updated_at)
		SELECT $1, 'f' || n, 'BOOLEAN', 'F', '', '', '{"on": true}', false, 'system:test', now(), 'system:test', now() FROM generate_series(1, 998) n`, home.Tenant()); err != nil {
		t.Fatal(err)
	}
	if err := rollout.Prepare(t.Context(), flags, home); err != nil {
		t.Errorf("where there is no room: %v", err)
	}
	if missing, err := r.Look(t.Context()); err != nil || !slices.Equal(missing, []string{rollout.TextScans.Key}) {
		t.Errorf("then %q is missing, %v", missing, err)
	}
	if err := flags.Delete(t.Context(), home, flag.DeleteRequest{Key: rollout.LiveStreams.Key}); err != nil {
		t.Fatal(err)
	}
	if _, err := flags.Create(t.Context(), home, flag.CreateRequest{Key: rollout.LiveStreams.Key, Type: flag.String, About: flag.About{Name: "x"}, Variants: map[string]json.RawMessage{"on": json.RawMessage(`"x"`)}, OffVariant: "on"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Look(t.Context()); err == nil || !strings.Contains(err.Error(), rollout.LiveStreams.Key+": TYPE_MISMATCH") {
		t.Errorf("a text looked at = %v", err)
	}
}

// alwaysOn reads flags until done, and fails when a switch that is there says off.
func alwaysOn(ctx context.Context, own rollout.Own, done <-chan struct{}) error {
	for {
		select {
		case <-done:
			return nil
		default:
		}
		set, err := own.Flags(ctx)
		if err != nil {
			return err
		}
		for _, s := range rollout.All() {
			if got := set.Evaluate(s.Key, &flag.Subject{Key: "t"}); got.Variant != nil && !got.Variant.Bool {
				return fmt.Errorf("%s is off meanwhile", s.Key)
			}
		}
	}
}
