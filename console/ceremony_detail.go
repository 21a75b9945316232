package console

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
)

// ceremonyDetail is a ceremony with its steps.
type ceremonyDetail struct {
	Title      string
	Class      string // of the badge
	Badge      string
	Who        string
	WhoHref    string
	At         ui.Moment
	Took       string
	JSON       string // address of the download
	Link       string // absolute, to give to somebody
	Section    string
	Says       string // "8 of 21 passed"
	Steps      []stepView
	Risk       *ceremonyRisk // nil: it was not assessed
	Laps       []lapView
	Bits       []bitView
	Flags      string // "0x1d", or empty where they are not known
	FlagWords  string
	Facts      []fact
	ClientData string // as far as it is kept
	Context    []fact
}

type stepView struct {
	Name, Number, Detail string
	Class, Icon          string
	Says                 string // for screen readers
	Guide                *debugger.Guide
}

// lapView is a part of the time, as a bar of 100.
type lapView struct {
	Name, Took  string
	From, Width string
}

type bitView struct{ Value, Name, Title, Class string }

// fact is a line of what is known, which may be copied.
type fact struct {
	Label, Text string
	Copy        bool
}

func (c *Console) ceremonyDetail(one *debugger.Ceremony, names map[user.ID]string, p *place) *ceremonyDetail {
	what, _, class := kindWords(one)
	base := p.base + "/ceremonies/" + one.ID.String()
	d := &ceremonyDetail{
		Title: what, Class: class, Badge: outcomeWords[one.Outcome], Who: whose(one, names), At: ui.At(one.At), Took: took(one.Latency),
		JSON: base + "/json", Link: c.publicURL + base, Section: "WebAuthn L3 " + one.Kind.Section() + ", in order, up to the first failure",
	}
	d.At.Text = one.At.UTC().Format("2 Jan, 15:04:05.000 UTC")
	if one.Reason != "" {
		d.Badge = one.Reason
	}
	if one.UserID != nil {
		d.WhoHref = (ui.Address{Path: p.base + "/ceremonies", Query: url.Values{"q": {one.UserID.String()}}}).With()
	}
	passed := 0
	steps := debugger.Steps(one)
	for _, s := range steps {
		sv := stepView{Name: s.Name, Number: s.Number, Detail: visible(s.Detail), Guide: s.Guide}
		switch s.State {
		case debugger.Passed:
			passed++
			sv.Class, sv.Icon, sv.Says = "pass", "okc", "passed"
		case debugger.Broken:
			sv.Class, sv.Icon, sv.Says = "fail", "badc", "failed"
			d.Title = what + ": " + strings.ToLower(s.Guide.Title[:1]) + s.Guide.Title[1:]
			if one.Outcome == debugger.StepUp {
				sv.Class, sv.Icon, sv.Says = "fail", "warn", "asked for more"
			}
		case debugger.NotReached:
			sv.Class, sv.Icon, sv.Says = "skip-step", "dash", "not reached"
		}
		d.Steps = append(d.Steps, sv)
	}
	d.Says = fmt.Sprintf("%d of %d passed", passed, len(steps))
	d.Laps = laps(one)
	d.Bits, d.Flags, d.FlagWords = bits(one)
	d.Facts = c.authenticatorFacts(one)
	d.ClientData = clientData(one)
	d.Context = contextFacts(one)
	return d
}

// laps are where the time went: what was measured, in order, and what is left over.
func laps(one *debugger.Ceremony) []lapView {
	us := one.Facts.TookUs
	if len(us) != 4 || one.Latency == nil || *one.Latency <= 0 {
		return nil
	}
	type lap struct {
		name string
		us   int32
	}
	order := []lap{{"Open the ceremony", us[0]}, {"Find the credential", us[1]}, {"Verify", us[2]}, {"Decide", us[3]}}
	if one.Kind == debugger.Registration {
		order = []lap{{"Open the ceremony", us[0]}, {"Verify", us[2]}, {"Judge the attestation", us[1]}, {"Decide and store", us[3]}}
	}
	rest := int32(one.Latency.Microseconds()) //nolint:gosec // an integer column
	for _, l := range order {
		rest -= l.us
	}
	last := "The rest" // what no lap ended at: of a failure, up to its record
	if one.Kind == debugger.Authentication && one.Outcome == debugger.Allow {
		last = "Wait to be written"
	}
	order = append(order, lap{last, max(rest, 0)})
	var all []lapView
	total, from := float64(one.Latency.Microseconds()), 0.0
	for _, l := range order {
		if l.us == 0 {
			continue
		}
		share := min(100*float64(l.us)/total, 100-from)
		all = append(all, lapView{
			Name: l.name, Took: lapTook(time.Duration(l.us) * time.Microsecond), From: fmt.Sprintf("%.2f", from), Width: fmt.Sprintf("%.2f", max(share, 0.5)),
		})
		from += share
	}
	return all
}

// flagNames are the bits of authenticator data, the lowest first (WebAuthn L3 #authdata-flags).
var flagNames = [8][2]string{
	{"UP", "user present"}, {"RFU", "reserved"}, {"UV", "user verified"}, {"BE", "backup eligible"}, {"BS", "backed up"}, {"RFU", "reserved"},
	{"AT", "attested credential data"}, {"ED", "extension data"},
}

func bits(one *debugger.Ceremony) (all []bitView, hex, words string) {
	if one.Facts.Flags == nil {
		return nil, "", ""
	}
	f := *one.Facts.Flags
	missing := map[string]int{"USER_PRESENCE_REQUIRED": 0, "USER_VERIFICATION_REQUIRED": 2, "BACKUP_STATE_INVALID": 3}
	miss, wrong := missing[one.Reason]
	for i, n := range flagNames {
		b := bitView{Value: ui.Number(int(f >> i & 1)), Name: n[0], Title: n[1]}
		switch {
		case wrong && i == miss && f>>i&1 == 0:
			b.Class = "miss"
		case f>>i&1 == 1:
			b.Class = "on"
		}
		all = append(all, b)
	}
	say := []string{"not present", "not verified", "device-bound"}
	if f&1 != 0 {
		say[0] = "present"
	}
	if f>>2&1 != 0 {
		say[1] = "verified"
	}
	if f>>3&1 != 0 {
		say[2] = "can be synced, is not"
		if f>>4&1 != 0 {
			say[2] = "synced"
		}
	}
	return all, fmt.Sprintf("0x%02x", f), strings.Join(say, ", ")
}

func (c *Console) authenticatorFacts(one *debugger.Ceremony) []fact {
	var out []fact
	add := func(name, value string, copied bool) {
		if value != "" {
			out = append(out, fact{Label: name, Text: value, Copy: copied})
		}
	}
	if one.Facts.Flags != nil {
		count := uint32(0)
		if one.Facts.SignCount != nil {
			count = *one.Facts.SignCount
		}
		add("Sign count", strconv.FormatUint(uint64(count), 10), false)
	}
	if one.Facts.AAGUID != uuid.Nil {
		add("Authenticator", c.model(one), false)
		add("AAGUID", one.Facts.AAGUID.String(), true)
	}
	add("Attestation", one.Facts.AttestationFormat, false)
	add("Trust", one.Facts.Trust, false)
	add("Certification", one.Facts.Certification, false)
	if one.Facts.AAL > 0 {
		add("Assurance", "AAL"+ui.Number(one.Facts.AAL), false)
	}
	add("Credential", one.CredentialID.String(), true)
	return out
}

// visible is what a client sent, as it was: characters that show nothing, or turn round what
// stands beside them, would make a foreign origin look like one's own. They are written out.
func visible(s string) string {
	var out strings.Builder
	for _, r := range s {
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
			fmt.Fprintf(&out, "<U+%04X>", r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// clientData is what is kept of it: the challenge is not.
func clientData(one *debugger.Ceremony) string {
	f := &one.Facts
	if f.Origin == "" {
		return ""
	}
	kind := f.ClientType
	if kind == "" { // kept of failures alone: else it was what it must be
		kind = "webauthn.get"
		if one.Kind == debugger.Registration {
			kind = "webauthn.create"
		}
	}
	out := struct {
		Type        string `json:"type"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
		TopOrigin   string `json:"topOrigin,omitempty"`
	}{visible(kind), visible(f.Origin), f.CrossOrigin, visible(f.TopOrigin)}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return ""
	}
	return string(text)
}

func contextFacts(one *debugger.Ceremony) []fact {
	var out []fact
	add := func(name, value string, copied bool) {
		if value != "" {
			out = append(out, fact{Label: name, Text: value, Copy: copied})
		}
	}
	if one.PolicyVersion > 0 {
		add("Policy", "Version "+ui.Number(one.PolicyVersion), false)
	}
	if one.Facts.BegunPolicyVersion > 0 {
		add("Begun under", "Version "+ui.Number(one.Facts.BegunPolicyVersion), false)
	}
	if one.APIKeyID != nil {
		add("API key", one.APIKeyID.String(), true)
	}
	add("Browser", one.Browser, false)
	add("Purpose", one.Facts.Purpose, false)
	add("Vouched by", one.Facts.Via, false)
	add("Trace", one.TraceID, true)
	add("Request", one.RequestID, true)
	add("Ceremony", one.ID.String(), true)
	return out
}
