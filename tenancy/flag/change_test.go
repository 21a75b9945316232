package flag_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// What a flag was comes back as a change of its own, of an environment or of the flag, and is refused where it can no longer be.
func TestRestore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	if _, err := w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "First"}}); err != nil {
		t.Fatal(err)
	}
	update := func(req flag.UpdateRequest) flag.Stored {
		t.Helper()
		req.Key = "f"
		out, err := w.flags.Update(ctx, w.acme, req)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	newest := func() flag.Change {
		t.Helper()
		page, err := w.flags.Changes(ctx, w.acme, "f", listing.Request{PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		return page.Items[0]
	}
	on, salt, name := true, "another", "Second"
	quarter := []flag.Rule{rollout(25)}
	was := update(flag.UpdateRequest{Environment: "staging", Rules: &quarter})
	rules := newest()
	update(flag.UpdateRequest{Environment: "staging", Rules: &[]flag.Rule{}, Salt: &salt, Enabled: &on})
	back, err := w.flags.Restore(ctx, w.acme, flag.RestoreRequest{Key: "f", Change: rules.ID, Reason: "it was better"})
	if err != nil || back.Environment != "staging" || len(back.Rules) != 1 || back.Salt != was.Salt || !back.Enabled {
		t.Errorf("Restore = %+v, %v", back, err)
	}
	if got := newest(); got.Reason != "it was better" || got.Environment != "staging" || len(got.Before.Rules) != 0 || len(got.After.Rules) != 1 {
		t.Errorf("the history has %+v", got)
	}
	all, err := w.flags.Get(ctx, w.acme, "f")
	if err != nil || len(all[0].Rules) != 0 || len(all[2].Rules) != 0 {
		t.Errorf("another environment has %+v, %v", all, err)
	}
	update(flag.UpdateRequest{Name: &name})
	second2 := newest()
	third := "Third"
	update(flag.UpdateRequest{Name: &third, Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false"), "maybe": json.RawMessage("true")}})
	with := newest()
	if back, err := w.flags.Restore(ctx, w.acme, flag.RestoreRequest{Key: "f", Change: second2.ID}); err != nil || back.Name != "Second" || len(back.Variants) != 2 {
		t.Errorf("Restore of the flag = %+v, %v", back, err)
	}
	if got, err := w.flags.Get(ctx, w.acme, "f"); err != nil || len(got[1].Rules) != 1 {
		t.Errorf("restoring the flag changed an environment: %+v, %v", got, err)
	}
	// Of a change of both halves both come back: here neither is valid without the other.
	update(flag.UpdateRequest{Environment: "staging", Variants: map[string]json.RawMessage{"yes": json.RawMessage("true"), "off": json.RawMessage("false")}, Rules: &[]flag.Rule{{Variant: "yes"}}})
	both := newest()
	again := flag.Rule{Variant: "on"}
	update(flag.UpdateRequest{Environment: "staging", Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")}, Rules: &[]flag.Rule{again}})
	if back, err := w.flags.Restore(ctx, w.acme, flag.RestoreRequest{Key: "f", Change: both.ID}); err != nil || len(back.Rules) != 1 || back.Rules[0].Variant != "yes" || back.Variants["yes"] == nil {
		t.Errorf("Restore of both halves = %+v, %v", back, err)
	}
	update(flag.UpdateRequest{Environment: "staging", Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")}, Rules: &[]flag.Rule{rollout(25)}})
	// Rules of a variant that is gone, or of a segment that is.
	if _, err := w.flags.Restore(ctx, w.acme, flag.RestoreRequest{Key: "f", Change: with.ID}); err != nil {
		t.Fatal(err)
	}
	maybe := "maybe"
	update(flag.UpdateRequest{DefaultVariant: &maybe})
	served := newest()
	off := "off"
	update(flag.UpdateRequest{DefaultVariant: &off})
	if _, err := w.flags.Restore(ctx, w.acme, flag.RestoreRequest{Key: "f", Change: second2.ID}); err != nil {
		t.Fatal(err)
	}
	before, err := w.flags.Get(ctx, w.acme, "f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.flags.Restore(ctx, w.acme, flag.RestoreRequest{Key: "f", Change: served.ID}); !errors.Is(err, flag.ErrInvalid) {
		t.Errorf("Restore of a variant that is gone = %v", err)
	}
	other := w.tenant(t)
	for name, tt := range map[string]struct {
		sc   scope.Scope
		req  flag.RestoreRequest
		want error
	}{
		"another tenant's": {other, flag.RestoreRequest{Key: "f", Change: rules.ID}, flag.ErrChangeNotFound},
		"another flag's":   {w.acme, flag.RestoreRequest{Key: "g", Change: rules.ID}, flag.ErrChangeNotFound},
		"none":             {w.acme, flag.RestoreRequest{Key: "f", Change: uuid.New()}, flag.ErrChangeNotFound},
		"meanwhile":        {w.acme, flag.RestoreRequest{Key: "f", Change: rules.ID, IfMatch: was.ETag}, etag.ErrMismatch},
		"a long reason":    {w.acme, flag.RestoreRequest{Key: "f", Change: rules.ID, Reason: strings.Repeat("x", 257)}, flag.ErrReason},
	} {
		if _, err := w.flags.Restore(ctx, tt.sc, tt.req); !errors.Is(err, tt.want) {
			t.Errorf("%s = %v", name, err)
		}
	}
	after, err := w.flags.Get(ctx, w.acme, "f")
	if err != nil || after[0].ETag != before[0].ETag || after[1].ETag != before[1].ETag {
		t.Errorf("what was refused changed it: %v", err)
	}
	if err := w.flags.Delete(ctx, w.acme, flag.DeleteRequest{Key: "f"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.flags.Restore(ctx, w.acme, flag.RestoreRequest{Key: "f", Change: newest().ID}); !errors.Is(err, flag.ErrChangeNotFound) {
		t.Errorf("Restore of a deletion = %v", err)
	}
	if _, err := w.flags.Restore(ctx, w.acme, flag.RestoreRequest{Key: "f", Change: rules.ID}); !errors.Is(err, flag.ErrNotFound) {
		t.Errorf("Restore of a flag that is gone = %v", err)
	}
}
