package flag

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors of segments, beside ErrInvalid and ErrReason. Each Reason is part of the public API.
var (
	ErrSegmentNotFound       = fault.New(fault.NotFound, "SEGMENT_UNKNOWN", "no such segment")
	ErrSegmentChangeNotFound = fault.New(fault.NotFound, "SEGMENT_CHANGE_UNKNOWN", "no such change of this segment, or it left nothing that could come back")
	ErrSegmentTaken          = fault.New(fault.Conflict, "SEGMENT_KEY_TAKEN", "there is a segment of this key")
	ErrSegmentInUse          = fault.New(fault.Precondition, "SEGMENT_IN_USE", "rules of flags ask for this segment")
	ErrTooManySegments       = fault.New(fault.Precondition, "TOO_MANY_SEGMENTS", "there are 200 segments, which is the limit: delete one that no rule asks for")
	ErrTooManyMembers        = fault.New(fault.Precondition, "TOO_MANY_SEGMENT_MEMBERS", "all segments together list at most 200,000 members")
)

// MaxListed is how many members one call lists, or takes out.
const MaxListed = 1000

const (
	maxSegments = 200
	maxMembers  = 200_000 // of a tenant: they lie in memory of each server that is asked
	maxNamed    = 10      // flags that a refusal names
)

// StoredSegment is a segment with what is kept beside it.
type StoredSegment struct {
	Segment

	Name        string // 1 to 128 characters
	Description string // up to 1000; may be empty
	Included    int    // how many are listed as its members
	Excluded    int    // and how many as none, whatever conditions say
	CreatedBy   string // kind:id
	CreatedAt   time.Time
	UpdatedBy   string // of its members, too
	UpdatedAt   time.Time
	ETag        string // changes with its members, too; without quotes
}

// Segments returns all of the tenant's, by key: at most 200.
func (s *Service) Segments(ctx context.Context, sc scope.Scope) ([]StoredSegment, error) {
	var out []StoredSegment
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		out, err = segments(ctx, tx)
		return err
	})
	return out, err
}

func segments(ctx context.Context, tx *db.TenantTx) ([]StoredSegment, error) {
	rows, err := tx.ListSegments(ctx)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	out := make([]StoredSegment, len(rows))
	for i := range rows {
		if out[i], err = segmentOf(&rows[i].FlagSegment, rows[i].Included, rows[i].Excluded); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// bare are segments without their members: what rules are checked beside.
func bare(list []StoredSegment) []Segment {
	out := make([]Segment, len(list))
	for i := range list {
		out[i] = list[i].Segment
	}
	return out
}

// GetSegment returns one, and the keys of the flags whose rules ask for it. Another tenant's is ErrSegmentNotFound.
func (s *Service) GetSegment(ctx context.Context, sc scope.Scope, key string) (found StoredSegment, usedBy []string, err error) {
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		if found, err = getSegment(ctx, tx, key); err != nil {
			return err
		}
		if usedBy, err = tx.ListFlagsOfSegment(ctx, key); err != nil {
			return fmt.Errorf("flags of segment: %w", err)
		}
		return nil
	})
	return found, usedBy, err
}

func getSegment(ctx context.Context, tx *db.TenantTx, key string) (StoredSegment, error) {
	row, err := tx.GetSegment(ctx, key)
	if db.IsNoRows(err) {
		return StoredSegment{}, ErrSegmentNotFound
	} else if err != nil {
		return StoredSegment{}, fmt.Errorf("get segment: %w", err)
	}
	return segmentOf(&row.FlagSegment, row.Included, row.Excluded)
}

func segmentOf(row *tenantq.FlagSegment, included, excluded int32) (StoredSegment, error) {
	out := StoredSegment{
		Segment: Segment{Key: row.Key}, Name: row.Name, Description: row.Description, Included: int(included), Excluded: int(excluded),
		CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt, UpdatedBy: row.UpdatedBy, UpdatedAt: row.UpdatedAt,
		ETag: etag.Of("segment", fmt.Appendf(nil, "%s %d", row.Key, row.CreatedAt.UnixMicro()), row.Version), // one that is made again is another
	}
	if err := json.Unmarshal(row.Condition, &out.When); err != nil {
		return StoredSegment{}, fmt.Errorf("condition of segment %s: %w", row.Key, err)
	}
	return out, nil
}

// CreateSegmentRequest is a segment to make, without members.
type CreateSegmentRequest struct {
	Key, Name, Description string
	When                   Condition
	Reason                 string // for its history and the audit log: up to 256 characters, or empty
}

// CreateSegment makes a segment. ErrInvalid, ErrSegmentTaken, ErrTooManySegments, ErrReason.
func (s *Service) CreateSegment(ctx context.Context, sc scope.Scope, req CreateSegmentRequest) (StoredSegment, error) {
	made := StoredSegment{Segment: Segment{Key: req.Key, When: req.When}, Name: req.Name, Description: req.Description}
	if err := checkReserved(req.Key); err != nil {
		return StoredSegment{}, err
	}
	condition, err := made.clean(req.Reason)
	if err != nil {
		return StoredSegment{}, err
	}
	err = s.changeSegments(ctx, sc, func(tx *db.TenantTx) error {
		if n, err := tx.CountSegments(ctx); err != nil {
			return fmt.Errorf("count segments: %w", err)
		} else if n >= maxSegments {
			return ErrTooManySegments
		}
		if err := conditionsTogether(ctx, tx, made.Key, condition); err != nil {
			return err
		}
		switch n, err := tx.InsertSegment(ctx, tenantq.InsertSegmentParams{
			Key: made.Key, Name: made.Name, Description: made.Description, Condition: condition, By: sc.Actor().String(), Now: tx.Now(),
		}); {
		case err != nil:
			return fmt.Errorf("insert segment: %w", err)
		case n == 0:
			return ErrSegmentTaken
		}
		if made, err = getSegment(ctx, tx, made.Key); err != nil {
			return err
		}
		tx.Result(made)
		return recordSegment(ctx, tx, segmentChange{key: made.Key, action: created, after: &made, reason: req.Reason, audit: "segment.create", news: event.SegmentCreated})
	})
	return made, err
}

// clean brings a segment into the form that is kept, and returns its condition in it. ErrInvalid, ErrReason.
func (f *StoredSegment) clean(reason string) (condition []byte, err error) {
	about := About{Name: f.Name, Description: f.Description}
	if err := about.clean(); err != nil {
		return nil, err
	}
	f.Name = about.Name
	if reason != "" && !audit.IsReason(reason) {
		return nil, ErrReason
	}
	if err := f.Check(); err != nil {
		return nil, err
	}
	if condition, err = json.Marshal(f.When); err != nil {
		return nil, fmt.Errorf("encode condition: %w", err)
	}
	if len(condition) > maxDocument {
		return nil, refuse("when", "all conditions together have at most %d bytes", maxDocument)
	}
	return condition, nil
}

// UpdateSegmentRequest is what of a segment is to change; nil leaves it as it is.
type UpdateSegmentRequest struct {
	Key               string
	Name, Description *string
	When              *Condition
	Reason            string // for its history and the audit log: up to 256 characters, or empty
	IfMatch           string // the etag that the caller has read; empty: whatever it is

	restores uuid.UUID // the change of its history that it goes back to
}

// UpdateSegment changes a segment. An update that changes nothing leaves no trace.
// ErrSegmentNotFound, ErrInvalid, ErrReason, etag.ErrMismatch.
func (s *Service) UpdateSegment(ctx context.Context, sc scope.Scope, req UpdateSegmentRequest) (StoredSegment, error) {
	var out StoredSegment
	err := s.changeSegments(ctx, sc, func(tx *db.TenantTx) error {
		before, err := getSegment(ctx, tx, req.Key)
		if err != nil {
			return err
		}
		if err := etag.Match(req.IfMatch, before.ETag); err != nil {
			return err
		}
		out = before
		for _, field := range []struct{ from, to *string }{{req.Name, &out.Name}, {req.Description, &out.Description}} {
			if field.from != nil {
				*field.to = *field.from
			}
		}
		if req.When != nil {
			out.When = *req.When
		}
		condition, err := out.clean(req.Reason)
		if err != nil {
			return err
		}
		var fields []string
		for name, same := range map[string]bool{"name": out.Name == before.Name, "description": out.Description == before.Description, "when": sameJSON(out.When, before.When)} {
			if !same {
				fields = append(fields, name)
			}
		}
		if slices.Contains(fields, "when") {
			if err := conditionsTogether(ctx, tx, out.Key, condition); err != nil {
				return err
			}
		}
		if slices.Sort(fields); len(fields) > 0 {
			if err := tx.UpdateSegment(ctx, tenantq.UpdateSegmentParams{Key: out.Key, Name: out.Name, Description: out.Description, Condition: condition, By: sc.Actor().String(), Now: tx.Now()}); err != nil {
				return fmt.Errorf("update segment: %w", err)
			}
			if out, err = getSegment(ctx, tx, out.Key); err != nil {
				return err
			}
		}
		if tx.Result(out); len(fields) == 0 {
			return nil
		}
		detail := []attr.Attr{attr.Texts("fields", fields)}
		if req.restores != (uuid.UUID{}) {
			detail = append(detail, attr.UUID("restoredChangeId", req.restores))
		}
		return recordSegment(ctx, tx, segmentChange{key: out.Key, action: updated, before: &before, after: &out, reason: req.Reason, audit: "segment.update", detail: detail, news: event.SegmentUpdated})
	})
	return out, err
}

// DeleteSegmentRequest names a segment that is to be removed, with its members.
type DeleteSegmentRequest struct {
	Key     string
	Reason  string // for its history and the audit log: up to 256 characters, or empty
	IfMatch string // the etag that the caller has read; empty: whatever it is
}

// DeleteSegment removes a segment. ErrSegmentInUse names flags whose rules ask for it, in whichever environment.
// ErrSegmentNotFound, ErrReason, etag.ErrMismatch.
func (s *Service) DeleteSegment(ctx context.Context, sc scope.Scope, req DeleteSegmentRequest) error {
	if req.Reason != "" && !audit.IsReason(req.Reason) {
		return ErrReason
	}
	return s.changeSegments(ctx, sc, func(tx *db.TenantTx) error {
		before, err := getSegment(ctx, tx, req.Key)
		if err != nil {
			return err
		}
		if err := etag.Match(req.IfMatch, before.ETag); err != nil {
			return err
		}
		switch flags, err := tx.ListFlagsOfSegment(ctx, req.Key); {
		case err != nil:
			return fmt.Errorf("flags of segment: %w", err)
		case len(flags) > 0:
			return inUse(flags)
		}
		if err := tx.DeleteSegment(ctx, req.Key); err != nil {
			return fmt.Errorf("delete segment: %w", err)
		}
		tx.Result(before)
		return recordSegment(ctx, tx, segmentChange{
			key: req.Key, action: deleted, before: &before, members: before.Included + before.Excluded, reason: req.Reason, audit: "segment.delete", news: event.SegmentDeleted,
		})
	})
}

func inUse(flags []string) error {
	said := strings.Join(flags[:min(len(flags), maxNamed)], ", ")
	if more := len(flags) - maxNamed; more > 0 {
		said += fmt.Sprintf(" and %d more", more)
	}
	return ErrSegmentInUse.WithMessage("rules ask for this segment, of "+said).With("flags", said)
}

// changeSegments changes segments in a transaction, one after the other, and forgets here what is compiled.
func (s *Service) changeSegments(ctx context.Context, sc scope.Scope, do func(tx *db.TenantTx) error) error {
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := tx.LockSegments(ctx); err != nil {
			return fmt.Errorf("lock segments: %w", err)
		}
		return do(tx)
	})
	s.members.Forget(sc.Tenant(), "") // before the sets that are made of them
	s.sets.Forget(sc.Tenant(), "")
	return err
}
