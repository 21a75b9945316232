package ceremony

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// registrationToken lets a browser enroll one credential for one user.
type registrationToken struct {
	ID        uuid.UUID     `json:"i"`           // is spent
	User      *uuid.UUID    `json:"u,omitempty"` // an existing user, or
	Profile   *user.Profile `json:"p,omitempty"` // one by external id
	RPID      string        `json:"r"`
	ExpiresAt time.Time     `json:"e"`

	// Of the session that vouched as well; zero without one.
	Session      uuid.UUID `json:"v,omitzero"`
	SessionAAL   uint8     `json:"a,omitempty"`
	SessionSince time.Time `json:"s,omitzero"`

	Recovery bool `json:"-"` // ID is a recovery's, in whose row the rest stands
}

// session is what vouched when the token was made.
func (t *registrationToken) session() *vouch {
	if t.SessionAAL == 0 || t.User == nil {
		return nil
	}
	return &vouch{id: t.Session, user: user.ID(*t.User), aal: t.SessionAAL, since: t.SessionSince}
}

// hash is what is kept of a registration token that was used.
func (t *registrationToken) hash() [32]byte {
	return sha256.Sum256(append([]byte("biocore registration token\x00"), t.ID[:]...))
}

// CreateRegistrationToken makes a token that lets a browser with only the publishable
// key enroll one credential for one user. For callers with a server key, which vouch
// for the person. ErrSubject, ErrLife, user.ErrNotFound, user.ErrBlocked,
// user.ErrExternalID, user.ErrName, tenant.ErrSuspended, tenant.ErrQuotaExceeded, db.ErrUnavailable.
func (s *Service) CreateRegistrationToken(ctx context.Context, sc scope.Scope, req RegistrationTokenRequest) (RegistrationToken, error) {
	ring, snap, err := s.tenant(ctx, sc)
	if err == nil {
		err = snap.Exceeds(tenant.Enrolling)
	}
	if err != nil {
		return RegistrationToken{}, err
	}
	if (req.UserID == nil) == (req.User == nil) {
		return RegistrationToken{}, ErrSubject
	}
	session, err := s.vouching(ctx, sc, req.AccessToken)
	if err != nil {
		return RegistrationToken{}, err
	}
	if req.Life == 0 {
		req.Life = defaultTokenLife
	}
	if req.Life < minTokenLife || req.Life > maxTokenLife {
		return RegistrationToken{}, ErrLife
	}
	id, err := mint(s.store.Now())
	if err != nil {
		return RegistrationToken{}, err
	}
	token := registrationToken{ID: id, RPID: snap.RPID, ExpiresAt: s.store.Now().Add(req.Life)}
	if req.User != nil {
		clean, err := req.User.Clean()
		if err != nil {
			return RegistrationToken{}, err
		}
		token.Profile = &clean
	}
	var holder *uuid.UUID
	if err := s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		holder = nil // this may be the second run
		u, err := tokenHolder(ctx, tx, ring, req.UserID, token.Profile)
		detail := []attr.Attr{attr.Int("lifeSeconds", int64(req.Life/time.Second))}
		switch {
		case errors.Is(err, user.ErrNotFound) && req.User != nil && session == nil: // created when the registration finishes
		case err != nil:
			return err
		case u.State != user.Active:
			return user.ErrBlocked
		case session != nil && session.user != u.ID:
			return ErrSubject // somebody else's session
		default:
			id := u.ID.UUID()
			holder, detail = &id, append(detail, attr.UUID("userId", id))
		}
		return audit.Append(ctx, tx, audit.Entry{
			Action: actionToken, Target: audit.Target{Kind: "registration_token", ID: id.String()}, Detail: detail,
		})
	}); err != nil {
		return RegistrationToken{}, err
	}
	// Whoever exists by now is meant by id. A token with a profile is for a newcomer
	// and for nobody else: if somebody takes the external id first, it is theirs.
	if holder != nil {
		token.User, token.Profile = holder, nil
	}
	if session != nil {
		token.Session, token.SessionAAL, token.SessionSince = session.id, session.aal, session.since
	}
	text, err := seal(ring, sealRegistrationToken, token)
	if err != nil {
		return RegistrationToken{}, err
	}
	return RegistrationToken{Token: text, ExpiresAt: token.ExpiresAt}, nil
}

// Bounds of a registration token's life: partitions of spent rows are made further
// ahead than the longest.
const (
	minTokenLife     = time.Minute
	maxTokenLife     = 24 * time.Hour
	defaultTokenLife = time.Hour
)

func tokenHolder(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, id *user.ID, p *user.Profile) (user.User, error) {
	if id != nil {
		return get(ctx, tx, ring, *id)
	}
	return user.Find(ctx, tx, ring, p.ExternalID)
}

func (s *Service) openRegistrationToken(ring *keys.Ring, snap *tenant.Snapshot, text string) (*registrationToken, error) {
	if id, ok := openRecoveryToken(ring, text); ok {
		return &registrationToken{ID: id, Recovery: true}, nil
	}
	var t registrationToken
	if err := open(ring, sealRegistrationToken, text, &t); errors.Is(err, keys.ErrToken) {
		return nil, ErrRegistrationToken
	} else if err != nil {
		return nil, err
	}
	if (t.User == nil) == (t.Profile == nil) || t.RPID != snap.RPID {
		return nil, ErrRegistrationToken
	}
	if !s.store.Now().Before(t.ExpiresAt) {
		return nil, ErrRegistrationExpired
	}
	return &t, nil
}
