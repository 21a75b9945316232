package rp

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/fetch"
)

// ErrBusy is answered where this server looks at as many domains as it may.
var ErrBusy = fault.New(fault.Exhausted, "DOMAIN_LOOK_BUSY", "this server is looking at as many domains as it may: try again in a moment").WithRetryAfter(lookFor)

// ProofMethod is how it is known that an RP ID is its tenant's own domain.
type ProofMethod string

// The methods.
const (
	ByDNS       ProofMethod = "DNS"       // a TXT record
	ByFile      ProofMethod = "FILE"      // a file that the domain serves
	ByVouch     ProofMethod = "VOUCHED"   // an operator's word
	ByMigration ProofMethod = "INHERITED" // the tenant is older than the proof
)

// Why a look finds no proof. Each is part of the public API.
const (
	TXTMissing      Reason = "TXT_MISSING"      // no record of ours below the name
	TXTDifferent    Reason = "TXT_DIFFERENT"    // records of ours, and none is this one
	TXTUnreadable   Reason = "TXT_UNREADABLE"   // the domain's name servers do not answer
	FileMissing     Reason = "FILE_MISSING"     // another status than 200
	FileRedirected  Reason = "FILE_REDIRECTED"  // it is elsewhere: whoever has that place has not shown the domain
	FileDifferent   Reason = "FILE_DIFFERENT"   // it is there, without the line
	FileUnreachable Reason = "FILE_UNREACHABLE" // nobody who may be asked answers
)

const (
	challengeLabel  = "_biocore-challenge."
	challengePrefix = "biocore-domain-verification="
	// ProofPath is where the file is, at the RP ID's own domain.
	ProofPath = "/.well-known/biocore-domain-verification"
)

// Challenge is what a tenant publishes to show that a domain is its own. Token is the
// tenant's and the domain's alone, so that what one publishes shows nothing for another.
type Challenge struct {
	RPID  string
	Token string
}

// DNSName is the name of the TXT record.
func (c Challenge) DNSName() string { return challengeLabel + c.RPID }

// Text is the value of the record, and the line of the file.
func (c Challenge) Text() string { return challengePrefix + c.Token }

// FileURL is the address of the file.
func (c Challenge) FileURL() string { return "https://" + c.RPID + ProofPath }

// Finding is what a look came to, one way.
type Finding struct {
	Method ProofMethod // ByDNS or ByFile
	Reason Reason      // why it shows nothing; empty: it shows that the domain is the tenant's
	Detail string      // for people; empty where Reason is
}

// NewFinding is a finding that was kept, with its words.
func NewFinding(m ProofMethod, reason Reason) Finding {
	return Finding{Method: m, Reason: reason, Detail: details[reason]}
}

var details = map[Reason]string{
	TXTMissing:      "no TXT record of that name begins with biocore-domain-verification=. New records take as long to show as the zone's negative TTL",
	TXTDifferent:    "there is such a TXT record, with another value: of another RP ID or tenant. Add this one beside it",
	TXTUnreadable:   "the domain's name servers did not answer",
	FileMissing:     "the file's address does not answer 200",
	FileRedirected:  "the file's address redirects: it has to answer at the RP ID itself",
	FileDifferent:   "the file is there, and has no line with this value",
	FileUnreachable: "the file's address cannot be asked over https",
}

// ProberOptions configures a Prober.
type ProberOptions struct {
	Fetch    *fetch.Client // required
	Resolver *net.Resolver // of TXT records; nil means the system's
}

// Prober looks for what tenants publish. It is safe for concurrent use.
type Prober struct {
	fetch    *fetch.Client
	resolver *net.Resolver
}

// NewProber returns a Prober.
func NewProber(o ProberOptions) *Prober {
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	return &Prober{fetch: o.Fetch, resolver: o.Resolver}
}

// lookFor bounds one look, both ways together.
const lookFor = 10 * time.Second

// Probe looks for c both ways at once, and answers what it found by DNS and by the file. An
// error is the context's, or ErrBusy when this server had no place to look from:
// whatever the network does is a finding.
func (p *Prober) Probe(ctx context.Context, c Challenge) ([2]Finding, error) {
	looking, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	var found [2]Finding
	var wg sync.WaitGroup
	wg.Go(func() { found[0] = NewFinding(ByDNS, p.lookTXT(looking, c)) })
	var busy error
	wg.Go(func() {
		reason, why, err := p.lookFile(looking, c)
		if err != nil {
			busy = err
			return
		}
		found[1] = NewFinding(ByFile, reason)
		if why != "" {
			found[1].Detail += ": " + why
		}
	})
	wg.Wait()
	return found, errors.Join(busy, ctx.Err())
}

func (p *Prober) lookTXT(ctx context.Context, c Challenge) Reason {
	records, err := p.resolver.LookupTXT(ctx, c.DNSName()+".") // with the point no search list is tried
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return TXTMissing
	} else if err != nil {
		return TXTUnreadable
	}
	reason := TXTMissing
	for _, r := range records {
		if strings.TrimSpace(r) == c.Text() {
			return ""
		}
		if strings.HasPrefix(r, challengePrefix) {
			reason = TXTDifferent
		}
	}
	return reason
}

func (p *Prober) lookFile(ctx context.Context, c Challenge) (reason Reason, why string, err error) {
	doc, err := p.fetch.Get(ctx, c.RPID, ProofPath)
	switch {
	case errors.Is(err, fetch.ErrBusy):
		return "", "", ErrBusy
	case err != nil && ctx.Err() == nil:
		return FileUnreachable, err.Error(), nil
	case err != nil:
		return FileUnreachable, fetch.ErrTimeout.Error(), nil
	case doc.Status >= 300 && doc.Status < 400:
		return FileRedirected, "", nil
	case doc.Status != 200:
		return FileMissing, "", nil
	}
	for line := range strings.Lines(string(doc.Body)) {
		if strings.TrimSpace(line) == c.Text() {
			return "", "", nil
		}
	}
	return FileDifferent, "", nil
}
