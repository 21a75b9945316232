package flag

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Action is what became of a flag, or of a segment.
type Action string

// The actions.
const (
	created Action = "CREATED"
	updated Action = "UPDATED"
	deleted Action = "DELETED"
)

// Document is a flag as its history keeps it: whole.
type Document struct {
	Flag
	About
}

// Change is one step in a flag's history.
type Change struct {
	ID          uuid.UUID
	FlagKey     string
	Environment string // where; empty: everywhere
	Action      Action
	Before      *Document // as it was in Environment, or in the first; nil: it was not
	After       *Document // nil: it is gone
	Reason      string    // a person's words; may be empty
	ChangedBy   string    // kind:id
	ChangedAt   time.Time
}

// Restores says what comes back with c: what the flag is in c's environment, what its environments share, or both, where c changed both: they
// may need each other.
func (c *Change) Restores() (here, shared bool) {
	if here = c.Environment != ""; !here {
		return false, true
	}
	if c.Before == nil || c.After == nil {
		return true, false
	}
	before, after := Stored{Flag: c.Before.Flag, About: c.Before.About}, Stored{Flag: c.After.Flag, About: c.After.About}
	fields, _ := before.differences(&after)
	return true, len(fields) > 0
}

// Changes returns one page of a flag's history, the newest first. It takes no filter. The history of a flag that is
// gone is there, too: ErrNotFound where there never was one. listing.ErrFilter, listing.ErrPageToken.
func (s *Service) Changes(ctx context.Context, sc scope.Scope, key string, req listing.Request) (listing.Page[Change], error) {
	return history(ctx, s, sc, listing.Query{List: "flagchanges", Filter: key}, req, func(c *Change) uuid.UUID { return c.ID }, func(tx *db.TenantTx, before *uuid.UUID, limit int32) ([]Change, error) {
		rows, err := tx.ListFlagChanges(ctx, tenantq.ListFlagChangesParams{FlagKey: key, BeforeID: before, MaxRows: limit})
		if err != nil {
			return nil, fmt.Errorf("list flag changes: %w", err)
		}
		if len(rows) == 0 && before == nil {
			return nil, ErrNotFound
		}
		return each(rows, changeOf)
	})
}

// history returns one page of what read reads, the newest first: at most limit of those before an id; nil: from the newest.
func history[T any](
	ctx context.Context, s *Service, sc scope.Scope, query listing.Query, req listing.Request, id func(*T) uuid.UUID, read func(tx *db.TenantTx, before *uuid.UUID, limit int32) ([]T, error),
) (listing.Page[T], error) {
	var page listing.Page[T]
	if req.Filter != "" {
		return page, listing.ErrFilter.WithMessage("a history takes no filter")
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	var before *uuid.UUID
	if cursor != nil {
		last, err := uuid.FromBytes(cursor)
		if err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
		before = &last
	}
	limit := req.Limit()
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		items, err := read(tx, before, int32(limit)+1) //nolint:gosec // at most listing.MaxPageSize; one more tells whether there is a next page
		if err != nil {
			return err
		}
		page = listing.Page[T]{Items: items}
		if len(items) > limit {
			page.Items = items[:limit]
			last := id(&items[limit-1])
			page.NextToken = listing.Seal(ring, query, last[:])
		}
		return nil
	})
	return page, err
}

// each is every row as to makes it.
func each[R, T any](rows []R, to func(*R) (T, error)) ([]T, error) {
	out := make([]T, len(rows))
	for i := range rows {
		var err error
		if out[i], err = to(&rows[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func changeOf(r *tenantq.FlagChange) (Change, error) {
	out := Change{
		ID: r.ID, FlagKey: r.FlagKey, Environment: r.Environment, Action: Action(r.Action), Reason: r.Reason, ChangedBy: r.ChangedBy, ChangedAt: r.ChangedAt,
	}
	if err := errors.Join(decode(r.Before, &out.Before), decode(r.After, &out.After)); err != nil {
		return Change{}, fmt.Errorf("change %s of flag %s: %w", r.ID, r.FlagKey, err)
	}
	return out, nil
}

// decode reads what a history keeps; nil where it keeps nothing.
func decode[T any](text []byte, into **T) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// Change returns one step of a flag's history. ErrChangeNotFound.
func (s *Service) Change(ctx context.Context, sc scope.Scope, key string, id uuid.UUID) (Change, error) {
	var out Change
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetFlagChange(ctx, tenantq.GetFlagChangeParams{FlagKey: key, ID: id})
		if db.IsNoRows(err) {
			return ErrChangeNotFound
		} else if err != nil {
			return fmt.Errorf("get flag change: %w", err)
		}
		out, err = changeOf(&row)
		return err
	})
	return out, err
}

// RestoreRequest names a change of a flag's history, or of a segment's.
type RestoreRequest struct {
	Key     string
	Change  uuid.UUID // after which it was as it is to be again
	Reason  string    // for its history: up to 256 characters, or empty
	IfMatch string    // the etag that the caller has read where the change was; empty: whatever it is
}

// Restore brings back what a flag was after a change, as a change of its own: of a change in an environment the rules, the variants
// that are served there and the salt, but not whether it is on; of one everywhere what environments share; of one that changed both,
// which may need each other, both. It returns the flag as it is there. ErrChangeNotFound, also of the change that deleted it; else as Update.
func (s *Service) Restore(ctx context.Context, sc scope.Scope, req RestoreRequest) (Stored, error) {
	was, err := s.Change(ctx, sc, req.Key, req.Change)
	if err != nil {
		return Stored{}, err
	}
	to := was.After
	if to == nil {
		return Stored{}, ErrChangeNotFound
	}
	up := UpdateRequest{Key: req.Key, Environment: was.Environment, Reason: req.Reason, IfMatch: req.IfMatch, restores: was.ID}
	here, shared := was.Restores()
	if here {
		up.Rules, up.OffVariant, up.DefaultVariant, up.Salt = &to.Rules, &to.OffVariant, &to.DefaultVariant, &to.Salt
	}
	if shared {
		up.Name, up.Description, up.Owner, up.RemoveBy, up.Variants, up.ClientVisible = &to.Name, &to.Description, &to.Owner, &to.RemoveBy, to.Variants, &to.ClientVisible
	}
	return s.Update(ctx, sc, up)
}

// differences names the fields that differ: of the flag itself, and of its environment.
func (f *Stored) differences(g *Stored) (shared, here []string) {
	sameDay := func(a, b *time.Time) bool { return (a == nil) == (b == nil) && (a == nil || a.Equal(*b)) }
	for _, field := range []struct {
		name string
		same bool
		in   *[]string
	}{
		{"name", f.Name == g.Name, &shared},
		{"description", f.Description == g.Description, &shared},
		{"owner", f.Owner == g.Owner, &shared},
		{"removeBy", sameDay(f.RemoveBy, g.RemoveBy), &shared},
		{"variants", sameVariants(f.Variants, g.Variants), &shared},
		{"clientVisible", f.ClientVisible == g.ClientVisible, &shared},
		{"enabled", f.Enabled == g.Enabled, &here},
		{"offVariant", f.OffVariant == g.OffVariant, &here},
		{"defaultVariant", f.DefaultVariant == g.DefaultVariant, &here},
		{"rules", sameJSON(f.Rules, g.Rules), &here},
		{"salt", f.Salt == g.Salt, &here},
	} {
		if !field.same {
			*field.in = append(*field.in, field.name)
		}
	}
	return shared, here
}

// sameJSON reports two values of the same JSON: what can be stored can be encoded.
func sameJSON(a, b any) bool {
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && bytes.Equal(x, y)
}

// sameVariants reports variants of the same values. What is stored comes back with its members in another order than it was sent in.
func sameVariants(a, b map[string]json.RawMessage) bool {
	return maps.EqualFunc(a, b, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) || sameJSON(plain(x), plain(y)) })
}

// plain is a value of JSON with members in the order of their names; numbers stay as they are written.
func plain(text json.RawMessage) any {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var value any
	if dec.Decode(&value) != nil {
		return text // no JSON: it is the same as itself alone
	}
	return value
}

// change is what record records.
type change struct {
	action        Action
	before, after *Stored  // nil: it was not, it is not
	shared, here  []string // the fields that changed
	reason        string
	restores      uuid.UUID // the change that an update goes back to; zero: to none
}

// record leaves what a change leaves: its history, an audit entry, an event, and news for every server. The audit log has no
// text of the flag, which may name people: the history does.
func record(ctx context.Context, tx *db.TenantTx, c change) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("mint flag change: %w", err)
	}
	row := tenantq.InsertFlagChangeParams{ID: id, Action: string(c.action), Reason: c.reason, By: tx.Scope().Actor().String(), Now: tx.Now()}
	entry := audit.Entry{Action: "flag.create", Reason: c.reason}
	news := event.Event{Type: event.FlagCreated}
	switch c.action {
	case created:
	case updated:
		entry.Action, news.Type = "flag.update", event.FlagUpdated
		if len(c.here) > 0 {
			row.Environment = c.after.Environment
		}
		entry.Detail = append(entry.Detail, attr.Texts("fields", slices.Concat(c.shared, c.here)), attr.Text("environment", row.Environment))
		if c.restores != (uuid.UUID{}) {
			entry.Detail = append(entry.Detail, attr.UUID("restoredChangeId", c.restores))
		}
	case deleted:
		entry.Action, news.Type = "flag.delete", event.FlagDeleted
	case MembersIncluded, MembersExcluded, MembersRemoved: // of segments
	}
	entry.Detail = append(entry.Detail, attr.UUID("changeId", id))
	for _, side := range []struct {
		of    *Stored
		text  *[]byte
		attrs *[]attr.Attr
	}{{c.before, &row.Before, &entry.Before}, {c.after, &row.After, &entry.After}} {
		if side.of == nil {
			continue
		}
		row.FlagKey = side.of.Key
		if *side.text, err = json.Marshal(Document{side.of.Flag, side.of.About}); err != nil {
			return fmt.Errorf("encode flag: %w", err)
		}
		*side.attrs = []attr.Attr{
			attr.Bool("enabled", side.of.Enabled), attr.Text("offVariant", side.of.OffVariant), attr.Text("defaultVariant", side.of.DefaultVariant),
			attr.Int("rules", int64(len(side.of.Rules))), attr.Bool("clientVisible", side.of.ClientVisible),
		}
	}
	if err := tx.InsertFlagChange(ctx, row); err != nil {
		return fmt.Errorf("insert flag change: %w", err)
	}
	entry.Target = audit.Target{Kind: "flag", ID: row.FlagKey}
	if err := audit.Append(ctx, tx, entry); err != nil {
		return err
	}
	news.Data = []attr.Attr{attr.Text("flagKey", row.FlagKey), attr.Text("environment", row.Environment)}
	if err := event.Append(ctx, tx, news); err != nil {
		return err
	}
	return tx.Changed(ctx, db.NounFlag, "")
}
