package biocore

import (
	"errors"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
)

// Requirement is what a request asks of a sign-in, beside a token that is valid. The
// zero value asks nothing.
type Requirement struct {
	// MinAAL is the least assurance level: 2 for a verified user, 3 for a key in
	// hardware besides (NIST SP 800-63B-4). 0 asks nothing.
	MinAAL int

	// MaxAge is how long ago the user may have signed in. Refreshing a session does not
	// count as signing in. 0 asks nothing.
	MaxAge time.Duration

	// Live asks Biocore whether the session still stands: a revocation counts at once
	// instead of when the token expires, for one call each request. It needs
	// VerifierOptions.Sessions.
	Live bool
}

// check finds the mistakes of a programmer.
func (r Requirement) check(sessions authv1connect.SessionServiceClient) error {
	switch {
	case r.MinAAL < 0 || r.MinAAL > 3:
		return fmt.Errorf("biocore: MinAAL is %d, and there are 1 to 3", r.MinAAL)
	case r.MaxAge < 0 || r.MaxAge > 0 && r.MaxAge < time.Second:
		return fmt.Errorf("biocore: MaxAge is %v, and auth_time has whole seconds", r.MaxAge)
	case r.Live && sessions == nil:
		return errors.New("biocore: Live needs VerifierOptions.Sessions")
	}
	return nil
}

// met holds the sign-in against r; whether the session stands is not in the token.
func (r Requirement) met(c Claims, now time.Time) bool {
	return c.AAL >= r.MinAAL && (r.MaxAge == 0 || now.Sub(c.AuthTime) <= r.MaxAge)
}
