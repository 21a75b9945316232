package assurance

import (
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/tenancy/policy"
)

// rule is a condition of a level.
type rule struct {
	level  uint8
	reason Reason            // when it fails
	needs  string            // for people: what it asks for
	cites  string            // the sentence of the guideline that it stands on
	fails  func(Inputs) bool // by value: a pointer would move it to the heap
}

// rules are the mapping. What a level asks for, each higher one does too: a level is only
// judged once the one below is reached. Of AAL1 nothing is asked here, since a passkey's
// signature, which is verified before, is single-factor cryptographic authentication
// (§2.1.1, §3.1.6).
var rules = [...]rule{
	{
		AAL2, ReasonUserNotVerified, "the authenticator verified its user (UV)",
		"§2.2.1: two factors; §3.1.7.2 and Appendix B.3: without UV it counts as single-factor",
		func(in Inputs) bool { return !in.UserVerified },
	}, {
		AAL2, ReasonLowered, "the passkey was not registered by recovery, or somebody has vouched for it since",
		"§4.1.2.1: binding takes authentication at the level that the new authenticator is for; §4.2.2.2: recovery at AAL2 takes more than one code",
		func(in Inputs) bool { return in.Lowered },
	}, {
		AAL2, ReasonRegisteredLower, "the session that registered the passkey was AAL2 or higher, or a server vouched",
		"§4.1.2.1: binding takes authentication at the level that the new authenticator is for, see below",
		func(in Inputs) bool { return in.RegisteredAAL == AAL1 },
	}, {
		AAL2, ReasonSyncedByPolicy, "the passkey is bound to its device (BE is 0), or the policy's `syncedAal` is 2",
		"Appendix B.2: syncable authenticators may reach AAL2; B.3: verifiers may restrict them by BE",
		func(in Inputs) bool { return in.BackupEligible && in.SyncedAAL < AAL2 },
	}, {
		AAL3, ReasonRegisteredLower, "the session that registered the passkey was AAL3, or a server vouched",
		"§4.1.2.1: binding takes authentication at the level that the new authenticator is for, see below",
		func(in Inputs) bool { return in.RegisteredAAL == AAL2 },
	}, {
		AAL3, ReasonSynced, "the key cannot leave its authenticator (BE is 0)",
		"§2.3.2: a non-exportable private key, so no syncable authenticator; §3.2.13 and Appendix B.2 say why",
		func(in Inputs) bool { return in.BackupEligible },
	}, {
		AAL3, ReasonAttestation, "an attestation leads to a root of the FIDO Metadata Service, or to one that the tenant trusts",
		"§3.2.13: hardware that keeps the key from its host; §3.2.4: attestation shows what an authenticator is",
		func(in Inputs) bool {
			return in.Trust != credential.TrustMDS && in.Trust != credential.TrustTenantRoot
		},
	}, {
		AAL3, ReasonCertification, "the model is certified as the policy's `aal3Certification` asks, FIDO_CERTIFIED_L2 by default",
		"§2.3.2: a hardware-protected, isolated environment; §3.2.13: tested by others; FIDO certification stands for both, see below",
		func(in Inputs) bool { return !certified(in.Certification, in.AAL3Certification) },
	}, {
		AAL3, ReasonAuthenticatorReport, "the model has not been reported as revoked or compromised",
		"§4.3: a compromised authenticator is suspended or invalidated promptly",
		func(in Inputs) bool { return in.Disposition != "" },
	},
}

// certified reports whether a level is as high as the one wanted. A policy that names
// none wants the default all the same.
func certified(have, want policy.Certification) bool {
	if want == "" {
		want = DefaultCertification
	}
	return have != "" && have.AtLeast(want)
}

// DefaultCertification is what AAL3 takes where a policy says nothing: from level 2 on,
// the key is in a restricted operating environment (FIDO Authenticator Security
// Requirements §L2).
const DefaultCertification policy.Certification = "FIDO_CERTIFIED_L2"

// Rule is a condition as it is shown.
type Rule struct {
	Level  uint8
	Needs  string
	Reason Reason // told when it is not met
	Cites  string
}

// Rules lists the mapping.
func Rules() []Rule {
	out := make([]Rule, len(rules))
	for i, r := range rules {
		out[i] = Rule{Level: r.level, Needs: r.needs, Reason: r.reason, Cites: r.cites}
	}
	return out
}
