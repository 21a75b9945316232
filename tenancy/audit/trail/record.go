package trail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/private"
	"github.com/biocore-id/biocore/tenancy/audit/subject"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// OfGrant returns what was seen and done by a grant of support, at most n entries before one, the newest first.
func (r *Reader) OfGrant(ctx context.Context, sc scope.Scope, grant, before uuid.UUID, n int) ([]Record, error) {
	ring, err := r.keys.Ring(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	var all []Record
	err = r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		found, err := tx.ListSupportAuditEntries(ctx, tenantq.ListSupportAuditEntriesParams{GrantID: grant, BeforeID: before, MaxRows: int32(n)}) //nolint:gosec // a page
		if err != nil {
			return fmt.Errorf("list audit entries: %w", err)
		}
		rows := make([]tenantq.FindAuditEntriesRow, len(found))
		for i, row := range found {
			rows[i] = tenantq.FindAuditEntriesRow(row)
		}
		all, err = records(ctx, tx, ring, rows)
		return err
	})
	return all, err
}

// records parses entries and opens what is private of them.
func records(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, rows []tenantq.FindAuditEntriesRow) ([]Record, error) {
	opened, err := OpenPrivate(ctx, tx, ring, rows)
	if err != nil {
		return nil, err
	}
	all := make([]Record, len(rows))
	for i := range rows {
		if all[i], err = read(&rows[i], opened[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// OpenPrivate opens what is private of entries: nothing of what is no entry.
func OpenPrivate(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, rows []tenantq.FindAuditEntriesRow) ([][]Private, error) {
	parts := make([][]private.Part, len(rows))
	for i := range rows {
		if len(rows[i].Private) > 0 {
			parts[i], _ = private.Parts(rows[i].Entry)
		}
	}
	of, err := keysOf(ctx, tx, ring, rows, parts)
	if err != nil {
		return nil, err
	}
	all := make([][]Private, len(rows))
	for i := range rows {
		if all[i], err = open(of, &rows[i], parts[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// keysOf returns the keys of the persons that sealed parts are of.
func keysOf(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, rows []tenantq.FindAuditEntriesRow, parts [][]private.Part) (*subject.Keys, error) {
	salts := map[uuid.UUID][]byte{}
	for i := range rows {
		for _, p := range parts[i] {
			if rows[i].Seq != nil {
				salts[p.Subject] = nil
			}
		}
	}
	if len(salts) == 0 {
		return subject.NewKeys(ring, nil), nil
	}
	ids := make([]uuid.UUID, 0, len(salts))
	for id := range salts {
		ids = append(ids, id)
	}
	found, err := tx.ListSubjectSalts(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("list keys of persons: %w", err)
	}
	for _, row := range found {
		salts[row.SubjectID] = row.Salt
	}
	return subject.NewKeys(ring, salts), nil
}

// open opens the private parts of an entry: in the inbox they are in clear.
func open(of *subject.Keys, row *tenantq.FindAuditEntriesRow, parts []private.Part) ([]Private, error) {
	if len(parts) == 0 {
		return nil, nil
	}
	out := make([]Private, len(parts))
	texts, err := private.Split(row.Private)
	cut := err != nil || len(texts) != len(parts)
	for i, p := range parts {
		out[i] = Private{Subject: p.Subject, State: PrivateDamaged}
		if cut {
			continue
		}
		text := texts[i]
		if row.Seq != nil {
			text, err = of.Open(p.Subject, row.ID, i, text)
			if errors.Is(err, keys.ErrSealed) {
				continue
			} else if err != nil {
				return nil, err
			}
		}
		switch {
		case text == nil:
			out[i].State = PrivateErased
		case p.Holds(text):
			out[i].State, out[i].Text = PrivateKept, string(text)
		}
	}
	return out, nil
}

// read parses an entry and what is private of it. One of a later version is answered with what its columns say.
func read(row *tenantq.FindAuditEntriesRow, opened []Private) (Record, error) {
	rec := Record{ID: row.ID, At: row.At, Action: row.Action, Entry: row.Entry, Private: opened, Seq: -1}
	if row.Seq != nil {
		rec.Seq = *row.Seq
	}
	type who struct{ Kind, ID, Name string }
	var e struct {
		V                             int
		Outcome, Reason               string
		Actor, OnBehalfOf             who
		Target                        audit.Target
		Address                       string
		UserAgent, RequestID, TraceID string
		Before, After, Detail         json.RawMessage
	}
	if err := json.Unmarshal([]byte(row.Entry), &e); err != nil { //nolint:musttag // names match whatever their case
		return rec, fmt.Errorf("audit entry %s: %w", row.ID, err)
	}
	if e.V > audit.Version {
		return rec, nil
	}
	for _, p := range opened {
		if p.State != PrivateKept {
			continue
		}
		if err := json.Unmarshal([]byte(p.Text), &e); err != nil { //nolint:musttag // it adds its members to those of the entry
			return rec, fmt.Errorf("audit entry %s: %w", row.ID, err)
		}
	}
	rec.Outcome, rec.Reason, rec.Target = audit.Outcome(e.Outcome), e.Reason, e.Target
	rec.Actor = scope.Actor{Kind: scope.ActorKind(e.Actor.Kind), ID: e.Actor.ID, Name: e.Actor.Name}
	rec.OnBehalfOf = scope.Actor{Kind: scope.ActorKind(e.OnBehalfOf.Kind), ID: e.OnBehalfOf.ID, Name: e.OnBehalfOf.Name}
	rec.Address, _ = netip.ParseAddr(e.Address) // absent: invalid
	rec.UserAgent, rec.RequestID, rec.TraceID = e.UserAgent, e.RequestID, e.TraceID
	rec.Before, rec.After, rec.Detail = e.Before, e.After, e.Detail
	return rec, nil
}
