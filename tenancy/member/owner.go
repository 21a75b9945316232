package member

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ownersAble are the people whom sc's tenant cannot be without, if they can sign in. Who
// becomes an owner later is not among them: a change that counts on that one is refused, and
// works when it is tried again.
func (s *Service) ownersAble(ctx context.Context, sc scope.Scope) (map[uuid.UUID]bool, error) {
	members, err := s.List(ctx, sc)
	if err != nil {
		return nil, err
	}
	able := map[uuid.UUID]bool{}
	var people []uuid.UUID
	for i := range members {
		if isTop(members[i].Role) {
			able[members[i].PersonID], people = true, append(people, members[i].PersonID)
		}
	}
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "console"})
	err = s.store.ReadTenant(ctx, home, func(tx *db.TenantTx) error {
		blocked, err := tx.ListBlockedPeople(ctx, people)
		if err != nil {
			return fmt.Errorf("list blocked people: %w", err)
		}
		for _, id := range blocked {
			delete(able, id)
		}
		return nil
	})
	return able, err
}

// MayLeave judges whether a person of the console may be blocked or deleted: ErrLastOwner
// where a tenant, or the installation, would have no owner left who can sign in.
func (s *Service) MayLeave(ctx context.Context, person uuid.UUID) error {
	works, err := s.Memberships(ctx, person)
	if err != nil {
		return err
	}
	in := []uuid.UUID{scope.PlatformTenant}
	for _, m := range works {
		in = append(in, m.TenantID)
	}
	for _, id := range in {
		able, err := s.ownersAble(ctx, scope.New(id, scope.Actor{Kind: scope.ActorSystem, ID: "console"}))
		if err != nil {
			return err
		}
		if able[person] && len(able) == 1 {
			return ErrLastOwner
		}
	}
	return nil
}
