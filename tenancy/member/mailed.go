package member

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/mail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// InvitationMail is what the mail of an invitation says; joinURL is the page that takes its
// token, without it. It is empty for one that is not to be sent: accepted, taken back, over,
// sent already, or of no address.
func (s *Service) InvitationMail(ctx context.Context, sc scope.Scope, id uuid.UUID, joinURL string) (mail.Invitation, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return mail.Invitation{}, fmt.Errorf("keys: %w", err)
	}
	var out mail.Invitation
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetInvitation(ctx, id)
		if db.IsNoRows(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("get invitation: %w", err)
		}
		if row.EmailSealed == nil || !fromInvitation(row, tx.Now()).Open {
			return nil
		}
		address, err := ring.Open(emailField, id[:], row.EmailSealed)
		if err != nil {
			return errors.New("the address of an invitation does not open")
		}
		t, err := tx.GetTenant(ctx)
		if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		out = mail.Invitation{Address: string(address), Tenant: t.Name, Role: Role(row.Role).Label(), Link: joinURL + "#" + invitationToken(ring, sc.Tenant(), id)}
		return nil
	})
	return out, err
}

// InvitationMailed notes that the mail of an invitation was handed over, and forgets the
// address.
func (s *Service) InvitationMailed(ctx context.Context, sc scope.Scope, id uuid.UUID) error {
	return s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if err := tx.SetInvitationMailed(ctx, tenantq.SetInvitationMailedParams{ID: id, Now: tx.Now()}); err != nil {
			return fmt.Errorf("note a mail: %w", err)
		}
		return nil
	})
}

// MailsInvitations reports whether the link of an invitation can be sent by mail.
func (s *Service) MailsInvitations() bool { return s.mail.On() }
