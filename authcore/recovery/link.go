package recovery

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// LinkRequest says for whom an enrollment link is, and why.
type LinkRequest struct {
	UserID user.ID
	Life   time.Duration // one minute to seven days; 0 means a day
	Reason string        // required: it stands in the audit log
}

// CreateLink makes a recovery by an administrator's word. One that support makes ends with
// their access. credential.ErrReason, ErrLife, user.ErrNotFound, user.ErrBlocked.
func (s *Service) CreateLink(ctx context.Context, sc scope.Scope, req LinkRequest) (Grant, error) {
	ring, snap, err := s.tenant(ctx, sc)
	if err != nil {
		return Grant{}, err
	}
	if req.Life == 0 {
		req.Life = defaultLinkLife
	}
	switch {
	case req.Life < minLinkLife || req.Life > maxLinkLife:
		return Grant{}, ErrLife
	case !audit.IsReason(req.Reason):
		return Grant{}, credential.ErrReason
	}
	id, err := mint()
	if err != nil {
		return Grant{}, err
	}
	var made Recovery
	if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if err := lockUser(ctx, tx, req.UserID); err != nil {
			return err
		}
		expires := tx.Now().Add(req.Life)
		if by := sc.Support(); by.GrantID != uuid.Nil { // no link outlives the access by which it was made
			end, err := tx.GetSupportGrantEnd(ctx, by.GrantID)
			if err != nil {
				return fmt.Errorf("get the grant's end: %w", err)
			}
			if end.Before(expires) {
				expires = end
			}
		}
		made, err = insert(ctx, tx, snap, tenantq.InsertRecoveryParams{
			ID: id, UserID: req.UserID.UUID(), Kind: string(ByLink), Reason: req.Reason, ExpiresAt: expires,
		}, "recovery.link_create")
		return err
	}); err != nil {
		return Grant{}, err
	}
	g := grant(ring, made)
	if page := snap.PasskeyEndpoints.Enroll; page != "" && !strings.Contains(page, "#") {
		g.URL = page + "#registrationToken=" + g.Token
	}
	return g, nil
}
