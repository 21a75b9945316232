package ceremony

import (
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// tellBegun tells who watches that a ceremony has begun. Nothing waits for it, and where
// nobody watches nothing is made for it.
func (s *Service) tellBegun(sc scope.Scope, kind string, challenge []byte, at, expires time.Time, more func(*tail.Begun)) {
	o := sc.Origin()
	b := tail.Begun{
		Ref: tail.Ref(challenge), Kind: debugger.Kind(kind), At: at, ExpiresAt: expires,
		Browser: o.Browser(), TraceID: o.TraceID, RequestID: o.RequestID,
	}
	if key := apiKey(sc); key != uuid.Nil {
		b.APIKeyID = &key
	}
	more(&b)
	s.tail.Begin(sc.Tenant(), &b)
}

// tellSignIn is tellBegun of a sign-in. Whom a made-up one was begun for is nobody.
func (s *Service) tellSignIn(sc scope.Scope, a *authentication) {
	s.tellBegun(sc, kindAuthentication, a.challenge[:], a.issuedAt, a.expiresAt, func(b *tail.Begun) {
		b.Purpose = a.purpose
		if a.identified && !a.fake {
			b.UserID = a.user.String()
		}
	})
}

// tellRegistration is tellBegun of a registration.
func (s *Service) tellRegistration(sc scope.Scope, r *registration, at time.Time) {
	s.tellBegun(sc, kindRegistration, r.Challenge, at, r.ExpiresAt, func(b *tail.Begun) {
		b.Conditional = r.Conditional
		if r.User != nil {
			b.UserID = r.User.String()
		}
	})
}
