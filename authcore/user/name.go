package user

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// maxCharacters bounds each of the three texts, as the API says: an e-mail address
// has up to 254. Authenticators may cut what they show after 64 bytes (WebAuthn L3
// #sctn-strings-truncation); what is stored here is not cut.
const maxCharacters = 256

// Clean returns p as it is kept. An external id is 1 to 256 characters and kept to
// the byte; a name has 1 to 256 characters, a display name none to 256, and both may
// come back different in spaces and normal form. ErrExternalID or ErrName, with the
// field in its metadata.
func (p Profile) Clean() (Profile, error) {
	if err := checkExternalID(p.ExternalID); err != nil {
		return Profile{}, err
	}
	var err error
	if p.Name, err = cleanName("name", p.Name); err != nil {
		return Profile{}, err
	}
	if p.DisplayName != "" {
		if p.DisplayName, err = cleanName("displayName", p.DisplayName); err != nil {
			return Profile{}, err
		}
	}
	return p, nil
}

// cleanName prepares a name for display and comparison: PRECIS's FreeformClass in
// form NFC (RFC 8264 §4.3), with spaces trimmed and collapsed as RFC 8266 §2.1 does.
// It refuses control characters, bidirectional controls and invisible characters
// (ZERO WIDTH NON-JOINER between letters that need it stays), by which one name
// could pass for another or change the text around it. Case is kept.
//
// WebAuthn L3 #dom-publickeycredentialentity-name asks for UsernameCasePreserved,
// which has no spaces: tenants do use names of people here, so spaces stay.
func cleanName(field, s string) (string, error) {
	clean, err := precis.OpaqueString.String(s)
	if err != nil || !utf8.ValidString(s) { // PRECIS replaces what is not UTF-8
		return "", ErrName.With("field", field)
	}
	clean = strings.Join(strings.Fields(clean), " ")
	if clean == "" || utf8.RuneCountInString(clean) > maxCharacters {
		return "", ErrName.With("field", field)
	}
	return clean, nil
}

// checkExternalID refuses what cannot be compared safely. An external id is the
// tenant's key into its own systems, so it is kept to the byte or not at all.
func checkExternalID(s string) error {
	clean, err := precis.OpaqueString.String(s)
	if err != nil || clean != s || utf8.RuneCountInString(s) > maxCharacters {
		return ErrExternalID.With("field", "externalId")
	}
	return nil
}
