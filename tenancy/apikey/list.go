package apikey

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// State is whether a key works, and why not.
type State string

// The states, as lists are filtered by them.
const (
	Active   State = "ACTIVE"
	Retiring State = "RETIRING" // works until it expires: another key has taken its place
	Locked   State = "LOCKED"
	Expired  State = "EXPIRED"
	Revoked  State = "REVOKED"
)

// States lists every state.
func States() []State { return []State{Active, Retiring, Locked, Expired, Revoked} }

// State is the key's at now.
func (k *Key) State(now time.Time) State {
	switch {
	case k.RevokedAt != nil:
		return Revoked
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return Expired
	case k.LockedAt != nil:
		return Locked
	case k.ReplacedBy != nil:
		return Retiring
	}
	return Active
}

// Order is how a list is sorted.
type Order string

// The orders, as AIP-132 spells them. The zero Order is Newest.
const (
	Newest  Order = "createdAt desc"
	ByName  Order = "name"
	LastUse Order = "lastUsedAt desc" // never used ones last
	Soonest Order = "expiresAt"       // those that do not end last
)

// ListRequest asks for one page. Its filter's fields are kind, state and createdAt.
type ListRequest struct {
	listing.Request

	Order Order
}

// Get returns a key. ErrNotFound, also for another tenant's.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Key, error) {
	var k Key
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetAPIKey(ctx, id)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get API key: %w", err)
		}
		k = fromRow(tenantq.ListAPIKeysRow(row))
		return nil
	})
	return k, err
}

// List returns the tenant's keys, ended ones too. listing.ErrFilter, listing.ErrPageToken,
// ErrOrder.
func (s *Service) List(ctx context.Context, sc scope.Scope, req ListRequest) (listing.Page[Key], error) {
	if req.Order == "" {
		req.Order = Newest
	}
	sorts := map[Order]lister{Newest: byAge, ByName: byName, LastUse: byLastUse, Soonest: byExpiry}
	sort, ok := sorts[req.Order]
	if !ok {
		return listing.Page[Key]{}, ErrOrder
	}
	w, err := parseFilter(req.Filter)
	if err != nil {
		return listing.Page[Key]{}, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return listing.Page[Key]{}, err
	}
	q := listing.Query{List: "apiKeys by " + string(req.Order), Filter: req.Filter}
	cursor, err := listing.Open(ring, q, req.PageToken)
	if err != nil {
		return listing.Page[Key]{}, err
	}
	if cursor != nil {
		if w.after, err = parseCursor(cursor); err != nil {
			return listing.Page[Key]{}, err
		}
	}
	w.MaxRows = int32(req.Limit() + 1) //nolint:gosec // at most 201
	var page listing.Page[Key]
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		w.Now = tx.Now()
		rows, err := sort(ctx, tx, w)
		if err != nil {
			return fmt.Errorf("list API keys: %w", err)
		}
		page.Items = rows
		if len(rows) > req.Limit() {
			page.Items = rows[:req.Limit()]
			page.NextToken = listing.Seal(ring, q, cursorOf(&page.Items[req.Limit()-1], req.Order).bytes())
		}
		return nil
	})
	return page, err
}

// selection is what a list selects.
type selection struct {
	tenantq.ListAPIKeysParams

	after cursor
}

func parseFilter(filter string) (selection, error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return selection{}, err
	}
	var states []string
	for _, st := range States() {
		states = append(states, string(st))
	}
	kind, state := listing.NewChoice(string(Secret), string(Publishable), string(Platform)), listing.NewChoice(states...)
	var created listing.Span
	for _, t := range terms {
		switch t.Field {
		case "kind":
			err = kind.Narrow(t)
		case "state":
			err = state.Narrow(t)
		case "createdAt":
			err = created.Narrow(t)
		default:
			err = t.Refuse("expected one of kind, state, createdAt")
		}
		if err != nil {
			return selection{}, err
		}
	}
	return selection{ListAPIKeysParams: tenantq.ListAPIKeysParams{
		Kinds: kind.Left(), States: state.Left(), CreatedFrom: created.From, CreatedBefore: created.Before,
	}}, nil
}

// cursor is where a page ended: the id of its last key, and what it was sorted by.
type cursor struct {
	id   *uuid.UUID // nil: before the first
	at   *time.Time // nil: never
	name string
}

func cursorOf(k *Key, o Order) cursor {
	c := cursor{id: &k.ID}
	switch o {
	case ByName:
		c.name = k.Name
	case LastUse:
		c.at = k.LastUsedAt
	case Soonest:
		c.at = k.ExpiresAt
	case Newest:
	}
	return c
}

// bytes are id ‖ 1 byte: has a time ‖ Unix microseconds ‖ name.
func (c cursor) bytes() []byte {
	out := slices.Clone(c.id[:])
	if c.at == nil {
		out = append(out, 0)
		out = binary.BigEndian.AppendUint64(out, 0)
	} else {
		out = append(out, 1)
		out = binary.BigEndian.AppendUint64(out, uint64(c.at.UnixMicro()))
	}
	return append(out, c.name...)
}

func parseCursor(b []byte) (cursor, error) {
	if len(b) < 25 {
		return cursor{}, listing.ErrPageToken
	}
	id := uuid.UUID(b[:16])
	c := cursor{id: &id, name: string(b[25:])}
	if b[16] == 1 {
		at := time.UnixMicro(int64(binary.BigEndian.Uint64(b[17:25]))).UTC() //nolint:gosec // the same 64 bits
		c.at = &at
	}
	return c, nil
}

// lister reads one page in one order.
type lister func(ctx context.Context, tx *db.TenantTx, w selection) ([]Key, error)

func byAge(ctx context.Context, tx *db.TenantTx, w selection) ([]Key, error) {
	w.AfterID = w.after.id
	rows, err := tx.ListAPIKeys(ctx, w.ListAPIKeysParams)
	return keysOf(rows, func(r tenantq.ListAPIKeysRow) tenantq.ListAPIKeysRow { return r }), err
}

func byName(ctx context.Context, tx *db.TenantTx, w selection) ([]Key, error) {
	rows, err := tx.ListAPIKeysByName(ctx, tenantq.ListAPIKeysByNameParams{
		Kinds: w.Kinds, States: w.States, CreatedFrom: w.CreatedFrom, CreatedBefore: w.CreatedBefore, Now: w.Now, MaxRows: w.MaxRows,
		AfterID: w.after.id, AfterName: w.after.name,
	})
	return keysOf(rows, func(r tenantq.ListAPIKeysByNameRow) tenantq.ListAPIKeysRow { return tenantq.ListAPIKeysRow(r) }), err
}

func byLastUse(ctx context.Context, tx *db.TenantTx, w selection) ([]Key, error) {
	rows, err := tx.ListAPIKeysByLastUse(ctx, tenantq.ListAPIKeysByLastUseParams{
		Kinds: w.Kinds, States: w.States, CreatedFrom: w.CreatedFrom, CreatedBefore: w.CreatedBefore, Now: w.Now, MaxRows: w.MaxRows,
		AfterID: w.after.id, AfterTime: w.after.at,
	})
	return keysOf(rows, func(r tenantq.ListAPIKeysByLastUseRow) tenantq.ListAPIKeysRow { return tenantq.ListAPIKeysRow(r) }), err
}

func byExpiry(ctx context.Context, tx *db.TenantTx, w selection) ([]Key, error) {
	rows, err := tx.ListAPIKeysByExpiry(ctx, tenantq.ListAPIKeysByExpiryParams{
		Kinds: w.Kinds, States: w.States, CreatedFrom: w.CreatedFrom, CreatedBefore: w.CreatedBefore, Now: w.Now, MaxRows: w.MaxRows,
		AfterID: w.after.id, AfterTime: w.after.at,
	})
	return keysOf(rows, func(r tenantq.ListAPIKeysByExpiryRow) tenantq.ListAPIKeysRow { return tenantq.ListAPIKeysRow(r) }), err
}

func keysOf[R any](rows []R, plain func(R) tenantq.ListAPIKeysRow) []Key {
	out := make([]Key, len(rows))
	for i, r := range rows {
		out[i] = fromRow(plain(r))
	}
	return out
}
