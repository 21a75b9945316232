package member

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Enrollment makes one account by an invitation: it is called in the transaction, of the
// reserved tenant, that makes the account. ErrInvitationClosed when another account was made
// by it: of several that are made at once one stays.
type Enrollment func(ctx context.Context, tx *db.TenantTx, person uuid.UUID) error

// Enroll looks at the tokens of a link and returns what spends those that are open on one
// account. Whoever has it then accepts them; nobody else does. ErrInvitation,
// ErrInvitationClosed when none is open, or an account was made already.
func (s *Service) Enroll(ctx context.Context, tokens []string) (Enrollment, error) {
	type opened struct{ tenant, id uuid.UUID }
	var open []opened
	var refused error
	for _, token := range tokens {
		tenantID, in, err := s.Look(ctx, token)
		if err == nil {
			err = s.isFor(ctx, uuid.Nil, in.ID)
		}
		if err != nil {
			refused = err
			continue
		}
		open = append(open, opened{tenantID, in.ID})
	}
	if len(open) == 0 {
		return nil, refused
	}
	// In one order, so that two links that share invitations do not wait for each other.
	slices.SortFunc(open, func(a, b opened) int { return bytes.Compare(a.id[:], b.id[:]) })
	return func(ctx context.Context, tx *db.TenantTx, person uuid.UUID) error {
		for _, one := range open {
			if one.tenant == scope.PlatformTenant { // of another tenant's none can be locked here
				if _, err := lockInvitation(ctx, tx, one.id); err != nil {
					return err
				}
			}
			n, err := tx.InsertInvitedAccount(ctx, tenantq.InsertInvitedAccountParams{InvitationID: one.id, PersonID: person, Now: tx.Now()})
			if err != nil {
				return fmt.Errorf("insert invited account: %w", err)
			}
			if n == 0 {
				return ErrInvitationClosed
			}
		}
		return nil
	}, nil
}

// isFor is madeFor in a transaction of its own.
func (s *Service) isFor(ctx context.Context, person, invitation uuid.UUID) error {
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "console"})
	return s.store.ReadTenant(ctx, home, func(tx *db.TenantTx) error { return madeFor(ctx, tx, person, invitation) })
}

// madeFor refuses everybody else than who made an account by an invitation, once somebody
// has: ErrInvitationClosed. tx is of the reserved tenant.
func madeFor(ctx context.Context, tx *db.TenantTx, person, invitation uuid.UUID) error {
	made, err := tx.GetInvitedAccount(ctx, invitation)
	switch {
	case db.IsNoRows(err):
		return nil
	case err != nil:
		return fmt.Errorf("get invited account: %w", err)
	case made != person:
		return ErrInvitationClosed
	}
	return nil
}
