package main

import (
	"context"
	"slices"
	"time"
)

// metadata tells whether what servers know of models of authenticators is good and recent.
func (d *checkup) metadata(ctx context.Context) finding {
	const fix = "let BIOCORE_MDS_URL be https://mds3.fidoalliance.org/, or run `biocore mds sync --file`: docs/authenticators.md"
	switch {
	case d.store == nil:
		return skip("roles")
	case slices.Contains(d.behind, "0019_metadata.sql"):
		return skip("schema")
	}
	service, err := newMDS(d.cfg, d.store, d.tel.Log)
	if err != nil {
		return fail("let BIOCORE_MDS_ROOTS_FILE name a file of certificates in PEM, or unset it", "%s", explain(err))
	}
	state, err := service.State(ctx)
	if err != nil {
		return fail("run `biocore migrate up`", "%s", explain(err))
	}
	if state == nil {
		return warn(fix, "there is none: no attestation leads to a root of the FIDO Metadata Service, and no model is known to be compromised")
	}
	if err := service.Load(ctx); err != nil {
		return fail("run `biocore mds sync`: servers that start know no metadata", "%s", explain(err))
	}
	next := state.NextUpdate.Format(time.DateOnly)
	if state.Stale(d.store.Now()) {
		return warn(fix+". Servers go on with what they have", "number %d is stale: the next was due on %s, and %s was asked last at %s",
			state.Number, next, state.Source, moment(&state.CheckedAt))
	}
	return ok("number %d, %d models; the next is due on %s", state.Number, state.Entries-state.Unparsed, next)
}
