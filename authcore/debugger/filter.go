package debugger

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// filter is what a list was asked, as its query takes it.
type filter struct {
	params tenantq.FindCeremoniesParams
	failed bool // of those that were not let in alone: they have an index of their own
	none   bool // nothing can match
}

// The ends of time.
var (
	minTime = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	maxTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
)

// outcomes are all that there are.
var outcomes = []string{string(Allow), string(StepUp), string(Deny), string(Failed)}

func parseFilter(text string) (filter, error) {
	var f filter
	terms, err := listing.Parse(text)
	if err != nil {
		return f, err
	}
	kinds := listing.NewChoice(string(Registration), string(Authentication))
	outcomes := listing.NewChoice(outcomes...)
	var span listing.Span
	var reason, owner, cred, model, trace, request listing.Exact
	exact := map[string]*listing.Exact{
		"reason": &reason, "userId": &owner, "credentialId": &cred, "aaguid": &model, "traceId": &trace, "requestId": &request,
	}
	for _, t := range terms {
		switch e := exact[t.Field]; {
		case e != nil:
			err = e.Narrow(t)
		case t.Field == "kind":
			err = kinds.Narrow(t)
		case t.Field == "outcome":
			err = outcomes.Narrow(t)
		case t.Field == "time":
			err = span.Narrow(t)
		default:
			err = t.Refuse("expected one of kind, outcome, reason, userId, credentialId, aaguid, traceId, requestId, time")
		}
		if err != nil {
			return f, err
		}
	}
	f.none = len(kinds.Left()) == 0 || len(outcomes.Left()) == 0
	for _, e := range exact {
		f.none = f.none || e.Conflict
	}
	p := &f.params
	p.BeforeAt, p.BeforeID, p.Since, p.Until, p.MaxScanned = maxTime, uuid.Max, minTime, maxTime, maxScanned
	if span.From != nil {
		p.Since = *span.From
	}
	if span.Before != nil {
		p.Until = *span.Before
	}
	p.Kinds, p.Outcomes = kinds.Left(), outcomes.Left()
	f.failed = true
	for _, o := range p.Outcomes {
		f.failed = f.failed && o != string(Allow)
	}
	p.Reason, p.TraceID, p.RequestID = given(reason), given(trace), given(request)
	// What is no id is nobody's: nothing matches.
	if owner.Set {
		id, err := user.ParseID(owner.Value)
		uid := id.UUID()
		p.UserID, f.none = &uid, f.none || err != nil
	}
	if cred.Set {
		id, err := credential.ParseID(cred.Value)
		p.CredentialID, f.none = id.Bytes(), f.none || err != nil
	}
	if model.Set {
		id, err := uuid.Parse(model.Value)
		text := id.String()
		p.Model, f.none = &text, f.none || err != nil
	}
	return f, nil
}

func given(e listing.Exact) *string {
	if !e.Set {
		return nil
	}
	return &e.Value
}

func (f *filter) find(ctx context.Context, tx *db.TenantTx) ([]tenantq.Ceremony, error) {
	if f.failed {
		return tx.FindFailedCeremonies(ctx, tenantq.FindFailedCeremoniesParams(f.params))
	}
	return tx.FindCeremonies(ctx, f.params)
}

// end returns the last ceremony that find looked at; no row when that was the last of all.
func (f *filter) end(ctx context.Context, tx *db.TenantTx) (time.Time, uuid.UUID, error) {
	p := tenantq.EndOfCeremoniesParams{
		BeforeAt: f.params.BeforeAt, BeforeID: f.params.BeforeID, Since: f.params.Since, Until: f.params.Until, MaxScanned: f.params.MaxScanned,
	}
	if f.failed {
		row, err := tx.EndOfFailedCeremonies(ctx, tenantq.EndOfFailedCeremoniesParams(p))
		return row.At, row.ID, err
	}
	row, err := tx.EndOfCeremonies(ctx, p)
	return row.At, row.ID, err
}

// A cursor is a place in (at, id): 8 bytes of microseconds and the id.

func sealCursor(at time.Time, id uuid.UUID) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(at.UnixMicro())), id[:]...)
}

func openCursor(c []byte) (time.Time, uuid.UUID, error) {
	if len(c) != 24 {
		return time.Time{}, uuid.Nil, errors.New("a cursor of another form")
	}
	return time.UnixMicro(int64(binary.BigEndian.Uint64(c))).UTC(), uuid.UUID(c[8:]), nil //nolint:gosec // as it was sealed
}
