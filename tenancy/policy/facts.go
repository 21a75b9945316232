package policy

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/attr"
)

// RegistrationFacts is what was known when a registration was decided. Its JSON form is
// ceremonies.facts (docs/facts.md): a member that is absent is false, 0 or empty. Rows
// from before there were verdicts have no Trust.
type RegistrationFacts struct {
	Origin             string    `json:"origin"`
	TopOrigin          string    `json:"topOrigin"` // of the page around the ceremony's iframe
	CrossOrigin        bool      `json:"crossOrigin"`
	Flags              uint8     `json:"flags"` // of the authenticator data, as they came
	UserPresent        bool      `json:"userPresent"`
	UserVerified       bool      `json:"userVerified"`
	BackupEligible     bool      `json:"backupEligible"`
	BackedUp           bool      `json:"backedUp"`
	SignCount          uint32    `json:"signCount"`
	Algorithm          int       `json:"algorithm"`
	AAGUID             uuid.UUID `json:"aaguid"`
	Attachment         string    `json:"attachment"`
	Transports         []string  `json:"transports"`
	Discoverable       *bool     `json:"discoverable"` // nil: the client did not say
	AttestationAsked   string    `json:"attestationAsked"`
	AttestationFormat  string    `json:"attestationFormat"`
	AttestationType    string    `json:"attestationType"`
	Trust              string    `json:"trust"`              // the verdict: NONE, SELF, UNTRUSTED, TENANT_ROOT, MDS
	TrustReasons       []string  `json:"trustReasons"`       // why it is no better
	ChainExpired       bool      `json:"chainExpired"`       // the attestation's certificates
	AttestationExpired bool      `json:"attestationExpired"` // a certificate of a format that is refused for that, whoever issued it
	Certification      string    `json:"certification"`
	Reports            []string  `json:"reports"`     // what the metadata held against the model
	MDSNumber          int       `json:"mdsNumber"`   // of the metadata; 0 without any
	Credentials        int       `json:"credentials"` // that the user had before, revoked ones left out
	Conditional        bool      `json:"conditional"`
	Via                string    `json:"via"`
	SessionAAL         int       `json:"sessionAal"`        // of the session that vouched; 0 without one
	SessionAgeSeconds  int       `json:"sessionAgeSeconds"` // since it signed in
	BegunPolicyVersion int       `json:"begunPolicyVersion"`
}

// AppendJSON appends the facts to dst.
func (f *RegistrationFacts) AppendJSON(dst []byte) []byte {
	m := factWriter{dst: append(dst, '{')}
	m.text("origin", f.Origin)
	m.text("topOrigin", f.TopOrigin)
	m.yes("crossOrigin", f.CrossOrigin)
	m.number("flags", int64(f.Flags))
	m.yes("userPresent", f.UserPresent)
	m.yes("userVerified", f.UserVerified)
	m.yes("backupEligible", f.BackupEligible)
	m.yes("backedUp", f.BackedUp)
	m.number("signCount", int64(f.SignCount))
	m.number("algorithm", int64(f.Algorithm))
	m.add(attr.UUID("aaguid", f.AAGUID))
	m.text("attachment", f.Attachment)
	m.add(attr.Texts("transports", f.Transports))
	if f.Discoverable != nil {
		m.add(attr.Bool("discoverable", *f.Discoverable))
	}
	m.text("attestationAsked", f.AttestationAsked)
	m.text("attestationFormat", f.AttestationFormat)
	m.text("attestationType", f.AttestationType)
	m.text("trust", f.Trust)
	m.list("trustReasons", f.TrustReasons)
	m.yes("chainExpired", f.ChainExpired)
	m.yes("attestationExpired", f.AttestationExpired)
	m.text("certification", f.Certification)
	m.list("reports", f.Reports)
	m.number("mdsNumber", int64(f.MDSNumber))
	m.number("credentials", int64(f.Credentials))
	m.yes("conditional", f.Conditional)
	m.text("via", f.Via)
	m.number("sessionAal", int64(f.SessionAAL))
	m.number("sessionAgeSeconds", int64(f.SessionAgeSeconds))
	m.number("begunPolicyVersion", int64(f.BegunPolicyVersion))
	return append(m.dst, '}')
}

// ParseRegistrationFacts reads what AppendJSON wrote, now or in a release before.
func ParseRegistrationFacts(text []byte) (RegistrationFacts, error) {
	var f RegistrationFacts
	if err := json.Unmarshal(text, &f); err != nil {
		return RegistrationFacts{}, fmt.Errorf("facts of a registration: %w", err)
	}
	return f, nil
}

// AuthenticationFacts is what was known when a sign-in was decided. Its JSON form is
// ceremonies.facts, as RegistrationFacts'; every sign-in writes it. Rows from before
// assurance was a mapping have no AAL.
type AuthenticationFacts struct {
	Origin             string `json:"origin"`
	TopOrigin          string `json:"topOrigin"`
	CrossOrigin        bool   `json:"crossOrigin"`
	Flags              uint8  `json:"flags"` // of the authenticator data, as they came
	UserVerified       bool   `json:"userVerified"`
	BackupEligible     bool   `json:"backupEligible"`
	BackedUp           bool   `json:"backedUp"`
	SignCount          uint32 `json:"signCount"`
	Algorithm          int    `json:"algorithm"`
	Attachment         string `json:"attachment"`
	Purpose            string `json:"purpose"`
	Identified         bool   `json:"identified"`
	SteppedUp          bool   `json:"steppedUp"`
	Publishable        bool   `json:"publishable"`
	BegunPolicyVersion int    `json:"begunPolicyVersion"`

	// Of the credential.
	AAGUID        uuid.UUID `json:"aaguid"`
	Trust         string    `json:"trust"` // absent: NONE
	Certification string    `json:"certification"`
	Disposition   string    `json:"disposition"`
	Lowered       bool      `json:"lowered"`
	RegisteredAAL int       `json:"registeredAal"`

	AAL int `json:"aal"` // what the sign-in was worth, by the policy of then

	// How far the user's credentials could have taken them, each with its user verified:
	// known only where the policy of then asked for more than AAL. ReachableAAL is the best
	// level under that policy, 0 where it is not known; the others are assurance.Reach.
	ReachableAAL           int    `json:"reachableAal"`
	ReachableBoundAAL      int    `json:"reachableBoundAal"`
	ReachableSyncedAAL     int    `json:"reachableSyncedAal"`
	ReachableCertification string `json:"reachableCertification"`

	// What the row of the credential said as the sign-in was written.
	SignCountRolledBack      bool `json:"signCountRolledBack"`
	BackupEligibilityChanged bool `json:"backupEligibilityChanged"`

	// What the tenant's risk rules ask for, where they are enforced: STEP_UP or DENY, and RISK_RULE or RISK_SCORE.
	// Both "" for nothing.
	RiskOutcome Outcome `json:"riskOutcome"`
	RiskReason  string  `json:"riskReason"`
}

// AppendJSON appends the facts to dst. It does not allocate beside dst.
func (f *AuthenticationFacts) AppendJSON(dst []byte) []byte {
	m := factWriter{dst: append(dst, '{')}
	m.text("origin", f.Origin)
	m.text("topOrigin", f.TopOrigin)
	m.yes("crossOrigin", f.CrossOrigin)
	m.number("flags", int64(f.Flags))
	m.yes("userVerified", f.UserVerified)
	m.yes("backupEligible", f.BackupEligible)
	m.yes("backedUp", f.BackedUp)
	m.number("signCount", int64(f.SignCount))
	m.number("algorithm", int64(f.Algorithm))
	m.text("attachment", f.Attachment)
	m.text("purpose", f.Purpose)
	m.yes("identified", f.Identified)
	m.yes("steppedUp", f.SteppedUp)
	m.yes("publishable", f.Publishable)
	m.number("begunPolicyVersion", int64(f.BegunPolicyVersion))
	if f.AAGUID != uuid.Nil {
		m.add(attr.UUID("aaguid", f.AAGUID))
	}
	if f.Trust != verdictNone {
		m.text("trust", f.Trust)
	}
	m.text("certification", f.Certification)
	m.text("disposition", f.Disposition)
	m.yes("lowered", f.Lowered)
	m.number("registeredAal", int64(f.RegisteredAAL))
	m.number("aal", int64(f.AAL))
	m.number("reachableAal", int64(f.ReachableAAL))
	m.number("reachableBoundAal", int64(f.ReachableBoundAAL))
	m.number("reachableSyncedAal", int64(f.ReachableSyncedAAL))
	m.text("reachableCertification", f.ReachableCertification)
	m.yes("signCountRolledBack", f.SignCountRolledBack)
	m.yes("backupEligibilityChanged", f.BackupEligibilityChanged)
	m.text("riskOutcome", string(f.RiskOutcome))
	m.text("riskReason", f.RiskReason)
	return append(m.dst, '}')
}

// ParseAuthenticationFacts reads what AppendJSON wrote, now or in a release before. reason
// is the ceremony's: what only the statement that wrote the sign-in could know stands there.
func ParseAuthenticationFacts(text []byte, reason string) (AuthenticationFacts, error) {
	var f AuthenticationFacts
	if err := json.Unmarshal(text, &f); err != nil {
		return AuthenticationFacts{}, fmt.Errorf("facts of a sign-in: %w", err)
	}
	if f.Trust == "" {
		f.Trust = verdictNone
	}
	f.SignCountRolledBack = f.SignCountRolledBack || reason == ReasonSignCountRollback
	f.BackupEligibilityChanged = f.BackupEligibilityChanged || reason == ReasonBackupEligibleChanged
	return f, nil
}

// factWriter appends the members of an object; what is false, 0 or empty is left out.
type factWriter struct {
	dst  []byte
	some bool
}

func (m *factWriter) add(a attr.Attr) {
	if m.some {
		m.dst = append(m.dst, ',')
	}
	m.dst, m.some = attr.AppendMember(m.dst, a), true
}

func (m *factWriter) text(key, value string) {
	if value != "" {
		m.add(attr.Text(key, value))
	}
}

func (m *factWriter) list(key string, values []string) {
	if len(values) > 0 {
		m.add(attr.Texts(key, values))
	}
}

func (m *factWriter) number(key string, value int64) {
	if value != 0 {
		m.add(attr.Int(key, value))
	}
}

func (m *factWriter) yes(key string, value bool) {
	if value {
		m.add(attr.Bool(key, true))
	}
}
