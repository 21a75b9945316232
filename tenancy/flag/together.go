package flag

import (
	"context"
	"fmt"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
)

// What a tenant's flags and segments may be together: a set holds all of them, on every server that is asked.
const (
	maxTogether = 4 << 20 // of all flags together, in an environment: compiled they take some fifteen times as much, and half a second
	maxAsked    = 2 << 20 // bytes of the conditions of all segments together: each set of flags is compiled with them
)

// fits refuses a flag that has grown over what all of them may be together. One that shrinks, or is switched, always fits.
func fits(ctx context.Context, tx *db.TenantTx, before, after *Stored) error {
	variants, rules, err := after.encode()
	if err != nil {
		return err
	}
	variantsBefore, rulesBefore, err := before.encode()
	if err != nil {
		return err
	}
	if len(variants) <= len(variantsBefore) {
		variants = nil
	}
	if len(rules) <= len(rulesBefore) {
		rules = nil
	}
	if len(variants)+len(rules) == 0 {
		return nil
	}
	// Two at once could each count the other as it was.
	if err := tx.LockFlags(ctx); err != nil {
		return fmt.Errorf("lock flags: %w", err)
	}
	return together(ctx, tx, after, len(variants), len(rules))
}

// together refuses f with that many bytes of variants and of rules, beside all others of its environment: 0 are not asked about. A set of the
// largest flags there can be would take gigabytes of each server, and seconds for each change. Under LockFlags.
func together(ctx context.Context, tx *db.TenantTx, f *Stored, variants, rules int) error {
	others, err := tx.SumFlagBytes(ctx, tenantq.SumFlagBytesParams{Environment: f.Environment, But: f.Key})
	if err != nil {
		return fmt.Errorf("sum flags: %w", err)
	}
	switch {
	case variants > 0 && others.Variants+int64(variants) > maxTogether:
		return refuse("variants", "the variants of all flags together have at most %d bytes", maxTogether)
	case rules > 0 && others.Rules+int64(rules) > maxTogether:
		return refuse("rules", "the rules of all flags of an environment together have at most %d bytes: list subjects in segments", maxTogether)
	}
	return nil
}

// conditionsTogether refuses a segment whose condition, beside those of all others, would be too much to compile with each set of flags; one
// that asks nothing is always taken. Under LockSegments.
func conditionsTogether(ctx context.Context, tx *db.TenantTx, key string, condition []byte) error {
	sum, err := tx.SumSegmentBytes(ctx, key)
	if err != nil {
		return fmt.Errorf("sum segments: %w", err)
	}
	if size := int64(len(condition)); sum.Others+size > maxAsked && size > sum.Before {
		return refuse("when", "the conditions of all segments together have at most %d bytes", maxAsked)
	}
	return nil
}
