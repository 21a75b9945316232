package console

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/policy"
)

// setting is a field of a policy that the form has. Fields that it has not are in the JSON.
type setting struct {
	Name, Label, Says string
	Kind              settingKind
	Choices           []ui.Choice
	Unit              string
}

type settingKind int

const (
	pick  settingKind = iota // one of Choices, text
	level                    // one of Choices, a number
	number
	toggle
)

// settingGroup is what stands together in the form.
type settingGroup struct {
	Label    string
	Settings []settingRow
}

// settingRow is a setting with its value in the draft.
type settingRow struct {
	setting

	Value   string // as its input has it
	Was     string // what is in force, in words; empty where the draft changes nothing
	Problem *ui.Problem
}

// settings are the fields that tenants change, in groups.
var settings = []struct {
	label string
	list  []setting
}{
	{"Sign-in", []setting{
		{Name: "userVerification", Label: "User verification", Says: "PIN or biometric on every ceremony.", Choices: []ui.Choice{{Value: "required", Label: "Required: refuse answers without it"}, {Value: "preferred", Label: "Preferred: accept a touch alone"}, {Value: "discouraged", Label: "Discouraged: do not ask"}}},
		{Name: "minimumAal", Label: "Assurance at least", Says: "What a sign-in must be worth (NIST SP 800-63B-4).", Kind: level, Choices: []ui.Choice{{Value: "1", Label: "AAL1"}, {Value: "2", Label: "AAL2"}, {Value: "3", Label: "AAL3"}}},
		{Name: "authenticationTimeoutSeconds", Label: "Challenge lifetime", Says: "How long a begun sign-in may take: 30 to 3600.", Kind: number, Unit: "seconds"},
		{Name: "signCountRollback", Label: "Signature counter goes back", Says: "May mean a cloned security key. Synced passkeys keep no counter.", Choices: []ui.Choice{{Value: "DENY", Label: "Deny"}, {Value: "STEP_UP", Label: "Ask for step-up"}, {Value: "FLAG", Label: "Flag only"}}},
	}},
	{"Enrollment", []setting{
		{Name: "attestationConveyance", Label: "Attestation asked for", Says: "What a new passkey is asked to prove of its authenticator.", Choices: []ui.Choice{{Value: "none", Label: "None: widest choice"}, {Value: "indirect", Label: "Indirect"}, {Value: "direct", Label: "Direct"}, {Value: "enterprise", Label: "Enterprise"}}},
		{Name: "requiredTrust", Label: "Attestation trusted", Says: "What it must prove at least. The last two take an attestation that is asked for.", Choices: []ui.Choice{{Value: "NONE", Label: "Whatever comes"}, {Value: "SELF", Label: "A statement, signed by itself"}, {Value: "VERIFIED", Label: "A chain to the metadata or to your roots"}, {Value: "MDS", Label: "A chain to the FIDO metadata"}}},
		{Name: "minimumCertification", Label: "FIDO certification", Says: "Of the model, at least. Takes a chain to the FIDO metadata.", Choices: certificationChoices()},
		{Name: "syncedPasskeys", Label: "Synced passkeys", Says: "Those that a cloud account backs up.", Choices: []ui.Choice{{Value: "ALLOW", Label: "Allow"}, {Value: "FLAG", Label: "Allow and flag"}, {Value: "DENY", Label: "Deny"}}},
		{Name: "maxCredentialsPerUser", Label: "Passkeys of a user", Says: "At most, revoked ones not counted: 1 to 100.", Kind: number, Unit: "passkeys"},
		{Name: "additionalCredential", Label: "A further passkey takes", Says: "For a user who has one.", Choices: []ui.Choice{{Value: "VOUCHED", Label: "Your server’s word"}, {Value: "STRONG_SIGN_IN", Label: "That, and a recent strong sign-in"}}},
		{Name: "conditionalCreate", Label: "Enroll without a prompt", Says: "After a password sign-in, without user verification.", Kind: toggle},
	}},
	{"Broken models", []setting{
		{Name: "reportedAuthenticators", Label: "New passkeys of reported models", Says: "Models that the metadata reports as revoked or compromised.", Choices: []ui.Choice{{Value: "DENY", Label: "Deny"}, {Value: "FLAG", Label: "Allow and flag"}}},
		{Name: "authenticatorStatus", Label: "Existing passkeys of them", Says: "What follows such a report.", Choices: []ui.Choice{{Value: "FLAG", Label: "Flag"}, {Value: "STEP_UP", Label: "Ask for step-up"}, {Value: "SUSPEND", Label: "Suspend"}}},
	}},
	{"Sessions", []setting{
		{Name: "accessTokenSeconds", Label: "Access token", Says: "How long it is good for: 60 to 3600.", Kind: number, Unit: "seconds"},
		{Name: "sessionLifetimeSeconds", Label: "Session", Says: "When it ends whatever happens: 300 to 7776000.", Kind: number, Unit: "seconds"},
		{Name: "refreshIdleSeconds", Label: "Unused session", Says: "When it ends: at most as long as a session.", Kind: number, Unit: "seconds"},
	}},
	{"Recovery", []setting{
		{Name: "recoveryCodes", Label: "Recovery codes", Says: "One-time codes that users keep.", Kind: toggle},
		{Name: "recoveryApproval", Label: "A recovery takes", Says: "Beside whoever asks for it.", Choices: []ui.Choice{{Value: "NONE", Label: "Nobody else"}, {Value: "SECOND_PERSON", Label: "A second person"}}},
	}},
}

func certificationChoices() []ui.Choice {
	var out []ui.Choice
	for _, l := range policy.Certifications() {
		label := strings.ReplaceAll(strings.TrimPrefix(string(l), "FIDO_CERTIFIED_"), "plus", "+")
		switch l {
		case "":
			label = "None"
		case "FIDO_CERTIFIED":
			label = "Certified"
		}
		out = append(out, ui.Choice{Value: string(l), Label: label})
	}
	return out
}

func allSettings() []setting {
	var all []setting
	for _, g := range settings {
		all = append(all, g.list...)
	}
	return all
}

// applySettings puts the values of a form into a document. What is no number stays as it was
// typed: policy.Parse says what is wrong with it, and where.
func applySettings(document string, values map[string]string) (string, error) {
	doc, err := policy.Parse([]byte(document))
	if err != nil {
		return "", err
	}
	text, err := doc.Complete()
	if err != nil {
		return "", err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return "", err
	}
	for _, s := range allSettings() {
		typed := strings.TrimSpace(values[s.Name])
		var value any = typed
		switch s.Kind {
		case toggle:
			value = typed == "on"
		case number, level:
			if n, err := strconv.Atoi(typed); err == nil {
				value = n
			}
		case pick:
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return "", err
		}
		fields[s.Name] = raw
	}
	out, err := json.Marshal(fields)
	return indented(out), err
}

// settingGroups are the settings with the draft's values, and what is in force where they
// differ. typed are those of a form that was refused; nil for none.
func settingGroups(active, document string, typed map[string]string, problem *ui.Problem) []settingGroup {
	was, is := fieldsOf(active), fieldsOf(document)
	var out []settingGroup
	for _, g := range settings {
		group := settingGroup{Label: g.label}
		for _, s := range g.list {
			row := settingRow{setting: s, Value: plain(is[s.Name])}
			if typed != nil {
				row.Value = typed[s.Name]
				if s.Kind == toggle {
					row.Value = strconv.FormatBool(typed[s.Name] == "on")
				}
			}
			if before := plain(was[s.Name]); before != row.Value {
				row.Was = s.words(before)
			}
			if problem != nil && problem.Field == "set-"+s.Name {
				row.Problem = problem
			}
			group.Settings = append(group.Settings, row)
		}
		out = append(out, group)
	}
	return out
}

func fieldsOf(text string) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal([]byte(text), &fields) // a text that is no policy has no fields to show
	return fields
}

// plain is a JSON value as an input has it.
func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// words is a value as people read it.
func (s setting) words(value string) string {
	switch s.Kind {
	case toggle:
		if value == "true" {
			return "on"
		}
		return "off"
	case number:
		return value
	case pick, level:
	}
	for _, c := range s.Choices {
		if c.Value == value {
			label, _, _ := strings.Cut(c.Label, ":")
			return label
		}
	}
	return value
}
