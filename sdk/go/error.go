package biocore

import "errors"

// What Verify and the middleware refuse with. Compare by errors.Is. Every reason below
// ErrInvalidToken is ErrInvalidToken, too.
var (
	// ErrInvalidToken means that the token is not good: answer 401.
	ErrInvalidToken = errors.New("biocore: the token is not valid")

	// ErrUnavailable means that nobody can say now whether the token is good: the
	// tenant's keys could not be had, or Biocore was not there to ask about the session.
	// Answer 503: a 401 would sign everybody out.
	ErrUnavailable = errors.New("biocore: tokens cannot be checked now")

	// ErrStepUp means that the token is good and the sign-in behind it is not enough for
	// what was asked: too weak, or too long ago. It is a *StepUpError, which says what would be.
	ErrStepUp = errors.New("biocore: the user must sign in again")
)

// Why a token is not valid: for logs and tests. Whoever sent it learns no more than
// that it is not good, or that it has expired.
const (
	ErrMalformed    reason = "biocore: not an access token in its one form"
	ErrDecryption   reason = "biocore: the token is encrypted, and not for a key that is here"
	ErrUnknownKey   reason = "biocore: the token names a key that the tenant does not publish"
	ErrSignature    reason = "biocore: the signature does not verify"
	ErrIssuer       reason = "biocore: the token is another issuer's"
	ErrAudience     reason = "biocore: the token is for another audience"
	ErrTenant       reason = "biocore: the token is another tenant's"
	ErrExpired      reason = "biocore: the token has expired"
	ErrNotYet       reason = "biocore: the token is not valid yet"
	ErrSessionEnded reason = "biocore: the token's session has ended"
)

// reason is a constant error, so that nobody assigns to it.
type reason string

func (r reason) Error() string { return string(r) }

// Is makes each reason one kind of ErrInvalidToken.
func (r reason) Is(target error) bool { return target == ErrInvalidToken }

// StepUpError says what a sign-in must be for the request to be good. It is ErrStepUp.
type StepUpError struct{ Requirement Requirement }

func (e *StepUpError) Error() string { return ErrStepUp.Error() }

// Unwrap returns ErrStepUp.
func (e *StepUpError) Unwrap() error { return ErrStepUp }
