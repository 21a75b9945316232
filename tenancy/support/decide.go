package support

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// GrantRequest lets somebody in.
type GrantRequest struct {
	ID     uuid.UUID
	Access Access        // what was asked for, or less; empty: what was asked for
	For    time.Duration // what was asked for, or less; 0: what was asked for
	Reason string        // for the audit log, 1 to 256 characters
}

// Grant lets the person of a request in, from now on, by Postgres's clock. The caller is an
// owner or admin of the tenant, and somebody else than the person, or a key of the tenant's
// with the scope for it: ErrMayNot for all others, the command line too. member.ErrReason,
// ErrNotFound, ErrAccess, ErrMinutes, ErrWider, ErrOver.
func (s *Service) Grant(ctx context.Context, sc scope.Scope, req GrantRequest) (Grant, error) {
	if req.Access != "" && !req.Access.valid() {
		return Grant{}, ErrAccess
	}
	if req.For != 0 && !isWithin(req.For, Longest) {
		return Grant{}, ErrMinutes
	}
	return s.decide(ctx, sc, req.ID, req.Reason, "support.grant", event.SupportGranted, func(tx *db.TenantTx, g *Grant) (tenantq.SupportGrant, error) {
		if err := mayLetIn(ctx, tx, sc.Actor(), g.PersonID); err != nil {
			return tenantq.SupportGrant{}, err
		}
		access, long := g.WantedAccess, g.Wanted
		if req.Access != "" {
			access = req.Access
		}
		if req.For != 0 {
			long = req.For
		}
		if access == Act && g.WantedAccess == View || long > g.Wanted {
			return tenantq.SupportGrant{}, ErrWider
		}
		return tx.GrantSupport(ctx, tenantq.GrantSupportParams{
			ID: g.ID, Access: string(access), Minutes: minutes(long), DecidedBy: sc.Actor().String(), DecidedName: sc.Actor().Name, Reason: req.Reason,
		})
	})
}

// Refuse answers a request with no. Who may is as in Grant, and the command line may too.
// member.ErrReason, ErrNotFound, ErrOver, ErrMayNot.
func (s *Service) Refuse(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (Grant, error) {
	return s.decide(ctx, sc, id, reason, "support.refuse", event.SupportRefused, func(tx *db.TenantTx, g *Grant) (tenantq.SupportGrant, error) {
		return tx.RefuseSupport(ctx, tenantq.RefuseSupportParams{ID: g.ID, DecidedBy: sc.Actor().String(), DecidedName: sc.Actor().Name, Reason: reason})
	})
}

// Revoke ends access: the person's next statement sees nothing, and the enrollment links that
// they made work no more. Who may is as in Refuse.
// member.ErrReason, ErrNotFound, ErrOver, ErrMayNot.
func (s *Service) Revoke(ctx context.Context, sc scope.Scope, id uuid.UUID, reason string) (Grant, error) {
	return s.decide(ctx, sc, id, reason, "support.revoke", event.SupportRevoked, func(tx *db.TenantTx, g *Grant) (tenantq.SupportGrant, error) {
		if g.State == Requested {
			return tenantq.SupportGrant{}, ErrOver // refuse it
		}
		if err := tx.RevokeSupportLinks(ctx, tenantq.RevokeSupportLinksParams{Since: g.ID, RequestedBy: supportBy(g.PersonID), DecidedBy: sc.Actor().String(), Now: tx.Now()}); err != nil {
			return tenantq.SupportGrant{}, fmt.Errorf("revoke links: %w", err)
		}
		return tx.EndSupport(ctx, tenantq.EndSupportParams{ID: g.ID, State: string(Revoked), EndedBy: sc.Actor().String(), EndedName: sc.Actor().Name, Reason: reason})
	})
}

// End gives access back, or takes a request back: the person's own. sc is the tenant's, of
// that person as one of the staff. ErrNotFound also for another's; ErrOver.
func (s *Service) End(ctx context.Context, sc scope.Scope, id uuid.UUID) (Grant, error) {
	var ended Grant
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		g, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if sc.Actor().Kind != scope.ActorOperator || sc.Actor().ID != g.PersonID.String() {
			return ErrNotFound
		}
		if err := tx.RevokeSupportLinks(ctx, tenantq.RevokeSupportLinksParams{Since: g.ID, RequestedBy: supportBy(g.PersonID), DecidedBy: sc.Actor().String(), Now: tx.Now()}); err != nil {
			return fmt.Errorf("revoke links: %w", err)
		}
		row, err := tx.EndSupport(ctx, tenantq.EndSupportParams{ID: id, State: string(Ended), EndedBy: sc.Actor().String(), EndedName: sc.Actor().Name})
		if ended, err = over(row, err, tx.Now()); err != nil {
			return err
		}
		tx.Result(ended)
		return record(ctx, tx, &ended, "support.end", event.SupportEnded, "")
	})
	return ended, err
}

// decide runs change on a locked grant, for who may decide.
func (s *Service) decide(
	ctx context.Context, sc scope.Scope, id uuid.UUID, reason, action string, typ event.Type, change func(*db.TenantTx, *Grant) (tenantq.SupportGrant, error),
) (Grant, error) {
	if !audit.IsReason(reason) {
		return Grant{}, member.ErrReason
	}
	var decided Grant
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two who decide at once: the later finds it decided.
		g, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := mayDecide(ctx, tx, sc.Actor(), g.PersonID); err != nil {
			return err
		}
		row, err := change(tx, &g)
		if decided, err = over(row, err, tx.Now()); err != nil {
			return err
		}
		tx.Result(decided)
		return record(ctx, tx, &decided, action, typ, reason)
	})
	if err != nil {
		return Grant{}, err
	}
	return decided, nil
}

// mayLetIn judges what mayDecide leaves: the command line only takes away, and so does a key
// that the staff made, or had in hand as they made the tenant, or they would let themselves in.
func mayLetIn(ctx context.Context, tx *db.TenantTx, actor scope.Actor, person uuid.UUID) error {
	switch actor.Kind {
	case scope.ActorSystem:
		return ErrMayNot
	case scope.ActorAPIKey:
		maker, _, err := member.KeyMaker(ctx, tx, actor.ID)
		switch {
		case err != nil, maker.Kind == scope.ActorSystem:
			return err
		case maker.Kind != scope.ActorOperator:
			return ErrMayNot
		}
		return mayDecide(ctx, tx, maker, person)
	default:
		return nil
	}
}

// mayDecide judges who decides about person's access: ErrMayNot. Somebody of the staff who
// is no member of the tenant is nobody here, and nobody lets themselves in.
func mayDecide(ctx context.Context, tx *db.TenantTx, actor scope.Actor, person uuid.UUID) error {
	switch actor.Kind {
	case scope.ActorAPIKey, scope.ActorSystem:
		return nil // the edge has asked for the scope; who may let in is judged by Grant
	case scope.ActorOperator:
	default:
		return ErrMayNot
	}
	own, err := uuid.Parse(actor.ID)
	if err != nil || own == person {
		return ErrMayNot
	}
	row, err := tx.GetMemberOfPerson(ctx, own)
	switch {
	case db.IsNoRows(err), err == nil && !member.Role(row.Role).May(apikey.ScopeSupportGrant):
		return ErrMayNot
	case err != nil:
		return fmt.Errorf("get member of person: %w", err)
	}
	return nil
}

// lock reads a grant that nobody else changes until tx ends: ErrNotFound.
func lock(ctx context.Context, tx *db.TenantTx, id uuid.UUID) (Grant, error) {
	row, err := tx.LockSupportGrant(ctx, id)
	if db.IsNoRows(err) {
		return Grant{}, ErrNotFound
	} else if err != nil {
		return Grant{}, fmt.Errorf("lock support grant: %w", err)
	}
	return fromRow(row, tx.Now()), nil
}

// over is what a change has answered: ErrOver when it found nothing to change, by
// Postgres's clock.
func over(row tenantq.SupportGrant, err error, now time.Time) (Grant, error) {
	if db.IsNoRows(err) {
		return Grant{}, ErrOver
	} else if err != nil {
		return Grant{}, fmt.Errorf("change support grant: %w", err)
	}
	return fromRow(row, now), nil
}
