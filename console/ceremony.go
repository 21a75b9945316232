package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// ceremonyRoutes are the debugger: the list of what was finished, and each in detail.
func (c *Console) ceremonyRoutes(mux *http.ServeMux) {
	base := Path + "/t/{slug}/ceremonies"
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeCeremoniesRead, c.showCeremonies))
	mux.HandleFunc("GET "+base+"/{id}", c.inTenant(apikey.ScopeCeremoniesRead, c.showCeremonies))
	mux.HandleFunc("GET "+base+"/{id}/json", c.inTenant(apikey.ScopeCeremoniesRead, c.downloadCeremony))
}

// ceremonyRows is how many a page of the list has.
const ceremonyRows = 30

// ceremoniesView is the page.
type ceremoniesView struct {
	ui.Page

	At      ui.Address
	Query   string // what is looked for
	Says    string // what a search means that was understood; empty for none
	Shown   []ui.Segment
	Rows    []ceremonyRow
	Pager   ui.Pager
	Live    bool
	Events  string // address of what the list is told by; empty where it is not live
	Paused  bool
	Switch  string // address with the tail paused, or running
	Here    bool   // a ceremony is in the path: on a phone its pane covers the list
	Back    string // address of the list alone
	Detail  *ceremonyDetail
	Filters bool
}

// ceremonyRow is one line of the list.
type ceremonyRow struct {
	Key               string // the ceremony's id
	Href, Icon, Class string
	What, Who         string
	Note, Took        string
	At                ui.Moment
	Here              bool
}

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

func (c *Console) showCeremonies(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	ctx := r.Context()
	base := p.base + "/ceremonies"
	v2 := ceremoniesView{At: ui.Address{Path: base, Query: r.URL.Query()}, Query: strings.TrimSpace(r.URL.Query().Get("q"))}
	filter, says, some, err := c.ceremonyFilter(ctx, p, v2.At)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	v2.Says, v2.Filters = says, filter != "" || v2.Query != ""
	after := r.URL.Query().Get("after")
	var page listing.Page[debugger.Ceremony]
	if some {
		page, err = c.debugger.List(ctx, p.sc, listing.Request{PageSize: ceremonyRows, PageToken: after, Filter: filter})
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
	}
	var chosen *debugger.Ceremony
	if text := r.PathValue("id"); text != "" {
		one, err := c.ceremony(ctx, p, text)
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
		chosen, v2.Here = &one, true
	} else if len(page.Items) > 0 {
		chosen = &page.Items[0] // beside the list, where there is room for it
	}
	names, err := c.userNames(ctx, p, append(owners(page.Items), owners(opt(chosen))...))
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	v2.Back = v2.At.With()
	v2.Shown = []ui.Segment{
		{Href: v2.At.Without("show"), Label: "All", Here: v2.At.Get("show") != "failed"},
		{Href: v2.At.With("show", "failed"), Label: "Failed", Here: v2.At.Get("show") == "failed"},
	}
	v2.Paused = v2.At.Get("tail") == "paused"
	v2.Live = after == "" && !v2.Paused && p.tenant.Usable() == nil
	if v2.Live && some {
		from := c.now()
		if len(page.Items) > 0 && from.Sub(page.Items[0].At) < time.Minute {
			from = page.Items[0].At // what comes between this page and its stream is told again
		}
		events := ui.Address{Path: base + "/events", Query: v2.At.Query}
		v2.Events = events.With("after", tail.PositionOf(&debugger.Ceremony{At: from}))
	}
	v2.Switch = v2.At.With("tail", "paused")
	if v2.Paused {
		v2.Switch = v2.At.Without("tail")
	}
	v2.Pager = ui.Pager{Says: ui.Count(len(page.Items), "ceremony"), ByTime: true}
	v2.Pager.Turn(v2.At, r.URL.Query(), page.NextToken)
	for i := range page.Items {
		row := c.ceremonyRow(&page.Items[i], names)
		row.Href = (ui.Address{Path: base + "/" + page.Items[i].ID.String(), Query: v2.At.Query}).With()
		row.Here = chosen != nil && page.Items[i].ID == chosen.ID
		v2.Rows = append(v2.Rows, row)
	}
	title := "Ceremonies"
	var crumbs []ui.Link
	if chosen != nil {
		v2.Detail = c.ceremonyDetail(chosen, names, p)
		if v2.Here {
			title, crumbs = v2.Detail.Title, []ui.Link{{Href: v2.Back, Label: "Ceremonies"}}
		}
	}
	v2.Page = c.frame(w, r, v, p, title, base, crumbs...)
	v2.Page.Flush = true
	c.render(w, r, http.StatusOK, c.ceremoniesPage(v2))
}

// ceremony is the one that a path names: errNowhere for another tenant's, too.
func (c *Console) ceremony(ctx context.Context, p *place, text string) (debugger.Ceremony, error) {
	id, err := debugger.ParseID(text)
	if err != nil {
		return debugger.Ceremony{}, errNowhere
	}
	one, err := c.debugger.Get(ctx, p.sc, id)
	if errors.Is(err, debugger.ErrNotFound) {
		err = errNowhere
	}
	return one, err
}

// downloadCeremony is a ceremony as a file: all that is known of it, for a ticket.
func (c *Console) downloadCeremony(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	one, err := c.ceremony(r.Context(), p, r.PathValue("id"))
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	type step struct {
		Name   string `json:"name"`
		Number string `json:"number"`
		State  string `json:"state"`
		Detail string `json:"detail"`
	}
	out := struct {
		ID            string          `json:"id"`
		FinishedAt    time.Time       `json:"finishedAt"`
		Kind          string          `json:"kind"`
		Outcome       string          `json:"outcome"`
		Reason        string          `json:"reason"`
		UserID        *user.ID        `json:"userId"`
		CredentialID  string          `json:"credentialId"`
		PolicyVersion int             `json:"policyVersion"`
		LatencyMicros *int64          `json:"latencyMicros"`
		TraceID       string          `json:"traceId"`
		RequestID     string          `json:"requestId"`
		Browser       string          `json:"browser"`
		APIKeyID      *uuid.UUID      `json:"apiKeyId"`
		Repeats       int             `json:"repeats"`
		Facts         json.RawMessage `json:"facts"`
		Steps         []step          `json:"steps"`
	}{
		one.ID.String(), one.At, string(one.Kind), string(one.Outcome), one.Reason, one.UserID, one.CredentialID.String(), one.PolicyVersion, nil,
		one.TraceID, one.RequestID, one.Browser, one.APIKeyID, one.Repeats, one.Facts.JSON, nil,
	}
	if one.Latency != nil {
		us := one.Latency.Microseconds()
		out.LatencyMicros = &us
	}
	for _, s := range debugger.Steps(&one) {
		out.Steps = append(out.Steps, step{s.Name, s.Number, string(s.State), s.Detail})
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	attachment(w, "application/json; charset=utf-8", "ceremony-"+one.ID.String()+".json")
	_, _ = w.Write(append(text, '\n'))
}

var (
	reasonForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]{3,63}$`)
	traceForm  = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// ceremonyFilter reads the address: show, and q, which is a reason, a trace or request id, a
// user's id or external id, or a credential id. some is false when nothing can be found by it.
func (c *Console) ceremonyFilter(ctx context.Context, p *place, at ui.Address) (filter, says string, some bool, err error) {
	var terms []string
	if at.Get("show") == "failed" {
		terms = append(terms, "outcome != ALLOW")
	}
	q := strings.TrimSpace(at.Get("q"))
	term := func(field, what string) { terms, says = append(terms, field+" = "+strconv.Quote(q)), what }
	switch _, notUUID := uuid.Parse(q); {
	case q == "":
	case reasonForm.MatchString(q):
		term("reason", "reason")
	case traceForm.MatchString(q):
		// Ids of requests have the same form: whichever finds something.
		page, err := c.debugger.List(ctx, p.sc, listing.Request{PageSize: 1, Filter: "requestId = " + q})
		if err != nil {
			return "", "", false, err
		}
		if len(page.Items) > 0 {
			term("requestId", "request id")
		} else {
			term("traceId", "trace id")
		}
	case notUUID == nil:
		term("userId", "user")
	default:
		u, err := c.users.Lookup(ctx, p.sc, q)
		switch {
		case err == nil:
			q = u.ID.String()
			term("userId", "user")
		case errors.Is(err, user.ErrNotFound) || errors.Is(err, user.ErrExternalID):
			return "", "", false, nil
		default:
			return "", "", false, err
		}
	}
	return strings.Join(terms, " AND "), says, true, nil
}

func opt(c *debugger.Ceremony) []debugger.Ceremony {
	if c == nil {
		return nil
	}
	return []debugger.Ceremony{*c}
}

func owners(list []debugger.Ceremony) []user.ID {
	var ids []user.ID
	for i := range list {
		if list[i].UserID != nil {
			ids = append(ids, *list[i].UserID)
		}
	}
	return ids
}

// erasedUser is what somebody is called whose row is gone.
const erasedUser = "Erased user"

// userNames returns what users of the tenant are called.
func (c *Console) userNames(ctx context.Context, p *place, ids []user.ID) (map[user.ID]string, error) {
	names := map[user.ID]string{}
	var asked []user.ID
	for _, id := range ids {
		if _, twice := names[id]; !twice {
			names[id] = erasedUser
			asked = append(asked, id)
		}
	}
	for some := range slices.Chunk(asked, user.MaxProfiles) {
		found, err := c.users.Profiles(ctx, p.sc, some)
		if err != nil {
			return nil, err
		}
		for id, one := range found {
			if names[id] = one.DisplayName; one.DisplayName == "" {
				names[id] = one.Name
			}
		}
	}
	return names, nil
}

// kindWords are what a ceremony is called by how it ended.
func kindWords(one *debugger.Ceremony) (what, icon, class string) {
	what = "Sign-in"
	if one.Kind == debugger.Registration {
		what = "Registration"
	}
	switch one.Outcome {
	case debugger.Allow:
		return what, "okc", "ok"
	case debugger.StepUp:
		return what + ", step-up", "warn", "warn"
	case debugger.Deny:
		return what + " blocked", "badc", "bad"
	case debugger.Failed:
	}
	return what + " failed", "badc", "bad"
}

func whose(one *debugger.Ceremony, names map[user.ID]string) string {
	if one.UserID == nil {
		return "Unknown user"
	}
	return names[*one.UserID]
}

func (c *Console) ceremonyRow(one *debugger.Ceremony, names map[user.ID]string) ceremonyRow {
	row := ceremonyRow{Key: one.ID.String(), Who: whose(one, names), At: timeOfDay(one.At), Took: took(one.Latency)}
	row.What, row.Icon, row.Class = kindWords(one)
	row.Note = one.Reason
	switch {
	case one.Repeats > 0:
		row.Who, row.Note = "", fmt.Sprintf("%s, %s more alike within the minute", one.Reason, ui.Number(one.Repeats))
	case one.Outcome == debugger.Allow:
		row.Note = c.model(one)
		if one.Browser != "" {
			row.Note += " · " + one.Browser
		}
	}
	return row
}

// model is what the authenticator is called.
func (c *Console) model(one *debugger.Ceremony) string {
	return authenticator.Describe(one.Facts.AAGUID, c.metadata(), authenticator.Traits{BackupEligible: one.Facts.BackupEligible})
}

// timeOfDay is a time of day to the second, in UTC until the script has put it into the reader's own.
func timeOfDay(t time.Time) ui.Moment {
	m := ui.At(t)
	m.Text, m.Clock = t.UTC().Format("15:04:05"), false
	return m
}

// took is a duration for a column: "41 ms", "0.4 ms"; empty for what was not measured.
func took(d *time.Duration) string {
	if d == nil {
		return ""
	}
	return millis(*d)
}

// lapTook is millis with what a lap of microseconds needs.
func lapTook(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
	}
	return millis(d)
}

func millis(d time.Duration) string {
	ms := float64(d.Microseconds()) / 1000
	if ms >= 10 {
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f ms", ms)
}

func (c *Console) ceremonyDetail(one *debugger.Ceremony, names map[user.ID]string, p *place) *ceremonyDetail {
	what, _, class := kindWords(one)
	base := p.base + "/ceremonies/" + one.ID.String()
	d := &ceremonyDetail{
		Title: what, Class: class, Badge: string(one.Outcome), Who: whose(one, names), At: ui.At(one.At), Took: took(one.Latency),
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
