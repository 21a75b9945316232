package webauthn

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
)

// The values of ClientData's type member, one for each ceremony.
const (
	typeCreate = "webauthn.create"
	typeGet    = "webauthn.get"
)

// ClientData is what the client says about the context of a ceremony: the
// members of CollectedClientData (WebAuthn L3 #dictdef-collectedclientdata)
// that have a meaning beyond the ceremony.
type ClientData struct {
	Origin      string
	TopOrigin   string // empty if the client reported none
	CrossOrigin bool
}

// collectedClientData is clientDataJSON as parsed, not yet believed.
type collectedClientData struct {
	ClientData
	ceremony     string // the member "type"
	challenge    string // base64url, as the client wrote it
	hasTopOrigin bool
}

// parseClientData reads clientDataJSON. Members it does not know are checked
// for syntax and skipped: clients may add some (WebAuthn L3
// #dictdef-collectedclientdata), and Chromium does so to keep RPs honest.
// Stricter than UTF-8 decode (which replaces what is invalid) and than most JSON
// parsers (which take the last of two equal names): a client that conforms
// produces neither, and what is read differently by two parsers is an attack.
func parseClientData(raw []byte) (collectedClientData, error) {
	var c collectedClientData
	if len(raw) > maxClientDataBytes {
		return c, errors.New("client data: too long")
	}
	// "Any leading byte order mark must be stripped": §7.1 step 5, §7.2 step 8.
	text := string(bytes.TrimPrefix(raw, []byte("\ufeff")))
	var hasType, hasChallenge, hasOrigin bool
	err := jsonMembers(text, func(name, value string) (err error) {
		switch name {
		case "type":
			hasType = true
			c.ceremony, err = jsonString(value)
		case "challenge":
			hasChallenge = true
			c.challenge, err = jsonString(value)
		case "origin":
			hasOrigin = true
			c.Origin, err = jsonString(value)
		case "crossOrigin":
			c.CrossOrigin, err = jsonBool(value)
		case "topOrigin":
			c.hasTopOrigin = true
			c.TopOrigin, err = jsonString(value)
		}
		return err
	})
	if err != nil {
		return c, fmt.Errorf("client data: %w", err)
	}
	if !hasType || !hasChallenge || !hasOrigin {
		return c, errors.New("client data: type, challenge or origin is missing")
	}
	return c, nil
}

// verify does steps 7 to 11 of §7.1 and 10 to 14 of §7.2, which are the same
// but for the type. first is the number of the first of them.
func (c *collectedClientData) verify(rp *RP, ceremony string, first int, challenge []byte) error {
	if c.ceremony != ceremony {
		return at(first, ErrCeremonyType)
	}
	var buf [128]byte // a challenge of up to 96 bytes: no allocation
	want := base64.RawURLEncoding.AppendEncode(buf[:0], challenge)
	if subtle.ConstantTimeCompare(want, []byte(c.challenge)) != 1 {
		return at(first+1, ErrChallenge)
	}
	if !slices.Contains(rp.Origins, c.Origin) {
		return at(first+2, ErrOrigin.WithCause(fmt.Errorf("origin %.256q", c.Origin)))
	}
	if c.CrossOrigin && !rp.AllowCrossOrigin {
		return at(first+3, ErrOrigin.WithMessage("the credential was made in a cross-origin frame, which is not allowed"))
	}
	if !c.hasTopOrigin {
		if c.CrossOrigin && rp.RequireTopOrigin {
			return at(first+4, ErrOrigin.WithMessage("the client does not say which page embeds this relying party"))
		}
		return nil
	}
	// A client sets topOrigin only when crossOrigin is true, which was allowed
	// above; one that claims otherwise contradicts itself.
	if !c.CrossOrigin || !slices.Contains(rp.TopOrigins, c.TopOrigin) {
		return at(first+4, ErrOrigin.WithMessage("the credential was made inside a page that may not embed this relying party").
			WithCause(fmt.Errorf("top origin %.256q", c.TopOrigin)))
	}
	return nil
}
