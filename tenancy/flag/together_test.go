package flag_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
)

// All flags of a tenant are compiled together, on each server and for each change: a thousand of the largest would take gigabytes. What
// grows over what they may be is refused, and what shrinks, is switched, or is in another environment is not.
func TestAllFlagsTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, other, super := t.Context(), w.tenant(t), w.Superuser(t)
	w.segmentless(t, "f")
	fill := func(sql string) {
		t.Helper()
		if _, err := super.Exec(ctx, sql, w.acme.Tenant()); err != nil {
			t.Fatal(err)
		}
	}
	fill(`INSERT INTO flags (tenant_id, key, type, name, description, owner, variants, client_visible, created_by, created_at, updated_by, updated_at)
		SELECT $1, 'large' || n, 'BOOLEAN', 'Large', '', '', '{"on": true, "off": false}', false, 'system:test', now(), 'system:test', now() FROM generate_series(1, 68) n`)
	fill(`INSERT INTO flag_targeting (tenant_id, flag_key, environment, enabled, off_variant, default_variant, rules, salt, updated_by, updated_at)
		SELECT $1, 'large' || n, e, true, 'off', 'off', CASE e WHEN 'production' THEN jsonb_build_array(jsonb_build_object('id', 'r', 'variant', repeat('x', 62000))) ELSE '[]' END, 's', 'system:test', now()
		FROM generate_series(1, 68) n, unnest(ARRAY['production', 'staging', 'development']) e`)
	refused := func(err error, field string) {
		t.Helper()
		if f, ok := fault.As(err); !ok || !errors.Is(err, flag.ErrInvalid) || f.Metadata["field"] != field || !strings.Contains(f.Message, "together") {
			t.Errorf("%v, want a refusal of %s", err, field)
		}
	}
	taken := func(_ flag.Stored, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	on, two, one := true, []flag.Rule{{ID: "a", Variant: "on"}, {ID: "b", Variant: "off"}}, []flag.Rule{{ID: "a", Variant: "on"}}
	refused(second(w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Rules: &two})), "rules")
	taken(w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Enabled: &on}))
	taken(w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Environment: "staging", Rules: &two}))
	taken(w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Environment: "staging", Rules: &one}))
	taken(w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "large1", Rules: &one}))
	if _, err := w.flags.Create(ctx, other, flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "F"}}); err != nil {
		t.Errorf("another tenant's = %v", err)
	}

	fill(`UPDATE flags SET variants = jsonb_build_object('on', true, 'off', false, 'x', repeat('x', 62000)) WHERE tenant_id = $1 AND key LIKE 'large%'`)
	refused(second(w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: "g", Type: flag.Boolean, About: flag.About{Name: "G"}})), "variants")
	refused(second(w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false"), "more": json.RawMessage("true")}})), "variants")

	fill(`INSERT INTO flag_segments (tenant_id, key, name, description, condition, created_by, created_at, updated_by, updated_at)
		SELECT $1, 's' || n, 'S', '', jsonb_build_object('attribute', repeat('x', 62000)), 'system:test', now(), 'system:test', now() FROM generate_series(1, 34) n`)
	when := flag.Condition{Attribute: "a", Operator: flag.Exists}
	_, err := w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "more", Name: "More", When: when})
	refused(err, "when")
	if _, err := w.flags.UpdateSegment(ctx, w.acme, flag.UpdateSegmentRequest{Key: "s1", When: &when}); err != nil {
		t.Errorf("a condition that shrinks = %v", err)
	}
}

// segmentless is a flag that asks for no segment.
func (w *world) segmentless(t *testing.T, key string) {
	t.Helper()
	if _, err := w.flags.Create(t.Context(), w.acme, flag.CreateRequest{Key: key, Type: flag.Boolean, About: flag.About{Name: key}}); err != nil {
		t.Fatal(err)
	}
}
