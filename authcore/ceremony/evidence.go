package ceremony

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// proof is what a registration's evidence is made of.
type proof struct {
	vault    *evidence.Service // nil: none is kept
	at       time.Time
	rp       webauthn.RP
	expected webauthn.RegistrationExpectation
	response *webauthn.RegistrationResponse // nil: it did not come so far
	verified bool                           // the response verifies: what is refused now is policy's to refuse
	room     bool                           // for the evidence of a refusal by policy
	kept     evidence.Kept
}

// detail ties an audit entry to the evidence, byte for byte.
func (p *proof) detail() []attr.Attr {
	if p.kept.Ref() == nil {
		return nil
	}
	return []attr.Attr{
		attr.UUID("evidenceId", p.kept.ID), attr.Text("evidenceSha256", base64.RawURLEncoding.EncodeToString(p.kept.SHA256[:])),
	}
}

// keep writes the evidence of a registration that is accepted, in its transaction.
func (e *enrollment) keep(ctx context.Context, tx *db.TenantTx, owner user.ID) error {
	if e.proof.vault == nil {
		return nil
	}
	id := owner.UUID()
	in, err := e.evidence(string(Allow), "", &id)
	if err != nil {
		return err
	}
	in.Facts = e.facts.AppendJSON(nil)
	e.proof.kept, err = e.proof.vault.Keep(ctx, tx, e.ring, in)
	return err
}

// keepFailed writes the evidence of a registration that policy refuses.
func (e *enrollment) keepFailed(ctx context.Context, tx *db.TenantTx, reason string) error {
	e.proof.kept = evidence.Kept{}
	if !e.proof.room || !proven[reason] {
		return nil
	}
	in, err := e.evidence(outcomeFailed, reason, e.begun.User)
	if err != nil {
		return err
	}
	in.Facts = e.facts.AppendJSON(nil)
	e.proof.kept, err = e.proof.vault.Keep(ctx, tx, e.ring, in)
	return err
}

func (e *enrollment) evidence(outcome, reason string, owner *uuid.UUID) (evidence.Registration, error) {
	in := evidence.Registration{
		CeremonyID: e.id, At: e.proof.at, Outcome: outcome, Reason: reason, UserID: owner,
		RP: e.proof.rp, Expectation: e.proof.expected, Response: e.proof.response,
		PolicyVersion: e.snap.PolicyVersion, Policy: &e.snap.Policy,
	}
	if !e.proof.verified {
		return in, nil
	}
	in.Verified, in.Verdict, in.Roots = &e.verified, &e.verdict, e.roots
	var err error
	in.Metadata, err = evidence.MetadataOf(e.metadata, &e.verified)
	return in, err
}

// proven are the refusals that say something of an authenticator, or of who pretends to
// be one. The others are of the request, and there is nothing to prove by them.
var proven = map[string]bool{
	webauthn.ErrAttestation.Reason: true, webauthn.ErrAttestationFormat.Reason: true,
	"ATTESTATION_UNTRUSTED": true, "ATTESTATION_EXPIRED": true, "AUTHENTICATOR_NOT_ALLOWED": true, "AUTHENTICATOR_COMPROMISED": true,
	"CERTIFICATION_INSUFFICIENT": true, "SYNCED_PASSKEY_NOT_ALLOWED": true, "RESIDENT_KEY_REQUIRED": true,
}

// kindOfProof counts what was kept of a registration that goes on failing.
const kindOfProof ephemeral.Kind = "refused evidence"

// maxRefused is how much is kept in refusedWithin of what one word has vouched for: what
// fails burns no registration token, and a begin is free, so that whoever holds one could
// fill the vault with it.
const (
	maxRefused    = 3
	refusedWithin = 24 * time.Hour
)

// room reports whether evidence of another refusal is kept. Without Redis none is.
func (s *Service) room(ctx context.Context, e *enrollment) (bool, error) {
	word := e.begun.ID // a server's: it begins as often as it likes
	switch {
	case e.begun.TokenHash != nil:
		word = base64.RawURLEncoding.EncodeToString(e.begun.TokenHash)
	case e.begun.Recovery != nil:
		word = e.begun.Recovery.String()
	case e.begun.BySession:
		word = e.begun.User.String()
	}
	n, err := s.ephemeral.Count(ctx, e.scope, kindOfProof, word, 1, refusedWithin)
	return err == nil && n <= maxRefused, err
}

// keepRefused keeps the evidence of a registration that err refuses, and the ceremony as
// a failed one, in a transaction of its own: the one that was refused is rolled back, if
// there was any. It returns what the audit entry says of it.
func (s *Service) keepRefused(ctx context.Context, sc scope.Scope, e *enrollment, refusal error) []attr.Attr {
	f, ok := fault.As(refusal)
	if isRecorded(refusal) { // by policy: the record holds the evidence
		return nil
	}
	if s.evidence == nil || !ok || !proven[f.Reason] || e.proof.response == nil || e.snap.Policy.EvidenceRetentionDays == 0 {
		return nil
	}
	e.proof.kept = evidence.Kept{}
	// Although the client may have hung up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	room, err := s.room(ctx, e)
	if room {
		err = s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error { return e.fail(ctx, tx, f.Reason, refusal) })
	}
	if err != nil {
		e.proof.kept = evidence.Kept{}
		s.evidence.Lost(ctx, sc, err)
	}
	return e.proof.detail()
}

func (e *enrollment) fail(ctx context.Context, tx *db.TenantTx, reason string, refusal error) error {
	in, err := e.evidence(outcomeFailed, reason, e.begun.User)
	if err != nil {
		return err
	}
	credentialID := e.proof.response.RawID
	if e.proof.verified {
		credentialID, in.Facts = e.verified.CredentialID, e.facts.AppendJSON(nil)
	}
	if err := insertCeremony(ctx, tx, e.scope, &e.laps, tenantq.InsertCeremonyParams{
		At: tx.Now(), ID: e.id, Kind: kindRegistration, Outcome: outcomeFailed, Reason: reason, UserID: e.begun.User, CredentialID: credentialID,
		PolicyVersion: int32(e.snap.PolicyVersion), Facts: string(e.failure(refusal)), //nolint:gosec // an integer column
	}); err != nil {
		return fmt.Errorf("insert ceremony: %w", err)
	}
	e.proof.kept, err = e.proof.vault.Keep(ctx, tx, e.ring, in)
	return err
}
