package ceremony

import (
	"context"
	"crypto/sha256"
	"encoding/base64"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// mayBegin counts a sign-in that is begun for a name, by what its made-up credentials are made
// of: nothing is looked up, so that a name which nobody has is counted, and refused, like any
// other. Whoever knows a name can hold up the sign-ins that name it, and not those that name
// nobody. ratelimit.ErrLimited.
func (s *Service) mayBegin(ctx context.Context, sc scope.Scope, snap *tenant.Snapshot, root user.ID) error {
	if s.limits == nil {
		return nil
	}
	return s.limits.Check(ctx, sc, ratelimit.Ask{Limit: snap.Limits.Of(&ratelimit.PerUser), ID: root.String(), Quiet: true})
}

// mayFinish counts a sign-in whose signature has been verified, so that nobody but the
// authenticator itself uses up the limit of its credential. The challenge is not spent.
// ratelimit.ErrLimited.
func (s *Service) mayFinish(ctx context.Context, in *signIn) error {
	if s.limits == nil {
		return nil
	}
	sum := sha256.Sum256(in.assertion.CredentialID) // an id may be a kilobyte long
	return s.limits.Check(ctx, in.scope, ratelimit.Ask{
		Limit: in.snap.Limits.Of(&ratelimit.PerCredential), ID: base64.RawURLEncoding.EncodeToString(sum[:16]), Quiet: true,
	})
}
