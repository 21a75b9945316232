package biocore_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	biocore "github.com/biocore-id/biocore/sdk/go"
)

// sessions answers VerifySession, and nothing else.
type sessions struct {
	authv1connect.SessionServiceClient
	active bool
	err    error
	asked  []string
}

func (s *sessions) VerifySession(_ context.Context, req *authv1.VerifySessionRequest) (*authv1.VerifySessionResponse, error) {
	s.asked = append(s.asked, req.GetAccessToken())
	return &authv1.VerifySessionResponse{Active: s.active}, s.err
}

// Each refusal in the words of RFC 6750 and RFC 9470; what is let through has its claims.
func TestMiddleware(t *testing.T) {
	k := newKey(t, "k1", "ES256")
	sign := func(name string, value any) string { return "Bearer " + k.sign(t, with(claimsAt(now), name, value)) }
	good := sign("jti", "token-1")
	for _, tt := range []struct {
		name      string
		header    []string
		require   biocore.Requirement
		down      bool
		sessions  *sessions
		status    int
		challenge string
		reason    error // what OnRefuse hears; nil: it hears something, or nothing at all of what is good
	}{
		{name: "good", header: []string{good}, status: 204},
		{name: "the scheme in small letters", header: []string{"bearer" + good[6:]}, status: 204},
		{name: "no token", status: 401, challenge: "Bearer"},
		{name: "another scheme", header: []string{"Basic YTpi"}, status: 401, challenge: "Bearer"},
		{name: "two tokens", header: []string{good, good}, status: 400, challenge: `Bearer error="invalid_request"`},
		{name: "an empty token", header: []string{"Bearer "}, status: 401, challenge: `Bearer error="invalid_token"`, reason: biocore.ErrMalformed},
		{name: "a bad token", header: []string{good[:len(good)-2]}, status: 401, challenge: `Bearer error="invalid_token"`, reason: biocore.ErrSignature},
		{name: "another audience", header: []string{sign("aud", "other")}, status: 401, challenge: `Bearer error="invalid_token"`, reason: biocore.ErrAudience},
		{name: "expired", header: []string{sign("exp", now.Unix())}, status: 401, challenge: `Bearer error="invalid_token", error_description="The access token expired"`, reason: biocore.ErrExpired},
		{name: "no keys", header: []string{good}, down: true, status: 503, reason: biocore.ErrUnavailable},

		{name: "as strong as required", header: []string{good}, require: biocore.Requirement{MinAAL: 2}, status: 204},
		{name: "too weak", header: []string{good}, require: biocore.Requirement{MinAAL: 3}, status: 401, challenge: `Bearer error="insufficient_user_authentication", acr_values="aal3"`, reason: biocore.ErrStepUp},
		{name: "too weak, and two would do", header: []string{sign("acr", "aal1")}, require: biocore.Requirement{MinAAL: 2}, status: 401, challenge: `Bearer error="insufficient_user_authentication", acr_values="aal2 aal3"`, reason: biocore.ErrStepUp},
		{name: "just recent enough", header: []string{sign("auth_time", now.Unix()-300)}, require: biocore.Requirement{MaxAge: 5 * time.Minute}, status: 204},
		{name: "too long ago", header: []string{sign("auth_time", now.Unix()-301)}, require: biocore.Requirement{MaxAge: 5 * time.Minute}, status: 401, challenge: `Bearer error="insufficient_user_authentication", max_age="300"`, reason: biocore.ErrStepUp},
		{name: "no auth_time", header: []string{sign("auth_time", nil)}, require: biocore.Requirement{MaxAge: 5 * time.Minute}, status: 401, challenge: `Bearer error="insufficient_user_authentication", max_age="300"`, reason: biocore.ErrStepUp},
		{name: "weak and long ago", header: []string{sign("auth_time", 0)}, require: biocore.Requirement{MinAAL: 3, MaxAge: time.Minute}, status: 401, challenge: `Bearer error="insufficient_user_authentication", acr_values="aal3", max_age="60"`, reason: biocore.ErrStepUp},
		{name: "a bad token is no sign-in that could be stronger", header: []string{"Bearer x"}, require: biocore.Requirement{MinAAL: 3}, status: 401, challenge: `Bearer error="invalid_token"`, reason: biocore.ErrInvalidToken},

		{name: "the session stands", header: []string{good}, require: biocore.Requirement{Live: true}, sessions: &sessions{active: true}, status: 204},
		{name: "the session has ended", header: []string{good}, require: biocore.Requirement{Live: true}, sessions: &sessions{}, status: 401, challenge: `Bearer error="invalid_token"`, reason: biocore.ErrSessionEnded},
		{name: "nobody there to ask", header: []string{good}, require: biocore.Requirement{Live: true}, sessions: &sessions{err: connect.NewError(connect.CodeUnavailable, "down")}, status: 503, reason: biocore.ErrUnavailable},
	} {
		for _, where := range []string{"everywhere", "on one route", "on one route behind the middleware"} {
			t.Run(tt.name+", "+where, func(t *testing.T) {
				server := newKeyServer(k)
				if tt.down {
					server.status = http.StatusServiceUnavailable
				}
				var heard []error
				v := newVerifier(t, server, func(o *biocore.VerifierOptions) {
					at(now)(o)
					o.OnRefuse = func(_ *http.Request, err error) { heard = append(heard, err) }
					if tt.sessions != nil {
						tt.sessions.asked = nil
						o.Sessions = tt.sessions
					}
					if where == "everywhere" {
						o.Require = tt.require
					}
				})
				next := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if c, ok := biocore.ClaimsFromContext(r.Context()); !ok || c.Subject != "user-1" {
						t.Errorf("ClaimsFromContext = %+v, %v", c, ok)
					}
					ok(w, r)
				}))
				switch where {
				case "everywhere":
					next = v.Middleware(next)
				case "on one route":
					next = v.Require(tt.require, next)
				default:
					next = v.Middleware(v.Require(tt.require, next))
				}
				req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?access_token=x", nil)
				req.Header["Authorization"] = tt.header
				w := httptest.NewRecorder()
				next.ServeHTTP(w, req)

				if w.Code != tt.status || w.Header().Get("WWW-Authenticate") != tt.challenge {
					t.Errorf("%d %q, want %d %q", w.Code, w.Header().Get("WWW-Authenticate"), tt.status, tt.challenge)
				}
				if tt.status == 503 && w.Header().Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
				if refused := tt.status != 204; refused != (len(heard) == 1) || tt.reason != nil && !errors.Is(heard[0], tt.reason) {
					t.Errorf("OnRefuse heard %v, want %v", heard, tt.reason)
				}
				if tt.sessions != nil && (len(tt.sessions.asked) != 1 || tt.sessions.asked[0] != good[len("Bearer "):]) {
					t.Errorf("asked for %q", tt.sessions.asked)
				}
			})
		}
	}
}

// What one tenant's verifier found good means nothing to another's.
func TestRequireOfAnotherTenant(t *testing.T) {
	k := newKey(t, "k1", "ES256")
	server := newKeyServer(k)
	acme := newVerifier(t, server, at(now))
	globex := newVerifier(t, server, func(o *biocore.VerifierOptions) {
		at(now)(o)
		o.Issuer = "https://auth.example.com/t/globex"
	})
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	req.Header.Set("Authorization", "Bearer "+k.sign(t, claimsAt(now)))
	w := httptest.NewRecorder()
	acme.Middleware(globex.Require(biocore.Requirement{}, http.HandlerFunc(ok))).ServeHTTP(w, req)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("status = %d, want 401", w.Code)
	}
}

func TestRequirePanicsOnWhatNoTokenMeets(t *testing.T) {
	v := newVerifier(t, newKeyServer(), nil)
	for _, r := range []biocore.Requirement{{MinAAL: 4}, {MaxAge: -1}, {Live: true}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Require(%+v) did not panic", r)
				}
			}()
			v.Require(r, http.HandlerFunc(ok))
		}()
	}
}

// Verify asks for the options' requirement as well, and says what would do.
func TestVerifyRequires(t *testing.T) {
	k := newKey(t, "k1", "ES256")
	v := newVerifier(t, newKeyServer(k), func(o *biocore.VerifierOptions) {
		at(now)(o)
		o.Require = biocore.Requirement{MinAAL: 3}
	})
	_, err := v.Verify(t.Context(), k.sign(t, claimsAt(now)))
	var stepUp *biocore.StepUpError
	if !errors.As(err, &stepUp) || stepUp.Requirement.MinAAL != 3 || errors.Is(err, biocore.ErrInvalidToken) {
		t.Errorf("Verify = %v, want a *StepUpError for 3 that is not ErrInvalidToken", err)
	}
}
