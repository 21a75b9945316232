package assurance

import "math/bits"

// Reason is one thing that stands between a sign-in and the next level.
type Reason uint8

// The reasons, in the order in which they are told.
const (
	ReasonUserNotVerified     Reason = iota // one factor: the authenticator did not verify its user
	ReasonLowered                           // the passkey came by recovery or import, and nobody has vouched for it
	ReasonRegisteredLower                   // the session that registered the passkey was itself of a lower level
	ReasonSyncedByPolicy                    // the tenant counts synced passkeys for less
	ReasonSynced                            // the key can leave its authenticator: its backup eligibility says so
	ReasonAttestation                       // no trusted attestation proves which model holds the key
	ReasonCertification                     // the model is not certified as high as the policy asks for AAL3
	ReasonAuthenticatorReport               // the model has been reported as revoked or compromised

	reasons // how many there are
)

var reasonTexts = [reasons]string{
	ReasonUserNotVerified:     "USER_NOT_VERIFIED",
	ReasonLowered:             "CREDENTIAL_LOWERED",
	ReasonRegisteredLower:     "REGISTERED_AT_LOWER_ASSURANCE",
	ReasonSyncedByPolicy:      "SYNCED_PASSKEY_LIMITED",
	ReasonSynced:              "KEY_EXPORTABLE",
	ReasonAttestation:         "ATTESTATION_NOT_TRUSTED",
	ReasonCertification:       "CERTIFICATION_INSUFFICIENT",
	ReasonAuthenticatorReport: "AUTHENTICATOR_REPORTED",
}

// String is the reason as the API spells it.
func (r Reason) String() string {
	if r >= reasons {
		return "UNKNOWN"
	}
	return reasonTexts[r]
}

// Reasons is a set of reasons.
type Reasons uint16

// Has reports whether r is among them.
func (s Reasons) Has(r Reason) bool { return s&(1<<r) != 0 }

// Texts are the reasons as the API spells them, in their order; nil for none. The list
// is shared: read only.
func (s Reasons) Texts() []string {
	if int(s) >= len(texts) {
		return nil
	}
	return texts[s]
}

// texts has the list of every set, so that no sign-in makes one.
var texts = func() (lists [1 << reasons][]string) {
	for s := range lists {
		for rest := uint(s); rest != 0; rest &= rest - 1 {
			lists[s] = append(lists[s], reasonTexts[bits.TrailingZeros(rest)])
		}
	}
	return lists
}()
