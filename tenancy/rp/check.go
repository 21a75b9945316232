package rp

import "strings"

// Reason says why an origin cannot use an RP ID, or what it needs for it. Each is
// part of the public API.
type Reason string

// The reasons, the first that applies.
const (
	RPIDMalformed      Reason = "RP_ID_MALFORMED"        // no domain in the form that browsers take
	RPIDPublicSuffix   Reason = "RP_ID_PUBLIC_SUFFIX"    // browsers refuse it: strangers register below it
	OriginMalformed    Reason = "ORIGIN_MALFORMED"       // not in the form in which a browser would send it
	OriginInsecure     Reason = "ORIGIN_NOT_SECURE"      // http, and not localhost
	OriginWithoutLabel Reason = "ORIGIN_WITHOUT_LABEL"   // cannot be a related origin: no registrable domain
	OriginAboveRPID    Reason = "ORIGIN_ABOVE_RP_ID"     // the RP ID is a subdomain of the origin's host
	OriginUnrelated    Reason = "ORIGIN_UNRELATED"       // another domain, and not in the list of related origins
	LabelBudgetSpent   Reason = "RELATED_LABELS_SPENT"   // in the list, behind the labels that every client takes
	OriginNotAllowed   Reason = "ORIGIN_NOT_IN_SETTINGS" // browsers would do it, but Biocore refuses what it answers
)

// Relation is how an origin comes to use an RP ID.
type Relation string

// The relations.
const (
	Unusable Relation = "NONE"    // it does not
	Own      Relation = "OWN"     // the origin's host is the RP ID or below it: every client
	Related  Relation = "RELATED" // by the RP ID's list of related origins: clients that know it
)

// Verdict is whether browsers let an origin use an RP ID, and why not.
type Verdict struct {
	Relation Relation
	Reason   Reason // empty where Relation is not Unusable
	Detail   string // for people; empty where Reason says it all
}

// Relate judges whether a page of origin may use rpID, given the list that the RP ID's
// domain serves at /.well-known/webauthn. It knows what browsers do, and nothing of any
// tenant's settings.
func Relate(rpID, origin string, related []string) Verdict {
	if err := CheckID(rpID); err != nil {
		if err == ErrSuffix { //nolint:errorlint // a variable of ours, never wrapped
			return Verdict{Unusable, RPIDPublicSuffix, "the RP ID " + err.Error()}
		}
		return Verdict{Unusable, RPIDMalformed, "the RP ID " + err.Error()}
	}
	o, err := ParseOrigin(origin)
	switch {
	case err != nil:
		return Verdict{Unusable, OriginMalformed, "the list of origins " + err.Error()}
	case !o.Secure():
		return Verdict{Unusable, OriginInsecure, "browsers run WebAuthn on https alone, and on http://localhost"}
	case o.Under(rpID):
		return Verdict{Relation: Own}
	}
	for _, entry := range Count(related).Origins {
		if entry.Origin == origin {
			if entry.Reason != "" {
				return Verdict{Unusable, entry.Reason, relatedDetail(entry)}
			}
			return Verdict{Relation: Related}
		}
	}
	if strings.HasSuffix(rpID, "."+o.Host) {
		return Verdict{Unusable, OriginAboveRPID, "an RP ID may be the origin's host or a domain above it, and not one below"}
	}
	return Verdict{Unusable, OriginUnrelated, "its host is not the RP ID or below it, and it is not in the list of related origins"}
}

func relatedDetail(entry RelatedOrigin) string {
	if entry.Reason == LabelBudgetSpent {
		return "the list names too many domains before " + entry.Label + ": clients stop after five"
	}
	return "it has no registrable domain, so clients pass over it"
}
