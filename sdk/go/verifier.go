package biocore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
)

// MaxTokenBytes bounds what is looked at. What Biocore issues is well below it.
const MaxTokenBytes = 16 << 10

// Bounds of what a caller may set.
const (
	maxLeeway   = time.Minute
	maxStaleFor = 24 * time.Hour
)

// VerifierOptions is what NewVerifier needs. Issuer and Audience are required.
type VerifierOptions struct {
	// Issuer is the tenant at its installation, https://auth.example.com/t/acme: what
	// iss says, to the byte.
	Issuer string

	// Audience is who the tokens must be meant for: the RP ID, unless the tenant set another.
	Audience string

	// TenantID is what tid must say; empty takes any of the issuer's.
	TenantID string

	// Require is asked of every token, beside being valid.
	Require Requirement

	// DecryptionKeys open the tokens of a tenant that has them encrypted. The key that a
	// token names is used. Hold the old and the new one while the registered key changes.
	// With keys here, tokens that are not encrypted are good, too: encryption hides the
	// claims, and the signature is what proves them.
	DecryptionKeys []DecryptionKey

	// Sessions asks Biocore whether a session still stands, for what is required Live.
	// It is Client.Sessions.
	Sessions authv1connect.SessionServiceClient

	// KeysURL is where the tenant's keys are, where that is not
	// Issuer + "/.well-known/jwks.json": an address inside your network, say. Whoever can
	// answer there in Biocore's place can sign in as anybody, so it is https, or a network
	// that you trust.
	KeysURL string

	// StaleFor is how long keys are used past their age while they cannot be fetched;
	// an hour if 0, none if negative, at most a day.
	StaleFor time.Duration

	// Leeway is for clocks that disagree; 0 is what Biocore itself allows, a minute the most.
	Leeway time.Duration

	// HTTPClient fetches the keys; one with sound limits if nil. Its CheckRedirect is not used.
	HTTPClient *http.Client

	// OnRefuse hears of every request that the middleware refused, and why: for the log.
	// It must not write the token there.
	OnRefuse func(*http.Request, error)

	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Verifier checks one tenant's access tokens. It is safe for concurrent use: make one
// for a service and keep it, since it holds the keys.
type Verifier struct {
	issuer, audience, tenant string
	require                  Requirement
	decryption               []DecryptionKey
	sessions                 authv1connect.SessionServiceClient
	keys                     *keySet
	leeway                   time.Duration
	onRefuse                 func(*http.Request, error)
	now                      func() time.Time
}

// NewVerifier returns a Verifier, or an error that names the option it cannot use. It
// fetches nothing yet: call Refresh where a service should not start without keys.
func NewVerifier(o VerifierOptions) (*Verifier, error) {
	issuer, err := url.Parse(o.Issuer)
	switch {
	case o.Issuer == "":
		return nil, errors.New("biocore: Issuer is required")
	case err != nil || !isHTTP(issuer) || strings.HasSuffix(o.Issuer, "/") || issuer.RawQuery != "" || issuer.Fragment != "" || issuer.User != nil:
		return nil, fmt.Errorf("biocore: Issuer %q is no https://host/t/slug", o.Issuer)
	case o.Audience == "":
		return nil, errors.New("biocore: Audience is required: without it every token of the tenant would do")
	case o.Leeway < 0 || o.Leeway > maxLeeway:
		return nil, fmt.Errorf("biocore: Leeway is %v, at most %v", o.Leeway, maxLeeway)
	case o.StaleFor > maxStaleFor:
		return nil, fmt.Errorf("biocore: StaleFor is %v, at most %v", o.StaleFor, maxStaleFor)
	}
	keysURL := o.KeysURL
	if keysURL == "" {
		// What nobody chose must be safe: keys over plain HTTP are anybody's on the way.
		if issuer.Scheme != "https" && !isLoopback(issuer.Hostname()) {
			return nil, fmt.Errorf("biocore: Issuer %q is not https; name KeysURL if its keys can be trusted all the same", o.Issuer)
		}
		keysURL = o.Issuer + "/.well-known/jwks.json"
	}
	if u, err := url.Parse(keysURL); err != nil || !isHTTP(u) {
		return nil, fmt.Errorf("biocore: KeysURL %q is no http or https URL", keysURL)
	}
	if err := o.Require.check(o.Sessions); err != nil {
		return nil, err
	}
	for i, k := range o.DecryptionKeys {
		if k.key == nil {
			return nil, fmt.Errorf("biocore: DecryptionKeys[%d] is empty", i)
		}
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	return &Verifier{
		issuer: o.Issuer, audience: o.Audience, tenant: o.TenantID,
		require: o.Require, decryption: slices.Clone(o.DecryptionKeys), sessions: o.Sessions,
		keys:   newKeySet(keysURL, o.HTTPClient, o.StaleFor, now),
		leeway: o.Leeway, onRefuse: o.OnRefuse, now: now,
	}, nil
}

// Verify returns the claims of an access token that the tenant signed, that is meant
// for the audience and good now, and that meets Require. The error is ErrInvalidToken,
// ErrStepUp or ErrUnavailable. Unless Require is Live, a session that was revoked goes
// on until its token expires.
//
// It waits for the network when no keys are held, when the token names a key that is
// not among them (once in ten seconds, however many such tokens come), and after an
// idle time longer than the keys' age.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	good, err := v.verify(ctx, token)
	if err != nil {
		return Claims{}, err
	}
	return good.claims, v.meet(ctx, good, v.require)
}

// Refresh fetches the tenant's keys, unless it was tried a moment ago. It is
// ErrUnavailable when they could not be had.
func (v *Verifier) Refresh(ctx context.Context) error { return v.keys.refresh(ctx) }

// verify is Verify without Require.
func (v *Verifier) verify(ctx context.Context, token string) (verified, error) {
	if len(token) > MaxTokenBytes {
		return verified{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(token))
	}
	if isJWE(token) {
		inner, err := decrypt(v.decryption, token)
		if err != nil {
			return verified{}, err
		}
		token = inner
	}
	jws, err := parseJWS(token)
	if err != nil {
		return verified{}, err
	}
	key, err := v.keys.find(ctx, jws.kid)
	if err != nil {
		return verified{}, err
	}
	if err := key.verify(jws); err != nil {
		return verified{}, err
	}
	// From here on the bytes are what a holder of the tenant's key wrote.
	claims, nbf, err := parseClaims(jws.payload)
	if err != nil {
		return verified{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	now := v.now()
	switch {
	// The keys are the tenant's own; iss and tid are held against the expected all the
	// same, for the day on which two tenants' keys are mixed up.
	case claims.Issuer != v.issuer:
		return verified{}, ErrIssuer
	case v.tenant != "" && claims.TenantID != v.tenant:
		return verified{}, ErrTenant
	case !slices.Contains(claims.Audience, v.audience):
		return verified{}, ErrAudience
	// exp is the first instant at which the token must not be accepted (RFC 7519
	// §4.1.4). Missing, it is 0 and long past.
	case !now.Add(-v.leeway).Before(claims.ExpiresAt):
		return verified{}, ErrExpired
	case now.Add(v.leeway).Before(time.Unix(nbf, 0)):
		return verified{}, ErrNotYet
	}
	return verified{by: v, claims: claims, jws: token}, nil
}

// meet says whether a good token meets r.
func (v *Verifier) meet(ctx context.Context, good verified, r Requirement) error {
	if !r.met(good.claims, v.now().Add(-v.leeway)) {
		return &StepUpError{Requirement: r}
	}
	if !r.Live {
		return nil
	}
	answer, err := v.sessions.VerifySession(ctx, &authv1.VerifySessionRequest{AccessToken: good.jws})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if !answer.GetActive() {
		return ErrSessionEnded
	}
	return nil
}

func isHTTP(u *url.URL) bool { return (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" }

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
