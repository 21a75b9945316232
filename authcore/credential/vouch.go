package credential

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
	"github.com/biocore-id/biocore/tenancy/scope"
)

// VouchRequest says for which credential somebody vouches, and who.
type VouchRequest struct {
	ID     ID
	Reason string // for the audit log; required where the caller vouches itself

	// Session of the credential's user, signed in with a strong credential, in which
	// the user has confirmed this one. Nil: the caller vouches.
	Session *uuid.UUID
}

// Vouch ends a credential's lowered assurance, and returns it: somebody says that it is
// its user's. Vouching for one that is not lowered changes nothing. ErrNotFound also for
// another tenant's, ErrRevoked, ErrReason; ErrVoucher for a session that is not the
// user's, has ended, is older than the policy's strongSignInMaxAgeSeconds or below AAL2, and for
// one whose credential is this one, younger than it, not active, lowered, or recovered.
func (s *Service) Vouch(ctx context.Context, sc scope.Scope, req VouchRequest) (Credential, error) {
	if !audit.IsReason(req.Reason) && (req.Session == nil || req.Reason != "") {
		return Credential{}, ErrReason
	}
	snap, err := s.tenants.Current(ctx, sc)
	if err != nil {
		return Credential{}, fmt.Errorf("tenant: %w", err)
	}
	recent := time.Duration(snap.Policy.StrongSignInMaxAgeSeconds) * time.Second
	var c Credential
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// The voucher must not be revoked while it vouches; its user's row is its lock, too.
		row, err := lock(ctx, tx, req.ID)
		if err != nil {
			return err
		}
		if State(row.State) == Revoked {
			return ErrRevoked
		}
		if !row.Lowered {
			c = FromRow(row)
			tx.Result(c)
			return nil
		}
		by := sc.Actor().String()
		if req.Session != nil {
			voucher, err := voucherOf(ctx, tx, *req.Session, row, recent)
			if err != nil {
				return err
			}
			by = "credential:" + ID(voucher).String()
		}
		row, err = tx.VouchForCredential(ctx, tenantq.VouchForCredentialParams{ID: row.ID, Now: tx.Now(), VouchedBy: by})
		if err != nil {
			return fmt.Errorf("vouch for credential: %w", err)
		}
		c = FromRow(row)
		tx.Result(c)
		return record(ctx, tx, row, audit.Entry{
			Action: "credential.vouch", Reason: req.Reason,
			Detail: []attr.Attr{attr.Text("via", string(c.RegisteredVia)), attr.Text("vouchedBy", by)},
		}, event.CredentialVouched)
	})
	return c, err
}

// voucherOf returns the credential that a session was opened with, if the two are strong
// enough to vouch for row. ErrVoucher with the cause in its metadata.
func voucherOf(ctx context.Context, tx *db.TenantTx, id uuid.UUID, row tenantq.Credential, recent time.Duration) ([]byte, error) {
	weak := func(why string) ([]byte, error) { return nil, ErrVoucher.With("cause", why) }
	sess, err := tx.GetSession(ctx, id)
	switch now := tx.Now(); {
	case db.IsNoRows(err), err == nil && sess.UserID != row.UserID:
		return weak("SESSION_UNKNOWN")
	case err != nil:
		return nil, fmt.Errorf("get session: %w", err)
	case sess.RevokedAt != nil, !now.Before(sess.ExpiresAt):
		return weak("SESSION_ENDED")
	case now.Sub(sess.CreatedAt) > recent:
		return weak("SIGN_IN_TOO_OLD")
	case sess.Aal < 2 || !sess.UserVerified:
		return weak("SIGN_IN_TOO_WEAK")
	}
	by, err := tx.GetCredential(ctx, sess.CredentialID)
	switch via := Via(by.RegisteredVia); {
	case err != nil:
		return nil, fmt.Errorf("get the session's credential: %w", err) // sessions end with it
	case State(by.State) != Active, by.Lowered, via == ViaRecoveryCode, via == ViaEnrollmentLink:
		return weak("CREDENTIAL_TOO_WEAK")
	case !by.CreatedAt.Before(row.CreatedAt): // the credential itself is among these
		return weak("CREDENTIAL_TOO_YOUNG")
	}
	return by.ID, nil
}
