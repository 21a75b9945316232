package debugger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/authcore/risk"
)

// State is what became of a step.
type State string

// The states of steps.
const (
	Passed     State = "PASSED"
	Broken     State = "FAILED"
	NotReached State = "NOT_REACHED"
)

// Step is one thing that a ceremony must pass.
type Step struct {
	Name   string
	Number string // of WebAuthn L3 §7.1 or §7.2, as "13–14"; empty for Biocore's own
	State  State
	Detail string // what was seen; empty for nothing
	Guide  *Guide // of the step that failed: why, and how to mend it
}

// definition is a step as all ceremonies of a kind have it.
type definition struct {
	name        string
	first, last int // of the specification's numbers; 0 for Biocore's own
	reasons     []string
	detail      func(c *Ceremony) string
}

func (d *definition) number() string {
	switch d.first {
	case 0:
		return ""
	case d.last:
		return strconv.Itoa(d.first)
	}
	return fmt.Sprintf("%d–%d", d.first, d.last)
}

// Section is where the specification has a kind's steps.
func (k Kind) Section() string {
	if k == Registration {
		return "§7.1"
	}
	return "§7.2"
}

// The steps in the order in which they are taken, which is the specification's but for
// what takes a store: a sign-in looks its credential up first, a registration last. Numbers
// are those of WebAuthn L3 (#sctn-registering-a-new-credential,
// #sctn-verifying-assertion); webauthn.Step gives the ones that failed.
var (
	authenticationSteps = []definition{
		{name: "The tenant takes sign-ins", reasons: []string{"TENANT_SUSPENDED", "TENANT_DELETING", "TENANT_UNKNOWN"}},
		{name: "The challenge is ours, and has not expired", reasons: []string{"CHALLENGE_UNKNOWN", "CHALLENGE_EXPIRED"}},
		{name: "The credential is known", first: 5, last: 6, reasons: []string{"CREDENTIAL_NOT_ALLOWED", "CREDENTIAL_UNKNOWN"}, detail: credentialDetail},
		{name: "The response is well-formed", first: 3, last: 4, reasons: []string{"CREDENTIAL_MALFORMED"}},
		{name: "Somebody is named", first: 6, last: 6, reasons: []string{"USER_HANDLE_MISMATCH"}},
		{name: "Client data and authenticator data can be read", first: 7, last: 9},
		{name: "The type is webauthn.get", first: 10, last: 10, reasons: []string{"CEREMONY_TYPE_MISMATCH"}, detail: typeDetail},
		{name: "The challenge is the one that was given out", first: 11, last: 11, reasons: []string{"CHALLENGE_MISMATCH"}},
		{name: "The origin is allowed", first: 12, last: 12, reasons: []string{"ORIGIN_NOT_ALLOWED"}, detail: originDetail},
		{name: "It is not embedded where it may not be", first: 13, last: 14, detail: embeddingDetail},
		{name: "The RP ID hash matches", first: 15, last: 15, reasons: []string{"RP_ID_MISMATCH"}},
		{name: "The user was present (UP)", first: 16, last: 16, reasons: []string{"USER_PRESENCE_REQUIRED"}, detail: presenceDetail},
		{name: "The user was verified (UV), where it is required", first: 17, last: 17, reasons: []string{"USER_VERIFICATION_REQUIRED"}, detail: verificationDetail},
		{name: "The backup flags make sense (BE, BS)", first: 18, last: 18, reasons: []string{"BACKUP_STATE_INVALID"}, detail: backupDetail},
		{name: "The signature is valid", first: 20, last: 21, reasons: []string{"SIGNATURE_INVALID"}},
		{name: "The user handle is the owner’s", first: 6, last: 6},
		{name: "Backup eligibility is as at registration", first: 19, last: 19, reasons: []string{"BACKUP_ELIGIBILITY_CHANGED"}},
		{name: "The signature counter moved forward", first: 22, last: 22, reasons: []string{"SIGN_COUNT_ROLLBACK"}, detail: countDetail},
		{name: "The challenge was not used before", reasons: []string{"CHALLENGE_ALREADY_USED"}},
		{name: "The credential is active, and its user is not blocked", first: 24, last: 24,
			reasons: []string{"CREDENTIAL_REVOKED", "CREDENTIAL_SUSPENDED", "USER_BLOCKED", "SIGN_IN_INTERRUPTED"}},
		{name: "The risk rules let it in", detail: riskDetail, reasons: []string{"RISK_RULE", "RISK_SCORE"}},
		{name: "The policy lets it in", detail: policyDetail, reasons: []string{
			"AUTHENTICATOR_COMPROMISED", "ASSURANCE_INSUFFICIENT", "ASSURANCE_UNREACHABLE", "CROSS_ORIGIN_NOT_ALLOWED",
		}},
	}
	registrationSteps = []definition{
		{name: "The tenant takes registrations", reasons: []string{"TENANT_SUSPENDED", "TENANT_DELETING", "TENANT_UNKNOWN"}},
		{name: "The ceremony is ours, and has not expired", reasons: []string{"CHALLENGE_UNKNOWN", "CHALLENGE_EXPIRED", "REGISTRATION_TOKEN_EXPIRED"}},
		{name: "The response is well-formed", first: 3, last: 4, reasons: []string{"CREDENTIAL_MALFORMED"}},
		{name: "The client data can be read", first: 5, last: 6},
		{name: "The type is webauthn.create", first: 7, last: 7, reasons: []string{"CEREMONY_TYPE_MISMATCH"}, detail: typeDetail},
		{name: "The challenge is the one that was given out", first: 8, last: 8, reasons: []string{"CHALLENGE_MISMATCH"}},
		{name: "The origin is allowed", first: 9, last: 9, reasons: []string{"ORIGIN_NOT_ALLOWED"}, detail: originDetail},
		{name: "It is not embedded where it may not be", first: 10, last: 11, detail: embeddingDetail},
		{name: "The attestation object can be read", first: 12, last: 13},
		{name: "The RP ID hash matches", first: 14, last: 14, reasons: []string{"RP_ID_MISMATCH"}},
		{name: "The user was present (UP), unless no prompt was asked for", first: 15, last: 15, reasons: []string{"USER_PRESENCE_REQUIRED"}, detail: presenceDetail},
		{name: "The user was verified (UV), where it is required", first: 16, last: 16, reasons: []string{"USER_VERIFICATION_REQUIRED"}, detail: verificationDetail},
		{name: "The backup flags make sense (BE, BS)", first: 17, last: 17, reasons: []string{"BACKUP_STATE_INVALID"}, detail: backupDetail},
		{name: "The algorithm was offered", first: 20, last: 20, reasons: []string{"ALGORITHM_NOT_ALLOWED"}},
		{name: "The attestation statement verifies", first: 21, last: 22,
			reasons: []string{"ATTESTATION_FORMAT_UNSUPPORTED", "ATTESTATION_INVALID"}, detail: attestationDetail},
		{name: "The outputs of extensions can be read", first: 28, last: 28},
		{name: "The nickname is acceptable", reasons: []string{"NICKNAME_INVALID"}},
		{name: "The challenge was not used before", reasons: []string{"CHALLENGE_ALREADY_USED", "REGISTRATION_TOKEN_ALREADY_USED"}},
		{name: "The user may enroll", reasons: []string{
			"USER_BLOCKED", "USER_UNKNOWN", "USER_EXISTS", "USER_CREATED_MEANWHILE", "RECOVERY_PENDING", "RECOVERY_CLOSED", "REGISTRATION_TOKEN_INVALID", "ACCESS_TOKEN_INVALID",
		}},
		{name: "The authenticator is trusted as far as the policy asks", first: 23, last: 24, detail: trustDetail, reasons: []string{
			"ATTESTATION_EXPIRED", "ATTESTATION_UNTRUSTED", "AUTHENTICATOR_NOT_ALLOWED", "AUTHENTICATOR_COMPROMISED", "CERTIFICATION_INSUFFICIENT",
		}},
		{name: "The policy lets it in", detail: policyDetail, reasons: []string{
			"SYNCED_PASSKEY_NOT_ALLOWED", "RESIDENT_KEY_REQUIRED", "STRONG_SIGN_IN_REQUIRED", "CONDITIONAL_NOT_ALLOWED", "CROSS_ORIGIN_NOT_ALLOWED", "TOO_MANY_CREDENTIALS",
		}},
		{name: "The credential is new, and is stored", first: 26, last: 27, reasons: []string{"CREDENTIAL_EXISTS"}},
	}
)

// Steps are those of c in their order: up to the first failure they passed, and after it
// they were not reached. Of a reason that no step knows, of a later release, the last failed.
func Steps(c *Ceremony) []Step {
	all := authenticationSteps
	if c.Kind == Registration {
		all = registrationSteps
	}
	failed := len(all)
	if c.Outcome != Allow {
		failed = failedStep(all, c)
	}
	steps := make([]Step, len(all))
	for i := range all {
		d := &all[i]
		s := Step{Name: d.name, Number: d.number(), State: Passed}
		switch {
		case i == failed:
			s.State, s.Guide = Broken, GuideFor(c.Kind, c.Reason)
		case i > failed:
			s.State = NotReached
		}
		if d.detail != nil && s.State != NotReached {
			s.Detail = d.detail(c)
		}
		steps[i] = s
	}
	return steps
}

func failedStep(all []definition, c *Ceremony) int {
	// One reason may be of several steps: where the verification said which, that one.
	if step := c.Facts.Step; step > 0 {
		of := func(d definition) bool { return d.first <= step && step <= d.last }
		if c.Kind == Authentication && step == 6 && c.Facts.UserHandle {
			return slices.IndexFunc(all, func(d definition) bool { return strings.HasPrefix(d.name, "The user handle") })
		}
		if c.Kind == Authentication && step == 6 {
			return slices.IndexFunc(all, func(d definition) bool { return d.name == "Somebody is named" })
		}
		if i := slices.IndexFunc(all, of); i >= 0 {
			return i
		}
	}
	if i := slices.IndexFunc(all, func(d definition) bool { return slices.Contains(d.reasons, c.Reason) }); i >= 0 {
		return i
	}
	return len(all) - 1
}

func credentialDetail(c *Ceremony) string {
	if len(c.CredentialID) == 0 {
		return ""
	}
	return short(c.CredentialID.String())
}

// short is an id with its middle left out.
func short(id string) string {
	if len(id) <= 16 {
		return id
	}
	return id[:6] + "…" + id[len(id)-4:]
}

func typeDetail(c *Ceremony) string { return c.Facts.ClientType }

func originDetail(c *Ceremony) string { return c.Facts.Origin }

func embeddingDetail(c *Ceremony) string {
	switch {
	case c.Facts.Origin == "":
		return ""
	case c.Facts.TopOrigin != "":
		return "within a page of " + c.Facts.TopOrigin
	case c.Facts.CrossOrigin:
		return "crossOrigin true, no topOrigin"
	}
	return "crossOrigin false, no topOrigin"
}

func flag(c *Ceremony, bit int, name string) string {
	if c.Facts.Flags == nil {
		return ""
	}
	return fmt.Sprintf("%s = %d", name, *c.Facts.Flags>>bit&1)
}

func presenceDetail(c *Ceremony) string { return flag(c, 0, "UP") }

func verificationDetail(c *Ceremony) string { return flag(c, 2, "UV") }

func backupDetail(c *Ceremony) string {
	if c.Facts.Flags == nil {
		return ""
	}
	return flag(c, 3, "BE") + ", " + flag(c, 4, "BS")
}

func countDetail(c *Ceremony) string {
	if c.Facts.SignCount == nil {
		return "the authenticator counts nothing"
	}
	return fmt.Sprintf("the authenticator said %d", *c.Facts.SignCount)
}

func attestationDetail(c *Ceremony) string {
	if c.Facts.AttestationFormat == "" {
		return ""
	}
	return "format " + c.Facts.AttestationFormat
}

func trustDetail(c *Ceremony) string {
	if c.Facts.Trust == "" {
		return ""
	}
	return "verdict " + c.Facts.Trust
}

func policyDetail(c *Ceremony) string {
	switch {
	case c.PolicyVersion == 0:
		return ""
	case c.Facts.BegunPolicyVersion != 0:
		return fmt.Sprintf("version %d; it was begun under version %d", c.PolicyVersion, c.Facts.BegunPolicyVersion)
	}
	return fmt.Sprintf("version %d", c.PolicyVersion)
}

// riskDetail is what came of the risk rules, as far as they were asked.
func riskDetail(c *Ceremony) string {
	r, ok, err := risk.ParseRecorded(c.Facts.JSON)
	if err != nil || !ok {
		return "not assessed"
	}
	said := fmt.Sprintf("score %d, rules of version %d", r.Score, r.Ruleset)
	if r.Rule != "" {
		said += ", rule " + r.Rule
	}
	return said
}
