package policy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Validate reports what is wrong with d as ErrInvalid, or nil.
func (d *Document) Validate() error {
	const minute, day = 60, 24 * 3600
	for _, err := range []error{
		one("userVerification", string(d.UserVerification), string(Required), string(Preferred), string(Discouraged)),
		one("attestationConveyance", string(d.AttestationConveyance),
			string(ConveyNone), string(ConveyIndirect), string(ConveyDirect), string(ConveyEnterprise)),
		one("residentKey", string(d.ResidentKey), string(Required), string(Preferred), string(Discouraged)),
		d.validateAlgorithms(),
		within("registrationTimeoutSeconds", d.RegistrationTimeoutSeconds, 30, 3600),
		within("authenticationTimeoutSeconds", d.AuthenticationTimeoutSeconds, 30, 3600),
		within("maxCredentialsPerUser", d.MaxCredentialsPerUser, 1, 100),
		one("signCountRollback", string(d.SignCountRollback), string(RollbackDeny), string(RollbackStepUp), string(RollbackFlag)),
		within("sessionLifetimeSeconds", d.SessionLifetimeSeconds, 5*minute, 90*day),
		within("refreshIdleSeconds", d.RefreshIdleSeconds, 5*minute, max(d.SessionLifetimeSeconds, 5*minute)),
		within("accessTokenSeconds", d.AccessTokenSeconds, minute, max(min(3600, d.RefreshIdleSeconds), minute)),
		one("signingAlgorithm", string(d.SigningAlgorithm), string(SignES256), string(SignEdDSA), string(SignRS256)),
		one("signingKeyLocation", string(d.SigningKeyLocation), string(KeysSealed), string(KeysInKMS)),
		within("signingKeyRotationDays", d.SigningKeyRotationDays, 0, 730),
		within("dataKeyRotationDays", d.DataKeyRotationDays, 0, 3650),
		one("requiredTrust", string(d.RequiredTrust), string(TrustNone), string(TrustSelf), string(TrustVerified), string(TrustMDS)),
		d.validateTrust(),
		aaguids("authenticatorsAllowed", d.AuthenticatorsAllowed),
		aaguids("authenticatorsDenied", d.AuthenticatorsDenied),
		one("minimumCertification", string(d.MinimumCertification), levels()...),
		one("syncedPasskeys", string(d.SyncedPasskeys), string(LeaveAllow), string(LeaveFlag), string(LeaveDeny)),
		one("authenticatorAttachment", d.AuthenticatorAttachment, "", "platform", "cross-platform"),
		each("hints", d.Hints, 3, func(h string) bool { return slices.Contains(hints, h) }),
		one("backupEligibilityChange", string(d.BackupEligibilityChange), string(LeaveDeny), string(LeaveFlag)),
		one("additionalCredential", string(d.AdditionalCredential), string(Vouched), string(StrongSignIn)),
		within("strongSignInMaxAgeSeconds", d.StrongSignInMaxAgeSeconds, 30, day),
		within("minimumAal", d.MinimumAAL, 1, 3),
		within("syncedAal", d.SyncedAAL, 1, 2),
		one("aal3Certification", string(d.AAL3Certification), levels()[1:]...),
		one("authenticatorStatus", string(d.AuthenticatorStatus), string(DispositionFlag), string(DispositionStepUp), string(DispositionSuspend)),
		one("reportedAuthenticators", string(d.ReportedAuthenticators), string(LeaveDeny), string(LeaveFlag)),
		within("evidenceRetentionDays", d.EvidenceRetentionDays, 0, 3650),
		retained("ceremonyRetentionDays", d.CeremonyRetentionDays, MinRetentionDays),
		retained("sessionRetentionDays", d.SessionRetentionDays, MinRetentionDays),
		retained("auditRetentionDays", d.AuditRetentionDays, MinAuditRetentionDays),
		one("crossOrigin", string(d.CrossOrigin), string(LeaveDeny), string(LeaveAllow)),
		each("topOrigins", d.TopOrigins, 20, isOrigin),
		d.validateCrossOrigin(),
		one("recoveryApproval", string(d.RecoveryApproval), string(ApprovalNone), string(ApprovalSecondPerson)),
		within("recoveryFailures", d.RecoveryFailures, 1, 20),
		within("recoveryLockoutSeconds", d.RecoveryLockoutSeconds, minute, day),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Document) validateAlgorithms() error {
	known := []int{ES256, EdDSA, ES384, ES512, PS256, RS256}
	if len(d.Algorithms) == 0 {
		return refuse("algorithms", "algorithms names at least one")
	}
	for i, a := range d.Algorithms {
		if !slices.Contains(known, a) {
			return refuse("algorithms", fmt.Sprintf("algorithm %d is not supported", a))
		}
		if slices.Contains(d.Algorithms[:i], a) {
			return refuse("algorithms", fmt.Sprintf("algorithm %d stands twice", a))
		}
	}
	return nil
}

func one(field string, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return refuse(field, field+" is one of "+strings.TrimPrefix(strings.Join(allowed, ", "), ", "))
}

func within(field string, value, low, high int) error {
	if low <= value && value <= high {
		return nil
	}
	return refuse(field, fmt.Sprintf("%s is between %d and %d", field, low, high))
}

// MinRetentionDays is the least of a retention but 0. Usage of a month is counted from ceremonies
// and sessions once an hour, and after an outage from those of some weeks; the database
// holds deletions of ceremonies to it as well (migration 0053).
const MinRetentionDays = 30

// MinAuditRetentionDays is the least for which the database keeps the audit log: log streams and reports read it
// there, and what somebody has just done is not to leave it. The database holds removals to it as well (migration 0067).
const MinAuditRetentionDays = 90

// retained takes days for which something is kept, least at least: 0 for as long as the tenant.
func retained(field string, days, least int) error {
	if days == 0 || least <= days && days <= 3650 {
		return nil
	}
	return refuse(field, fmt.Sprintf("%s is between %d and 3650, or 0 to keep them", field, least))
}

// each refuses a list that is too long, and elements that are no good or stand twice.
func each(field string, list []string, most int, good func(string) bool) error {
	if len(list) > most {
		return refuse(field, fmt.Sprintf("%s has at most %d elements", field, most))
	}
	for i, e := range list {
		if !good(e) {
			return refuse(field, fmt.Sprintf("%s: %q cannot stand there", field, cut(e)))
		}
		if slices.Contains(list[:i], e) {
			return refuse(field, fmt.Sprintf("%s: %q stands twice", field, e))
		}
	}
	return nil
}

func refuse(field, why string) error { return ErrInvalid.WithMessage(why).With("field", field) }

const maxAuthenticators = 150

// aaguids takes AAGUIDs in their one spelling: lower case, with dashes. The zero AAGUID is
// no model's.
func aaguids(field string, list []string) error {
	return each(field, list, maxAuthenticators, func(text string) bool {
		id, err := uuid.Parse(text)
		return err == nil && id != uuid.Nil && id.String() == text
	})
}

func levels() []string {
	var out []string
	for _, c := range Certifications() {
		out = append(out, string(c))
	}
	return out
}

// hints are the values of PublicKeyCredentialHint (WebAuthn L3 #enum-hints).
var hints = []string{"security-key", "client-device", "hybrid"}

// isOrigin reports whether text is a web origin as browsers spell it: https, or http on
// localhost.
func isOrigin(text string) bool {
	if len(text) > 300 || text != strings.ToLower(text) {
		return false
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme+"://"+u.Host != text {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && u.Hostname() == "localhost"
}

// validateTrust refuses what could not be decided: nobody proves a model without a chain
// to a root, and only the Metadata Service tells how a model is certified.
func (d *Document) validateTrust() error {
	verified := d.RequiredTrust == TrustVerified || d.RequiredTrust == TrustMDS
	switch {
	case verified && d.AttestationConveyance == ConveyNone:
		return refuse("requiredTrust", "requiredTrust "+string(d.RequiredTrust)+" takes an attestationConveyance other than none")
	case len(d.AuthenticatorsAllowed) > 0 && !verified:
		return refuse("authenticatorsAllowed", "authenticatorsAllowed takes a requiredTrust of VERIFIED or MDS: without a chain anybody can claim an AAGUID")
	case d.MinimumCertification != "" && d.RequiredTrust != TrustMDS:
		return refuse("minimumCertification", "minimumCertification takes a requiredTrust of MDS")
	}
	return nil
}

func (d *Document) validateCrossOrigin() error {
	if d.CrossOrigin == LeaveAllow && len(d.TopOrigins) == 0 {
		return refuse("topOrigins", "crossOrigin ALLOW takes topOrigins: the pages that may embed a ceremony")
	}
	return nil
}
