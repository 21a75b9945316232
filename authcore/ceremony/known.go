package ceremony

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// known is a credential with its owner, as sign-in needs them, parsed once. It is
// shared and never changed. Its count, backup state and times are those of the day
// it was read: sign-ins do not announce themselves.
type known struct {
	key        webauthn.Key
	credential credential.Credential
	user       user.User
}

// lookup returns the credential that a response names, and caches it.
// credential.ErrNotFound for another tenant's too; webauthn.ErrMalformed when id and raw
// id differ, since the cache is filled by the one and Postgres asked by the other.
func (s *Service) lookup(ctx context.Context, sc scope.Scope, ring *keys.Ring, resp *webauthn.AssertionResponse) (*known, error) {
	if !names(resp) {
		return nil, webauthn.ErrMalformed
	}
	return s.known.Get(ctx, sc.Tenant(), resp.ID, func(ctx context.Context) (*known, error) {
		return s.load(ctx, sc, ring, resp.RawID)
	})
}

// names reports whether the response's two spellings of the credential ID agree.
func names(resp *webauthn.AssertionResponse) bool {
	var buf [128]byte // nearly every id's: no allocation
	return len(resp.RawID) > 0 && string(base64.RawURLEncoding.AppendEncode(buf[:0], resp.RawID)) == resp.ID
}

func (s *Service) load(ctx context.Context, sc scope.Scope, ring *keys.Ring, id []byte) (*known, error) {
	var row tenantq.GetCredentialForSignInRow
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		row, err = tx.GetCredentialForSignIn(ctx, id)
		return err
	})
	if db.IsNoRows(err) {
		return nil, credential.ErrNotFound
	} else if err != nil {
		return nil, fmt.Errorf("get credential: %w", err)
	}
	return fromRow(ring, row)
}

func fromRow(ring *keys.Ring, row tenantq.GetCredentialForSignInRow) (*known, error) {
	key, err := webauthn.ParsePublicKey(row.PublicKey)
	if err != nil {
		// It was accepted once: the row is damaged, and that is not the client's fault.
		return nil, fmt.Errorf("stored public key of credential %x: %v", row.ID, err) //nolint:errorlint // hides the fault from the edge
	}
	u, err := user.FromRow(ring, tenantq.GetUserRow{
		ID: row.UserID, Handle: row.Handle, ProfileSealed: row.ProfileSealed, State: row.UserState,
		CreatedAt: row.UserCreatedAt, UpdatedAt: row.UserUpdatedAt, Version: row.UserVersion,
	})
	if err != nil {
		return nil, err
	}
	return &known{key: key, user: u, credential: credential.FromRow(tenantq.Credential{
		ID: row.ID, UserID: row.UserID, State: row.State, SignCount: row.SignCount, BackedUp: row.BackedUp,
		BackupEligible: row.BackupEligible, LastUsedAt: row.LastUsedAt, Algorithm: row.Algorithm, Aaguid: row.Aaguid,
		AttestationFormat: row.AttestationFormat, AttestationType: row.AttestationType, Transports: row.Transports,
		Attachment: row.Attachment, Discoverable: row.Discoverable, Nickname: row.Nickname, RegisteredVia: row.RegisteredVia,
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, RevokedAt: row.RevokedAt, Version: row.Version,
		Trust: row.Trust, Certification: row.Certification, RegisteredAal: row.RegisteredAal, Lowered: row.Lowered,
		VouchedAt: row.VouchedAt, VouchedBy: row.VouchedBy, Disposition: row.Disposition, Extensions: row.Extensions, EvidenceID: row.EvidenceID,
	})}, nil
}
