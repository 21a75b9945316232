// Package rp knows what a relying party's names mean to browsers: which RP IDs they
// take, which origins may use one, by itself or as a related origin, and what moving
// to another domain would break.
//
// What asks no database is a pure function here, so that whoever keeps an RP ID, an
// origin or a list of related origins judges it by the same rules: Domain, ParseID,
// ParseOrigin, Relate and Count.
package rp

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Bounds, as the API states them.
const (
	MaxDomainBytes = 253
	MaxOriginBytes = 512
)

// What is wrong with a domain, an RP ID or an origin. The texts complete a sentence
// that begins with the name of the field.
var (
	ErrDomainLength = errors.New("has 1 to 253 characters")
	ErrAddress      = errors.New("is a domain, not an address")
	ErrDomain       = errors.New("is a domain in lower case, in its ASCII form (xn--…), without scheme, port or final dot")
	ErrSuffix       = errors.New("is a public suffix: browsers refuse it")
	ErrOriginLength = errors.New("has entries of at most 512 bytes")
	ErrOrigin       = errors.New("holds origins such as https://login.bank.example")
	ErrPort         = errors.New("names a port only where it is not the scheme's own")
	ErrOriginForm   = errors.New("holds scheme, host and port only, in lower case and without a final slash")
	ErrScheme       = errors.New("has https, except for http://localhost in test mode")
)

// CheckDomain takes a domain as DNS and browsers spell it: lower-case ASCII, no
// address, nothing around it. ErrDomainLength, ErrAddress, ErrDomain.
func CheckDomain(host string) error {
	if host == "" || len(host) > MaxDomainBytes {
		return ErrDomainLength
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return ErrAddress
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return ErrDomain
		}
	}
	// URL parsers take a host whose last label is a number for an IPv4 address
	// (WHATWG URL, "ends in a number").
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return ErrAddress
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

// CheckID takes what browsers take as an RP ID (WebAuthn L3 #rp-id): a domain that is
// no public suffix, under which strangers could register too. localhost and its
// subdomains pass: whether a tenant may have them is its mode's to say. CheckDomain's
// errors, ErrSuffix.
func CheckID(rpID string) error {
	if err := CheckDomain(rpID); err != nil {
		return err
	}
	if suffix, _ := publicsuffix.PublicSuffix(rpID); suffix == rpID && !IsLocalhost(rpID) {
		return ErrSuffix
	}
	return nil
}

// IsLocalhost tells the names that never leave the machine (RFC 6761 §6.3).
func IsLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// Origin is a web origin in the form that browsers serialise (WHATWG HTML, "ASCII
// serialisation of an origin"): a tuple, never an opaque one.
type Origin struct {
	Scheme string // https or http
	Host   string // a domain: CheckDomain
	Port   string // empty where it is the scheme's own
}

// String is the serialised form, which is compared byte by byte.
func (o Origin) String() string {
	if o.Port == "" {
		return o.Scheme + "://" + o.Host
	}
	return o.Scheme + "://" + o.Host + ":" + o.Port
}

// Secure reports whether browsers run WebAuthn on it at all: on https, and on http
// where the machine talks to itself.
func (o Origin) Secure() bool { return o.Scheme == "https" || IsLocalhost(o.Host) }

// Under reports whether browsers let the origin use rpID by itself, because its host
// is the RP ID or below it (WebAuthn L3 #rp-id).
func (o Origin) Under(rpID string) bool {
	return o.Host == rpID || strings.HasSuffix(o.Host, "."+rpID)
}

// ParseOrigin reads an origin in exactly the form in which a browser sends it: with a
// default port, a final slash or upper case it would never compare equal. CheckDomain's
// errors, ErrOriginLength, ErrOrigin, ErrPort, ErrOriginForm, and ErrScheme for what is
// neither https nor http.
func ParseOrigin(origin string) (Origin, error) {
	if len(origin) > MaxOriginBytes {
		return Origin{}, ErrOriginLength
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return Origin{}, ErrOrigin
	}
	o := Origin{Scheme: u.Scheme, Host: u.Hostname()}
	if port := u.Port(); port != "" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 || (u.Scheme == "https" && n == 443) || (u.Scheme == "http" && n == 80) {
			return Origin{}, ErrPort
		}
		o.Port = strconv.Itoa(n)
	}
	// Whatever else a URL can hold (user, path, query, a default port, upper case)
	// would make it differ from this.
	if origin != o.String() {
		return Origin{}, ErrOriginForm
	}
	if err := CheckDomain(o.Host); err != nil {
		return Origin{}, err
	}
	if o.Scheme != "https" && o.Scheme != "http" {
		return Origin{}, ErrScheme
	}
	return o, nil
}
