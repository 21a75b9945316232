package ceremony

import (
	"context"
	"fmt"
	"time"

	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/policy"
)

// What policy refuses of a registration whose response is good. Each Reason is one of
// package policy's, and part of the public API.
var (
	ErrAttestationUntrusted = fault.New(fault.Precondition, "ATTESTATION_UNTRUSTED", "the attestation does not prove as much as the policy requires")
	ErrAuthenticator        = fault.New(fault.Precondition, "AUTHENTICATOR_NOT_ALLOWED", "the policy does not allow this authenticator")
	ErrCompromised          = fault.New(fault.Precondition, "AUTHENTICATOR_COMPROMISED", "this model of authenticators is reported as compromised or revoked")
	ErrCertification        = fault.New(fault.Precondition, "CERTIFICATION_INSUFFICIENT", "this model of authenticators is not certified as the policy requires")
	ErrSynced               = fault.New(fault.Precondition, "SYNCED_PASSKEY_NOT_ALLOWED", "the policy does not allow passkeys that can be backed up")
	ErrResidentKey          = fault.New(fault.Precondition, "RESIDENT_KEY_REQUIRED", "the policy requires a discoverable credential")
	ErrStrongSignIn         = fault.New(fault.Precondition, "STRONG_SIGN_IN_REQUIRED", "a further passkey takes a recent strong sign-in of the user: send its access token")
	ErrConditional          = fault.New(fault.Precondition, "CONDITIONAL_NOT_ALLOWED", "the policy does not allow passkeys that are created without a prompt")
	ErrCrossOrigin          = fault.New(fault.Precondition, "CROSS_ORIGIN_NOT_ALLOWED", "the policy does not allow ceremonies within this page")
)

// refusals are the faults by reason.
var refusals = []*fault.Error{
	ErrAttestationUntrusted, webauthn.ErrAttestationExpired, ErrAuthenticator, ErrCompromised, ErrCertification, ErrSynced, ErrResidentKey,
	ErrStrongSignIn, ErrConditional, ErrCrossOrigin, ErrTooManyCredentials, webauthn.ErrAlgorithm, webauthn.ErrUserVerification,
}

// refusal is the fault of a decision that is not Allow.
func refusal(d policy.Decision) error {
	for _, f := range refusals {
		if f.Reason == d.Reasons[0] {
			return f
		}
	}
	return fmt.Errorf("no fault for the reason %s", d.Reasons[0])
}

// standing takes back what a session vouched for that has ended since: whoever revoked it
// meant all that it might still do. Under the user's lock.
func (e *enrollment) standing(ctx context.Context, tx *db.TenantTx) error {
	e.facts.SessionAAL = int(e.begun.SessionAAL) // this may be the second run
	if e.begun.SessionAAL == 0 {
		return nil
	}
	row, err := tx.GetSessionState(ctx, e.begun.Session)
	if err != nil && !db.IsNoRows(err) {
		return fmt.Errorf("get session state: %w", err)
	}
	if err == nil && row.RevokedAt == nil && tx.Now().Before(row.ExpiresAt) {
		return nil
	}
	if e.begun.BySession {
		return ErrAccessToken // nobody else vouches
	}
	e.facts.SessionAAL = 0
	return nil
}

// decide judges the registration by the tenant's policy as it is now, with kept as the
// number of credentials that the user has. It runs in the transaction that would store
// the credential.
func (e *enrollment) decide(kept int) error {
	e.facts.Credentials = kept
	e.decision = policy.DecideRegistration(&e.snap.Policy, &e.facts)
	if e.decision.Outcome != policy.Allow {
		return refusal(e.decision)
	}
	return nil
}

// gather notes what is known of the registration before its user is read.
func (e *enrollment) gather(now time.Time) {
	v := &e.verified
	e.facts = policy.RegistrationFacts{
		Origin: v.ClientData.Origin, TopOrigin: v.ClientData.TopOrigin, CrossOrigin: v.ClientData.CrossOrigin, Flags: uint8(v.Flags),
		UserPresent: v.Flags.UserPresent(), UserVerified: v.Flags.UserVerified(), BackupEligible: v.Flags.BackupEligible(), BackedUp: v.Flags.BackedUp(),
		SignCount: v.SignCount, Algorithm: int(v.Algorithm), AAGUID: v.AAGUID, Attachment: v.Attachment, Transports: v.Transports, Discoverable: v.Discoverable,
		AttestationAsked: e.begun.Attestation, AttestationFormat: v.Attestation.Format, AttestationType: attestationType(v.Attestation.Type),
		Trust: string(e.verdict.Trust), TrustReasons: e.verdict.Reasons, ChainExpired: e.verdict.Expired, AttestationExpired: e.expired, Certification: e.verdict.Certification,
		Reports: e.verdict.Statuses, MDSNumber: e.verdict.MDSNumber,
		Conditional: e.begun.Conditional, Via: string(e.via()), SessionAAL: int(e.begun.SessionAAL),
	}
	if e.begun.SessionAAL > 0 {
		e.facts.SessionAgeSeconds = int(now.Sub(e.begun.SessionSince) / time.Second)
	}
	if e.begun.PolicyVersion != e.snap.PolicyVersion {
		e.facts.BegunPolicyVersion = e.begun.PolicyVersion
	}
}

// recordRefused leaves the ceremony of a registration that policy refuses, its audit entry
// and its event, and spends the challenge: the same response is judged once. A
// registration token is not burned: another authenticator may do.
func (s *Service) recordRefused(ctx context.Context, e *enrollment, refused error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	hash := e.begun.hash()
	reason := e.decision.Reasons[0]
	var err error
	if e.proof.vault != nil {
		if e.proof.room, err = s.room(ctx, e); err != nil {
			s.evidence.Lost(ctx, e.scope, err)
		}
	}
	err = s.store.InTenantApart(ctx, e.scope, func(tx *db.TenantTx) error {
		if err := e.spend(ctx, tx, hash[:], e.begun.ExpiresAt, ErrChallengeSpent); err != nil {
			return err
		}
		e.laps.end(lapStore)
		if err := insertCeremony(ctx, tx, e.scope, &e.laps, tenantq.InsertCeremonyParams{
			At: tx.Now(), ID: e.id, Kind: kindRegistration, Outcome: outcomeFailed, Reason: reason, UserID: e.begun.User, CredentialID: e.verified.CredentialID,
			PolicyVersion: int32(e.snap.PolicyVersion), Facts: string(e.laps.append(e.facts.AppendJSON(nil))), //nolint:gosec // an integer column
		}); err != nil {
			return fmt.Errorf("insert ceremony: %w", err)
		}
		if err := e.keepFailed(ctx, tx, reason); err != nil {
			return err
		}
		detail := []attr.Attr{
			attr.Texts("reasons", e.decision.Reasons), attr.UUID("aaguid", e.facts.AAGUID), attr.Text("attestation", e.facts.AttestationFormat),
			attr.Text("trust", e.facts.Trust), attr.Text("via", e.facts.Via),
		}
		happened := event.Event{Type: event.RegistrationDenied, CredentialID: e.verified.CredentialID, Data: detail}
		if e.begun.User != nil {
			happened.UserID = *e.begun.User
		}
		if err := audit.Append(ctx, tx, audit.Entry{
			Action: actionRegister, Outcome: audit.Denied, Fault: reason,
			Target: audit.Target{Kind: "ceremony", ID: e.id.String()}, Detail: append(detail, e.proof.detail()...), Subject: happened.UserID,
		}); err != nil {
			return err
		}
		return event.Append(ctx, tx, happened)
	})
	if err != nil {
		return err
	}
	return recorded{refused}
}

// decline answers a sign-in with a good signature that policy does not let in by what is
// known of it already. It spends the challenge, as a sign-in does, and leaves the same
// records. What the credential's row says comes first: it may have been revoked since it
// was read.
func (s *Service) decline(ctx context.Context, in *signIn, d policy.Decision) (Authenticated, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	var decision Decision
	var reason string
	var refused error
	hash := in.begun.hash()
	err := s.store.InTenantApart(ctx, asUser(in.scope, in.known.user.ID), func(tx *db.TenantTx) error {
		decision, reason, refused = Decision(d.Outcome), d.Reasons[0], nil // this may be the second run
		n, err := tx.SpendChallenge(ctx, tenantq.SpendChallengeParams{Hash: hash[:], Slot: db.Slot(in.begun.expiresAt), Spender: in.id})
		if err != nil {
			return fmt.Errorf("spend challenge: %w", err)
		}
		if n == 0 {
			decision, refused = "", ErrChallengeSpent
			return nil
		}
		row, err := tx.GetCredentialForSignIn(ctx, in.assertion.CredentialID)
		if err != nil && !db.IsNoRows(err) {
			return fmt.Errorf("get credential: %w", err)
		}
		outcome := string(decision)
		// Of the row only what is as hard as the policy's own word takes its place.
		if now, why, no := judge(in, row, err == nil); why != ErrChanged.Reason && (no != nil || now == Deny) {
			decision, reason, refused = now, why, no
			if outcome = string(now); no != nil {
				outcome = outcomeFailed
			}
		}
		return s.recordRefusal(ctx, tx, in, outcome, reason)
	})
	if err != nil {
		return Authenticated{}, err
	}
	return s.conclude(in, decision, reason, refused)
}

// facts is what is known when the sign-in is decided: docs/facts.md. What only the row can
// tell, as it is written, is left out: the ceremony's reason says it.
func (in *signIn) facts() policy.AuthenticationFacts {
	flags, c := in.assertion.Flags, &in.known.credential
	f := policy.AuthenticationFacts{
		Origin: in.assertion.ClientData.Origin, TopOrigin: in.assertion.ClientData.TopOrigin, CrossOrigin: in.assertion.ClientData.CrossOrigin, Flags: uint8(flags),
		UserVerified: flags.UserVerified(), BackupEligible: flags.BackupEligible(), BackedUp: flags.BackedUp(), SignCount: in.assertion.SignCount,
		Algorithm: int(c.Algorithm), Attachment: in.assertion.Attachment, Purpose: in.begun.purpose, Identified: in.begun.identified,
		SteppedUp: in.begun.steppedUp, Publishable: in.publishable, AAGUID: c.AAGUID, Trust: string(c.Trust), Certification: c.Certification,
		Disposition: c.Disposition, Lowered: c.Lowered, RegisteredAAL: int(c.RegisteredAAL), AAL: int(in.assurance().AAL),
		ReachableAAL: int(in.reach.AAL(&in.snap.Policy)), ReachableBoundAAL: int(in.reach.Bound), ReachableSyncedAAL: int(in.reach.Synced),
		ReachableCertification:   string(in.reach.Certification),
		BackupEligibilityChanged: flags.BackupEligible() != c.BackupEligible,
	}
	if in.begun.policyVersion != in.snap.PolicyVersion {
		f.BegunPolicyVersion = in.begun.policyVersion
	}
	if in.risk != nil && in.risk.Decision.Outcome != policy.Allow {
		f.RiskOutcome, f.RiskReason = in.risk.Decision.Outcome, in.risk.Decision.Reason
	}
	return f
}
