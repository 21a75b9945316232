package ratelimit

import (
	"net/netip"
	"time"
)

// Limit is one rule: at most Max in each Window, counted by an id that the caller
// gives (the key's, the user's, the address's). Name is part of the counter's key
// and of the metrics: it is never reused for another meaning.
type Limit struct {
	Name   string
	Max    int64
	Window time.Duration
}

// Every limit of Biocore. A counter's key is
//
//	bc:{tenant}:limit:NAME:ID:WINDOW
//
// where WINDOW is the number of windows since 1970. See docs/limits.md.
var (
	// PerKey bounds what one API key may call, all methods together. A server that
	// signs in 100 users a second makes 200 calls; twice that leaves room for bursts.
	PerKey = Limit{Name: "key", Max: 400, Window: time.Second}

	// PerVisitor bounds what comes from one address (an IPv6 /64) with one publishable
	// key. All of a tenant's visitors share that key, so it is this limit that keeps one
	// of them from using up the others' part. A sign-in is two calls: an office or a
	// carrier's NAT behind one address still signs in ten people a second.
	PerVisitor = Limit{Name: "visitor", Max: 20, Window: time.Second}

	// PerSigningKeyChange bounds how often a tenant rotates and revokes signing keys by the
	// API: each makes a key, of which an RSA one costs a third of a second of CPU and one in
	// a KMS costs money. The command line is not counted.
	PerSigningKeyChange = Limit{Name: "signing_key", Max: 60, Window: time.Hour}

	// PerRecovery bounds how often a tenant's recovery codes are tried, all names together:
	// guesses at one name are bounded by the policy's lockout, and made-up names are rows.
	PerRecovery = Limit{Name: "recovery", Max: 600, Window: time.Minute}

	// PerDomainLook bounds how often a tenant has its own domain looked at, by the API and in
	// the console: each look asks somebody else's servers.
	PerDomainLook = Limit{Name: "domain_look", Max: 20, Window: time.Minute}

	// PerPublishableKey bounds all visitors of a tenant together: 2,500 sign-ins a
	// second. It takes 250 addresses at the limit of each to shut it.
	PerPublishableKey = Limit{Name: "publishable_key", Max: 5_000, Window: time.Second}
)

// Visitor names the address of a caller for PerVisitor: IPv6 by its /64, the least
// that one customer of a network gets. An unknown address is one visitor.
func Visitor(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
