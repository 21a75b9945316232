package ceremony

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// The sealed things that a client carries from one call to another. Each has a
// purpose of its own, so that none passes for another, and an expiry within.
const (
	sealStepUp            keys.Purpose = "step up"
	sealRegistrationToken keys.Purpose = "registration token"
)

// stepUpToken lets somebody go on after a sign-in that was decided StepUp.
type stepUpToken struct {
	User      uuid.UUID `json:"u"`
	Purpose   string    `json:"p,omitempty"`
	ExpiresAt time.Time `json:"e"`
}

// continueFrom makes a the continuation that a step-up token allows, and returns the
// user verification that it takes.
func (a *authentication) continueFrom(ring *keys.Ring, token string) (string, error) {
	var t stepUpToken
	if err := open(ring, sealStepUp, token, &t); err != nil || !a.issuedAt.Before(t.ExpiresAt) {
		return "", ErrStepUpToken
	}
	a.steppedUp, a.user = true, user.ID(t.User)
	if a.purpose == "" {
		a.purpose = t.Purpose
	}
	return webauthn.Required, nil
}

// seal returns v as a token for purpose p.
func seal(ring *keys.Ring, p keys.Purpose, v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", p, err)
	}
	return base64.RawURLEncoding.EncodeToString(ring.SealToken(p, nil, plain)), nil
}

// maxTokenBytes bounds what is decoded at all: a registration token with the longest
// names is half of it.
const maxTokenBytes = 16 << 10

// open fills v with what seal was given. keys.ErrToken for everything else.
func open(ring *keys.Ring, p keys.Purpose, token string, v any) error {
	if len(token) > maxTokenBytes {
		return keys.ErrToken
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return keys.ErrToken
	}
	plain, err := ring.OpenToken(p, sealed)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("decode %s: %w", p, err)
	}
	return nil
}
