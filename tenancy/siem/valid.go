package siem

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fetch"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

func invalid(field, why string) error {
	return ErrInvalid.WithMessage(field+" "+why).With("field", field)
}

// Redactable are the members of an entry that can be left out, as Config.Redact names them.
func Redactable() []string {
	return []string{"actor.name", "address", "userAgent", "reason", "before", "after", "detail", "requestId", "traceId"}
}

var (
	actionForm = regexp.MustCompile(`^[a-z]+(\.[a-z_]*)?$`)
	// Elasticsearch's own rules of index names, and those of Splunk, which are narrower.
	elasticIndex = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,254}$`)
	splunkIndex  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,79}$`)
)

// check makes c what is kept, or says what is wrong with it. Networks of the operator's are allowed.
func (c *Config) check(allowed []netip.Prefix) (err error) {
	if c.Name, err = tenant.CleanName("name", c.Name, maxName); err != nil {
		return invalid("name", "has 1 to 80 characters that can be seen")
	}
	switch {
	case !slices.Contains(Kinds(), c.Kind):
		return invalid("kind", "is one of SPLUNK_HEC, ELASTICSEARCH, SYSLOG_TLS, HTTPS")
	case !slices.Contains(Formats(), c.Format):
		return invalid("format", "is one of JSON, OCSF, ECS")
	case c.Acknowledge && c.Kind != Splunk:
		return invalid("acknowledge", "is for Splunk alone: the others say at once whether they have taken what was sent")
	}
	if err := c.checkIndex(); err != nil {
		return err
	}
	if c.Address, err = c.cleanAddress(allowed); err != nil {
		return err
	}
	if c.CACertificates, err = cleanCertificates(c.CACertificates); err != nil {
		return err
	}
	return c.checkFilter()
}

func (c *Config) checkIndex() error {
	switch {
	case c.Kind == Elasticsearch && !elasticIndex.MatchString(c.Index):
		return invalid("index", "is required: the index or data stream, of a-z, 0-9 and . _ -")
	case c.Kind == Splunk && c.Index != "" && !splunkIndex.MatchString(c.Index):
		return invalid("index", "is of a-z, 0-9 and _ -; empty for the token's own")
	case (c.Kind == Syslog || c.Kind == HTTPS) && c.Index != "":
		return invalid("index", "is for Splunk and Elasticsearch alone")
	}
	return nil
}

func (c *Config) checkFilter() error {
	if len(c.Actions) > maxListed {
		return invalid("actions", "are 32 at most")
	}
	for i, a := range c.Actions {
		if len(a) > 64 || !actionForm.MatchString(a) || slices.Contains(c.Actions[:i], a) {
			return invalid("actions", "are different beginnings of actions, such as credential. or apikey.create")
		}
	}
	for i, o := range c.Outcomes {
		if o != audit.Success && o != audit.Denied && o != audit.Failed || slices.Contains(c.Outcomes[:i], o) {
			return invalid("outcomes", "are different ones of success, denied, failed")
		}
	}
	for i, r := range c.Redact {
		if !slices.Contains(Redactable(), r) || slices.Contains(c.Redact[:i], r) {
			return invalid("redact", "are different ones of "+strings.Join(Redactable(), ", "))
		}
	}
	return c.checkKinds()
}

// cleanAddress returns the address as it is kept. What a name leads to is looked at when it is dialed;
// an address that is written out can be refused at once.
func (c *Config) cleanAddress(allowed []netip.Prefix) (string, error) {
	text := strings.TrimSpace(c.Address)
	if c.Kind == Syslog {
		host, port, err := net.SplitHostPort(text)
		if err != nil || !goodPort(port) {
			return "", invalid("address", "is host:port of the syslog server, such as logs.example.com:6514")
		}
		return net.JoinHostPort(strings.ToLower(host), port), checkHost(host, allowed)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Opaque != "" || u.User != nil || u.Fragment != "" || len(text) > 2048 ||
		u.Port() != "" && !goodPort(u.Port()) || strings.HasSuffix(u.Host, ":") {
		return "", invalid("address", "is a URL that begins with https:// and holds no user and no password")
	}
	if c.Kind != HTTPS {
		if u.RawQuery != "" || u.ForceQuery {
			return "", invalid("address", "has no query: it is where the server is, and paths of its API are added")
		}
		u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	}
	return u.String(), checkHost(u.Hostname(), allowed)
}

func goodPort(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= 1 && n <= 65535
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

func checkHost(host string, allowed []netip.Prefix) error {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" || !fetch.MayAsk(a, allowed) {
			return ErrAddress.With("field", "address")
		}
		return nil
	}
	if len(host) > 253 || !hostForm.MatchString(host) {
		return invalid("address", "names a host in letters, digits, hyphens and dots, or an IP address")
	}
	return nil
}

// maxCertificates bounds whom a stream trusts.
const maxCertificates = 8

// cleanCertificates returns the certificates alone, as PEM has them.
func cleanCertificates(text string) (string, error) {
	if strings.Contains(text, "PRIVATE KEY-----") {
		return "", invalid("caCertificates", "hold a private key: nothing of it is kept, but it has travelled, so replace it")
	}
	rest := bytes.TrimSpace([]byte(text))
	var out strings.Builder
	for n := 0; len(rest) > 0; n++ {
		block, more := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" || n == maxCertificates {
			return "", invalid("caCertificates", "are up to 8 certificates in PEM, with nothing beside them")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", invalid("caCertificates", "hold a certificate that cannot be read")
		}
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}))
		rest = bytes.TrimSpace(more)
	}
	if out.Len() > 65536 {
		return "", invalid("caCertificates", "have at most 64 KiB")
	}
	return out.String(), nil
}

// signingPrefix is how Standard Webhooks writes a symmetric secret.
const signingPrefix = "whsec_"

// checkCredential judges what a sink is shown: the token of Splunk; the API key of Elasticsearch, or
// user:password; the secret that requests to an HTTPS sink are signed with. Syslog has none.
func checkCredential(kind Kind, credential string) error {
	field := func(why string) error {
		return ErrCredential.WithMessage("credential "+why).With("field", "credential")
	}
	for _, r := range credential {
		if r < 0x20 || r > 0x7e {
			return field("is of visible ASCII characters")
		}
	}
	switch {
	case len(credential) > 4096:
		return field("has at most 4096 characters")
	case kind == Syslog && credential != "":
		return field("is for other kinds: a syslog server is shown none")
	case kind == Splunk && (credential == "" || strings.ContainsAny(credential, " \t")):
		return field("is required: the token of Splunk's HTTP Event Collector")
	case kind == Elasticsearch && credential == "":
		return field("is required: an encoded API key of Elasticsearch, or user:password")
	case kind == HTTPS:
		if _, ok := signingKey(credential); !ok {
			return field("is required: the signing secret, whsec_ and 24 to 64 random bytes in base64")
		}
	}
	return nil
}

// signingKey returns the bytes of a secret of Standard Webhooks.
func signingKey(credential string) ([]byte, bool) {
	text, ok := strings.CutPrefix(credential, signingPrefix)
	if !ok {
		return nil, false
	}
	key, err := base64.StdEncoding.DecodeString(text)
	return key, err == nil && len(key) >= 24 && len(key) <= 64
}
