package credential

import (
	"context"
	"fmt"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Signals is what the browser's Signal API needs to bring a user's authenticators up
// to date (WebAuthn L3 #sctn-signal-methods): the arguments of
// signalAllAcceptedCredentials and of signalCurrentUserDetails.
//
// signalUnknownCredential has none of its own here: its argument is the id of the
// credential that a sign-in has just been refused for.
type Signals struct {
	RPID       string
	UserHandle []byte // goes out as userId

	// Accepted are all credentials but the revoked ones. An authenticator hides those
	// that are missing, and a suspended one is to come back.
	Accepted []ID

	Name        string
	DisplayName string // may be empty
}

// Signals returns what a page of the RP should signal for a user, blocked or not.
// user.ErrNotFound.
func (s *Service) Signals(ctx context.Context, sc scope.Scope, id user.ID) (Signals, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return Signals{}, fmt.Errorf("keys: %w", err)
	}
	var out Signals
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		tenant, err := tx.GetTenant(ctx)
		if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		row, err := tx.GetUser(ctx, id.UUID())
		if db.IsNoRows(err) {
			return user.ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get user: %w", err)
		}
		u, err := user.FromRow(ring, row)
		if err != nil {
			return err
		}
		kept, err := tx.ListDescriptorsOfUser(ctx, id.UUID())
		if err != nil {
			return fmt.Errorf("list descriptors: %w", err)
		}
		out = Signals{
			RPID: tenant.RpID, UserHandle: u.Handle, Name: u.Name, DisplayName: u.DisplayName,
			Accepted: make([]ID, len(kept)),
		}
		for i, c := range kept {
			out.Accepted[i] = ID(c.ID)
		}
		return nil
	})
	return out, err
}
