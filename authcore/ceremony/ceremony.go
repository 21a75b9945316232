// Package ceremony is the begin and finish of registration and authentication
// (WebAuthn L3 #sctn-registering-a-new-credential, §7.1, and
// #sctn-verifying-assertion, §7.2): everything around the verification of a
// response that needs to remember, to look up, to decide or to write.
//
// A sign-in is begun without any store: its challenge and all that was promised
// with it are sealed in the id that the client brings back. A registration can be
// cancelled, so its state is in Redis. Either way a challenge is one-time because
// the transaction of its result spends it by a unique row, whatever Redis remembers.
//
// What breaks the protocol is a fault. What policy makes of a valid signature is a
// Decision. Both leave a ceremony row that tells what was known.
package ceremony

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/assurance"
	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// Errors returned by Service beside those of webauthn, user, credential, tenant
// and db. Each Reason is part of the public API.
var (
	ErrChallengeUnknown = fault.New(fault.Invalid, "CHALLENGE_UNKNOWN", "this ceremony was not begun here, or not with this key")
	ErrChallengeExpired = fault.New(fault.Precondition, "CHALLENGE_EXPIRED", "this ceremony has expired: begin again")
	ErrChallengeSpent   = fault.New(fault.Precondition, "CHALLENGE_ALREADY_USED", "this ceremony was finished before: begin again")

	ErrCredentialExists    = fault.New(fault.Conflict, "CREDENTIAL_EXISTS", "this credential is registered already")
	ErrCredentialSuspended = fault.New(fault.Precondition, "CREDENTIAL_SUSPENDED", "this credential is suspended")
	ErrTooManyCredentials  = fault.New(fault.Precondition, "TOO_MANY_CREDENTIALS", "this user has as many credentials as the policy allows")

	ErrRegistrationToken   = fault.New(fault.Invalid, "REGISTRATION_TOKEN_INVALID", "this is no registration token of this tenant")
	ErrRegistrationExpired = fault.New(fault.Precondition, "REGISTRATION_TOKEN_EXPIRED", "this registration token has expired")
	ErrRegistrationSpent   = fault.New(fault.Precondition, "REGISTRATION_TOKEN_ALREADY_USED", "a credential was registered with this token before")
	ErrNeedsServerKey      = fault.New(fault.Forbidden, "SERVER_KEY_REQUIRED", "a browser registers with a registration token; naming the user takes a server key")

	ErrCode        = fault.New(fault.Invalid, "CODE_INVALID", "this is no code of this tenant")
	ErrCodeExpired = fault.New(fault.Precondition, "CODE_EXPIRED", "this code has expired: sign in again")
	ErrCodeSpent   = fault.New(fault.Precondition, "CODE_ALREADY_USED", "this code was exchanged before")

	// ErrChanged: what the sign-in rests on changed while it was judged.
	ErrChanged = fault.New(fault.Aborted, "SIGN_IN_INTERRUPTED", "the credential changed meanwhile: begin again")

	ErrAccessToken = fault.New(fault.Invalid, "ACCESS_TOKEN_INVALID", "this is no access token of this tenant, or its session has ended")
	ErrSubject     = fault.New(fault.Invalid, "SUBJECT_INVALID", "name the user in exactly one way")
	ErrPurpose     = fault.New(fault.Invalid, "PURPOSE_INVALID", "a purpose is up to 64 characters of A-Z a-z 0-9 . _ -")
	ErrLife        = fault.New(fault.Invalid, "LIFETIME_INVALID", "a registration token lives one minute to 24 hours")
	ErrUserMoved   = fault.New(fault.Aborted, "USER_CREATED_MEANWHILE", "another registration created this user first: begin again")
	ErrStepUpToken = fault.New(fault.Invalid, "STEP_UP_TOKEN_INVALID", "this is no step-up token of this tenant, or it has expired")
	ErrPolicy      = fault.New(fault.Invalid, "POLICY_LOOSENED", "the request asks for less than the tenant's policy requires")
)

// Reasons of decisions other than Allow that the credential's row gives. They stand in
// answers and in ceremony rows, as all of package policy's.
const (
	ReasonSignCountRollback     = policy.ReasonSignCountRollback
	ReasonBackupEligibleChanged = policy.ReasonBackupEligibleChanged
)

// RegistrationTokenRequest says who may enroll. Exactly one of UserID and User is set.
type RegistrationTokenRequest struct {
	UserID *user.ID      // an existing user
	User   *user.Profile // an existing externalId means that user; else one is created when the registration finishes
	Life   time.Duration // one minute to 24 hours; 0 means an hour

	// AccessToken of the user's session, which vouches beside the server; empty for none.
	AccessToken string
}

// RegistrationToken lets a browser with only the publishable key enroll one
// credential for one user.
type RegistrationToken struct {
	secret.Hidden

	Token     string
	ExpiresAt time.Time
}

// BeginRegistrationRequest says who enrolls. Exactly one of UserID, User and Token
// is set, or none of them and AccessToken; a caller with a publishable key can only set
// Token or AccessToken.
type BeginRegistrationRequest struct {
	secret.Hidden

	UserID *user.ID
	User   *user.Profile // an existing externalId means that user; else one is created when the registration finishes
	Token  string

	// AccessToken of the user's session: it says who, where nothing else does, and vouches
	// for a further credential (policy additionalCredential). Empty for none.
	AccessToken string

	Publishable bool // the caller's key is a publishable one

	// Attestation and Selection may ask for more than the tenant's policy, never
	// for less; empty and nil mean the policy's.
	Attestation string
	Selection   *webauthn.AuthenticatorSelection

	Conditional bool // mediation "conditional": the browser creates the passkey without a prompt of its own

	// Extensions are inputs for the browser, a JSON object or nil: see
	// webauthn.CreationExtensions.
	Extensions json.RawMessage
}

// BegunRegistration is what the browser needs to create a credential.
type BegunRegistration struct {
	secret.Hidden

	ID        string // comes back in FinishRegistrationRequest
	Options   webauthn.CreationOptions
	ExpiresAt time.Time
}

// FinishRegistrationRequest is what the browser's authenticator made.
type FinishRegistrationRequest struct {
	secret.Hidden

	ID          string
	Response    webauthn.RegistrationResponse
	Nickname    *string // nil: the authenticator's name, where it is known
	Publishable bool    // the caller's key is a publishable one

	// Also runs in the transaction that enrolls, which may run twice, when the user and the
	// credential are there: its error undoes them. nil: nothing does.
	Also func(ctx context.Context, tx *db.TenantTx, userID uuid.UUID) error
}

// Registered is an enrolled credential.
type Registered struct {
	User        user.User
	Credential  credential.Credential
	Attestation webauthn.Attestation
	EvidenceID  *uuid.UUID // nil: policy keeps none
	Verdict     attestation.Verdict
}

// BeginAuthenticationRequest says who signs in. At most one of UserID and
// ExternalID is set; with neither it is a discoverable sign-in.
type BeginAuthenticationRequest struct {
	secret.Hidden

	UserID     string // as the client sent it: what is no id is answered like an unknown user
	ExternalID string

	// UserVerification may ask for more than the tenant's policy; empty means the policy's.
	UserVerification string

	Purpose     string // what the sign-in is for, in the tenant's words: [A-Za-z0-9._-]{0,64}
	StepUpToken string // from a sign-in that was decided StepUp

	// Extensions are inputs for the browser, a JSON object or nil: see
	// webauthn.RequestExtensions.
	Extensions json.RawMessage
}

// BegunAuthentication is what the browser needs to sign in.
type BegunAuthentication struct {
	secret.Hidden

	ID        string // comes back in FinishAuthenticationRequest
	Options   webauthn.RequestOptions
	ExpiresAt time.Time
}

// FinishAuthenticationRequest is what the browser's authenticator signed.
type FinishAuthenticationRequest struct {
	secret.Hidden

	ID          string
	Response    webauthn.AssertionResponse
	Publishable bool // the caller's key is a publishable one

	// Client is what the tenant's server saw of the user's client, and Signals what else it says, for risk alone. With a publishable
	// key both are empty: the client is who calls, and nobody is asked.
	Client  *Client
	Signals risk.Values
}

// Client is a user's client, as a server saw it.
type Client struct {
	Address   netip.Addr // invalid: not said
	UserAgent string     // as it was sent: only what it says of the device is kept
}

// Decision is what policy made of a valid signature.
type Decision string

// The decisions, spelled as in the API and in the ceremony's row.
const (
	Allow  Decision = "ALLOW"
	StepUp Decision = "STEP_UP"
	Deny   Decision = "DENY"
)

// Authenticated says who proved what, and what was decided.
type Authenticated struct {
	secret.Hidden

	User       user.User
	Credential credential.Credential
	Decision   Decision
	Reason     string // why the decision is not Allow; "" on Allow
	Assurance  assurance.Result
	Risk       *risk.Assessment // nil: the tenant has risk off

	// On Allow: Session and Tokens, or, for a caller with a publishable key whose
	// tenant does not allow direct tokens, Code.
	Session *session.Session
	Tokens  *session.Tokens
	Code    string

	StepUp *StepUpDemand // on StepUp
}

// StepUpDemand says what more a sign-in needs: another one, with user
// verification, begun with Token.
type StepUpDemand struct {
	secret.Hidden

	Token     string
	ExpiresAt time.Time
}

// Exchanged is what a code was worth.
type Exchanged struct {
	User       user.User
	Credential credential.Credential
	Session    session.Session
	Tokens     session.Tokens
	Assurance  assurance.Result
}

// Options configures a Service.
type Options struct {
	Store     *db.Store          // required
	Keys      *keys.Service      // required
	Tenants   *tenant.Service    // required
	Sessions  *session.Service   // required: it makes the tokens
	Ephemeral *ephemeral.Client  // required: registrations are kept there
	Denials   *audit.Denials     // required: refusals are recorded by it
	Evidence  *evidence.Service  // of registrations; nil keeps none
	Limits    *ratelimit.Limiter // per user and credential; nil: there are none
	Risk      *risk.Service      // assesses sign-ins; nil: nobody does
	Tail      *tail.Service      // told of begins while somebody watches; nil: nobody does
	Rand      io.Reader          // of challenges; nil means crypto/rand

	// Metadata returns what attestations are judged by, nil while there is none. Nil: there
	// never is, so that no chain is trusted.
	Metadata func() *mds.Snapshot

	// Roots returns what the tenant trusts besides. Nil: nothing.
	Roots func(ctx context.Context, sc scope.Scope) ([]attestation.Root, error)
}

// Service runs ceremonies. It is safe for concurrent use.
type Service struct {
	store     *db.Store
	keys      *keys.Service
	tenants   *tenant.Service
	sessions  *session.Service
	ephemeral *ephemeral.Client
	denials   *audit.Denials
	evidence  *evidence.Service
	risk      *risk.Service
	limits    *ratelimit.Limiter
	tail      *tail.Service
	rand      io.Reader
	metadata  func() *mds.Snapshot
	roots     func(context.Context, scope.Scope) ([]attestation.Root, error)

	known *db.Cache[*known] // credentials as sign-in needs them
	fakes *db.Cache[*known] // fakes that were looked for: see fake.go
	decoy webauthn.Key
}

// Bounds of what one server remembers: an entry takes about 2 KB.
const (
	maxKnown  = 32_768
	maxFakes  = 4_096
	knownLife = 10 * time.Minute
)

// New returns a Service, or an error that names the option which is missing.
func New(o Options) (*Service, error) {
	for name, missing := range map[string]bool{
		"Store": o.Store == nil, "Keys": o.Keys == nil, "Tenants": o.Tenants == nil, "Sessions": o.Sessions == nil,
		"Ephemeral": o.Ephemeral == nil, "Denials": o.Denials == nil,
	} {
		if missing {
			return nil, errors.New("ceremony: " + name + " is required")
		}
	}
	s := &Service{
		store: o.Store, keys: o.Keys, tenants: o.Tenants, sessions: o.Sessions, ephemeral: o.Ephemeral,
		denials: o.Denials, evidence: o.Evidence, risk: o.Risk, limits: o.Limits, tail: o.Tail, rand: o.Rand, metadata: o.Metadata, roots: o.Roots, decoy: webauthn.DecoyKey(),
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.metadata == nil {
		s.metadata = func() *mds.Snapshot { return nil }
	}
	s.known = db.NewCache[*known](o.Store, db.NounCredential, maxKnown, knownLife)
	s.fakes = db.NewCache[*known](o.Store, db.NounTenant, maxFakes, knownLife)
	return s, nil
}
