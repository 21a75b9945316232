package policy

import (
	"slices"

	"github.com/google/uuid"
)

// Outcome is what a policy makes of a ceremony.
type Outcome string

// The outcomes, each harder than the one before.
const (
	Allow  Outcome = "ALLOW"
	StepUp Outcome = "STEP_UP" // another sign-in is needed
	Deny   Outcome = "DENY"
)

// The reasons of decisions. They are part of the public API: they stand in refusals, in
// answers, in ceremonies and in simulations.
const (
	ReasonAttestationUntrusted      = "ATTESTATION_UNTRUSTED"      // the attestation proves less than is required
	ReasonAttestationExpired        = "ATTESTATION_EXPIRED"        // its chain was good once
	ReasonAuthenticatorNotAllowed   = "AUTHENTICATOR_NOT_ALLOWED"  // the model, or the way it is attached
	ReasonAuthenticatorCompromised  = "AUTHENTICATOR_COMPROMISED"  // the model is reported
	ReasonCertificationInsufficient = "CERTIFICATION_INSUFFICIENT" // the model's
	ReasonSyncedPasskey             = "SYNCED_PASSKEY_NOT_ALLOWED" // it can be backed up
	ReasonResidentKeyRequired       = "RESIDENT_KEY_REQUIRED"      // the client says that it is not discoverable
	ReasonAlgorithmNotAllowed       = "ALGORITHM_NOT_ALLOWED"      // not one of those offered
	ReasonUserVerificationRequired  = "USER_VERIFICATION_REQUIRED" // nobody verified who is there
	ReasonTooManyCredentials        = "TOO_MANY_CREDENTIALS"       // that the user has already
	ReasonStrongSignInRequired      = "STRONG_SIGN_IN_REQUIRED"    // for a further credential
	ReasonConditionalNotAllowed     = "CONDITIONAL_NOT_ALLOWED"    // created without a prompt
	ReasonCrossOriginNotAllowed     = "CROSS_ORIGIN_NOT_ALLOWED"   // within a page of another origin
	ReasonSignCountRollback         = "SIGN_COUNT_ROLLBACK"        // the signature counter did not grow: the credential may have been copied
	ReasonBackupEligibleChanged     = "BACKUP_ELIGIBILITY_CHANGED" // it is not what it was at registration
	ReasonAssuranceInsufficient     = "ASSURANCE_INSUFFICIENT"     // the sign-in is worth less than minimumAal
	ReasonAssuranceUnreachable      = "ASSURANCE_UNREACHABLE"      // neither it nor any passkey of the user's reaches minimumAal
	ReasonRiskRule                  = "RISK_RULE"                  // a risk rule of the tenant's matched
	ReasonRiskScore                 = "RISK_SCORE"                 // the risk score reached a threshold
)

// Decision is what a policy makes of a ceremony, and why. It follows from the facts
// alone, so that it can be explained and made again, also by another policy.
type Decision struct {
	Outcome Outcome
	Reasons []string // why it is not Allow, the first is the one that is answered; empty on Allow
	Flags   []string // what is let in and said
}

func (d *Decision) refuse(outcome Outcome, reason string) {
	if slices.Index(outcomes, outcome) > slices.Index(outcomes, d.Outcome) {
		// The hardest first: it is what is answered.
		d.Outcome, d.Reasons = outcome, slices.Insert(d.Reasons, 0, reason)
		return
	}
	d.Reasons = append(d.Reasons, reason)
}

func (d *Decision) flag(reason string) { d.Flags = append(d.Flags, reason) }

var outcomes = []Outcome{Allow, StepUp, Deny}

// The verdicts on attestations, as they stand in facts.
const (
	verdictNone       = "NONE"
	verdictSelf       = "SELF"
	verdictTenantRoot = "TENANT_ROOT"
	verdictMDS        = "MDS"
)

// DecideRegistration says whether a credential may be registered. The outcome is Allow or
// Deny. It does no input and keeps no state.
func DecideRegistration(d *Document, f *RegistrationFacts) Decision {
	out := Decision{Outcome: Allow}
	deny := func(reason string) { out.refuse(Deny, reason) }
	d.decideAuthenticator(f, &out)
	switch {
	case f.Conditional && !d.ConditionalCreate:
		deny(ReasonConditionalNotAllowed)
	case !f.Conditional && !f.UserVerified && d.UserVerification == Required:
		deny(ReasonUserVerificationRequired)
	}
	if !slices.Contains(d.Algorithms, f.Algorithm) {
		deny(ReasonAlgorithmNotAllowed)
	}
	if d.ResidentKey == Required && f.Discoverable != nil && !*f.Discoverable {
		deny(ReasonResidentKeyRequired)
	}
	if f.BackupEligible {
		switch d.SyncedPasskeys {
		case LeaveDeny:
			deny(ReasonSyncedPasskey)
		case LeaveFlag:
			out.flag(ReasonSyncedPasskey)
		case LeaveAllow:
		}
	}
	if f.Credentials >= d.MaxCredentialsPerUser {
		deny(ReasonTooManyCredentials)
	}
	// By the user's session alone nobody else vouches, so it has to be a good one.
	if (d.AdditionalCredential == StrongSignIn || f.Via == "SESSION") && f.Credentials > 0 && !recovers(f.Via) &&
		(f.SessionAAL < 2 || f.SessionAgeSeconds > d.StrongSignInMaxAgeSeconds) {
		deny(ReasonStrongSignInRequired)
	}
	if !d.embeds(f.TopOrigin) {
		deny(ReasonCrossOriginNotAllowed)
	}
	return out
}

// recovers reports a way to register that is for those who cannot sign in.
func recovers(via string) bool {
	return via == "RECOVERY_CODE" || via == "ENROLLMENT_LINK" || via == "IMPORT"
}

// embeds reports whether a ceremony may run within a page of topOrigin.
func (d *Document) embeds(topOrigin string) bool {
	return topOrigin == "" || d.CrossOrigin == LeaveAllow && slices.Contains(d.TopOrigins, topOrigin)
}

// decideAuthenticator judges what is known of the model.
func (d *Document) decideAuthenticator(f *RegistrationFacts, out *Decision) {
	verified := f.Trust == verdictMDS || f.Trust == verdictTenantRoot
	enough := true
	switch d.RequiredTrust {
	case TrustNone:
	case TrustSelf:
		enough = verified || f.Trust == verdictSelf
	case TrustVerified:
		enough = verified
	default: // MDS, and whatever a document should not hold
		enough = f.Trust == verdictMDS
	}
	model := f.AAGUID.String()
	// The AAGUID of an authenticator that proves nothing is whatever it claims, so a list of
	// those allowed takes a chain, also where the document forgot to ask for it.
	listed := len(d.AuthenticatorsAllowed) == 0 || slices.Contains(d.AuthenticatorsAllowed, model)
	if len(d.AuthenticatorsAllowed) > 0 && !verified {
		enough = false
	}
	switch {
	case f.AttestationExpired, !enough && f.ChainExpired: // the former whatever is required
		out.refuse(Deny, ReasonAttestationExpired)
	case !enough:
		out.refuse(Deny, ReasonAttestationUntrusted)
	}
	if !listed || f.AAGUID != uuid.Nil && slices.Contains(d.AuthenticatorsDenied, model) ||
		d.AuthenticatorAttachment != "" && f.Attachment != "" && f.Attachment != d.AuthenticatorAttachment {
		out.refuse(Deny, ReasonAuthenticatorNotAllowed)
	}
	if d.MinimumCertification != "" && (f.Trust != verdictMDS || !Certification(f.Certification).AtLeast(d.MinimumCertification)) {
		out.refuse(Deny, ReasonCertificationInsufficient)
	}
	if len(f.Reports) > 0 {
		if d.ReportedAuthenticators == LeaveFlag {
			out.flag(ReasonAuthenticatorCompromised)
		} else {
			out.refuse(Deny, ReasonAuthenticatorCompromised)
		}
	}
}

// DecideAuthentication says what becomes of a sign-in whose signature is good. It does no
// input and keeps no state, and does not allocate on Allow without flags.
func DecideAuthentication(d *Document, f *AuthenticationFacts) Decision {
	out := Decision{Outcome: Allow}
	if d.UserVerification == Required && !f.UserVerified {
		out.refuse(Deny, ReasonUserVerificationRequired)
	}
	if f.SignCountRolledBack {
		switch {
		case d.SignCountRollback == RollbackFlag:
			out.flag(ReasonSignCountRollback)
		case d.SignCountRollback == RollbackStepUp && f.SteppedUp && f.UserVerified:
			// The step-up that it demanded has been done.
		case d.SignCountRollback == RollbackStepUp:
			out.refuse(StepUp, ReasonSignCountRollback)
		default:
			out.refuse(Deny, ReasonSignCountRollback)
		}
	}
	if f.BackupEligibilityChanged {
		if d.BackupEligibilityChange == LeaveFlag {
			out.flag(ReasonBackupEligibleChanged)
		} else {
			out.refuse(Deny, ReasonBackupEligibleChanged)
		}
	}
	switch Disposition(f.Disposition) {
	case DispositionStepUp: // another credential is to be the second: one of this model proves nothing more
		out.refuse(StepUp, ReasonAuthenticatorCompromised)
	case DispositionFlag, DispositionSuspend: // a suspended one that signs in was resumed by a person
		out.flag(ReasonAuthenticatorCompromised)
	}
	if f.AAL > 0 && f.AAL < d.MinimumAAL {
		switch {
		case f.ReachableAAL > 0 && f.ReachableAAL < d.MinimumAAL:
			out.refuse(Deny, ReasonAssuranceUnreachable) // a second sign-in could be worth no more
		case f.SteppedUp:
			out.refuse(Deny, ReasonAssuranceInsufficient) // the second sign-in was worth no more
		default:
			out.refuse(StepUp, ReasonAssuranceInsufficient)
		}
	}
	switch f.RiskOutcome {
	case StepUp:
		if !f.SteppedUp || !f.UserVerified { // else it has been done
			out.refuse(StepUp, f.RiskReason)
		}
	case Deny:
		out.refuse(Deny, f.RiskReason)
	case Allow:
	}
	if !d.embeds(f.TopOrigin) {
		out.refuse(Deny, ReasonCrossOriginNotAllowed)
	}
	return out
}
