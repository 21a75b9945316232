package biocore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// errBearerTwice is RFC 6750's invalid_request: one request, two tokens.
var errBearerTwice = errors.New("biocore: more than one Authorization header")

// Middleware lets requests through to next that bring a good access token, which meets
// VerifierOptions.Require, as Authorization: Bearer. ClaimsFromContext has what it says.
// Others get what RFC 6750 §3 says: 401 with WWW-Authenticate, or 503 with Retry-After
// when nobody can say now.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return v.handler(v.require, next)
}

// Require is Middleware that asks for more: for single routes, behind Middleware or
// without it. A sign-in that is not enough gets 401 insufficient_user_authentication with
// what would be (RFC 9470 §3): sign the user in again, and come back. It panics on a
// requirement that no token can meet, since routes are written by programmers.
func (v *Verifier) Require(r Requirement, next http.Handler) http.Handler {
	if err := r.check(v.sessions); err != nil {
		panic(err)
	}
	return v.handler(r, next)
}

func (v *Verifier) handler(r Requirement, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		good, ok := req.Context().Value(contextKey{}).(verified)
		err := error(nil)
		if !ok || good.by != v {
			good, err = v.authenticate(req)
			if err == nil {
				err = v.meet(req.Context(), good, v.require)
			}
		}
		if err == nil && r != v.require {
			err = v.meet(req.Context(), good, r)
		}
		if err != nil {
			v.refuse(w, req, err)
			return
		}
		next.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), contextKey{}, good)))
	})
}

// errNoToken is a request that did not try.
var errNoToken = errors.New("biocore: no access token")

// authenticate verifies the token of a request's Authorization header. Tokens in a query
// or a form would end in logs (RFC 9700 §4.3.2), and are not looked for.
func (v *Verifier) authenticate(req *http.Request) (verified, error) {
	values := req.Header.Values("Authorization")
	if len(values) > 1 {
		return verified{}, errBearerTwice
	}
	if len(values) == 0 {
		return verified{}, errNoToken
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return verified{}, errNoToken
	}
	return v.verify(req.Context(), token)
}

// refuse answers in the words of RFC 6750 §3.1 and RFC 9470 §3, and says no more of why
// than they need.
func (v *Verifier) refuse(w http.ResponseWriter, req *http.Request, err error) {
	if v.onRefuse != nil {
		v.onRefuse(req, err)
	}
	status, challenge := http.StatusUnauthorized, "Bearer"
	var stepUp *StepUpError
	switch {
	case errors.Is(err, errNoToken):
		// No error code for who did not know that a token is needed.
	case errors.Is(err, errBearerTwice):
		status, challenge = http.StatusBadRequest, `Bearer error="invalid_request"`
	case errors.As(err, &stepUp):
		challenge = stepUp.challenge()
	case errors.Is(err, ErrExpired):
		challenge = `Bearer error="invalid_token", error_description="The access token expired"`
	case errors.Is(err, ErrInvalidToken):
		challenge = `Bearer error="invalid_token"`
	default: // ErrUnavailable
		w.Header().Set("Retry-After", strconv.Itoa(int(emptyPause.Seconds())))
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		return
	}
	w.Header().Add("WWW-Authenticate", challenge)
	http.Error(w, http.StatusText(status), status)
}

// challenge is what a client makes its next sign-in of (RFC 9470 §3).
func (e *StepUpError) challenge() string {
	var b strings.Builder
	b.WriteString(`Bearer error="insufficient_user_authentication"`)
	if e.Requirement.MinAAL > 0 {
		b.WriteString(`, acr_values="`)
		for aal := e.Requirement.MinAAL; aal <= 3; aal++ {
			if aal > e.Requirement.MinAAL {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "aal%d", aal)
		}
		b.WriteByte('"')
	}
	if e.Requirement.MaxAge > 0 {
		fmt.Fprintf(&b, `, max_age="%d"`, int(e.Requirement.MaxAge.Seconds()))
	}
	return b.String()
}
