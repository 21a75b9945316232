// Package assurance says how much a sign-in is worth: its authentication assurance
// level by NIST SP 800-63B-4, and why it is not worth more.
//
// The mapping is a function of what is known: the flags that the authenticator signed,
// what is recorded of its credential, and what the tenant's policy asks for. A policy can
// ask for more than the guideline, and never for less. Rules lists the mapping, one row a
// condition, with the sentence of the guideline that it stands on; docs/assurance.md is
// made of it.
//
// What no signature shows is not judged here: whether a module is validated by FIPS 140,
// how a sync fabric keeps its keys, how long ago the sign-in was.
package assurance

import (
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/tenancy/policy"
)

// The levels (NIST SP 800-63B-4 §2.1, §2.2, §2.3).
const (
	AAL1 = 1
	AAL2 = 2
	AAL3 = 3
)

// Inputs are what a level is judged by.
type Inputs struct {
	// Of the assertion. Its signature, its origin and the test of user presence have
	// passed: without them there is nothing to judge.
	UserVerified   bool
	BackupEligible bool
	BackedUp       bool // reported, and no input of the level: see ReasonSynced

	// Of the credential.
	Trust         credential.Trust
	Certification policy.Certification // of the model, as a trusted attestation proved it
	Disposition   string               // FLAG or STEP_UP when the model was reported; empty
	RegisteredAAL uint8                // of the session that vouched for its registration; 0: a server did
	Lowered       bool                 // registered by recovery or import, and not vouched for since

	// Of the policy.
	SyncedAAL         int
	AAL3Certification policy.Certification
}

// From returns the inputs that a credential and a policy give. Those of the assertion are
// the caller's to add: without them, nobody was verified.
func From(c *credential.Credential, p *policy.Document) Inputs {
	return Inputs{
		BackupEligible: c.BackupEligible,
		Trust:          c.Trust, Certification: policy.Certification(c.Certification), Disposition: c.Disposition,
		RegisteredAAL: c.RegisteredAAL, Lowered: c.Lowered,
		SyncedAAL: p.SyncedAAL, AAL3Certification: p.AAL3Certification,
	}
}

// Result is what a sign-in is worth.
type Result struct {
	AAL               uint8 // 1 to 3
	UserVerified      bool
	PhishingResistant bool // the verifier's name is in what was signed (§3.2.5.2): true for every passkey
	BackedUp          bool // at this sign-in
	// Reasons say why the level is not the next one. Empty at AAL3.
	Reasons Reasons
}

// Of judges a sign-in. It is a pure function and allocates nothing.
func Of(in Inputs) Result {
	r := Result{UserVerified: in.UserVerified, PhishingResistant: true, BackedUp: in.BackedUp}
	for level := uint8(AAL2); level <= AAL3; level++ {
		r.AAL = level - 1
		for i := range rules {
			if rules[i].level == level && rules[i].fails(in) {
				r.Reasons |= 1 << rules[i].reason
			}
		}
		if r.Reasons != 0 {
			return r
		}
	}
	r.AAL = AAL3
	return r
}
