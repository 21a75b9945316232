package flag_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

type world struct {
	*dbtest.Store

	keys  *keys.Service
	flags *flag.Service
	acme  scope.Scope
}

func newWorld(t testing.TB) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms.key")
	if err := kms.CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	k, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	store := dbtest.New(t)
	w := &world{Store: store, keys: keys.New(keys.Options{Store: store.Store, KMS: k})}
	w.flags, w.acme = w.server(), w.tenant(t)
	return w
}

// server is one server's Service.
func (w *world) server() *flag.Service { return flag.New(w.Store.Store, w.keys) }

// tenant is a new one with keys.
func (w *world) tenant(t testing.TB) scope.Scope {
	t.Helper()
	sc := w.Tenant(t)
	if err := w.keys.Ensure(t.Context(), sc); err != nil {
		t.Fatal(err)
	}
	return sc
}

func TestLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, globex := t.Context(), w.tenant(t)
	day := time.Date(2027, 1, 15, 13, 0, 0, 0, time.UTC)
	made, err := w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: "number-matching", Type: flag.Boolean, About: flag.About{Name: "  Number   matching ", Owner: "Payments", RemoveBy: &day}, Reason: "for the new app"})
	if err != nil {
		t.Fatal(err)
	}
	if made.Name != "Number matching" || made.Environment != "production" || made.Enabled || made.OffVariant != "off" || made.DefaultVariant != "off" || len(made.Variants) != 2 ||
		!made.RemoveBy.Equal(day.Truncate(24*time.Hour)) || made.Salt == "" || made.ETag == "" {
		t.Errorf("made %+v", made)
	}
	if _, err := w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: "number-matching", Type: flag.Boolean, About: flag.About{Name: "x"}}); !errors.Is(err, flag.ErrTaken) {
		t.Errorf("Create of what there is = %v", err)
	}
	if _, err := w.flags.Create(ctx, globex, flag.CreateRequest{Key: "number-matching", Type: flag.Boolean, About: flag.About{Name: "x"}}); err != nil {
		t.Errorf("another tenant's flag of this key = %v", err)
	}

	on, rules := true, []flag.Rule{rollout(25)}
	rules[0].ID = ""
	changed, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: made.Key, Environment: "staging", Enabled: &on, Rules: &rules, Reason: "try it"})
	if err != nil || !changed.Enabled || changed.Environment != "staging" || len(changed.Rules) != 1 || changed.Rules[0].ID == "" || changed.Rules[0].Rollout[0].Weight != 25_000 {
		t.Fatalf("Update = %+v, %v", changed, err)
	}
	if again, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: made.Key, Environment: "staging", Enabled: &on, Rules: &changed.Rules}); err != nil || again.ETag != changed.ETag {
		t.Errorf("an update that changes nothing = %+v, %v", again, err)
	}
	all, err := w.flags.Get(ctx, w.acme, made.Key)
	if err != nil || len(all) != 3 || all[0].Enabled || !all[1].Enabled || all[0].ETag != made.ETag {
		t.Errorf("in all environments: %+v, %v", all, err)
	}
	if _, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: made.Key, Environment: "staging", IfMatch: "another"}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("Update of what has changed = %v", err)
	}
	// What an environment serves cannot go.
	_, err = w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: made.Key, Variants: map[string]json.RawMessage{"off": json.RawMessage("false")}})
	if refused, ok := fault.As(err); !ok || !errors.Is(err, flag.ErrInvalid) || refused.Metadata["field"] != "rules[0].rollout[0].variant" || !strings.HasPrefix(refused.Message, "in staging: ") {
		t.Errorf("taking away a variant that staging serves = %v", err)
	}
	name := "Matching"
	if got, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: made.Key, Name: &name, RemoveBy: new(*time.Time)}); err != nil || got.Name != name || got.RemoveBy != nil || got.ETag == made.ETag {
		t.Errorf("Update of what environments share = %+v, %v", got, err)
	}

	// Another tenant's is another, and of none is none.
	other := w.tenant(t)
	for what, err := range map[string]error{
		"get":     second(w.flags.Get(ctx, other, made.Key)),
		"update":  second(w.flags.Update(ctx, other, flag.UpdateRequest{Key: made.Key, Enabled: &on})),
		"delete":  w.flags.Delete(ctx, other, flag.DeleteRequest{Key: made.Key}),
		"history": second(w.flags.Changes(ctx, other, made.Key, listing.Request{})),
	} {
		if !errors.Is(err, flag.ErrNotFound) {
			t.Errorf("%s of another tenant's = %v", what, err)
		}
	}
	if list, err := w.flags.List(ctx, other, ""); err != nil || len(list) != 0 {
		t.Errorf("another tenant's list = %v, %v", list, err)
	}
	if _, err := w.flags.List(ctx, w.acme, "prodution"); !errors.Is(err, flag.ErrEnvironment) || !strings.Contains(err.Error(), "did you mean production?") {
		t.Errorf("a list of nowhere = %v", err)
	}

	if err := w.flags.Delete(ctx, w.acme, flag.DeleteRequest{Key: made.Key, IfMatch: made.ETag}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("Delete of what has changed = %v", err)
	}
	if err := w.flags.Delete(ctx, w.acme, flag.DeleteRequest{Key: made.Key, Reason: "nobody reads it"}); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if _, err := w.flags.Get(ctx, w.acme, made.Key); !errors.Is(err, flag.ErrNotFound) {
		t.Errorf("Get of what is deleted = %v", err)
	}
	page, err := w.flags.Changes(ctx, w.acme, made.Key, listing.Request{PageSize: 3})
	if err != nil || len(page.Items) != 3 || page.NextToken == "" {
		t.Fatalf("history = %+v, %v", page, err)
	}
	rest, err := w.flags.Changes(ctx, w.acme, made.Key, listing.Request{PageToken: page.NextToken})
	if err != nil || rest.NextToken != "" {
		t.Fatalf("the rest of the history = %+v, %v", rest, err)
	}
	var steps []string
	for _, c := range slices.Concat(page.Items, rest.Items) {
		steps = append(steps, string(c.Action)+" "+c.Environment+" "+c.Reason)
		if (c.Before == nil) != (c.Action == "CREATED") || (c.After == nil) != (c.Action == "DELETED") {
			t.Errorf("%s keeps %v and %v", c.Action, c.Before, c.After)
		}
		if c.Environment == "staging" && (c.Before.Enabled || !c.After.Enabled || c.After.Rules[0].Rollout[0].Weight != 25_000) {
			t.Errorf("what staging was, and became: %+v, %+v", c.Before, c.After)
		}
	}
	if want := []string{"DELETED  nobody reads it", "UPDATED  ", "UPDATED staging try it", "CREATED  for the new app"}; !slices.Equal(steps, want) {
		t.Errorf("history = %q, want %q", steps, want)
	}
	if _, err := w.flags.Changes(ctx, globex, made.Key, listing.Request{PageToken: page.NextToken}); !errors.Is(err, listing.ErrPageToken) {
		t.Errorf("another tenant's page of the history = %v", err)
	}
	for action, n := range map[string]int64{"flag.create": 1, "flag.update": 2, "flag.delete": 1} {
		if got := w.AuditCount(t, w.acme, action); got != n {
			t.Errorf("%d entries of %s, want %d", got, action, n)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// What one server changes, another evaluates, as soon as the change feed says so.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	another := w.server()
	who := &flag.Subject{Key: "u1"}
	read := func(s *flag.Service, environment string) flag.Result {
		set, err := s.Flags(ctx, w.acme, environment)
		if err != nil {
			t.Fatal(err)
		}
		return set.Evaluate("f", who)
	}
	if got := read(another, ""); got.Code != flag.FlagNotFound {
		t.Errorf("before there is a flag: %+v", got)
	}
	if _, err := w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "F"}, ClientVisible: true}); err != nil {
		t.Fatal(err)
	}
	on, all := true, []flag.Rule{{ID: "all", Variant: "on"}}
	if _, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Enabled: &on, Rules: &all}); err != nil {
		t.Fatal(err)
	}
	if got := read(w.flags, ""); got.Variant == nil || !got.Variant.Bool {
		t.Errorf("on the server that changed it: %+v", got)
	}
	for {
		if got := read(another, "production"); got.Variant != nil && got.Variant.Bool {
			break
		}
	}
	if got := read(another, "staging"); got.Reason != flag.Disabled || got.Variant.Bool {
		t.Errorf("where it is off: %+v", got)
	}
	set, err := another.Flags(ctx, w.acme, "")
	if err != nil || !set.IsClientVisible("f") || set.IsClientVisible("g") || !slices.Equal(set.Keys(), []string{"f"}) {
		t.Errorf("the set = %v, %v", set, err)
	}
	// The news of the last change may come after what it tells of was read: from then on the set is the same.
	await(t, func() bool {
		again, err := another.Flags(ctx, w.acme, "")
		same := err == nil && again == set
		set = again
		return same
	}, "a set that did not change was compiled again")
	if _, err := another.Flags(ctx, w.acme, "moon"); !errors.Is(err, flag.ErrEnvironment) {
		t.Errorf("flags of nowhere = %v", err)
	}
}

// Two at once never exceed what a tenant may have, and of two of a key one is made.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var group sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		group.Go(func() {
			_, errs[i] = w.flags.Create(t.Context(), w.acme, flag.CreateRequest{Key: "f" + strconv.Itoa(i/2), Type: flag.Boolean, About: flag.About{Name: "F"}})
		})
	}
	group.Wait()
	taken := 0
	for _, err := range errs {
		if errors.Is(err, flag.ErrTaken) {
			taken++
		} else if err != nil {
			t.Error(err)
		}
	}
	if list, err := w.flags.List(t.Context(), w.acme, ""); err != nil || len(list) != 4 || taken != 4 {
		t.Errorf("%d flags, %d refused, %v", len(list), taken, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC)
	big := map[string]json.RawMessage{"off": json.RawMessage(`{}`)}
	for i := range 5 {
		big["v"+strconv.Itoa(i)] = json.RawMessage(`["` + strings.Repeat("x", 15_000) + `"]`)
	}
	for name, tt := range map[string]struct {
		req  flag.CreateRequest
		want error
		at   string
	}{
		"a hostile key":  {flag.CreateRequest{Key: "a/b", Type: flag.Boolean, About: flag.About{Name: "F"}}, flag.ErrInvalid, "key"},
		"no name":        {flag.CreateRequest{Key: "f", Type: flag.Boolean}, flag.ErrInvalid, "name"},
		"a hidden owner": {flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "F", Owner: "a\u202e"}}, flag.ErrInvalid, "owner"},
		"a novel":        {flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "F", Description: strings.Repeat("x", 1001)}}, flag.ErrInvalid, "description"},
		"NUL":            {flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "F", Description: "a\x00"}}, flag.ErrInvalid, "description"},
		"another age":    {flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "F", RemoveBy: &long}}, flag.ErrInvalid, "removeBy"},
		"no type":        {flag.CreateRequest{Key: "f", About: flag.About{Name: "F"}}, flag.ErrInvalid, "type"},
		"no variant":     {flag.CreateRequest{Key: "f", Type: flag.String, About: flag.About{Name: "F"}}, flag.ErrInvalid, "variants"},
		"nothing if off": {flag.CreateRequest{Key: "f", Type: flag.Number, Variants: map[string]json.RawMessage{"a": json.RawMessage("1")}, About: flag.About{Name: "F"}}, flag.ErrInvalid, "offVariant"},
		"too much":       {flag.CreateRequest{Key: "f", Type: flag.Object, Variants: big, About: flag.About{Name: "F"}}, flag.ErrInvalid, "variants"},
		"a long reason":  {flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "F"}, Reason: strings.Repeat("x", 257)}, flag.ErrReason, ""},
	} {
		_, err := w.flags.Create(t.Context(), w.acme, tt.req)
		if refused, ok := fault.As(err); !errors.Is(err, tt.want) || !ok || refused.Metadata["field"] != tt.at {
			t.Errorf("%s: %v (%v)", name, err, refused)
		}
	}
	if list, err := w.flags.List(t.Context(), w.acme, ""); err != nil || len(list) != 0 {
		t.Errorf("after what was refused: %v, %v", list, err)
	}
	if got := w.AuditCount(t, w.acme, "flag.create"); got != 0 {
		t.Errorf("%d entries of what was refused", got)
	}
}

// What is sent again as it is changes nothing: neither the order of an object's members, which Postgres does not keep, nor rules that are none
// in another spelling. Another number is another value.
func TestTheSameAgainLeavesNoTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	variants := map[string]json.RawMessage{"a": json.RawMessage(`{"limit": 9007199254740993, "b": [{"z": 1, "long": 2}], "name": "x"}`), "b": json.RawMessage(`[]`)}
	made, err := w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: "f", Type: flag.Object, About: flag.About{Name: "F"}, Variants: variants, OffVariant: "a"})
	if err != nil {
		t.Fatal(err)
	}
	var none []flag.Rule
	for name, req := range map[string]flag.UpdateRequest{
		"the same text": {Key: "f", Variants: variants}, "no rules": {Key: "f", Rules: &none}, "an empty list": {Key: "f", Rules: &[]flag.Rule{}},
		"another order": {Key: "f", Variants: map[string]json.RawMessage{"b": json.RawMessage(`[ ]`), "a": json.RawMessage(`{"b":[{"long":2,"z":1}],"limit":9007199254740993,"name":"x"}`)}},
	} {
		if got, err := w.flags.Update(ctx, w.acme, req); err != nil || got.ETag != made.ETag {
			t.Errorf("%s is a change: %+v, %v", name, got, err)
		}
	}
	if page, err := w.flags.Changes(ctx, w.acme, "f", listing.Request{}); err != nil || len(page.Items) != 1 {
		t.Errorf("the history has %d changes, %v", len(page.Items), err)
	}
	variants["a"] = json.RawMessage(`{"limit": 9007199254740992, "b": [{"z": 1, "long": 2}], "name": "x"}`)
	if got, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Variants: variants}); err != nil || got.ETag == made.ETag {
		t.Errorf("another number is no change: %v", err)
	}
}
