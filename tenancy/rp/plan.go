package rp

import (
	"context"
	"fmt"
	"slices"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// PlanRequest asks what a move to another domain would come to.
type PlanRequest struct {
	RPID    string   // of then
	Origins []string // of then: where users will sign in
}

// Way is how to move.
type Way string

// The ways.
const (
	Nothing Way = "NOTHING"        // the RP ID stays as it is, and covers the origins
	Keep    Way = "KEEP_RP_ID"     // new origins become related origins of the RP ID: no passkey is lost
	Enroll  Way = "ENROLL_ANEW"    // no way around new passkeys: related origins do not reach
	Move    Way = "CHANGE_OF_RPID" // there are no credentials yet: the RP ID is changed and that is all
)

// Moved is one origin in a plan.
type Moved struct {
	Origin string
	Now    Verdict // under the RP ID of today, if it were listed as a related origin where it needs to be
	Then   Verdict // under the new RP ID
}

// Step is one thing to do, in its order, and how to see that it worked.
type Step struct {
	Do     string
	Verify string
}

// Warning is what must be known before. Code is part of the public API.
type Warning struct {
	Code string
	Text string
}

// Plan is what a move comes to.
type Plan struct {
	Overview // of today

	To                  string
	Way                 Way
	CredentialsAffected int // not revoked, and of another RP ID than To: they answer to it never
	UsersAffected       int // who have one of them
	UsersStranded       int // who would have no active credential left
	Origins             []Moved
	RelatedNeeded       []string // to be listed at today's RP ID, beside those that are
	RelatedBudget       Budget   // of the whole list then
	Clients             []string // which clients know related origins
	Warnings            []Warning
	Steps               []Step
}

// Clients that know related origins, from their makers' release notes. Whoever is in
// doubt asks the client: PublicKeyCredential.getClientCapabilities(), relatedOrigins.
var clients = []string{
	"Chrome and Edge from 128", "Safari from 18 (iOS 18, macOS 15)",
	"others: where PublicKeyCredential.getClientCapabilities() says relatedOrigins",
}

// Plan says what would break if the tenant's RP ID became another one, and how to move
// so that the least does. It changes nothing. ErrInvalid, ErrNotFound.
func (s *Service) Plan(ctx context.Context, sc scope.Scope, req PlanRequest) (Plan, error) {
	if err := CheckID(req.RPID); err != nil {
		return Plan{}, ErrInvalid.WithMessage("rpId "+err.Error()).With("field", "rpId")
	}
	if err := bound(req.Origins); err != nil {
		return Plan{}, err
	}
	p := Plan{To: req.RPID, Clients: clients}
	err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		p.Overview, p.UsersStranded, err = look(ctx, tx, req.RPID)
		return err
	})
	if err != nil {
		return Plan{}, err
	}
	for _, c := range p.Credentials {
		if c.RPID != p.To {
			p.CredentialsAffected += c.Active + c.Suspended
			p.UsersAffected += c.Users
		}
	}
	p.relate(req.Origins)
	p.choose()
	p.warn()
	p.steps()
	return p, nil
}

// relate judges the origins under both RP IDs.
func (p *Plan) relate(origins []string) {
	list := slices.Clone(p.Overview.RelatedOrigins)
	for _, text := range origins {
		if o, err := ParseOrigin(text); err == nil && !o.Under(p.RPID) && !slices.Contains(list, text) {
			list = append(list, text)
			p.RelatedNeeded = append(p.RelatedNeeded, text)
		}
	}
	p.RelatedBudget = Count(list)
	for _, text := range origins {
		p.Origins = append(p.Origins, Moved{Origin: text, Now: Relate(p.RPID, text, list), Then: Relate(p.To, text, nil)})
	}
}

func (p *Plan) choose() {
	reachable := !slices.ContainsFunc(p.Origins, func(m Moved) bool { return m.Now.Relation == Unusable })
	switch {
	case p.To == p.RPID && len(p.RelatedNeeded) == 0:
		p.Way = Nothing
	case p.To != p.RPID && p.CredentialsAffected == 0:
		p.Way = Move
	case reachable:
		p.Way = Keep
	default:
		p.Way = Enroll
	}
}

func (p *Plan) warn() {
	add := func(code, format string, args ...any) {
		p.Warnings = append(p.Warnings, Warning{code, fmt.Sprintf(format, args...)})
	}
	for _, m := range p.Origins {
		if m.Then.Relation == Unusable && p.To != p.RPID {
			add("ORIGIN_UNUSABLE_THEN", "%s could not use the RP ID %s: %s", m.Origin, p.To, m.Then.Detail)
		}
	}
	if p.RelatedBudget.Over() {
		add("RELATED_LABELS_SPENT", "the related origins have %d registrable labels; clients take %d, in the order of the list", len(p.RelatedBudget.Labels), p.RelatedBudget.Limit)
	}
	if p.To != p.RPID && p.UsersStranded > 0 {
		add("USERS_STRANDED", "%d of %d users who can sign in would have no passkey left under %s", p.UsersStranded, p.UsersAble, p.To)
	}
	if p.To != p.RPID && p.CredentialsAffected > 0 {
		add("RP_ID_IN_USE", "Biocore changes no RP ID while there are credentials: the new domain would be a tenant of its own")
	}
	if p.Way == Keep {
		add("CLIENT_SUPPORT", "clients that do not know related origins cannot sign in at the new origins: keep a page at %s for them", p.RPID)
		add("KEEP_THE_DOMAIN", "%s must stay yours and serve its list for as long as its passkeys are used: who gets the domain gets their RP ID", p.RPID)
	}
}

func (p *Plan) steps() {
	do := func(what, verify string) { p.Steps = append(p.Steps, Step{what, verify}) }
	switch p.Way {
	case Nothing:
	case Move:
		do("Change rpId and origins in the settings together: there are no credentials that it would orphan.", "biocore rp check for each origin")
		do("Register a passkey at each origin.", "biocore rp show counts it under "+p.To)
	case Keep:
		do(fmt.Sprintf("List the new origins as relatedOrigins in the settings: %v.", p.RelatedNeeded), "biocore rp check for each origin says RELATED or OWN")
		do("Let https://"+p.RPID+"/.well-known/webauthn answer with Biocore's list, as application/json, without redirects to http.", "curl https://"+p.RPID+"/.well-known/webauthn")
		do("On the new pages call navigator.credentials with the options as Biocore gives them: their rpId stays "+p.RPID+".", "sign in at each new origin, with each client that matters")
		do("Where getClientCapabilities() does not say relatedOrigins, send people to a page at "+p.RPID+" to sign in.", "sign in with such a client")
		do("Keep "+p.RPID+" and its list.", "watch the list from outside")
	case Enroll:
		do("Make a tenant with the RP ID "+p.To+" and its origins, beside this one.", "biocore rp check in it for each origin")
		do("Bring the users over without credentials (biocore export users, biocore import).", "the counts of the import")
		do("At the old origins sign people in with the passkey that they have, then let the new domain register one by a registration token.", "biocore rp show in both tenants: users of the new one rise, use of the old one falls")
		do("Give those who do not come by their old passkey another way: enrollment links.", fmt.Sprintf("%d users are affected today", p.UsersAffected))
		do("Suspend the old tenant when nobody has used it for as long as you can wait.", "biocore rp show: used recently is 0")
	}
}
