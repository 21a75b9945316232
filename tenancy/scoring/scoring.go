// Package scoring asks a risk scoring service of a tenant's how risky a ceremony looks: LexisNexis ThreatMetrix, Feedzai, or a
// server that speaks as one of them does.
//
// A service is asked within a time, through a circuit breaker, and told no more of a person than the tenant allows: see Config. What it
// answers is read within bounds and is no more than an opinion; that there is none is no failure of the ceremony. Nothing is asked
// twice.
//
//	scoring.go       what is asked and answered
//	config.go        what a tenant settles, and what is taken
//	client.go        one service: time, breaker, counts
//	breaker.go       the circuit breaker
//	link.go          https
//	threatmetrix.go, feedzai.go  the wire of each; docs/risk-data.md says what of it is confirmed and what is assumed
package scoring

import (
	"context"
	"encoding/base64"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// Kind is what a service speaks.
type Kind string

// The kinds.
const (
	ThreatMetrix Kind = "THREATMETRIX"
	Feedzai      Kind = "FEEDZAI"
)

// Kinds returns them all.
func Kinds() []Kind { return []Kind{ThreatMetrix, Feedzai} }

// Event is what somebody is about to do.
type Event string

// The events.
const (
	SignIn       Event = "SIGN_IN"
	Registration Event = "REGISTRATION"
)

// Facts are what is known of a ceremony. What of them leaves this server, the Config says.
type Facts struct {
	Event     Event
	Reference string     // of the ceremony, by which both sides find it again; required
	Subject   string     // whom it is of: see Subject. Never a name, an id or a contact; empty: nobody yet
	SessionID string     // under which the service's own script has seen the browser; empty: it has not
	Address   netip.Addr // may be invalid
	Country   string     // of Address, ISO 3166-1; may be empty
	ASN       uint32     // of Address; may be 0
	UserAgent string     // may be empty
	At        time.Time
}

// Score is what a service thinks.
type Score struct {
	Risk      int      // 0 to 100; 100 is the worst
	Reasons   []string // in the service's words, cleaned; maxReasons at most
	Reference string   // the service's own, for its support; may be empty
}

// Provider is a service. Client is the only one that speaks to a network; tests have others.
type Provider interface {
	// Score asks. Its errors are ScoreErrors, and the context's.
	Score(ctx context.Context, f Facts) (Score, error)
}

// subjectPurpose separates pseudonyms from other MACs.
const subjectPurpose keys.Purpose = "risk provider subject"

// Subject is what a service is told in place of a user's id: the same for the same user as long as the tenant has keys, and another for
// each tenant and service, so that two services cannot tell that they speak of the same person. 22 characters of base64url.
func Subject(ring *keys.Ring, provider, user uuid.UUID) string {
	sum := ring.MAC(subjectPurpose, append(provider[:], user[:]...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Reason is why there is no score. It is a label of metrics.
type Reason string

// The reasons.
const (
	TimedOut    Reason = "TIMEOUT"     // no whole answer in time
	Unreachable Reason = "UNREACHABLE" // no such name, no connection, or it broke
	Forbidden   Reason = "ADDRESS"     // the name leads to an address that may not be asked
	Untrusted   Reason = "CERTIFICATE" // TLS or its certificate
	Refused     Reason = "CREDENTIAL"  // the service does not take the credential
	Unexpected  Reason = "STATUS"      // another status than success, a redirect among them
	Malformed   Reason = "ANSWER"      // no answer of the form that the kind has, or too large a one
	Open        Reason = "OPEN"        // not asked: it has failed too often
	Busy        Reason = "BUSY"        // not asked: too many questions are under way
)

// Reasons returns them all.
func Reasons() []Reason {
	return []Reason{TimedOut, Unreachable, Forbidden, Untrusted, Refused, Unexpected, Malformed, Open, Busy}
}

// ScoreError is that there is no score. Its text is ours: it holds nothing that the service sent, and no address.
type ScoreError struct {
	Reason Reason
	Text   string
}

func (f *ScoreError) Error() string { return f.Text }

// Bounds of what is kept of an answer.
const (
	maxReasons   = 16
	maxReason    = 80 // characters
	maxReference = 64
)

// cleanReasons are reasons as they can be kept and shown.
func cleanReasons(texts []string) []string {
	var out []string
	for _, text := range texts {
		if len(out) == maxReasons {
			break
		}
		if text = clean(text, maxReason); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// clean is a text in one line of at most so many characters.
func clean(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most])
	}
	return text
}
