package scoring

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/fetch"
)

// Bounds of Config.
const (
	DefaultTimeout = 300 * time.Millisecond
	MinTimeout     = 50 * time.Millisecond
	MaxTimeout     = 2 * time.Second // somebody waits at a page

	defaultMaxScore = 1000

	maxAddress      = 2048
	maxCertificates = 32 << 10
	maxCredential   = 4096
)

// Config is what a tenant settles of a service. Its credential is no part of it: it is sealed, and given to New.
type Config struct {
	Kind Kind `json:"kind"`
	// Address is https://host[:port] of the service, with a path where its API begins there.
	Address string `json:"address"`
	// Organization is ThreatMetrix's org_id, which is required; empty for others.
	Organization string `json:"organization,omitempty"`
	// Policy is the service's own policy that decides: of ThreatMetrix alone; empty for its default.
	Policy string `json:"policy,omitempty"`
	// MaxScore is the worst score that Feedzai gives, 1 to 10000; 0 means 1000. ThreatMetrix's scale is fixed.
	MaxScore int `json:"maxScore,omitempty"`
	// TimeoutMillis is how long the whole of a question may take, 50 to 2000; 0 means 300.
	TimeoutMillis int `json:"timeoutMillis,omitempty"`

	// What is told of a person, beside what happens and when. Without any of it a service knows the ceremony alone.
	SendSubject   bool `json:"sendSubject,omitempty"`   // a pseudonym of the user: see Subject
	SendAddress   bool `json:"sendAddress,omitempty"`   // the IP address
	SendPlace     bool `json:"sendPlace,omitempty"`     // country and autonomous system of the address
	SendUserAgent bool `json:"sendUserAgent,omitempty"` // what browser, in its own words

	// CACertificates, in PEM, are who the service's certificate must come from; empty: the system's.
	CACertificates string `json:"caCertificates,omitempty"`
}

// Fields are the names of Config's fields in JSON, in order.
func Fields() []string {
	return []string{
		"kind", "address", "organization", "policy", "maxScore", "timeoutMillis", "sendSubject", "sendAddress", "sendPlace", "sendUserAgent", "caCertificates",
	}
}

// ConfigError is something that is wrong with a Config.
type ConfigError struct {
	Field string // as JSON spells it
	Text  string // what it is to be: follows the field's name
}

func (p ConfigError) Error() string { return p.Field + " " + p.Text }

// The forms that ThreatMetrix's own documents show: letters, digits and little else. They stand in a JSON string.
var wordForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// Check returns everything that is wrong, in the order of the fields. Networks of the operator's are allowed beside the
// public Internet. What a name leads to is looked at when it is asked.
func (c *Config) Check(allowed []netip.Prefix) (all []ConfigError) {
	bad := func(field, format string, args ...any) {
		all = append(all, ConfigError{field, fmt.Sprintf(format, args...)})
	}
	if !slices.Contains(Kinds(), c.Kind) {
		bad("kind", "is one of THREATMETRIX, FEEDZAI")
	}
	if why := checkAddress(c.Address, allowed); why != "" {
		bad("address", "%s", why)
	}
	switch {
	case c.Kind == ThreatMetrix && !wordForm.MatchString(c.Organization):
		bad("organization", "is required: the org_id, of letters, digits and _ . -, 64 at most")
	case c.Kind == Feedzai && c.Organization != "":
		bad("organization", "is for ThreatMetrix alone")
	}
	switch {
	case c.Policy == "":
	case c.Kind == Feedzai:
		bad("policy", "is for ThreatMetrix alone")
	case !wordForm.MatchString(c.Policy):
		bad("policy", "is of letters, digits and _ . -, 64 at most")
	}
	switch {
	case c.MaxScore == 0:
	case c.Kind == ThreatMetrix:
		bad("maxScore", "is for Feedzai alone: ThreatMetrix has a scale of its own")
	case c.MaxScore < 1 || c.MaxScore > 10_000:
		bad("maxScore", "is 1 to 10000")
	}
	if c.TimeoutMillis != 0 && (c.Timeout() < MinTimeout || c.Timeout() > MaxTimeout) {
		bad("timeoutMillis", "is %d to %d", MinTimeout.Milliseconds(), MaxTimeout.Milliseconds())
	}
	if c.CACertificates != "" && roots(c.CACertificates) == nil {
		bad("caCertificates", "are certificates in PEM and nothing else, 32 KiB at most")
	}
	return all
}

// Timeout is how long the whole of a question may take.
func (c *Config) Timeout() time.Duration {
	if c.TimeoutMillis == 0 {
		return DefaultTimeout
	}
	return time.Duration(c.TimeoutMillis) * time.Millisecond
}

// WorstScore is the worst that Feedzai gives.
func (c *Config) WorstScore() int { return cmp.Or(c.MaxScore, defaultMaxScore) }

// checkAddress says what is wrong with an address; nothing: nothing.
func checkAddress(text string, allowed []netip.Prefix) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		len(text) > maxAddress || strings.HasSuffix(u.Host, ":") {
		return "is a URL that begins with https:// and holds no user, no password and no query"
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !fetch.MayAsk(a, allowed) {
		return "is not of the public Internet: the operators of this installation allow networks of their own by BIOCORE_FETCH_NETWORKS"
	}
	return ""
}

// Host is which server is asked, with its port where one is named.
func (c *Config) Host() string {
	u, err := url.Parse(c.Address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// CheckCredential says what is wrong with what a service is shown; nil: nothing. ThreatMetrix has an API key, Feedzai a token.
func CheckCredential(credential string) error {
	if credential == "" || len(credential) > maxCredential || strings.ContainsFunc(credential, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ConfigError{"credential", fmt.Sprintf("is 1 to %d visible ASCII characters", maxCredential)}
	}
	return nil
}

// roots are the certificates of a text; nil where it holds none, or something else.
func roots(text string) *x509.CertPool {
	if len(text) > maxCertificates {
		return nil
	}
	pool, some := x509.NewCertPool(), false
	rest := []byte(strings.TrimSpace(text))
	for len(rest) > 0 {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil
		}
		pool.AddCert(cert)
		some, rest = true, after
	}
	if !some {
		return nil
	}
	return pool
}
