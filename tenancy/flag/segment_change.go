package flag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// What becomes of a segment's list.
const (
	MembersIncluded Action = "MEMBERS_INCLUDED"
	MembersExcluded Action = "MEMBERS_EXCLUDED"
	MembersRemoved  Action = "MEMBERS_REMOVED"
)

// SegmentDocument is a segment as its history keeps it: whole, but for its list.
type SegmentDocument struct {
	Segment

	Name        string `json:"name"`
	Description string `json:"description"`
}

// SegmentChange is one step in a segment's history. It names nobody who is listed, or was.
type SegmentChange struct {
	ID         uuid.UUID
	SegmentKey string
	Action     Action
	Before     *SegmentDocument // nil: it was not, or its list alone changed
	After      *SegmentDocument // nil: it is gone, or its list alone changed
	Members    int              // how many places of its list changed; of a deletion, how many went with it
	Reason     string           // a person's words; may be empty
	ChangedBy  string           // kind:id
	ChangedAt  time.Time
}

// SegmentChanges returns one page of a segment's history, the newest first. It takes no filter. The history of a segment that is gone
// is there, too: ErrSegmentNotFound where there never was one. listing.ErrFilter, listing.ErrPageToken.
func (s *Service) SegmentChanges(ctx context.Context, sc scope.Scope, key string, req listing.Request) (listing.Page[SegmentChange], error) {
	return history(ctx, s, sc, listing.Query{List: "segmentchanges", Filter: key}, req, func(c *SegmentChange) uuid.UUID { return c.ID }, func(tx *db.TenantTx, before *uuid.UUID, limit int32) ([]SegmentChange, error) {
		rows, err := tx.ListSegmentChanges(ctx, tenantq.ListSegmentChangesParams{SegmentKey: key, BeforeID: before, MaxRows: limit})
		if err != nil {
			return nil, fmt.Errorf("list segment changes: %w", err)
		}
		if len(rows) == 0 && before == nil { // one that is older than histories has none yet
			if _, err := getSegment(ctx, tx, key); err != nil {
				return nil, err
			}
		}
		return each(rows, segmentChangeOf)
	})
}

func segmentChangeOf(r *tenantq.FlagSegmentChange) (SegmentChange, error) {
	out := SegmentChange{
		ID: r.ID, SegmentKey: r.SegmentKey, Action: Action(r.Action), Members: int(r.Members), Reason: r.Reason, ChangedBy: r.ChangedBy, ChangedAt: r.ChangedAt,
	}
	if err := errors.Join(decode(r.Before, &out.Before), decode(r.After, &out.After)); err != nil {
		return SegmentChange{}, fmt.Errorf("change %s of segment %s: %w", r.ID, r.SegmentKey, err)
	}
	return out, nil
}

// SegmentChange returns one step of a segment's history. ErrSegmentChangeNotFound.
func (s *Service) SegmentChange(ctx context.Context, sc scope.Scope, key string, id uuid.UUID) (SegmentChange, error) {
	var out SegmentChange
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetSegmentChange(ctx, tenantq.GetSegmentChangeParams{SegmentKey: key, ID: id})
		if db.IsNoRows(err) {
			return ErrSegmentChangeNotFound
		} else if err != nil {
			return fmt.Errorf("get segment change: %w", err)
		}
		out, err = segmentChangeOf(&row)
		return err
	})
	return out, err
}

// RestoreSegment brings back the name, the description and the condition that a segment had after a change, as a change of its own. Its
// list stays as it is. ErrSegmentChangeNotFound, also of a change of its list and of its end; else as UpdateSegment.
func (s *Service) RestoreSegment(ctx context.Context, sc scope.Scope, req RestoreRequest) (StoredSegment, error) {
	was, err := s.SegmentChange(ctx, sc, req.Key, req.Change)
	if err != nil {
		return StoredSegment{}, err
	}
	to := was.After
	if to == nil {
		return StoredSegment{}, ErrSegmentChangeNotFound
	}
	return s.UpdateSegment(ctx, sc, UpdateSegmentRequest{Key: req.Key, Name: &to.Name, Description: &to.Description, When: &to.When, Reason: req.Reason, IfMatch: req.IfMatch, restores: was.ID})
}

// segmentChange is what recordSegment records.
type segmentChange struct {
	key           string
	action        Action
	before, after *StoredSegment // nil: it was not, it is not, or its list alone changed
	members       int
	reason        string
	audit         string // the action, as the audit log calls it
	detail        []attr.Attr
	news          event.Type
}

// recordSegment leaves what a change of a segment leaves: its history, an audit entry, an event, and news for every server. It names
// no member.
func recordSegment(ctx context.Context, tx *db.TenantTx, c segmentChange) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("mint segment change: %w", err)
	}
	row := tenantq.InsertSegmentChangeParams{
		ID: id, SegmentKey: c.key, Action: string(c.action), Members: int32(c.members), Reason: c.reason, By: tx.Scope().Actor().String(), Now: tx.Now(), //nolint:gosec // at most maxMembers
	}
	for of, text := range map[*StoredSegment]*[]byte{c.before: &row.Before, c.after: &row.After} {
		if of == nil {
			continue
		}
		if *text, err = json.Marshal(SegmentDocument{of.Segment, of.Name, of.Description}); err != nil {
			return fmt.Errorf("encode segment: %w", err)
		}
	}
	if err := tx.InsertSegmentChange(ctx, row); err != nil {
		return fmt.Errorf("insert segment change: %w", err)
	}
	if err := audit.Append(ctx, tx, audit.Entry{
		Action: c.audit, Reason: c.reason, Target: audit.Target{Kind: "segment", ID: c.key}, Detail: append(c.detail, attr.UUID("changeId", id)),
	}); err != nil {
		return err
	}
	if err := event.Append(ctx, tx, event.Event{Type: c.news, Data: []attr.Attr{attr.Text("segmentKey", c.key)}}); err != nil {
		return err
	}
	if err := tx.Changed(ctx, db.NounSegment, ""); err != nil { // before the sets that are made of them
		return err
	}
	return tx.Changed(ctx, db.NounFlag, "")
}
