// Package credential keeps the public key credentials (people call them passkeys)
// of a tenant's users: what a ceremony has registered and what may still sign in.
//
// A credential lives ACTIVE ⇄ SUSPENDED → REVOKED. Revocation is for good, and the
// row stays, because audit entries point at it; only the erasure of its user
// deletes it. Whoever counts or changes a user's credentials holds the user's row.
package credential

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound = fault.New(fault.NotFound, "CREDENTIAL_UNKNOWN", "no such credential")
	ErrLast     = fault.New(fault.Precondition, "LAST_CREDENTIAL", "this is the user's last credential")
	ErrRevoked  = fault.New(fault.Precondition, "CREDENTIAL_REVOKED", "this credential is revoked")
	ErrReason   = fault.New(fault.Invalid, "REASON_REQUIRED", "say why: a reason of 1 to 256 characters")
	ErrVoucher  = fault.New(fault.Precondition, "VOUCHER_TOO_WEAK", "this session does not vouch: it takes a recent sign-in with user verification, by another passkey of the user's that is older and was itself not recovered")
	ErrNickname = fault.New(fault.Invalid, "NICKNAME_INVALID", "a nickname is text of at most 64 characters")
)

// Options configures a Service.
type Options struct {
	Store *db.Store     // required
	Keys  *keys.Service // required: names are sealed, page tokens too

	Tenants *tenant.Service // required by Vouch: the policy says how recent a sign-in must be

	// Reported returns the models that the FIDO Metadata Service speaks against now, for List
	// to filter by. Nil: none is known.
	Reported func() []uuid.UUID
}

// Service keeps credentials. It is safe for concurrent use.
type Service struct {
	store   *db.Store
	keys    *keys.Service
	tenants *tenant.Service

	reported func() []uuid.UUID
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{store: o.Store, keys: o.Keys, tenants: o.Tenants, reported: o.Reported}
	if s.reported == nil {
		s.reported = func() []uuid.UUID { return nil }
	}
	return s
}

// Get returns one credential, in any state. ErrNotFound also for another tenant's.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id ID) (Credential, error) {
	var c Credential
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetCredential(ctx, id.Bytes())
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get credential: %w", err)
		}
		c = FromRow(row)
		return nil
	})
	return c, err
}

// RenameRequest gives a credential a nickname.
type RenameRequest struct {
	ID       ID
	Nickname string // see CleanNickname; empty removes it
	IfMatch  string // an etag that must still be current; empty for any
}

// Rename sets what the user calls a credential, in any state, and returns it. The
// same name again leaves no trace. ErrNotFound, ErrNickname, etag.ErrMismatch.
func (s *Service) Rename(ctx context.Context, sc scope.Scope, req RenameRequest) (Credential, error) {
	nickname, err := CleanNickname(req.Nickname)
	if err != nil {
		return Credential{}, err
	}
	var renamed Credential
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Without the lock two renames that hold the same etag would both go through.
		row, err := lock(ctx, tx, req.ID)
		if err != nil {
			return err
		}
		renamed = FromRow(row)
		if err := etag.Match(req.IfMatch, renamed.ETag); err != nil {
			return err
		}
		if row.Nickname != nickname {
			row, err = tx.RenameCredential(ctx, tenantq.RenameCredentialParams{ID: row.ID, Nickname: nickname, Now: tx.Now()})
			if err != nil {
				return fmt.Errorf("rename credential: %w", err)
			}
			renamed = FromRow(row)
			// A nickname may name a person: the log says that it changed, not to what.
			if err := record(ctx, tx, row, audit.Entry{
				Action: "credential.update", Detail: []attr.Attr{attr.Texts("fields", []string{"nickname"})},
			}, event.CredentialUpdated); err != nil {
				return err
			}
		}
		tx.Result(renamed)
		return nil
	})
	return renamed, err
}

// RevokeRequest names a credential to revoke.
type RevokeRequest struct {
	ID        ID
	Reason    string // for the audit log; may be empty
	AllowLast bool   // also when it leaves the user with none
}

// Revoke stops a credential from signing its user in, for good, ends the sessions
// that it began, and returns it. The row stays, because audit entries point at it.
// Revoking twice keeps the first time. ErrNotFound also for another tenant's; ErrLast
// when the user would be left with none that can sign in and req.AllowLast is false.
// Afterwards the RP's page should call signalUnknownCredential, so that the
// authenticator stops offering it (WebAuthn L3 #sctn-signalUnknownCredential).
func (s *Service) Revoke(ctx context.Context, sc scope.Scope, req RevokeRequest) (Credential, error) {
	var revoked Credential
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two revocations at once could each count the other's credential and together
		// leave none, so the owning user's row is the lock.
		row, err := lock(ctx, tx, req.ID)
		if err != nil {
			return err
		}
		if State(row.State) == Revoked {
			revoked = FromRow(row)
			tx.Result(revoked)
			return nil
		}
		if !req.AllowLast {
			if last, err := isLast(ctx, tx, row); err != nil {
				return err
			} else if last {
				return ErrLast
			}
		}
		now := tx.Now()
		if row, err = tx.RevokeCredential(ctx, tenantq.RevokeCredentialParams{ID: row.ID, Now: &now}); err != nil {
			return fmt.Errorf("revoke credential: %w", err)
		}
		// After the credential: a sign-in under way holds its row, so its session is
		// committed by now and ends with the others, or it finds the credential revoked.
		ended, err := tx.RevokeSessionsOfCredential(ctx, tenantq.RevokeSessionsOfCredentialParams{
			UserID: row.UserID, CredentialID: row.ID, Now: now, Reason: "credential revoked",
		})
		if err != nil {
			return fmt.Errorf("revoke sessions: %w", err)
		}
		if len(ended) > 0 {
			if err := tx.Changed(ctx, db.NounSession, ""); err != nil { // many: all of the tenant's are read again
				return err
			}
		}
		revoked = FromRow(row)
		tx.Result(revoked)
		return record(ctx, tx, row, audit.Entry{
			Action: "credential.revoke", Reason: req.Reason,
			Detail: []attr.Attr{attr.Int("sessionsRevoked", int64(len(ended)))},
		}, event.CredentialRevoked)
	})
	return revoked, err
}

// isLast reports whether revoking row would leave its user with nothing to sign in
// with: of an active credential, no other active one; of a suspended one, which
// signs nobody in, no other that is active or can be resumed. Under lock.
func isLast(ctx context.Context, tx *db.TenantTx, row tenantq.Credential) (bool, error) {
	if State(row.State) == Active {
		live, err := tx.CountLiveCredentials(ctx, row.UserID)
		if err != nil {
			return false, fmt.Errorf("count live credentials: %w", err)
		}
		return live == 1, nil
	}
	kept, err := tx.CountKeptCredentials(ctx, row.UserID)
	if err != nil {
		return false, fmt.Errorf("count kept credentials: %w", err)
	}
	return kept == 1, nil
}

// StateRequest names a credential to suspend or to resume.
type StateRequest struct {
	ID     ID
	Reason string // for the audit log; may be empty
}

// Suspend stops a credential from signing its user in until it is resumed, the last
// one too: that can be taken back. Sessions that it began stay open. Suspending a
// suspended credential changes nothing. ErrNotFound, ErrRevoked.
func (s *Service) Suspend(ctx context.Context, sc scope.Scope, req StateRequest) (Credential, error) {
	return s.setState(ctx, sc, req, Suspended, "credential.suspend", event.CredentialSuspended)
}

// Resume lets a suspended credential sign in again. Resuming an active credential
// changes nothing. ErrNotFound, ErrRevoked.
func (s *Service) Resume(ctx context.Context, sc scope.Scope, req StateRequest) (Credential, error) {
	return s.setState(ctx, sc, req, Active, "credential.resume", event.CredentialResumed)
}

func (s *Service) setState(ctx context.Context, sc scope.Scope, req StateRequest, to State, action string, typ event.Type) (Credential, error) {
	var c Credential
	err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// A revocation under way counts this one among the live.
		row, err := lock(ctx, tx, req.ID)
		if err != nil {
			return err
		}
		if State(row.State) == Revoked {
			return ErrRevoked
		}
		if State(row.State) != to {
			row, err = tx.SetCredentialState(ctx, tenantq.SetCredentialStateParams{ID: row.ID, State: string(to), Now: tx.Now()})
			if err != nil {
				return fmt.Errorf("set credential state: %w", err)
			}
			if err := record(ctx, tx, row, audit.Entry{Action: action, Reason: req.Reason}, typ); err != nil {
				return err
			}
		}
		c = FromRow(row)
		tx.Result(c)
		return nil
	})
	return c, err
}

// lock takes the owning user's row, which is the lock of all the user's credentials,
// and then reads the credential. ErrNotFound when there is none.
func lock(ctx context.Context, tx *db.TenantTx, id ID) (tenantq.Credential, error) {
	if _, err := tx.LockUserOfCredential(ctx, id.Bytes()); db.IsNoRows(err) {
		return tenantq.Credential{}, ErrNotFound
	} else if err != nil {
		return tenantq.Credential{}, fmt.Errorf("lock user: %w", err)
	}
	row, err := tx.GetCredential(ctx, id.Bytes()) // read again under the lock
	if db.IsNoRows(err) {
		return tenantq.Credential{}, ErrNotFound // its user was erased while we waited
	} else if err != nil {
		return tenantq.Credential{}, fmt.Errorf("get credential: %w", err)
	}
	return row, nil
}

// record tells every server that the credential changed, and appends what was done:
// the audit entry and the event.
func record(ctx context.Context, tx *db.TenantTx, row tenantq.Credential, e audit.Entry, typ event.Type) error {
	id := ID(row.ID)
	if err := tx.Changed(ctx, db.NounCredential, id.String()); err != nil {
		return err
	}
	if err := tx.Changed(ctx, db.NounUser, row.UserID.String()); err != nil { // what the user may sign in with
		return err
	}
	e.Target = audit.Target{Kind: "credential", ID: id.String()}
	e.Detail = append([]attr.Attr{attr.UUID("userId", row.UserID)}, e.Detail...)
	if err := audit.Append(ctx, tx, e); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{Type: typ, UserID: row.UserID, CredentialID: row.ID})
}
