package demo

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// cookieName is the bank's own session cookie. It holds an opaque random id and
// nothing else; what the id stands for stays in the server's memory.
const cookieName = "northwind_session"

const (
	// sessionLifetime is how long a sign-in lasts here at most, whatever Biocore allows.
	sessionLifetime = 8 * time.Hour
	// maxSessions bounds the memory that sign-ins take; past it the oldest ends.
	maxSessions = 10_000
)

// errSignedOut means that there is no session, or that it has ended.
var errSignedOut = errors.New("signed out")

// session is one browser signed in to the bank.
type session struct {
	id         string
	user       user
	signedInAt time.Time
	expiresAt  time.Time

	// mu is held across verify and refresh. Two pages that refreshed at once
	// would use one refresh token twice, which Biocore must take for theft.
	mu    sync.Mutex
	grant grant
}

// sessions keeps who is signed in. It is safe for concurrent use.
type sessions struct {
	now  func() time.Time
	rand io.Reader

	mu   sync.Mutex
	byID map[string]*session
}

func newSessions(now func() time.Time, rand io.Reader) *sessions {
	return &sessions{now: now, rand: rand, byID: map[string]*session{}}
}

// open keeps a new session under a fresh id, so that no id from before the
// sign-in is ever worth anything after it.
func (s *sessions) open(u user, g grant) (*session, error) {
	var id [32]byte
	if _, err := io.ReadFull(s.rand, id[:]); err != nil {
		return nil, fmt.Errorf("make a session id: %w", err)
	}
	now := s.now()
	one := &session{
		id:         base64.RawURLEncoding.EncodeToString(id[:]),
		user:       u,
		grant:      g,
		signedInAt: now,
		expiresAt:  now.Add(sessionLifetime),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(now)
	s.byID[one.id] = one
	return one, nil
}

// makeRoom drops what has expired and, if that isn't enough, the oldest.
func (s *sessions) makeRoom(now time.Time) {
	if len(s.byID) < maxSessions {
		return
	}
	var oldest *session
	for id, one := range s.byID {
		if !now.Before(one.expiresAt) {
			delete(s.byID, id)
		} else if oldest == nil || one.signedInAt.Before(oldest.signedInAt) {
			oldest = one
		}
	}
	if len(s.byID) >= maxSessions {
		delete(s.byID, oldest.id)
	}
}

// find returns the session of a request's cookie, or errSignedOut.
func (s *sessions) find(r *http.Request) (*session, error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil, errSignedOut
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.byID[cookie.Value]
	if !ok {
		return nil, errSignedOut
	}
	if !s.now().Before(one.expiresAt) {
		delete(s.byID, one.id)
		return nil, errSignedOut
	}
	return one, nil
}

// end forgets a session.
func (s *sessions) end(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, one.id)
}

// current returns the session of a request whose access token Biocore still
// honours, refreshed if it grew old. errSignedOut means that it ended, here or
// there; any other error that Biocore could not be asked.
func (b *Bank) current(ctx context.Context, api *client, r *http.Request) (*session, error) {
	one, err := b.sessions.find(r)
	if err != nil {
		return nil, err
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	active, err := api.verifySession(ctx, one.grant.AccessToken)
	if err != nil {
		return nil, fmt.Errorf("verify the session: %w", err)
	}
	if active {
		return one, nil
	}
	fresh, err := api.refreshSession(ctx, one.grant.RefreshToken)
	var refused *apiError
	switch {
	case err == nil:
		one.grant = fresh
		return one, nil
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError && refused.Status != http.StatusTooManyRequests:
		b.sessions.end(one)
		return nil, errSignedOut
	default:
		return nil, fmt.Errorf("refresh the session: %w", err)
	}
}

// snapshot returns what Biocore granted last.
func (one *session) snapshot() grant {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.grant
}

func (b *Bank) setCookie(w http.ResponseWriter, one *session) {
	http.SetCookie(w, b.cookie(one.id, int(sessionLifetime.Seconds())))
}

func (b *Bank) clearCookie(w http.ResponseWriter) { http.SetCookie(w, b.cookie("", -1)) }

func (b *Bank) cookie(value string, maxAgeSeconds int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure wherever the option says people arrive over HTTPS
		Name:     cookieName,
		Value:    value,
		Path:     Path,
		MaxAge:   maxAgeSeconds,
		HttpOnly: true,
		Secure:   b.options.SecureCookie,
		SameSite: http.SameSiteLaxMode,
	}
}
