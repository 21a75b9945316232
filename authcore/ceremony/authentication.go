package ceremony

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// BeginAuthentication returns the options for navigator.credentials.get. For a
// discoverable sign-in it touches no store. For a user it reads that user's
// credentials; people who do not exist or have none are shown made-up ones, in an
// answer of the same form and from the same work.
//
// tenant.ErrSuspended, tenant.ErrQuotaExceeded; ErrPolicy when the request asks for less than the policy;
// ErrPurpose; webauthn.ErrExtension; ErrSubject when it names the user twice; ErrStepUpToken; with a user,
// ratelimit.ErrLimited and db.ErrUnavailable.
func (s *Service) BeginAuthentication(ctx context.Context, sc scope.Scope, req BeginAuthenticationRequest) (BegunAuthentication, error) {
	ring, snap, err := s.tenant(ctx, sc)
	if err == nil {
		err = snap.Exceeds(tenant.SigningIn)
	}
	if err != nil {
		return BegunAuthentication{}, err
	}
	verification, err := tighten("userVerification", requirements, string(snap.Policy.UserVerification), req.UserVerification)
	if err != nil {
		return BegunAuthentication{}, err
	}
	if err := checkPurpose(req.Purpose); err != nil {
		return BegunAuthentication{}, err
	}
	a := authentication{policyVersion: snap.PolicyVersion, purpose: req.Purpose, issuedAt: s.store.Now()}
	a.expiresAt = a.issuedAt.Add(snap.Policy.AuthenticationTimeout())
	if a.challenge, err = s.newChallenge(); err != nil {
		return BegunAuthentication{}, err
	}
	var allowed []webauthn.Descriptor
	named := req.UserID != "" || req.ExternalID != ""
	switch {
	case req.UserID != "" && req.ExternalID != "", req.StepUpToken != "" && named:
		return BegunAuthentication{}, ErrSubject
	case req.StepUpToken != "":
		if verification, err = a.continueFrom(ring, req.StepUpToken); err != nil {
			return BegunAuthentication{}, err
		}
		named, req.UserID = true, a.user.String()
	}
	if named {
		if allowed, err = s.identify(ctx, sc, ring, snap, &a, req); err != nil {
			return BegunAuthentication{}, err
		}
	}
	extensions, err := webauthn.RequestExtensions(req.Extensions, len(allowed) > 0)
	if err != nil {
		return BegunAuthentication{}, err
	}
	a.requireUV = verification == webauthn.Required
	if s.tail.Watched(sc.Tenant()) {
		s.tellSignIn(sc, &a)
	}
	return BegunAuthentication{
		ID:        a.seal(ring),
		ExpiresAt: a.expiresAt,
		Options: webauthn.RequestOptions{
			Challenge: a.challenge[:], Timeout: snap.Policy.AuthenticationTimeout(), RPID: snap.RPID,
			AllowCredentials: allowed, UserVerification: verification, Extensions: extensions, Hints: snap.Policy.Hints,
		},
	}, nil
}

// tenant returns the keys of a tenant that works and whose domain is its own, and how it is
// configured.
func (s *Service) tenant(ctx context.Context, sc scope.Scope) (*keys.Ring, *tenant.Snapshot, error) {
	snap, err := s.tenants.Current(ctx, sc)
	if err != nil {
		return nil, nil, fmt.Errorf("tenant: %w", err)
	}
	if err := snap.Usable(); err != nil {
		return nil, nil, err
	}
	if err := snap.MayRunCeremonies(); err != nil {
		return nil, nil, err
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return nil, nil, fmt.Errorf("keys: %w", err)
	}
	if s.risk != nil { // so that whoever finishes first, and as whom, asks no more than the next
		if _, err := s.risk.Ruleset(ctx, sc); err != nil {
			return nil, nil, fmt.Errorf("risk rules: %w", err)
		}
	}
	return ring, snap, nil
}

// identify binds a to the user that the request names, and returns the credentials
// that may answer: the user's that are not revoked, the newest first, else fakes.
// Both are made for everybody, so that they take the same time.
func (s *Service) identify(
	ctx context.Context, sc scope.Scope, ring *keys.Ring, snap *tenant.Snapshot, a *authentication, req BeginAuthenticationRequest,
) ([]webauthn.Descriptor, error) {
	kind, name := "user", req.UserID
	if req.ExternalID != "" {
		kind, name = "external", req.ExternalID
	} else if id, err := user.ParseID(req.UserID); err == nil {
		name = id.String() // a user is shown one list, however the id is spelled
	}
	fakes, root := fakesOf(ring, kind, name)
	if err := s.mayBegin(ctx, sc, snap, root); err != nil {
		return nil, err
	}
	var rows []tenantq.ListDescriptorsOfUserRow
	var id user.ID
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if id, err = subject(ctx, tx, ring, req); err != nil {
			return err
		}
		rows, err = tx.ListDescriptorsOfUser(ctx, id.UUID())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the user's credentials: %w", err)
	}
	a.identified = true
	if len(rows) == 0 {
		a.fake, a.user = true, root
		return fakes, nil
	}
	a.user = id
	return descriptors(rows), nil
}

// subject returns the id of the user that the request names, and one that nobody has
// when there is none.
func subject(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, req BeginAuthenticationRequest) (user.ID, error) {
	if req.ExternalID != "" {
		id, err := user.FindID(ctx, tx, ring, req.ExternalID)
		if err != nil && !isUnknown(err) {
			return user.ID{}, err
		}
		return id, nil
	}
	id, err := user.ParseID(req.UserID)
	if err != nil {
		id = user.ID(uuid.Max)
	}
	named := id.UUID()
	if _, err := tx.FindUserID(ctx, tenantq.FindUserIDParams{ID: &named}); err != nil && !db.IsNoRows(err) {
		return user.ID{}, err
	}
	return id, nil // credentials are what counts: a user without any is as unknown as nobody
}

func descriptors(rows []tenantq.ListDescriptorsOfUserRow) []webauthn.Descriptor {
	out := make([]webauthn.Descriptor, len(rows))
	for i, row := range rows {
		out[i] = webauthn.Descriptor{ID: row.ID, Transports: row.Transports}
	}
	return out
}
