package ceremony

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// A recovery's token is a registration token whose promises stand in the recovery's row
// and not in the token: it may live longer than the data key that would have sealed it,
// it is taken back by a word in the row, and it works only once somebody has approved.
// What is lost with the passkeys is proof, so the passkey that comes of it is lowered.

// Errors of registrations by a recovery's token, beside those of any registration token.
var (
	ErrRecoveryPending = fault.New(fault.Precondition, "RECOVERY_PENDING", "this recovery waits for a second person's approval")
	ErrRecoveryClosed  = fault.New(fault.Precondition, "RECOVERY_CLOSED", "this recovery was refused or revoked")
)

// Kinds and states of recoveries, as they stand in rows: package recovery tells what
// they mean.
const (
	recoveryByCode    = "CODE"
	recoveryPending   = "PENDING"
	recoveryOpen      = "OPEN"
	recoveryCompleted = "COMPLETED"
)

// actionRecover is recorded beside the registration.
const actionRecover = "recovery.complete"

// macRecovery makes the tokens of recoveries.
const macRecovery keys.Purpose = "recovery token"

// A recovery's token is its id and the MAC of it: shorter than anything that is sealed,
// which is how the two kinds of registration tokens are told apart.
const recoveryTokenBytes = 16 + 32

// RecoveryToken returns the registration token of a recovery: the same each time.
func RecoveryToken(ring *keys.Ring, id uuid.UUID) string {
	mac := ring.MAC(macRecovery, id[:])
	return base64.RawURLEncoding.EncodeToString(append(id[:], mac[:]...))
}

// openRecoveryToken returns the recovery whose token text is; false for everything else.
func openRecoveryToken(ring *keys.Ring, text string) (uuid.UUID, bool) {
	if len(text) != base64.RawURLEncoding.EncodedLen(recoveryTokenBytes) {
		return uuid.Nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != recoveryTokenBytes { // the decoder skips over line breaks
		return uuid.Nil, false
	}
	mac := ring.MAC(macRecovery, raw[:16])
	return uuid.UUID(raw[:16]), hmac.Equal(raw[16:], mac[:])
}

// admit judges whether a recovery lets its user enroll now.
func admit(row *tenantq.Recovery, snap *tenant.Snapshot, now time.Time) error {
	open := row.State == recoveryPending || row.State == recoveryOpen
	switch {
	case row.RpID != snap.RPID:
		return ErrRegistrationToken
	case row.State == recoveryCompleted:
		return ErrRegistrationSpent
	case open && !now.Before(row.ExpiresAt):
		return ErrRegistrationExpired
	case row.State == recoveryPending:
		return ErrRecoveryPending
	case row.State == recoveryOpen:
		return nil
	}
	return ErrRecoveryClosed
}

// begin binds r to a recovery that lets its user enroll, and returns who that is.
func (r *registration) begin(ctx context.Context, tx *db.TenantTx, snap *tenant.Snapshot) (uuid.UUID, error) {
	row, err := tx.GetRecovery(ctx, *r.Recovery)
	if db.IsNoRows(err) {
		return uuid.Nil, ErrRegistrationToken // erased with its user
	} else if err != nil {
		return uuid.Nil, fmt.Errorf("get recovery: %w", err)
	}
	if err := admit(&row, snap, tx.Now()); err != nil {
		return uuid.Nil, err
	}
	r.TokenExpiry, r.Via = &row.ExpiresAt, string(credential.ViaEnrollmentLink)
	if row.Kind == recoveryByCode {
		r.Via = string(credential.ViaRecoveryCode)
	}
	return row.UserID, nil
}

// recover completes the recovery that the registration began with, whose one passkey
// this is. A concurrent finish waits here for this transaction to end. Under the user's
// lock, as the erasure of the user takes the two.
func (e *enrollment) recover(ctx context.Context, tx *db.TenantTx) error {
	row, err := tx.LockRecovery(ctx, *e.begun.Recovery)
	if db.IsNoRows(err) {
		return ErrRegistrationToken
	} else if err != nil {
		return fmt.Errorf("lock recovery: %w", err)
	}
	if err := admit(&row, e.snap, tx.Now()); err != nil {
		return err
	}
	if row.UserID != *e.begun.User {
		return ErrRegistrationToken // cannot happen: the registration is sealed
	}
	if err := tx.CompleteRecovery(ctx, tenantq.CompleteRecoveryParams{ID: row.ID, Now: tx.Now(), CredentialID: e.verified.CredentialID}); err != nil {
		return fmt.Errorf("complete recovery: %w", err)
	}
	id := credential.ID(e.verified.CredentialID)
	if err := audit.Append(ctx, tx, audit.Entry{
		Action: actionRecover, Target: audit.Target{Kind: "recovery", ID: row.ID.String()},
		Detail: []attr.Attr{attr.UUID("userId", row.UserID), attr.Text("credentialId", id.String())}, Subject: row.UserID,
	}); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{
		Type: event.RecoveryCompleted, UserID: row.UserID, CredentialID: id.Bytes(),
		Data: []attr.Attr{attr.UUID("recoveryId", row.ID), attr.Text("kind", row.Kind)},
	})
}
