package ratelimit

import (
	"net/netip"
	"time"
)

// Limit is one rule: Max calls in each Window, evenly, and Max of them at once, counted by an
// id that the caller gives (the key's, the user's, the address's). It is a GCRA: a call takes
// Window/Max of time, and up to Window of time may be taken in advance. In any span t at most
// Max + Max/Window × t calls are admitted.
//
// Name is part of the counter's key, of answers and of the metrics: it is never reused for
// another meaning.
type Limit struct {
	Name   string
	Max    int64
	Window time.Duration

	// Least is the smallest Max that a tenant may be given, so that its dearest call is admitted
	// at all; 0 means one.
	Least int64

	// Exact limits are asked of Redis at each call. The others are judged by what this server
	// knows, which the others' calls reach within about syncEvery.
	Exact bool
}

// every is what a call takes, in microseconds, rounded up.
func (l *Limit) every() int64 { return (l.Window.Microseconds() + l.Max - 1) / l.Max }

// most is what may be taken in advance, in microseconds: Max calls.
func (l *Limit) most() int64 { return l.every() * l.Max }

// Every limit of Biocore, in the order of docs/limits.md, as all tenants have it that have none of
// their own (Own). A counter's key is
//
//	bc:{tenant}:limit:NAME:ID
var (
	// PerTenant bounds all keys of a tenant together: 4,000 sign-ins a second, which is more
	// than one Postgres commits. It keeps the tenant that makes itself more keys from having
	// more; who is quiet is kept from it by the queues (db/admission.go), not by this.
	PerTenant = Limit{Name: "tenant", Max: 8_000, Window: time.Second}

	// PerKey bounds what one API key may call, all methods together. A server that
	// signs in 100 users a second makes 200 calls; twice that leaves room for bursts.
	PerKey = Limit{Name: "key", Max: 400, Window: time.Second}

	// PerPublishableKey bounds all visitors of a tenant together: 2,500 sign-ins a
	// second. It takes 250 addresses at the limit of each to shut it.
	PerPublishableKey = Limit{Name: "publishable_key", Max: 5_000, Window: time.Second}

	// PerVisitor bounds what comes from one address (an IPv6 /64) with one publishable
	// key. All of a tenant's visitors share that key, so it is this limit that keeps one
	// of them from using up the others' part. A sign-in is two calls: an office or a
	// carrier's NAT behind one address still signs in ten people a second.
	PerVisitor = Limit{Name: "visitor", Max: 20, Window: time.Second}

	// PerUser bounds how often sign-ins are begun for one name, whichever keys begin them and
	// whether anybody has the name or not: each may make somebody's devices ask.
	PerUser = Limit{Name: "user", Max: 30, Window: time.Minute, Exact: true}

	// PerCredential bounds how often one credential signs in: each good signature is a session,
	// and rows. Bad ones are not counted, or anybody could use it up. It is not exact: a sign-in would
	// wait for Redis, for a bound that need not be.
	PerCredential = Limit{Name: "credential", Max: 30, Window: time.Minute}

	// PerEndpoint bounds, method by method and for all keys of a tenant together, what costs
	// far more than a call: exports, reports, evidence, previews of policy. The methods and what
	// a call of each takes are a table of package rpc.
	PerEndpoint = Limit{Name: "endpoint", Max: 120, Window: time.Minute, Least: 20}

	// PerSigningKeyChange bounds how often a tenant rotates and revokes signing keys by the
	// API: each makes a key, of which an RSA one costs a third of a second of CPU and one in
	// a KMS costs money. The command line is not counted.
	PerSigningKeyChange = Limit{Name: "signing_key", Max: 60, Window: time.Hour, Exact: true}

	// PerRecovery bounds how often a tenant's recovery codes are tried, all names together:
	// guesses at one name are bounded by the policy's lockout, and made-up names are rows.
	PerRecovery = Limit{Name: "recovery", Max: 600, Window: time.Minute, Exact: true}

	// PerDomainLook bounds how often a tenant has its own domain looked at, by the API and in
	// the console: each look asks somebody else's servers.
	PerDomainLook = Limit{Name: "domain_look", Max: 20, Window: time.Minute, Exact: true}
)

// All returns every limit, in the order of docs/limits.md.
func All() []*Limit {
	return []*Limit{
		&PerTenant, &PerKey, &PerPublishableKey, &PerVisitor, &PerUser, &PerCredential, &PerEndpoint, &PerSigningKeyChange, &PerRecovery, &PerDomainLook,
	}
}

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
