package tenant

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/secure/precis"
)

// Bounds of what describes a tenant, as the API states them.
const (
	maxSlugBytes      = 40
	maxNameCharacters = 128
	maxDomainBytes    = 253
	maxOrigins        = 64
	maxOriginBytes    = 512
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

// checkRPID takes what browsers take as an RP ID (WebAuthn L3 #rp-id): a domain in
// lower-case ASCII that is no address and no public suffix, under which strangers could
// register too. localhost and its subdomains are for test tenants alone.
//
// Whether the customer owns the domain is not asked yet: until domain proof exists,
// the operator who makes a live tenant vouches for it.
func checkRPID(mode Mode, rpID string) error {
	const field = "rpId"
	if err := checkDomain(field, rpID); err != nil {
		return err
	}
	if isLocalhost(rpID) {
		if mode != Test {
			return invalid(field, "may be localhost in test mode only")
		}
		return nil
	}
	if suffix, _ := publicsuffix.PublicSuffix(rpID); suffix == rpID {
		return invalid(field, "is a public suffix: browsers refuse it")
	}
	return nil
}

func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func checkDomain(field, host string) error {
	if host == "" || len(host) > maxDomainBytes {
		return invalid(field, "has 1 to 253 characters")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return invalid(field, "is a domain, not an address")
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return invalid(field, "is a domain in lower case, in its ASCII form (xn--…), without scheme, port or final dot")
		}
	}
	// URL parsers take a host whose last label is a number for an IPv4 address
	// (WHATWG URL, "ends in a number").
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return invalid(field, "is a domain, not an address")
	}
	return nil
}

func isLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// checkOrigins takes the serialised origins that a tenant's pages can have: compared
// byte by byte with what browsers send, so they must be spelled as browsers do.
// Related origins of other domains and apps' origins are no part of this list.
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
	if len(origin) > maxOriginBytes {
		return invalid(field, "has entries of at most 512 bytes")
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return invalid(field, "holds origins such as https://login.bank.example")
	}
	host := u.Hostname()
	// Whatever else a URL can hold (user, path, query, a default port, upper case)
	// would make it differ from this.
	want := u.Scheme + "://" + host
	if port := u.Port(); port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 || (u.Scheme == "https" && n == 443) || (u.Scheme == "http" && n == 80) {
			return invalid(field, "names a port only where it is not the scheme's own")
		}
		want += ":" + strconv.Itoa(n)
	}
	if origin != want {
		return invalid(field, "holds scheme, host and port only, in lower case and without a final slash")
	}
	if err := checkDomain(field, host); err != nil {
		return err
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLocalhost(host) && mode == Test:
	default:
		return invalid(field, "has https, except for http://localhost in test mode")
	}
	if host != rpID && !strings.HasSuffix(host, "."+rpID) {
		return invalid(field, "has the RP ID or a subdomain of it as host")
	}
	return nil
}
