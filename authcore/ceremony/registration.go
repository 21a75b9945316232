package ceremony

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// registration is what a registration promised when it began. It is kept in Redis,
// sealed: Redis is no place for names, and nothing that it may have made up opens.
type registration struct {
	ID            string         `json:"id"` // under which it is kept: a value moved to another id is refused
	Challenge     []byte         `json:"challenge"`
	Newcomer      *user.Newcomer `json:"newcomer,omitempty"` // created when it finishes, or
	User          *uuid.UUID     `json:"user,omitempty"`     // an existing user
	RPID          string         `json:"rpId"`
	PolicyVersion int            `json:"policyVersion"`
	Algorithms    []int32        `json:"algorithms"`
	RequireUV     bool           `json:"requireUv"`
	Conditional   bool           `json:"conditional,omitempty"`
	Attestation   string         `json:"attestation"` // conveyance that was asked for

	// Of the session that vouched, where one did. BySession: it alone named the user.
	BySession    bool      `json:"bySession,omitempty"`
	Session      uuid.UUID `json:"session,omitzero"`
	SessionAAL   uint8     `json:"sessionAal,omitempty"`
	SessionSince time.Time `json:"sessionSince,omitzero"`

	ExpiresAt time.Time `json:"expiresAt"`

	// Of the registration token that it began with; nil when a server key vouched.
	TokenHash   []byte     `json:"tokenHash,omitempty"`
	TokenExpiry *time.Time `json:"tokenExpiry,omitempty"`

	// Of the recovery whose token that is, and how it came about: see recovery.go.
	Recovery *uuid.UUID `json:"recovery,omitempty"`
	Via      string     `json:"via,omitempty"`
}

const (
	kindOfRegistration ephemeral.Kind = "registration"
	sealRegistration   keys.Purpose   = "registration"

	// afterlife keeps a registration past its end, so that whoever is late or comes
	// twice is told so. The spent row is what keeps it from happening twice.
	afterlife = 10 * time.Minute
)

// hash is what is kept of the spent challenge.
func (r *registration) hash() [32]byte { return sha256.Sum256(r.Challenge) }

// BeginRegistration returns the options for navigator.credentials.create. An existing
// external id means that user; another one's user is created when the registration
// finishes, so a prompt that is cancelled leaves nothing behind.
//
// ErrSubject; ErrNeedsServerKey when a publishable key names a user without a token;
// ErrRegistrationToken, ErrRegistrationExpired, ErrRegistrationSpent; ErrRecoveryPending,
// ErrRecoveryClosed; ErrPolicy; webauthn.ErrExtension;
// ErrTooManyCredentials; user.ErrNotFound, user.ErrBlocked, user.ErrExternalID,
// user.ErrName; tenant.ErrSuspended, tenant.ErrQuotaExceeded; db.ErrUnavailable, ephemeral.ErrUnavailable.
func (s *Service) BeginRegistration(ctx context.Context, sc scope.Scope, req BeginRegistrationRequest) (BegunRegistration, error) {
	ring, snap, err := s.tenant(ctx, sc)
	if err == nil {
		err = snap.Exceeds(tenant.Enrolling)
	}
	if err != nil {
		return BegunRegistration{}, err
	}
	session, err := s.vouching(ctx, sc, req.AccessToken)
	if err != nil {
		return BegunRegistration{}, err
	}
	who, token, err := s.registrant(ring, snap, &req, session)
	if err != nil {
		return BegunRegistration{}, err
	}
	chosen, err := selection(&snap.Policy, &req)
	if err != nil {
		return BegunRegistration{}, err
	}
	conveyance, err := tighten("attestation", conveyances, string(snap.Policy.AttestationConveyance), req.Attestation)
	if err != nil {
		return BegunRegistration{}, err
	}
	extensions, err := webauthn.CreationExtensions(req.Extensions)
	if err != nil {
		return BegunRegistration{}, err
	}
	challenge, err := s.newChallenge()
	if err != nil {
		return BegunRegistration{}, err
	}
	r := registration{
		ID: rand.Text(), Challenge: challenge[:], RPID: snap.RPID, PolicyVersion: snap.PolicyVersion,
		RequireUV: chosen.UserVerification == webauthn.Required, Conditional: req.Conditional, Attestation: conveyance,
		ExpiresAt: s.store.Now().Add(snap.Policy.RegistrationTimeout()),
	}
	if token != nil {
		hash := token.hash()
		r.TokenHash, r.TokenExpiry = hash[:], &token.ExpiresAt
		if token.Recovery {
			r.Recovery = &token.ID
		}
		if session == nil {
			session = token.session() // it vouched when the token was made
		}
	}
	if session != nil {
		r.Session, r.SessionAAL, r.SessionSince, r.BySession = session.id, session.aal, session.since, who.bySession
	}
	entity, exclude, err := s.enrollee(ctx, sc, ring, snap, who, session, &r)
	if err != nil {
		return BegunRegistration{}, err
	}
	algorithms := offered(&snap.Policy, &r)
	if err := s.keep(ctx, sc, ring, &r, snap.Policy.RegistrationTimeout()+afterlife); err != nil {
		return BegunRegistration{}, err
	}
	if s.tail.Watched(sc.Tenant()) {
		s.tellRegistration(sc, &r, s.store.Now())
	}
	return BegunRegistration{
		ID: r.ID, ExpiresAt: r.ExpiresAt,
		Options: webauthn.CreationOptions{
			RP: webauthn.Entity{ID: snap.RPID, Name: snap.RPName}, User: entity, Challenge: r.Challenge, Algorithms: algorithms,
			Timeout: snap.Policy.RegistrationTimeout(), ExcludeCredentials: exclude,
			AuthenticatorSelection: chosen, Attestation: conveyance, Hints: snap.Policy.Hints,
			Extensions: extensions,
		},
	}, nil
}

// registrant is whom a request names: an existing user by id, or a profile.
type registrant struct {
	id        *user.ID
	profile   *user.Profile
	bySession bool // the user's own session alone says who
}

// vouch is a session of the user who enrolls, which the request showed.
type vouch struct {
	id    uuid.UUID
	user  user.ID
	aal   uint8
	since time.Time // when it signed in
}

// strong reports whether the sign-in suffices for a further credential, now.
func (v *vouch) strong(p *policy.Document, now time.Time) bool {
	return v != nil && v.aal >= 2 && now.Sub(v.since) <= p.StrongSignInMaxAge()
}

// vouching reads the access token of a request, and returns nil for none.
func (s *Service) vouching(ctx context.Context, sc scope.Scope, accessToken string) (*vouch, error) {
	if accessToken == "" {
		return nil, nil //nolint:nilnil // documented
	}
	verified, err := s.sessions.Verify(ctx, sc, accessToken)
	if err != nil {
		return nil, fmt.Errorf("verify the access token: %w", err)
	}
	if !verified.Active {
		return nil, ErrAccessToken
	}
	c := verified.Claims
	return &vouch{id: c.Session, user: user.ID(c.Subject), aal: c.AAL, since: c.AuthTime}, nil
}

func (s *Service) registrant(
	ring *keys.Ring, snap *tenant.Snapshot, req *BeginRegistrationRequest, session *vouch,
) (registrant, *registrationToken, error) {
	ways := 0
	for _, set := range []bool{req.UserID != nil, req.User != nil, req.Token != ""} {
		if set {
			ways++
		}
	}
	switch {
	case ways == 0 && session != nil:
		return registrant{id: &session.user, bySession: true}, nil, nil
	case ways != 1:
		return registrant{}, nil, ErrSubject
	case req.Token == "" && req.Publishable:
		return registrant{}, nil, ErrNeedsServerKey
	case req.Token == "":
		return registrant{id: req.UserID, profile: req.User}, nil, nil
	}
	token, err := s.openRegistrationToken(ring, snap, req.Token)
	if err != nil {
		return registrant{}, nil, err
	}
	who := registrant{profile: token.Profile}
	if token.User != nil {
		id := user.ID(*token.User)
		who.id = &id
	}
	return who, token, nil
}

// enrollee binds r to its user, existing or to be made, and returns what the options
// say of it: the entity, and the credentials whose authenticators are to refuse.
func (s *Service) enrollee(
	ctx context.Context, sc scope.Scope, ring *keys.Ring, snap *tenant.Snapshot, who registrant, session *vouch, r *registration,
) (webauthn.UserEntity, []webauthn.Descriptor, error) {
	var newcomer user.Newcomer
	if who.profile != nil {
		var err error
		if newcomer, err = user.Mint(s.rand, *who.profile); err != nil {
			return webauthn.UserEntity{}, nil, err
		}
	}
	var u user.User
	var exclude []webauthn.Descriptor
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if r.Recovery != nil {
			of, err := r.begin(ctx, tx, snap)
			if err != nil {
				return err
			}
			id := user.ID(of)
			who.id = &id
		} else if r.TokenHash != nil {
			// Better now than after the prompt; finish has the last word.
			if _, err := tx.GetSpender(ctx, tenantq.GetSpenderParams{Hash: r.TokenHash, Slot: db.Slot(*r.TokenExpiry)}); err == nil {
				return ErrRegistrationSpent
			} else if !db.IsNoRows(err) {
				return fmt.Errorf("get spender: %w", err)
			}
		}
		if who.profile != nil {
			u, err = user.Find(ctx, tx, ring, newcomer.Profile.ExternalID)
		} else {
			u, err = get(ctx, tx, ring, *who.id)
		}
		switch {
		case errors.Is(err, user.ErrNotFound) && who.profile != nil && session == nil:
			u = user.User{}
			return nil
		case err != nil:
			return err
		case session != nil && session.user != u.ID:
			return ErrSubject // somebody else's session
		case who.profile != nil && r.TokenHash != nil:
			return ErrUserMoved // the token was made for a newcomer, not for this account
		case u.State != user.Active:
			return user.ErrBlocked
		}
		rows, err := tx.ListDescriptorsOfUser(ctx, u.ID.UUID())
		if err != nil {
			return fmt.Errorf("list credentials: %w", err)
		}
		if len(rows) >= snap.Policy.MaxCredentialsPerUser {
			return ErrTooManyCredentials
		}
		if further := r.BySession || snap.Policy.AdditionalCredential == policy.StrongSignIn; further && r.Recovery == nil && len(rows) > 0 &&
			!session.strong(&snap.Policy, tx.Now()) {
			return ErrStrongSignIn // better now than after the prompt; finish has the last word
		}
		exclude = descriptors(rows)
		return nil
	})
	if err != nil {
		return webauthn.UserEntity{}, nil, err
	}
	if u.ID == (user.ID{}) {
		r.Newcomer = &newcomer
		p := newcomer.Profile
		return webauthn.UserEntity{ID: newcomer.Handle, Name: p.Name, DisplayName: p.DisplayName}, nil, nil
	}
	id := u.ID.UUID()
	r.User = &id
	return webauthn.UserEntity{ID: u.Handle, Name: u.Name, DisplayName: u.DisplayName}, exclude, nil
}

// get returns the user of an id in tx.
func get(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, id user.ID) (user.User, error) {
	row, err := tx.GetUser(ctx, id.UUID())
	if db.IsNoRows(err) {
		return user.User{}, user.ErrNotFound
	} else if err != nil {
		return user.User{}, fmt.Errorf("get user: %w", err)
	}
	return user.FromRow(ring, row)
}

// offered returns the policy's algorithms, and notes them in r.
func offered(p *policy.Document, r *registration) []webauthn.Algorithm {
	out := make([]webauthn.Algorithm, 0, len(p.Algorithms))
	for _, a := range p.Algorithms {
		if alg := webauthn.Algorithm(a); alg.Supported() { //nolint:gosec // COSE identifiers are small
			out = append(out, alg)
			r.Algorithms = append(r.Algorithms, int32(alg))
		}
	}
	return out
}

func (s *Service) keep(ctx context.Context, sc scope.Scope, ring *keys.Ring, r *registration, life time.Duration) error {
	plain, err := json.Marshal(r) //nolint:musttag // a Newcomer's fields stand as they are named: nobody else reads them
	if err != nil {
		return fmt.Errorf("encode registration: %w", err)
	}
	if err := s.ephemeral.Put(ctx, sc, kindOfRegistration, r.ID, ring.SealToken(sealRegistration, nil, plain), life); err != nil {
		return fmt.Errorf("keep registration: %w", err)
	}
	return nil
}

// recall returns what keep kept. ErrChallengeUnknown when there is nothing, or nothing
// that was kept under this id.
func (s *Service) recall(ctx context.Context, sc scope.Scope, ring *keys.Ring, id string) (*registration, error) {
	if len(id) != len(rand.Text()) {
		return nil, ErrChallengeUnknown
	}
	sealed, found, err := s.ephemeral.Get(ctx, sc, kindOfRegistration, id)
	if err != nil {
		return nil, fmt.Errorf("recall registration: %w", err)
	}
	if !found {
		return nil, ErrChallengeUnknown
	}
	plain, err := ring.OpenToken(sealRegistration, sealed)
	if err != nil {
		return nil, ErrChallengeUnknown
	}
	var r registration
	if err := json.Unmarshal(plain, &r); err != nil { //nolint:musttag // as in keep
		return nil, fmt.Errorf("decode registration: %w", err)
	}
	if r.ID != id || (r.User == nil) == (r.Newcomer == nil) {
		return nil, ErrChallengeUnknown
	}
	return &r, nil
}
