package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
)

// ceremonyRisk is how unusual a sign-in was, and what came of it.
type ceremonyRisk struct {
	Score    int
	Class    string // of the badge
	Level    string // in words
	Says     string // what was done about it, in a sentence
	Shadow   string // what would have been done; empty: the same
	Degraded bool
	Signals  []signalRow
	Rules    []fact // of the rules: which, matched, failed
	Facts    []fact
	Feedback feedbackForm
}

// signalRow is a signal that counted.
type signalRow struct {
	Code, Reason, Points string
	Share                float64 // of 100 points
}

// feedbackForm is what somebody said that came of it, and where to say so.
type feedbackForm struct {
	Verdict string // in words; empty: nobody has said anything
	Class   string // of its badge
	By      string
	At      ui.Moment
	Said    string // the note that stands
	Action  string // address to post to; empty: not for this person
	Note    string // that is being written
	Problem *ui.Problem
}

// levelWords are levels as badges: class and text.
var levelWords = map[risk.Level][2]string{risk.Low: {"ok", "Low"}, risk.Medium: {"warn", "Medium"}, risk.High: {"bad", "High"}}

// verdictWords are verdicts as badges: class and text.
var verdictWords = map[risk.Verdict][2]string{risk.Fraud: {"bad", "Fraud"}, risk.Legitimate: {"ok", "The user"}}

// riskOf is what is recorded of risk; nil where a ceremony was not assessed.
func (c *Console) riskOf(ctx context.Context, one *debugger.Ceremony, p *place, form feedbackForm) (*ceremonyRisk, error) {
	r, ok, err := risk.ParseRecorded(one.Facts.JSON)
	if err != nil || !ok {
		return nil, err
	}
	level := levelWords[risk.LevelOf(r.Score)]
	v := &ceremonyRisk{Score: r.Score, Class: level[0], Level: level[1], Says: ui.Upper(concluded(r.Outcome, r.Reason, r.Rule)), Degraded: r.Facts.Degraded, Feedback: form}
	if r.Would != r.Outcome || r.WouldRule != r.Rule {
		v.Shadow = "With all of the rules enforced it would have been " + concluded(r.Would, r.WouldReason, r.WouldRule)
	}
	for _, s := range risk.Explain(&r) {
		row := signalRow{Code: s.Code, Reason: ui.Upper(visible(s.Reason)), Points: ui.Number(s.Points), Share: float64(min(s.Points, risk.MaxScore)) / risk.MaxScore}
		if row.Reason == "" {
			row.Reason = "Counted by another release of Biocore, which this one cannot explain"
		}
		v.Signals = append(v.Signals, row)
	}
	v.Rules = append(v.Rules, fact{Label: "Rules", Text: "Version " + ui.Number(r.Ruleset)})
	if len(r.Matched) > 0 {
		v.Rules = append(v.Rules, fact{Label: "Matched", Text: strings.Join(r.Matched, ", ")})
	}
	if len(r.Failed) > 0 {
		v.Rules = append(v.Rules, fact{Label: "Not evaluated", Text: strings.Join(r.Failed, ", ")})
	}
	v.Facts = riskFacts(&r.Facts)
	said, ok, err := c.risk.FeedbackOf(ctx, p.sc, one.ID)
	if err != nil {
		return nil, err
	}
	if ok {
		words := verdictWords[said.Verdict]
		v.Feedback.Class, v.Feedback.Verdict, v.Feedback.Said, v.Feedback.At = words[0], words[1], said.Note, ui.Ago(said.GivenAt, c.now())
		names, err := c.names(ctx, []uuid.UUID{who(said.GivenBy)})
		if err != nil {
			return nil, err
		}
		v.Feedback.By = whoLabel(said.GivenBy, names)
	}
	if p.may(apikey.ScopeRisk) && p.support == nil && p.tenant.Usable() == nil {
		v.Feedback.Action = p.base + "/ceremonies/" + one.ID.String() + "/feedback"
	}
	return v, nil
}

// concluded is what was done, and why, for the middle of a sentence.
func concluded(outcome risk.Outcome, reason, rule string) string {
	said := map[risk.Outcome]string{risk.Allow: "let in", risk.StepUp: "asked for a second sign-in", risk.Deny: "refused"}[outcome]
	switch {
	case rule != "":
		return said + ", by the rule " + rule
	case reason == risk.ReasonScore:
		return said + ", by its score"
	}
	return said
}

// riskFacts are those worth a line, in words.
func riskFacts(f *risk.Facts) []fact {
	var out []fact
	add := func(label, text string) {
		if text != "" {
			out = append(out, fact{Label: label, Text: text})
		}
	}
	some := func(n int, of string) string {
		if n == 0 {
			return ""
		}
		return ui.Thousands(n) + " " + of
	}
	isNew := func(is bool, text string) string {
		if text != "" && is {
			return text + ", new for this user"
		}
		return text
	}
	user := "Nothing was known: a first sign-in"
	switch {
	case f.Known:
		user = ui.Count(f.SignIns, "sign-in") + " before, the last one " + span(time.Duration(f.PreviousSeconds)*time.Second) + " earlier"
	case f.Degraded:
		user = "Nothing was known while Redis was gone"
	}
	add("User", user)
	if f.NewDevice {
		add("Device", "New for this user")
	}
	add("Country", isNew(f.NewCountry, f.Country))
	add("Came from", distant(f))
	if f.ASN != 0 {
		add("Network", isNew(f.NewNetwork, "AS"+strconv.FormatUint(uint64(f.ASN), 10)))
	}
	add("On lists", strings.Join(f.Networks, ", "))
	add("Time of day", fmt.Sprintf("%02d:00 to %02d:00 UTC", f.Hour, (f.Hour+1)%24))
	add("Passkey", "registered "+span(time.Duration(f.CredentialAge)*time.Hour)+" before")
	if f.Adverse {
		add("Model", "Reported by the FIDO Metadata Service")
	}
	if f.CountJump < 0 {
		add("Sign count", "Shrank by "+ui.Thousands(-f.CountJump))
	}
	add("In ten minutes", joined(some(f.UserAttempts, "of the user"), some(f.AddressAttempts, "from the address")))
	if f.TenantPeak > 0 {
		add("All users", some(f.TenantAttempts, "in a minute")+", "+some(f.TenantPeak, "in a busy one"))
	}
	add("Failed", joined(some(f.UserFailures, "of the user"), some(f.AddressFailures, "from the address")))
	add("Addresses", some(f.UserAddresses, "of the user in a day"))
	add("Users", some(f.AddressUsers, "from the address in an hour"))
	if f.Provider != "" {
		add("Provider", visible(f.Provider)+" says "+ui.Number(f.ProviderScore)+" of 100")
	}
	for _, v := range f.Caller {
		add("Told: "+v.Name, told(&v))
	}
	return out
}

func distant(f *risk.Facts) string {
	if f.PreviousCountry == "" || f.PreviousCountry == f.Country {
		return ""
	}
	if f.DistanceKm == 0 {
		return f.PreviousCountry
	}
	return f.PreviousCountry + ", at least " + ui.Thousands(f.DistanceKm) + " km away"
}

// told is what the tenant's own server said.
func told(v *risk.Value) string {
	switch v.Kind {
	case risk.IsBool:
		return map[bool]string{true: "yes", false: "no"}[v.Yes]
	case risk.IsText:
		return visible(v.Text)
	case risk.IsNumber:
	}
	return strconv.FormatFloat(v.Number, 'g', -1, 64)
}

func joined(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, ", ")
}

// span is a time in its greatest unit: "3 hours".
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return ui.Count(int(d/time.Second), "second")
	case d < 2*time.Hour:
		return ui.Count(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return ui.Count(int(d/time.Hour), "hour")
	}
	return ui.Count(int(d/(24*time.Hour)), "day")
}

// giveFeedback notes what came of a sign-in. The later word stands.
func (c *Console) giveFeedback(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	one, err := c.ceremony(r.Context(), p, r.PathValue("id"))
	if err == nil && p.support != nil {
		err = errMayNot
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	form := feedbackForm{Note: clean(r.PostFormValue("note"))}
	_, err = c.risk.Report(r.Context(), p.sc, one.ID, risk.Verdict(r.PostFormValue("verdict")), form.Note)
	if problem, code := c.inForm(r, err); problem != nil {
		problem.Field = "note"
		form.Problem = problem
		c.ceremonies200(w, r, v, p, form, code)
		return
	}
	c.done(w, r, "riskFeedback", p.base+"/ceremonies/"+one.ID.String())
}
