package webauthn_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/webauthn"
)

// elsewhere are the steps that are not told apart, by the one that is tested: what is
// parsed as a whole is told by the first step that needs it, and a hash by the signature
// over it.
var elsewhere = map[string][]int{
	"7.1 step 5": {6}, "7.1 step 12": {22}, "7.1 step 25": {3, 13}, "7.1 step 27": {3}, "7.1 step 28": {4, 13}, "7.1 step 3": {13}, "7.1 step 21": {22},
	"7.2 step 8": {9}, "7.2 step 20": {21}, "7.2 step 23": {4, 7}, "7.2 step 7": {21}, "7.2 step 3": {7},
}

// checkStep compares the step that err names with the one that the case is of.
func checkStep(t *testing.T, step string, err error) {
	t.Helper()
	got := webauthn.Step(err)
	if err == nil {
		if got != 0 {
			t.Errorf("Step(nil) = %d", got)
		}
		return
	}
	var section, want int
	if _, e := fmt.Sscanf(step, "7.%d step %d", &section, &want); e != nil {
		t.Fatalf("%q names no step: %v", step, e)
	}
	if got != want && !slices.Contains(elsewhere[fmt.Sprintf("7.%d step %d", section, want)], got) {
		t.Errorf("Step = %d of %v, want %d", got, err, want)
	}
}

func TestStepOfOthers(t *testing.T) {
	if got := webauthn.Step(errors.New("else")); got != 0 {
		t.Errorf("Step = %d", got)
	}
	if got := webauthn.Step(fmt.Errorf("wrapped: %w", error(webauthn.ErrOrigin))); got != 0 {
		t.Errorf("Step = %d of a fault that no verification returned", got)
	}
}

// What is inspected is what the response says, also where verification refuses it.
func TestInspect(t *testing.T) {
	var sent webauthn.AssertionResponse
	_, err := request{origin: "https://evil.example", response: func(r *webauthn.AssertionResponse) { sent = *r }}.run(t)
	if !errors.Is(err, webauthn.ErrOrigin) {
		t.Fatalf("error = %v", err)
	}
	seen := webauthn.InspectAssertion(sent)
	if seen.Type != "webauthn.get" || seen.ClientData.Origin != "https://evil.example" || !seen.AuthenticatorData || !seen.Flags.UserPresent() || seen.AAGUID != uuid.Nil {
		t.Errorf("seen = %+v", seen)
	}
	var made webauthn.RegistrationResponse
	if _, err := (creation{response: func(r *webauthn.RegistrationResponse) { made = *r }}).run(t); err != nil {
		t.Fatal(err)
	}
	if seen := webauthn.InspectRegistration(made); seen.Type != "webauthn.create" || !seen.AuthenticatorData || seen.Flags&webauthn.FlagAttestedData == 0 {
		t.Errorf("seen = %+v", seen)
	}
	if seen := webauthn.InspectRegistration(webauthn.RegistrationResponse{ClientDataJSON: []byte("{"), AttestationObject: []byte{0xff}}); seen != (webauthn.Seen{}) {
		t.Errorf("of nothing that can be read: %+v", seen)
	}
}
