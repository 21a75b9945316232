package flag

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// targetingKey is what the blind index of a member is made by. It is that of users' external ids, and not one of its own, so that
// erasing a user finds the segments that list the user, without opening anything.
var targetingKey = keys.Field{Table: "users", Column: "external_id"}

// digest finds a member in memory: the beginning of its blind index.
type digest [16]byte

// memberships are all lists of a tenant: of each segment who is in it, or as true who is not.
type memberships map[string]map[digest]bool

// memberships returns the lists of the tenant's segments: from memory, unless one has changed or it cannot be known.
func (s *Service) memberships(ctx context.Context, sc scope.Scope) (memberships, error) {
	return s.members.Get(ctx, sc.Tenant(), "all", func(ctx context.Context) (memberships, error) {
		out := memberships{}
		err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
			clear(out)
			rows, err := tx.ListMemberships(ctx)
			if err != nil {
				return fmt.Errorf("list members: %w", err)
			}
			for i := range rows {
				list := out[rows[i].SegmentKey]
				if list == nil {
					list = map[digest]bool{}
					out[rows[i].SegmentKey] = list
				}
				list[digest(rows[i].Digest)] = rows[i].Excluded
			}
			return nil
		})
		return out, err
	})
}

// listed gives a tenant's segments their lists: they are ready to be compiled.
func (s *Service) listed(ctx context.Context, sc scope.Scope, out []Segment) ([]Segment, error) {
	if len(out) == 0 {
		return nil, nil
	}
	lists, err := s.memberships(ctx, sc)
	if err != nil {
		return nil, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	for i := range out {
		if list := lists[out[i].Key]; len(list) > 0 {
			out[i].Listed = func(key string) (in, known bool) {
				excluded, known := list[digest(ring.Index(targetingKey, key)[:16])]
				return !excluded, known
			}
		}
	}
	return out, nil
}

// MembersRequest names subjects whose place in a segment's list is to change.
type MembersRequest struct {
	Key           string
	TargetingKeys []string // 1 to 1000, each of 1 to 256 bytes that can be seen; twice is once
	Excluded      bool     // of AddMembers: they are not in the segment, although its conditions hold
	Reason        string   // for its history and the audit log: up to 256 characters, or empty
}

// AddMembers lists subjects, and returns how many were not listed so before.
// ErrSegmentNotFound, ErrInvalid, ErrTooManyMembers, ErrReason.
func (s *Service) AddMembers(ctx context.Context, sc scope.Scope, req MembersRequest) (added int, err error) {
	action := MembersIncluded
	if req.Excluded {
		action = MembersExcluded
	}
	return s.changeMembers(ctx, sc, req, action, "segment.members.add", func(tx *db.TenantTx, indexes [][]byte) (int64, error) {
		ids := make([]string, 0, len(indexes))
		for _, key := range unique(req.TargetingKeys) {
			if id, err := uuid.Parse(key); err == nil && id.String() == key {
				ids = append(ids, key)
			} else {
				ids = append(ids, "")
			}
		}
		n, err := tx.PutSegmentMembers(ctx, tenantq.PutSegmentMembersParams{
			SegmentKey: req.Key, Excluded: req.Excluded, By: sc.Actor().String(), Now: tx.Now(), TargetingIndexes: indexes, UserIds: ids,
		})
		if err != nil {
			return 0, fmt.Errorf("put members: %w", err)
		}
		if all, err := tx.CountSegmentMembers(ctx); err != nil {
			return 0, fmt.Errorf("count members: %w", err)
		} else if all > maxMembers {
			return 0, ErrTooManyMembers
		}
		return n, nil
	})
}

// RemoveMembers takes subjects out of a segment's list, and returns how many were listed.
// ErrSegmentNotFound, ErrInvalid, ErrReason.
func (s *Service) RemoveMembers(ctx context.Context, sc scope.Scope, req MembersRequest) (removed int, err error) {
	return s.changeMembers(ctx, sc, req, MembersRemoved, "segment.members.remove", func(tx *db.TenantTx, indexes [][]byte) (int64, error) {
		n, err := tx.RemoveSegmentMembers(ctx, tenantq.RemoveSegmentMembersParams{SegmentKey: req.Key, TargetingIndexes: indexes})
		if err != nil {
			return 0, fmt.Errorf("remove members: %w", err)
		}
		return n, nil
	})
}

func unique(list []string) []string {
	seen := make(map[string]struct{}, len(list))
	out := make([]string, 0, len(list))
	for _, one := range list {
		if _, twice := seen[one]; !twice {
			seen[one] = struct{}{}
			out = append(out, one)
		}
	}
	return out
}

func (s *Service) changeMembers(ctx context.Context, sc scope.Scope, req MembersRequest, action Action, name string, do func(tx *db.TenantTx, indexes [][]byte) (int64, error)) (changed int, err error) {
	if len(req.TargetingKeys) < 1 || len(req.TargetingKeys) > MaxListed {
		return 0, refuse("targetingKeys", "1 to %d targeting keys at once", MaxListed)
	}
	for i, key := range req.TargetingKeys {
		if !isText(key) {
			return 0, refuse(fmt.Sprintf("targetingKeys[%d]", i), "a targeting key has 1 to %d bytes that can be seen", maxText)
		}
	}
	if req.Reason != "" && !audit.IsReason(req.Reason) {
		return 0, ErrReason
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	all := unique(req.TargetingKeys)
	indexes := make([][]byte, len(all))
	for i, key := range all {
		indexes[i] = ring.Index(targetingKey, key)
	}
	err = s.changeSegments(ctx, sc, func(tx *db.TenantTx) error {
		if _, err := getSegment(ctx, tx, req.Key); err != nil {
			return err
		}
		n, err := do(tx, indexes)
		if err != nil {
			return err
		}
		changed = int(n)
		if tx.Result(changed); n == 0 {
			return nil
		}
		if err := tx.TouchSegment(ctx, tenantq.TouchSegmentParams{Key: req.Key, By: sc.Actor().String(), Now: tx.Now()}); err != nil {
			return fmt.Errorf("touch segment: %w", err)
		}
		return recordSegment(ctx, tx, segmentChange{
			key: req.Key, action: action, members: changed, reason: req.Reason, audit: name, detail: []attr.Attr{attr.Int("count", n), attr.Bool("excluded", req.Excluded)}, news: event.SegmentUpdated,
		})
	})
	return changed, err
}

// Membership is a subject's place in a segment's list.
type Membership struct {
	Listed   bool
	Excluded bool   // it is listed as none of the segment
	AddedBy  string // kind:id
	AddedAt  time.Time
}

// GetMember says whether a segment lists a subject: who is listed cannot be read, but asked for.
// ErrSegmentNotFound, ErrInvalid.
func (s *Service) GetMember(ctx context.Context, sc scope.Scope, segment, key string) (Membership, error) {
	if !isText(key) {
		return Membership{}, refuse("targetingKey", "a targeting key has 1 to %d bytes that can be seen", maxText)
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return Membership{}, fmt.Errorf("keys: %w", err)
	}
	var out Membership
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		if _, err := getSegment(ctx, tx, segment); err != nil {
			return err
		}
		row, err := tx.GetSegmentMember(ctx, tenantq.GetSegmentMemberParams{SegmentKey: segment, TargetingIndex: ring.Index(targetingKey, key)})
		if db.IsNoRows(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("get member: %w", err)
		}
		out = Membership{Listed: true, Excluded: row.Excluded, AddedBy: row.AddedBy, AddedAt: row.AddedAt}
		return nil
	})
	return out, err
}
