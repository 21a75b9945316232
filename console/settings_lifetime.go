package console

import (
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/tenant"
)

// lifetimeRoutes are how long tokens, sessions and records last. They stand in the policy
// (ADR 0048), so who may change that may change them.
func (c *Console) lifetimeRoutes(mux *router) {
	const at = Path + "/t/{slug}/settings/lifetimes"
	mux.HandleFunc("GET "+at, c.inTenant(apikey.ScopePolicyWrite, c.showLifetimes))
	mux.HandleFunc("POST "+at, c.inTenant(apikey.ScopePolicyWrite, c.saveLifetimes))
}

// lifetime is one of them. Name is the policy's field.
type lifetime struct {
	name, label, hint string
	days              bool   // else a span of seconds
	none              string // what 0 days mean; they are typed as nothing
	of                func(*policy.Document) int
	to                func(*tenant.UpdateLifetimesRequest) **int
}

type lifetimeGroup struct {
	label string
	list  []lifetime
}

const (
	keptForGood = "As long as the tenant"
	keptNever   = "None is kept"
)

var lifetimes = []lifetimeGroup{
	{"Tokens and sessions", []lifetime{
		{
			name: "accessTokenSeconds", label: "Access token", hint: "1 min to 1 h, at most as long as an unused session. A revoked session’s tokens last as long where nobody asks this server.",
			of: func(d *policy.Document) int { return d.AccessTokenSeconds }, to: func(r *tenant.UpdateLifetimesRequest) **int { return &r.AccessTokenSeconds },
		},
		{
			name: "refreshIdleSeconds", label: "Session, unused", hint: "5 min to as long as a session.",
			of: func(d *policy.Document) int { return d.RefreshIdleSeconds }, to: func(r *tenant.UpdateLifetimesRequest) **int { return &r.RefreshIdleSeconds },
		},
		{
			name: "sessionLifetimeSeconds", label: "Session, at most", hint: "5 min to 90 days. Sessions that exist keep theirs.",
			of: func(d *policy.Document) int { return d.SessionLifetimeSeconds }, to: func(r *tenant.UpdateLifetimesRequest) **int { return &r.SessionLifetimeSeconds },
		},
		{
			name: "strongSignInMaxAgeSeconds", label: "Step-up", hint: "30 s to 1 day: how old a strong sign-in may be that vouches for a further passkey.",
			of: func(d *policy.Document) int { return d.StrongSignInMaxAgeSeconds }, to: func(r *tenant.UpdateLifetimesRequest) **int { return &r.StrongSignInMaxAgeSeconds },
		},
	}},
	{"Retention", []lifetime{
		{
			name: "ceremonyRetentionDays", label: "Ceremonies", hint: "30 to 3650 days. Empty: as long as the tenant. Statistics stay.", days: true, none: keptForGood,
			of: func(d *policy.Document) int { return d.CeremonyRetentionDays }, to: func(r *tenant.UpdateLifetimesRequest) **int { return &r.CeremonyRetentionDays },
		},
		{
			name: "sessionRetentionDays", label: "Sessions that ended", hint: "30 to 3650 days. Empty: as long as the tenant.", days: true, none: keptForGood,
			of: func(d *policy.Document) int { return d.SessionRetentionDays }, to: func(r *tenant.UpdateLifetimesRequest) **int { return &r.SessionRetentionDays },
		},
		{
			name: "evidenceRetentionDays", label: "Evidence of registrations", hint: "1 to 3650 days. Empty: none is kept.", days: true, none: keptNever,
			of: func(d *policy.Document) int { return d.EvidenceRetentionDays }, to: func(r *tenant.UpdateLifetimesRequest) **int { return &r.EvidenceRetentionDays },
		},
		{
			name: "auditRetentionDays", label: "Audit log", hint: "90 to 3650 days. Empty: as long as the tenant. Older months are archived in object storage, where this installation has some.", days: true, none: keptForGood,
			of: func(d *policy.Document) int { return d.AuditRetentionDays }, to: func(r *tenant.UpdateLifetimesRequest) **int { return &r.AuditRetentionDays },
		},
	}},
}

// text is a value as it is typed.
func (l *lifetime) text(n int) string {
	switch {
	case l.days && n == 0:
		return ""
	case l.days:
		return ui.Count(n, "day")
	}
	return spanText(n)
}

// words is a value as it is read.
func (l *lifetime) words(text string) string {
	if text == "" && l.days {
		return l.none
	}
	return text
}

// parse reads what was typed; false: it is no such value.
func (l *lifetime) parse(text string) (int, bool) {
	if l.days && text == "" {
		return 0, true
	}
	unit := 1
	if l.days {
		unit = 24 * 3600
	}
	n, ok := spanSeconds(text, unit)
	return n / unit, ok && n%unit == 0
}

// spanUnits are units of time by how they may begin, the longest first.
var spanUnits = []struct {
	begins, word string
	seconds      int
}{{"d", "day", 24 * 3600}, {"h", "h", 3600}, {"m", "min", 60}, {"s", "s", 1}}

// spanText is a number of seconds as people say it, exactly: 1 h 30 min.
func spanText(seconds int) string {
	var parts []string
	for _, u := range spanUnits {
		n := seconds / u.seconds
		seconds %= u.seconds
		switch {
		case n == 0:
		case u.word == "day":
			parts = append(parts, ui.Count(n, u.word))
		default:
			parts = append(parts, strconv.Itoa(n)+" "+u.word)
		}
	}
	return strings.Join(parts, " ")
}

// spanSeconds reads 1 h 30 min, 90m, 7 days; a number alone counts units of bare seconds.
// False: it is none, or beyond a century.
func spanSeconds(text string, bare int) (int, bool) {
	const most = 100 * 366 * 24 * 3600
	text = strings.ToLower(strings.Join(strings.Fields(text), ""))
	sum := 0
	for text != "" {
		digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
		n, err := strconv.Atoi(text[:digits])
		if err != nil || n > most {
			return 0, false
		}
		text = text[digits:]
		letters := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
		if letters < 0 {
			letters = len(text)
		}
		unit := 0
		switch word := text[:letters]; word {
		case "":
			unit = bare
		case "d", "day", "days":
			unit = spanUnits[0].seconds
		case "h", "hour", "hours":
			unit = spanUnits[1].seconds
		case "m", "min", "mins", "minute", "minutes":
			unit = spanUnits[2].seconds
		case "s", "sec", "second", "seconds":
			unit = spanUnits[3].seconds
		}
		text = text[letters:]
		if sum += n * unit; unit == 0 || sum > most {
			return 0, false
		}
	}
	return sum, sum > 0
}

// lifetimeTexts are the values of a policy, by the names of its fields.
func lifetimeTexts(d *policy.Document) map[string]string {
	texts := map[string]string{}
	for _, g := range lifetimes {
		for _, l := range g.list {
			texts[l.name] = l.text(l.of(d))
		}
	}
	return texts
}

// lifetimesCard is what the settings show of them.
type lifetimesCard struct {
	Href string // where they are changed; empty for who may not
	Rows []fact
}

func newLifetimesCard(now *tenant.Settings, p *place) lifetimesCard {
	var card lifetimesCard
	if p.may(apikey.ScopePolicyWrite) && now.State == tenant.Active {
		card.Href = p.base + "/settings/lifetimes"
	}
	texts := lifetimeTexts(&now.Policy)
	for _, g := range lifetimes {
		for _, l := range g.list {
			card.Rows = append(card.Rows, fact{Label: l.label, Text: l.words(texts[l.name])})
		}
	}
	return card
}

type lifetimesView struct {
	ui.Page

	Version  string
	ETag     string
	Groups   []lifetimeFields
	Act      ui.Act
	Conflict []string // what somebody else has changed meanwhile
}

type lifetimeFields struct {
	Label  string
	Fields []settingField
}

func (c *Console) showLifetimes(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.lifetimes200(w, r, v, p, nil, nil, ui.Act{}, http.StatusOK)
}

// lifetimes200 shows the form with what was typed; nil: with what is. was is what an
// overtaken page had shown, nil where it was not overtaken.
func (c *Console) lifetimes200(w http.ResponseWriter, r *http.Request, v *visit, p *place, typed, was map[string]string, act ui.Act, status int) {
	now, err := c.tenants.Policy(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	settings := p.base + "/settings"
	act.ID, act.Title, act.Button, act.Action, act.Cancel, act.Fresh = "lifetimes", "Change", "save", settings+"/lifetimes", settings, freshUntil(v)
	act.Effects = []ui.Effect{
		{Icon: "clock", Text: "Every server goes by it within a second"},
		{Icon: "trash", Text: "What is older than its retention is removed within an hour, for good; of the audit log whole months, once they are archived"},
	}
	view := lifetimesView{Version: strconv.Itoa(now.Version), ETag: now.ETag, Act: act}
	is := lifetimeTexts(&now.Document)
	if typed == nil {
		typed = is
	}
	for _, g := range lifetimes {
		group := lifetimeFields{Label: g.label}
		for _, l := range g.list {
			group.Fields = append(group.Fields, settingField{
				Input: ui.Input{ID: "life-" + l.name, Name: l.name, Label: l.label, Hint: l.hint, Value: typed[l.name], Max: 40, Optional: l.days, Problem: act.Problem},
				Was:   is[l.name],
			})
			if was != nil && was[l.name] != is[l.name] {
				view.Conflict = append(view.Conflict, l.label+" was "+inQuotes(l.words(was[l.name]))+" and is now "+inQuotes(l.words(is[l.name])))
			}
		}
		view.Groups = append(view.Groups, group)
	}
	if len(view.Conflict) > 0 {
		view.Act.Problem = nil // said above
	}
	view.Page = c.frame(w, r, v, p, "Lifetimes and retention", settings, ui.Link{Href: settings, Label: "Settings"})
	view.Page.Here = settings + "/lifetimes"
	c.render(w, r, status, c.lifetimesPage(view))
}

// saveLifetimes changes what differs from what the page had shown, as saveSettings does.
func (c *Console) saveLifetimes(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := actOf(r)
	typed, was := map[string]string{}, map[string]string{}
	req := tenant.UpdateLifetimesRequest{IfMatch: r.PostFormValue("etag"), Reason: act.Reason}
	var problem *ui.Problem
	for _, g := range lifetimes {
		for _, l := range g.list {
			typed[l.name], was[l.name] = clean(r.PostFormValue(l.name)), r.PostFormValue("was-"+l.name)
			if typed[l.name] == was[l.name] {
				continue
			}
			n, ok := l.parse(typed[l.name])
			if !ok && problem == nil {
				problem = lifetimeProblem(l.name)
			}
			*l.to(&req) = &n
		}
	}
	if problem != nil {
		act.Problem = problem
		c.lifetimes200(w, r, v, p, typed, nil, act, http.StatusUnprocessableEntity)
		return
	}
	err := sensitive(v, act.Reason)
	if err == nil {
		_, err = c.tenants.UpdateLifetimes(r.Context(), p.sc, req)
	}
	var overtaken map[string]string
	if errors.Is(err, etag.ErrMismatch) {
		overtaken = was
		// What has changed may be nothing that the page shows.
		if now, failed := c.tenants.Policy(r.Context(), p.sc); failed == nil && maps.Equal(lifetimeTexts(&now.Document), was) {
			req.IfMatch = now.ETag
			_, err = c.tenants.UpdateLifetimes(r.Context(), p.sc, req)
		}
	}
	if problem, code := c.inForm(r, err); problem != nil {
		atField(problem, err)
		if errors.Is(err, policy.ErrInvalid) {
			if at := lifetimeProblem(problem.Field); at != nil {
				problem = at
			}
		}
		if errors.Is(err, etag.ErrMismatch) {
			code = http.StatusConflict
		} else {
			overtaken = nil
		}
		act.Problem = problem
		c.lifetimes200(w, r, v, p, typed, overtaken, act, code)
		return
	}
	c.done(w, r, "saved", p.base+"/settings")
}

// lifetimeProblem says at a field what it takes; nil for no field of the page.
func lifetimeProblem(field string) *ui.Problem {
	for _, g := range lifetimes {
		for _, l := range g.list {
			if l.name == field {
				return &ui.Problem{Title: "That is not a time it takes", Message: l.hint, Field: field, Reason: policy.ErrInvalid.Reason}
			}
		}
	}
	return nil
}
