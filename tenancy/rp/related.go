package rp

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// MaxLabels is how many different registrable origin labels a list of related origins
// may have: clients must take five, and may stop there (WebAuthn L3
// #sctn-validating-relation). Origins whose label comes later are as good as absent.
const MaxLabels = 5

// Label returns the registrable origin label of a host: the first label of its
// registrable domain, "acme" for login.acme.co.uk. Clients count these, so acme.co.uk
// and acme.de cost one together. ok is false for a host that has none, which clients
// skip: a public suffix, localhost, an address.
func Label(host string) (label string, ok bool) {
	if CheckDomain(host) != nil || IsLocalhost(host) {
		return "", false
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return "", false
	}
	label, _, _ = strings.Cut(domain, ".")
	return label, true
}

// RelatedOrigin is one entry of a list of related origins, as clients read it.
type RelatedOrigin struct {
	Origin string // as it stands in the list
	Label  string // its registrable origin label; empty where it has none
	Reason Reason // empty: it may use the RP ID; else why clients pass over it
}

// Budget is what a list of related origins spends of MaxLabels.
type Budget struct {
	Labels  []string // the different labels, in the order of the list; those past Limit too
	Limit   int      // MaxLabels
	Origins []RelatedOrigin
}

// Over reports whether some origins are beyond what every client takes.
func (b *Budget) Over() bool { return len(b.Labels) > b.Limit }

// Count walks a list of related origins as clients do (WebAuthn L3
// #sctn-validating-relation): in its order, an origin counts while its label is among
// the first MaxLabels different ones. What has no label costs nothing. What has one
// costs it, even where the entry is of no use: clients parse the entries as URLs, so
// http://acme.example and https://acme.example/login have the label acme.
func Count(related []string) Budget {
	b := Budget{Limit: MaxLabels, Origins: make([]RelatedOrigin, 0, len(related))}
	for _, text := range related {
		entry := RelatedOrigin{Origin: text}
		o, err := ParseOrigin(text)
		switch {
		case err != nil:
			entry.Reason = OriginMalformed
			if u, err := url.Parse(text); err == nil {
				entry.Label, _ = b.spend(strings.ToLower(u.Hostname()))
			}
		case !o.Secure():
			entry.Label, _ = b.spend(o.Host)
			entry.Reason = OriginInsecure
		default:
			entry.Label, entry.Reason = b.spend(o.Host)
		}
		b.Origins = append(b.Origins, entry)
	}
	return b
}

// spend takes host's label into account, and tells whether it is within the limit.
func (b *Budget) spend(host string) (string, Reason) {
	label, ok := Label(host)
	if !ok {
		return "", OriginWithoutLabel
	}
	at := slices.Index(b.Labels, label)
	if at < 0 {
		at = len(b.Labels)
		b.Labels = append(b.Labels, label)
	}
	if at >= b.Limit {
		return label, LabelBudgetSpent
	}
	return label, ""
}
