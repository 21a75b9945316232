package main

import (
	"context"
	"slices"

	"github.com/biocore-id/biocore/authcore/erasure"
	"github.com/biocore-id/biocore/tenancy/governance/ledger"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// erasures holds the ledger outside of the database against it: what it does not know was erased after the backup that it was
// restored from, and is there again.
func (d *checkup) erasures(ctx context.Context) finding {
	switch {
	case d.objects == nil: // its own finding says so
		return skip("object storage")
	case d.store == nil:
		return skip("roles")
	case d.kms == nil:
		return skip("kms")
	case slices.Contains(d.behind, "0065_erasure.sql"):
		return skip("schema")
	}
	s := erasure.New(erasure.Options{
		Store: d.store, Ledger: ledger.New(ledger.Options{Store: d.store, Keys: keys.New(keys.Options{Store: d.store, KMS: d.kms, Log: d.tel.Log}), Objects: d.objects, Log: d.tel.Log}),
	})
	since := ledgerSince(d.store.Now(), d.cfg.BackupDays)
	unknown, err := s.Unknown(ctx, since)
	if err != nil {
		return warn("see the findings on object storage and keys", "the ledger cannot be read: %s", explain(err))
	}
	if len(unknown) > 0 {
		return fail("stop serving, and run `biocore erasures replay`: an older backup was restored, and users who were erased are back", "the ledger names %d erasures that this database does not know, the last of %s",
			len(unknown), moment(&unknown[len(unknown)-1].At))
	}
	return ok("the database knows all that the ledger has since %s", since.Format("2006-01-02"))
}
