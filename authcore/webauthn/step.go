package webauthn

import (
	"errors"

	"github.com/google/uuid"
)

// stepError is a fault with the step of the specification that it failed.
type stepError struct {
	error
	step int
}

func (e stepError) Unwrap() error { return e.error }

// at says at which step of §7.1 or §7.2 err came. What is parsed as a whole is told by
// the first step that needs it.
func at(step int, err error) error { return stepError{err, step} }

// Step returns the step of §7.1, for a registration, or of §7.2 that err says was failed;
// 0 for an error that is none of VerifyRegistration's or VerifyAssertion's.
func Step(err error) int {
	if e, ok := errors.AsType[stepError](err); ok {
		return e.step
	}
	return 0
}

// Seen is what a response says, whether or not it is to be believed: for those who look
// for what went wrong with it. What cannot be read is zero.
type Seen struct {
	Type       string // of the client data: webauthn.create, webauthn.get or anything else
	ClientData ClientData

	AuthenticatorData bool // it was read: Flags and SignCount count
	Flags             Flags
	SignCount         uint32
	AAGUID            uuid.UUID // of a registration
	UserHandle        bool      // there was one
}

// InspectRegistration reads what can be read of a response that was refused.
func InspectRegistration(resp RegistrationResponse) Seen {
	s := inspectClient(resp.ClientDataJSON)
	if object, err := parseAttestationObject(resp.AttestationObject); err == nil {
		s.inspect(object.RawAuthData)
	}
	return s
}

// InspectAssertion reads what can be read of a response that was refused.
func InspectAssertion(resp AssertionResponse) Seen {
	s := inspectClient(resp.ClientDataJSON)
	s.inspect(resp.AuthenticatorData)
	s.UserHandle = len(resp.UserHandle) > 0
	return s
}

func inspectClient(raw []byte) Seen {
	c, err := parseClientData(raw)
	if err != nil {
		return Seen{}
	}
	return Seen{Type: c.ceremony, ClientData: c.ClientData}
}

func (s *Seen) inspect(raw []byte) {
	d, err := parseAuthenticatorData(raw)
	if err != nil {
		return
	}
	s.AuthenticatorData, s.Flags, s.SignCount = true, d.flags, d.signCount
	if len(d.aaguid) == len(s.AAGUID) {
		s.AAGUID = uuid.UUID(d.aaguid)
	}
}
