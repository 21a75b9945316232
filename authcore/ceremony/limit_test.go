package ceremony_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
)

// limited is a server with limits of its own, whose clock stands still.
func (w *world) limited(t testing.TB) (s *server, sleep func(time.Duration)) {
	t.Helper()
	var past atomic.Int64
	now := time.Now()
	w.limits = ratelimit.New(ratelimit.Options{Now: func() time.Time { return now.Add(time.Duration(past.Load())) }})
	s = w.replica(t)
	return s, func(d time.Duration) { past.Add(int64(d)) }
}

// Sign-ins that name somebody are counted by the name, and a name that nobody has is refused
// like any other: were only users counted, it would tell who is one.
func TestBeginsOfANameAreLimited(t *testing.T) {
	w := newWorld(t)
	s, sleep := w.limited(t)
	acme, globex := w.tenant(t), w.tenant(t)
	ada := profile()
	enrolled := s.enrollAs(t, acme, phone(t), ada)
	for name, req := range map[string]ceremony.BeginAuthenticationRequest{
		"a user": {ExternalID: ada.ExternalID}, "nobody": {ExternalID: "nobody"}, "an id": {UserID: enrolled.User.ID.String()}, "no id": {UserID: "no id"},
	} {
		for i := range ratelimit.PerUser.Max {
			if _, err := s.BeginAuthentication(t.Context(), acme, req); err != nil {
				t.Fatalf("%s: begin %d: %v", name, i, err)
			}
		}
		_, err := s.BeginAuthentication(t.Context(), acme, req)
		wantErr(t, name, err, ratelimit.ErrLimited)
		if _, err := s.BeginAuthentication(t.Context(), globex, req); err != nil {
			t.Errorf("%s, another tenant's: %v", name, err)
		}
	}
	if _, err := s.BeginAuthentication(t.Context(), acme, ceremony.BeginAuthenticationRequest{}); err != nil {
		t.Errorf("one that names nobody: %v", err)
	}
	sleep(2 * time.Second)
	if _, err := s.BeginAuthentication(t.Context(), acme, ceremony.BeginAuthenticationRequest{ExternalID: "nobody"}); err != nil {
		t.Errorf("after a while: %v", err)
	}
}

// A credential signs in thirty times a minute. Who forges its signatures takes nothing from
// that, and who is refused loses no challenge.
func TestSignInsOfACredentialAreLimited(t *testing.T) {
	w := newWorld(t)
	s, sleep := w.limited(t)
	acme := w.tenant(t)
	a := phone(t)
	s.enroll(t, acme, a)
	for range 3 {
		if _, err := s.try(t, acme, a, authenticatortest.Deviation{WrongKey: true}); err == nil || errors.Is(err, ratelimit.ErrLimited) {
			t.Fatalf("a forged signature: %v", err)
		}
	}
	for i := range ratelimit.PerCredential.Max {
		if _, err := s.try(t, acme, a, authenticatortest.Deviation{}); err != nil {
			t.Fatalf("sign-in %d: %v", i, err)
		}
	}
	begun := s.begin(t, acme)
	resp := get(t, a, begun, authenticatortest.Deviation{})
	_, err := s.finish(t, acme, begun, resp)
	wantErr(t, "one more", err, ratelimit.ErrLimited)
	sleep(2 * time.Second)
	if _, err := s.finish(t, acme, begun, resp); err != nil {
		t.Errorf("the same after a while: %v", err)
	}
}
