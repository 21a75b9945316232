package risk

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/tenancy/attr"
)

// Facts is what was known of a sign-in, or of whatever else a user was about to do. A value that is
// zero was not known, or was nothing: no signal counts by the absence of a fact.
type Facts struct {
	// Of the call.
	Purpose      string   `json:"purpose"`  // or action, in the tenant's words
	Hour         int      `json:"hour"`     // of the day, UTC: 0 to 23
	Country      string   `json:"country"`  // ISO 3166-1 alpha-2, of the address
	ASN          uint32   `json:"asn"`      // autonomous system of the address
	Networks     []string `json:"networks"` // labels of the lists that the address is on
	UserVerified bool     `json:"userVerified"`
	BackedUp     bool     `json:"backedUp"` // the passkey is synced
	AAL          int      `json:"aal"`

	// Of the credential; an evaluation has none.
	CredentialAge int    `json:"credentialAge"` // whole hours since it was registered
	CountJump     int    `json:"countJump"`     // by how much the signature counter grew; negative: it shrank
	Adverse       bool   `json:"adverse"`       // its model is reported by the FIDO Metadata Service
	Model         string `json:"model"`         // AAGUID; "" where there is no credential

	// Of what the user did before. Known is false where nothing is known of that: of a first sign-in, or without Redis.
	Known           bool   `json:"known"`
	SignIns         int    `json:"signIns"` // at most 1000
	NewDevice       bool   `json:"newDevice"`
	NewCountry      bool   `json:"newCountry"`
	NewNetwork      bool   `json:"newNetwork"` // autonomous system
	PreviousCountry string `json:"previousCountry"`
	PreviousSeconds int    `json:"previousSeconds"` // since the last sign-in
	CountrySeconds  int    `json:"countrySeconds"`  // since the one from PreviousCountry, where it was not the last; else 0
	DistanceKm      int    `json:"distanceKm"`      // between the two countries, where they are nearest to each other
	HourShare       int    `json:"hourShare"`       // how many of 1000 sign-ins were about this hour, by an average that forgets

	// Counters, this attempt included. Attempts are of ten minutes, the tenant's of one; failures of fifteen minutes;
	// distinct ones are estimates.
	UserAttempts    int `json:"userAttempts"`
	AddressAttempts int `json:"addressAttempts"`
	TenantAttempts  int `json:"tenantAttempts"`
	TenantPeak      int `json:"tenantPeak"` // attempts in the busiest minute of the second busiest of the seven days before, UTC
	UserFailures    int `json:"userFailures"`
	AddressFailures int `json:"addressFailures"`
	UserAddresses   int `json:"userAddresses"` // from how many addresses the user came in a day
	AddressUsers    int `json:"addressUsers"`  // how many users came from the address in an hour

	// Caller is what the tenant's server said, by name. Nobody else is asked.
	Caller Values `json:"caller"`

	// What an external provider said: its name, and its score, 0 to 100.
	Provider      string `json:"provider"`
	ProviderScore int    `json:"providerScore"`
	// ProviderFailed is why it did not say anything, as TIMEOUT: scoring.Reason.
	ProviderFailed string `json:"providerFailed"`

	// Degraded: Redis was gone, and counters are this server's own.
	Degraded bool `json:"degraded"`
}

// Value is what a caller said: a number, a text or yes or no.
type Value struct {
	Name   string
	Number float64
	Text   string
	Yes    bool
	Kind   ValueKind
}

// ValueKind says which of a Value's members counts.
type ValueKind uint8

// The kinds.
const (
	IsNumber ValueKind = iota
	IsText
	IsBool
)

// AppendMember adds the facts, and what came of them by a version of rules, as the member "risk" to object, the text of one with
// members. It does not allocate beside it.
func AppendMember(object []byte, version int, f *Facts, d *Decision) []byte {
	m := writer{dst: append(object[:len(object)-1], `,"risk":{"signals":{`...), first: true}
	for _, s := range d.Signals {
		m.number(s.Code, s.Points)
	}
	m.dst, m.first = append(m.dst, '}'), false
	m.number("version", Version)
	m.number("ruleset", version)
	m.number("score", d.Score)
	if len(d.Matched) > 0 {
		m.key("matched")
		for i, match := range d.Matched {
			m.dst = append(m.dst, "[,"[min(i, 1)])
			m.dst = attr.AppendText(m.dst, match.Rule)
		}
		m.dst = append(m.dst, ']')
	}
	m.texts("failed", d.Failed)
	if d.Outcome != Allow {
		m.text("outcome", string(d.Outcome))
		m.text("reason", d.Reason)
	}
	m.text("rule", d.Rule)
	if d.Would != d.Outcome {
		m.text("would", string(d.Would))
		m.text("wouldReason", d.WouldReason)
		m.text("wouldRule", d.WouldRule)
	}
	m.key("facts")
	m.dst, m.first = append(m.dst, '{'), true
	f.append(&m)
	return append(m.dst, "}}}"...)
}

// awaySeconds is how long ago the user was in PreviousCountry.
func (f *Facts) awaySeconds() int { return max(f.PreviousSeconds, f.CountrySeconds) }

func (f *Facts) append(m *writer) {
	m.text("purpose", f.Purpose)
	m.number("hour", f.Hour)
	m.text("country", f.Country)
	m.number("asn", int(f.ASN))
	m.texts("networks", f.Networks)
	m.yes("userVerified", f.UserVerified)
	m.yes("backedUp", f.BackedUp)
	m.number("aal", f.AAL)
	m.number("credentialAge", f.CredentialAge)
	m.number("countJump", f.CountJump)
	m.yes("adverse", f.Adverse)
	m.text("model", f.Model)
	m.yes("known", f.Known)
	m.number("signIns", f.SignIns)
	m.yes("newDevice", f.NewDevice)
	m.yes("newCountry", f.NewCountry)
	m.yes("newNetwork", f.NewNetwork)
	m.text("previousCountry", f.PreviousCountry)
	m.number("previousSeconds", f.PreviousSeconds)
	m.number("countrySeconds", f.CountrySeconds)
	m.number("distanceKm", f.DistanceKm)
	m.number("hourShare", f.HourShare)
	m.number("userAttempts", f.UserAttempts)
	m.number("addressAttempts", f.AddressAttempts)
	m.number("tenantAttempts", f.TenantAttempts)
	m.number("tenantPeak", f.TenantPeak)
	m.number("userFailures", f.UserFailures)
	m.number("addressFailures", f.AddressFailures)
	m.number("userAddresses", f.UserAddresses)
	m.number("addressUsers", f.AddressUsers)
	if len(f.Caller) > 0 {
		m.key("caller")
		m.dst, m.first = append(m.dst, '{'), true
		for _, v := range f.Caller {
			m.value(v)
		}
		m.dst = append(m.dst, '}')
	}
	m.text("provider", f.Provider)
	m.number("providerScore", f.ProviderScore)
	m.text("providerFailed", f.ProviderFailed)
	m.yes("degraded", f.Degraded)
}

// writer appends members; what is false, 0 or empty is left out.
type writer struct {
	dst   []byte
	first bool
}

func (m *writer) key(name string) {
	if !m.first {
		m.dst = append(m.dst, ',')
	}
	m.first = false
	m.dst = append(attr.AppendText(m.dst, name), ':')
}

func (m *writer) text(name, value string) {
	if value != "" {
		m.key(name)
		m.dst = attr.AppendText(m.dst, value)
	}
}

func (m *writer) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	m.key(name)
	for i, v := range values {
		m.dst = append(m.dst, "[,"[min(i, 1)])
		m.dst = attr.AppendText(m.dst, v)
	}
	m.dst = append(m.dst, ']')
}

func (m *writer) number(name string, value int) {
	if value != 0 {
		m.key(name)
		m.dst = strconv.AppendInt(m.dst, int64(value), 10)
	}
}

func (m *writer) yes(name string, value bool) {
	if value {
		m.key(name)
		m.dst = append(m.dst, "true"...)
	}
}

func (m *writer) value(v Value) {
	m.key(v.Name)
	switch v.Kind {
	case IsText:
		m.dst = attr.AppendText(m.dst, v.Text)
	case IsBool:
		m.dst = strconv.AppendBool(m.dst, v.Yes)
	case IsNumber:
		m.dst = strconv.AppendFloat(m.dst, v.Number, 'g', -1, 64)
	}
}

// Recorded is what a ceremony's row tells of risk.
type Recorded struct {
	Version int            `json:"version"` // of the signals
	Ruleset int            `json:"ruleset"` // its version; 0 for the one that comes with Biocore
	Score   int            `json:"score"`
	Signals map[string]int `json:"signals"` // points by code
	Matched []string       `json:"matched"` // IDs of rules
	Failed  []string       `json:"failed"`
	Outcome Outcome        `json:"outcome"` // absent: ALLOW
	Reason  string         `json:"reason"`
	Rule    string         `json:"rule"`
	Would   Outcome        `json:"would"` // absent: as Outcome

	WouldReason string `json:"wouldReason"`
	WouldRule   string `json:"wouldRule"`

	Facts Facts `json:"facts"`
}

// ParseRecorded reads a ceremony's facts, now or of a release before. ok is false where nothing was said of risk.
func ParseRecorded(facts []byte) (r Recorded, ok bool, err error) {
	var row struct {
		Risk *Recorded `json:"risk"`
	}
	if err := json.Unmarshal(facts, &row); err != nil {
		return Recorded{}, false, fmt.Errorf("recorded risk: %w", err)
	}
	if row.Risk == nil {
		return Recorded{}, false, nil
	}
	r = *row.Risk
	if r.Outcome == "" {
		r.Outcome = Allow
	}
	if r.Would == "" {
		r.Would, r.WouldReason, r.WouldRule = r.Outcome, r.Reason, r.Rule
	}
	return r, true, nil
}

// Bounds of what a caller may say.
const (
	maxValues    = 16
	maxValueName = 32
	maxValueText = 64 // bytes
)

// Values are ordered by name, each of which stands once.
type Values []Value

// UnmarshalJSON reads an object, as AppendMember wrote it. What is recorded has no bounds: a text may be longer than it was said, since
// what Postgres cannot keep of it was replaced.
func (v *Values) UnmarshalJSON(text []byte) error {
	var said map[string]any
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	var err error
	*v, err = valuesOf(said)
	return err
}

// ParseValues takes what a caller said, by name: at most 16, named by a letter and up to 31 letters, digits or _, each a
// number, true or false, or a text of up to 64 bytes. ErrSignals.
func ParseValues(said map[string]any) (Values, error) {
	if len(said) > maxValues {
		return nil, ErrSignals.WithMessage("at most 16 signals")
	}
	for name, is := range said {
		if !isValueName(name) {
			return nil, ErrSignals.WithMessage("a signal is named by a letter and up to 31 letters, digits or _").With("name", cut(name))
		}
		if text, ok := is.(string); ok && len(text) > maxValueText {
			return nil, ErrSignals.WithMessage("a signal's text has at most 64 bytes").With("name", name)
		}
	}
	return valuesOf(said)
}

func valuesOf(said map[string]any) (Values, error) {
	if len(said) == 0 {
		return nil, nil
	}
	out := make(Values, 0, len(said))
	for name, is := range said {
		v := Value{Name: name}
		switch is := is.(type) {
		case float64:
			if math.IsNaN(is) || math.IsInf(is, 0) {
				return nil, ErrSignals.WithMessage("a signal's number is finite").With("name", name)
			}
			v.Number = is
		case bool:
			v.Kind, v.Yes = IsBool, is
		case string:
			v.Kind, v.Text = IsText, is
		default:
			return nil, ErrSignals.WithMessage("a signal is a number, a text, or true or false").With("name", name)
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Value) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func isValueName(name string) bool {
	for i, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != "" && len(name) <= maxValueName
}
