package tenant

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/rp"
)

// Bounds of what describes a tenant, as the API states them.
const (
	maxSlugBytes      = 40
	maxNameCharacters = 128
	maxOrigins        = 64

	maxLabelCharacters = 64
)

func invalid(field, why string) error {
	return ErrInvalid.WithMessage(field+" "+why).With("field", field)
}

var slugForm = regexp.MustCompile(`^[a-z](-?[a-z0-9])*$`)

// checkSlug takes 2 to 40 of a-z, 0-9 and inner single hyphens, a letter first: it
// stands in URLs as it is, looks like nothing else, and is no IDNA label.
func checkSlug(slug string) error {
	if len(slug) < 2 || len(slug) > maxSlugBytes || !slugForm.MatchString(slug) {
		return invalid("slug", "has 2 to 40 of a-z, 0-9 and inner hyphens, and begins with a letter")
	}
	return nil
}

// checkReason takes why somebody did something, for the audit log: up to 256 characters, or
// nothing. ErrInvalid names reason.
func checkReason(reason string) error {
	if reason != "" && !audit.IsReason(reason) {
		return invalid("reason", "has at most 256 characters")
	}
	return nil
}

// CleanName returns a name for people's eyes as it is kept: PRECIS's FreeformClass
// in form NFC (RFC 8264 §4.3), spaces trimmed and collapsed. Control characters,
// bidirectional controls and invisible characters are refused: with them one name
// passes for another. It has 1 to maxCharacters characters. ErrInvalid names field.
func CleanName(field, name string, maxCharacters int) (string, error) {
	clean, err := precis.OpaqueString.String(name)
	if err != nil || !utf8.ValidString(name) { // precis would mend it
		return "", invalid(field, "is empty or has characters that cannot be seen")
	}
	clean = strings.Join(strings.Fields(clean), " ")
	if n := utf8.RuneCountInString(clean); n < 1 || n > maxCharacters {
		return "", invalid(field, "has 1 to "+strconv.Itoa(maxCharacters)+" characters")
	}
	return clean, nil
}

// checkRPID takes what browsers take as an RP ID, see rp.CheckID. localhost and its
// subdomains are for test tenants alone. Whose domain it is, domainproof.go asks.
func checkRPID(mode Mode, rpID string) error {
	const field = "rpId"
	if err := rp.CheckID(rpID); err != nil {
		return invalid(field, err.Error())
	}
	if rp.IsLocalhost(rpID) && mode != Test {
		return invalid(field, "may be localhost in test mode only")
	}
	return nil
}

// checkOrigins takes the serialised origins that a tenant's pages can have: compared
// byte by byte with what browsers send, so they must be spelled as browsers do.
// Related origins of other domains and apps' origins are lists of their own.
func checkOrigins(mode Mode, rpID string, origins []string) error {
	const field = "origins"
	if len(origins) < 1 || len(origins) > maxOrigins {
		return invalid(field, "has 1 to 64 entries")
	}
	for i, o := range origins {
		if slices.Contains(origins[:i], o) {
			return invalid(field, "has an entry twice")
		}
		if err := checkOrigin(mode, rpID, o); err != nil {
			return err
		}
	}
	return nil
}

func checkOrigin(mode Mode, rpID, origin string) error {
	const field = "origins"
	o, err := rp.ParseOrigin(origin)
	if err == nil && o.Scheme != "https" && (mode != Test || !o.Secure()) {
		err = rp.ErrScheme
	}
	if err != nil {
		return invalid(field, err.Error())
	}
	if !o.Under(rpID) {
		return invalid(field, "has the RP ID or a subdomain of it as host")
	}
	return nil
}
