package ceremony_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
)

// Whoever may enroll must not learn from it whether a credential ID that was shown for
// a name is a customer's: a real one is taken, so a made-up one is taken too.
func TestEnrollingUnderAShownIDTellsNothing(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	customer := w.enroll(t, acme, phone(t)).User
	for _, name := range []string{customer.ExternalID, "nobody", "nobody else", "and nobody"} {
		for _, shown := range w.beginWith(t, acme, external(name)).Options.AllowCredentials {
			begun := w.beginRegistration(t, acme, profile())
			_, err := w.FinishRegistration(t.Context(), acme, ceremony.FinishRegistrationRequest{
				ID: begun.ID, Response: create(t, phone(t), begun, authenticatortest.Deviation{CredentialID: shown.ID}),
			})
			if !errors.Is(err, ceremony.ErrCredentialExists) {
				t.Errorf("enrolling under an ID shown for %s: error = %v, want %v", name, err, ceremony.ErrCredentialExists)
			}
		}
	}
}

// A token that was made for a newcomer is worth nothing once somebody else has opened
// that account: else whoever was given it enrolls on a stranger's account.
func TestTokenOfANewcomerDoesNotReachAnAccount(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	victim := profile()
	early := w.token(t, acme, ceremony.RegistrationTokenRequest{User: victim})
	late := w.token(t, acme, ceremony.RegistrationTokenRequest{User: victim})
	opened, err := w.finishByToken(t, acme, w.beginByToken(t, acme, late))
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.BeginRegistration(t.Context(), acme, ceremony.BeginRegistrationRequest{Token: early, Publishable: true})
	if !errors.Is(err, ceremony.ErrUserMoved) {
		t.Errorf("the newcomer's token on the account: error = %v, want %v", err, ceremony.ErrUserMoved)
	}
	// One that is made for the account, by its external id, is bound to the account.
	known := w.token(t, acme, ceremony.RegistrationTokenRequest{User: victim})
	again, err := w.finishByToken(t, acme, w.beginByToken(t, acme, known))
	if err != nil || again.User.ID != opened.User.ID {
		t.Errorf("a token of the account enrolls on %v, error %v", again.User.ID, err)
	}
}

// However the id of a user is spelled, the same credentials are shown: for an unknown
// one as for a known one.
func TestSpellingOfAUserIDTellsNothing(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	known := w.enroll(t, acme, phone(t)).User.ID.String()
	for name, id := range map[string]string{"known": known, "unknown": uuid.NewString()} {
		lower := w.beginWith(t, acme, ceremony.BeginAuthenticationRequest{UserID: id}).Options.AllowCredentials
		upper := w.beginWith(t, acme, ceremony.BeginAuthenticationRequest{UserID: strings.ToUpper(id)}).Options.AllowCredentials
		if len(lower) != len(upper) || !bytes.Equal(lower[0].ID, upper[0].ID) {
			t.Errorf("%s: two spellings show two lists", name)
		}
	}
}
