package tenant

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/rp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors about whose a domain is. Each Reason is part of the public API.
var (
	ErrDomainUnproven = fault.New(fault.Precondition, "DOMAIN_UNPROVEN", "nobody has shown that the RP ID is this tenant's own domain: publish the DNS record or the file that its relying party names, and let it be checked")
	ErrDomainLocal    = fault.New(fault.Precondition, "DOMAIN_PROOF_NOT_REQUIRED", "localhost is nobody's domain: there is nothing to prove")
	ErrDomainChanged  = fault.New(fault.Aborted, "RP_ID_CHANGED", "the RP ID was changed while its domain was looked at: look again")
	ErrVouchReason    = fault.New(fault.Invalid, "VOUCH_REASON_INVALID", "say in 1 to 256 characters how you know that the domain is the customer's")
)

// macDomain makes the tokens that tenants publish at their domains.
const macDomain keys.Purpose = "domain proof"

// lookAgain is how often what was proven is looked at again.
const lookAgain = 24 * time.Hour

// ProofState is whether a tenant's RP ID is known to be its own domain.
type ProofState string

// The states.
const (
	ProofNotRequired ProofState = "NOT_REQUIRED" // a test tenant's
	Unproven         ProofState = "UNPROVEN"     // ceremonies are ErrDomainUnproven; all else works
	Proven           ProofState = "PROVEN"
)

// DomainProof is what is known of whose an RP ID is.
type DomainProof struct {
	State        ProofState
	Method       rp.ProofMethod // empty unless proven
	ProvenAt     *time.Time
	CheckedAt    *time.Time   // when it was looked for last; nil: never
	FailingSince *time.Time   // since when what was proven is not found any more
	Findings     []rp.Finding // of the last look; none before it
	Challenge    rp.Challenge // what to publish
}

// requiresProof reports whether t proves its domain before ceremonies run. The reserved
// tenant's RP ID is the host of this installation's own address, which its operators set.
func (t *Tenant) requiresProof() bool { return t.Mode == Live && t.ID != scope.PlatformTenant }

// MayRunCeremonies returns nil where registrations and sign-ins may begin and end, and
// ErrDomainUnproven where a live tenant's domain is not known to be its own.
func (s *Snapshot) MayRunCeremonies() error {
	if s.requiresProof() && !s.DomainProven {
		return ErrDomainUnproven
	}
	return nil
}

// readProof returns the proof of t's RP ID, without its challenge. A row of another RP ID
// counts for nothing.
func readProof(ctx context.Context, tx *db.TenantTx, t *Tenant) (DomainProof, error) {
	p := DomainProof{State: Unproven}
	if !t.requiresProof() {
		p.State = ProofNotRequired
	}
	row, err := tx.GetDomainProof(ctx, t.ID)
	if db.IsNoRows(err) || err == nil && row.RpID != t.RPID {
		return p, nil
	} else if err != nil {
		return p, fmt.Errorf("get domain proof: %w", err)
	}
	p.ProvenAt, p.CheckedAt, p.FailingSince = row.ProvenAt, row.CheckedAt, row.FailingSince
	if row.Method != nil {
		p.Method = rp.ProofMethod(*row.Method)
		if t.requiresProof() {
			p.State = Proven
		}
	}
	if row.CheckedAt != nil {
		p.Findings = []rp.Finding{rp.NewFinding(rp.ByDNS, rp.Reason(row.FindingDns)), rp.NewFinding(rp.ByFile, rp.Reason(row.FindingFile))}
	}
	return p, nil
}

func putProof(ctx context.Context, tx *db.TenantTx, rpID string, p *DomainProof) error {
	row := tenantq.PutDomainProofParams{RpID: rpID, ProvenAt: p.ProvenAt, CheckedAt: p.CheckedAt, FailingSince: p.FailingSince}
	if p.Method != "" {
		method := string(p.Method)
		row.Method = &method
	}
	for _, f := range p.Findings {
		if f.Method == rp.ByDNS {
			row.FindingDns = string(f.Reason)
		} else {
			row.FindingFile = string(f.Reason)
		}
	}
	if p.Method == rp.ByDNS || p.Method == rp.ByFile { // of an operator's word nothing is to be seen
		next := tx.Now().Add(lookAgain)
		row.DueAt = &next
	}
	if err := tx.PutDomainProof(ctx, row); err != nil {
		return fmt.Errorf("put domain proof: %w", err)
	}
	return nil
}

// challenge is what the tenant of sc publishes to prove rpID.
func (s *Service) challenge(ctx context.Context, sc scope.Scope, rpID string) (rp.Challenge, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return rp.Challenge{}, fmt.Errorf("keys: %w", err)
	}
	id := sc.Tenant()
	mac := ring.MAC(macDomain, append(id[:], rpID...))
	return rp.Challenge{RPID: rpID, Token: base64.RawURLEncoding.EncodeToString(mac[:])}, nil
}

// DomainProof returns whether the tenant's domain is proven, and what to publish for it.
// It asks no network. ErrNotFound.
func (s *Service) DomainProof(ctx context.Context, sc scope.Scope) (DomainProof, error) {
	if sc.Tenant() == scope.PlatformTenant {
		return DomainProof{}, ErrNotFound
	}
	t, p, err := s.proof(ctx, sc)
	if err != nil {
		return DomainProof{}, err
	}
	p.Challenge, err = s.challenge(ctx, sc, t.RPID)
	return p, err
}

func (s *Service) proof(ctx context.Context, sc scope.Scope) (t Tenant, p DomainProof, err error) {
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetTenant(ctx)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		t = fromRow(row)
		p, err = readProof(ctx, tx, &t)
		return err
	})
	return t, p, err
}

// VerifyDomain looks for the proof of the tenant's domain, by DNS and by file, and answers
// what it found. One way suffices. What is proven stays so until the RP ID changes: when a
// later look finds nothing, FailingSince says since when, and nothing stops. ErrNotFound,
// ErrDeleting, ErrDomainLocal, ErrDomainChanged.
func (s *Service) VerifyDomain(ctx context.Context, sc scope.Scope) (DomainProof, error) {
	if sc.Tenant() == scope.PlatformTenant {
		return DomainProof{}, ErrNotFound
	}
	t, _, err := s.proof(ctx, sc)
	switch {
	case err != nil:
		return DomainProof{}, err
	case t.State == Deleting:
		return DomainProof{}, ErrDeleting
	case rp.IsLocalhost(t.RPID):
		return DomainProof{}, ErrDomainLocal
	}
	challenge, err := s.challenge(ctx, sc, t.RPID)
	if err != nil {
		return DomainProof{}, err
	}
	found, err := s.prober.Probe(ctx, challenge) // asks the network: not within the transaction
	if err != nil {
		return DomainProof{}, err
	}
	var verified DomainProof
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two looks at once could each report the first proof, so the tenant's row is the lock;
		// it also keeps the RP ID as it is.
		row, err := tx.LockTenant(ctx, sc.Tenant())
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("lock tenant: %w", err)
		}
		now := fromRow(row)
		switch {
		case now.State == Deleting:
			return ErrDeleting
		case now.RPID != t.RPID:
			return ErrDomainChanged
		}
		before, err := readProof(ctx, tx, &now)
		if err != nil {
			return err
		}
		verified = before.after(found, tx.Now())
		verified.Challenge = challenge
		if verified.Method != "" && now.requiresProof() {
			verified.State = Proven
		}
		if err := putProof(ctx, tx, now.RPID, &verified); err != nil {
			return err
		}
		tx.Result(verified)
		return s.recordLook(ctx, tx, before, verified)
	})
	if err != nil {
		return DomainProof{}, err
	}
	s.current.Forget(sc.Tenant(), "")
	return verified, nil
}

// after is the proof after a look.
func (p *DomainProof) after(found [2]rp.Finding, now time.Time) DomainProof {
	q := *p
	q.CheckedAt, q.Findings = &now, found[:]
	var method rp.ProofMethod
	for _, f := range found {
		if f.Reason == "" && method == "" {
			method = f.Method
		}
	}
	switch {
	case method != "":
		// What is seen is worth more than a word that was given for it.
		if q.Method == "" || q.Method == rp.ByVouch || q.Method == rp.ByMigration {
			q.ProvenAt = &now
		}
		q.Method, q.FailingSince = method, nil
	case (q.Method == rp.ByDNS || q.Method == rp.ByFile) && q.FailingSince == nil:
		q.FailingSince = &now
	}
	return q
}

// recordLook leaves what a look leaves behind: an audit entry where somebody asked for it
// or it changed something, a notice and an event where it changed something.
func (s *Service) recordLook(ctx context.Context, tx *db.TenantTx, before, after DomainProof) error {
	var typ event.Type
	switch {
	case before.Method == "" && after.Method != "":
		typ = event.DomainProven
	case before.FailingSince == nil && after.FailingSince != nil:
		typ = event.DomainProofMissing
	case before.FailingSince != nil && after.FailingSince == nil:
		typ = event.DomainProofFound
	}
	if typ == "" && tx.Scope().Actor().Kind == scope.ActorSystem && tx.Scope().Actor().ID == domainJob {
		return nil // the daily look found what it found yesterday
	}
	e := audit.Entry{
		Action: "domain.verify", Target: audit.Target{Kind: "tenant", ID: tx.Scope().Tenant().String()},
		Detail: []attr.Attr{attr.Text("rpId", after.Challenge.RPID), attr.Text("state", string(after.State)), attr.Text("method", string(after.Method))},
	}
	for _, f := range after.Findings {
		if f.Reason != "" {
			e.Detail = append(e.Detail, attr.Text("finding"+string(f.Method), string(f.Reason)))
		}
	}
	if err := audit.Append(ctx, tx, e); err != nil {
		return err
	}
	if typ == "" {
		return nil
	}
	if err := tx.Changed(ctx, db.NounTenant, ""); err != nil {
		return err
	}
	return event.Append(ctx, tx, event.Event{Type: typ, Data: []attr.Attr{attr.Text("rpId", after.Challenge.RPID)}})
}

// domainJob is who looks again every day: jobs.DomainMaintenance.
const domainJob = "job:domain_maintenance"

// VouchRequest names a live tenant whose RP ID an operator knows to be its own domain.
type VouchRequest struct {
	ID     uuid.UUID
	Reason string // how the operator knows, for the audit log: 1 to 256 characters
}

// VouchDomain lets the tenant's ceremonies run on an operator's word: where neither DNS nor
// the domain's web server can be asked from here. A proof that was seen stays as it is.
// ErrPlatformOnly, ErrNotFound, ErrDeleting, ErrVouchReason.
func (s *Service) VouchDomain(ctx context.Context, sc scope.Scope, req VouchRequest) (Tenant, error) {
	if !audit.IsReason(req.Reason) {
		return Tenant{}, ErrVouchReason
	}
	return s.change(ctx, sc, req.ID, "vouch for a domain", func(_ *db.PlatformTx, own *db.TenantTx, t Tenant) (Tenant, error) {
		return t, s.vouch(ctx, own, &t, req.Reason)
	})
}

// vouch keeps an operator's word for the RP ID of t, unless it is proven.
func (s *Service) vouch(ctx context.Context, own *db.TenantTx, t *Tenant, reason string) error {
	before, err := readProof(ctx, own, t)
	if err != nil {
		return err
	}
	if before.State != Unproven {
		return nil
	}
	now := own.Now()
	if err := putProof(ctx, own, t.RPID, &DomainProof{Method: rp.ByVouch, ProvenAt: &now}); err != nil {
		return err
	}
	if err := own.Changed(ctx, db.NounTenant, ""); err != nil {
		return err
	}
	if err := audit.Append(ctx, own, audit.Entry{
		Action: "domain.vouch", Target: audit.Target{Kind: "tenant", ID: t.ID.String()}, Reason: reason, Detail: []attr.Attr{attr.Text("rpId", t.RPID)},
	}); err != nil {
		return err
	}
	return event.Append(ctx, own, event.Event{Type: event.DomainProven, Data: []attr.Attr{attr.Text("rpId", t.RPID)}})
}
