package ceremony

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/risk"
)

// assess says how unusual the sign-in is, where the tenant wants to know.
func (s *Service) assess(ctx context.Context, in *signIn) error {
	if s.risk == nil {
		return nil
	}
	c := &in.known.credential
	var err error
	in.risk, err = s.risk.Assess(ctx, in.scope, &risk.Attempt{
		ID: in.id, UserAgent: in.client.UserAgent, User: in.known.user.ID.UUID(), At: in.at, Address: in.client.Address, Device: in.client.Device(), Purpose: in.begun.purpose,
		UserVerified: in.assertion.Flags.UserVerified(), BackedUp: in.assertion.Flags.BackedUp(), AAL: int(in.assurance().AAL), Caller: in.signals,
		Credential: &risk.Credential{
			CreatedAt: c.CreatedAt, Model: c.AAGUID, Adverse: c.Disposition != "", SignCount: in.assertion.SignCount, LastCount: c.SignCount,
		},
	})
	if err != nil {
		return fmt.Errorf("assess: %w", err)
	}
	return nil
}

// learn notes a sign-in that was let in.
func (s *Service) learn(in *signIn) {
	if s.risk != nil {
		s.risk.Learn(in.scope, in.risk)
	}
}

// failed notes a sign-in that broke the protocol: whose it was, as far as anybody knows, and where from. One that came too
// late says nothing of its sender.
func (s *Service) failed(ctx context.Context, in *signIn, err error) {
	if _, ok := tells(err); !ok || s.risk == nil || !in.opened || errors.Is(err, ErrChallengeExpired) {
		return
	}
	var user uuid.UUID
	switch {
	case in.known != nil:
		user = in.known.user.ID.UUID()
	case in.begun.identified && !in.begun.fake:
		user = in.begun.user.UUID()
	}
	s.risk.Failed(ctx, in.scope, user, in.client.Address)
}
