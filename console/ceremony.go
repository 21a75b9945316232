package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

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
func (c *Console) ceremonyRoutes(mux *router) {
	base := Path + "/t/{slug}/ceremonies"
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeCeremoniesRead, c.showCeremonies))
	mux.HandleFunc("GET "+base+"/export", c.inTenant(apikey.ScopeCeremoniesRead, c.exportCeremonies))
	mux.HandleFunc("GET "+base+"/{id}", c.inTenant(apikey.ScopeCeremoniesRead, c.showCeremonies))
	mux.HandleFunc("POST "+base+"/{id}/feedback", c.inTenant(apikey.ScopeRisk, c.giveFeedback))
	mux.HandleFunc("GET "+base+"/{id}/json", c.inTenant(apikey.ScopeCeremoniesRead, c.downloadCeremony))
}

// ceremonyRows is how many a page of the list has.
const ceremonyRows = 30

// ceremoniesView is the page.
type ceremoniesView struct {
	ui.Page

	At        ui.Address
	Query     string // what is looked for
	Says      string // what a search means that was understood; empty for none
	Shown     []ui.Segment
	Rows      []ceremonyRow
	Pager     ui.Pager
	Live      bool
	Events    string // address of what the list is told by; empty where it is not live
	Paused    bool
	Switch    string // address with the tail paused, or running
	Here      bool   // a ceremony is in the path: on a phone its pane covers the list
	Back      string // address of the list alone
	Detail    *ceremonyDetail
	Filters   bool
	CSV, JSON string
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

func (c *Console) showCeremonies(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.ceremonies200(w, r, v, p, feedbackForm{}, http.StatusOK)
}

func (c *Console) ceremonies200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form feedbackForm, status int) {
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
	export := ui.Address{Path: base + "/export", Query: v2.At.Query}
	v2.CSV, v2.JSON = export.Without("after"), export.With("format", "json")
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
		if v2.Detail.Risk, err = c.riskOf(ctx, chosen, p, form); err != nil {
			c.fail(w, r, v, err)
			return
		}
		if v2.Here {
			title, crumbs = v2.Detail.Title, []ui.Link{{Href: v2.Back, Label: "Ceremonies"}}
		}
	}
	v2.Page = c.frame(w, r, v, p, title, base, crumbs...)
	v2.Page.Flush = true
	c.render(w, r, status, c.ceremoniesPage(v2))
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

// exportCeremonies writes the list as it is filtered, the newest first.
func (c *Console) exportCeremonies(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	filter, _, some, err := c.ceremonyFilter(r.Context(), p, ui.Address{Query: r.URL.Query()})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.export(w, r, v, exported{
		Name: "ceremonies",
		Columns: []string{
			"id", "finishedAt", "kind", "outcome", "reason", "userId", "credentialId", "origin", "browser", "latencyMs", "policyVersion", "repeats", "traceId", "requestId",
		},
		Next: func(token string) ([][]string, string, error) {
			if !some {
				return nil, "", nil
			}
			page, err := c.debugger.List(r.Context(), p.sc, listing.Request{PageSize: listing.MaxPageSize, PageToken: token, Filter: filter})
			rows := make([][]string, len(page.Items))
			for i := range page.Items {
				rows[i] = ceremonyCells(&page.Items[i])
			}
			return rows, page.NextToken, err
		},
	})
}

// ceremonyCells is a ceremony as a row of a file.
func ceremonyCells(one *debugger.Ceremony) []string {
	var owner, took string
	if one.UserID != nil {
		owner = one.UserID.String()
	}
	if one.Latency != nil {
		took = strconv.FormatFloat(float64(one.Latency.Microseconds())/1000, 'f', 1, 64)
	}
	return []string{
		one.ID.String(), iso(&one.At), string(one.Kind), string(one.Outcome), one.Reason, owner, one.CredentialID.String(), one.Facts.Origin, one.Browser,
		took, strconv.Itoa(one.PolicyVersion), strconv.Itoa(one.Repeats), one.TraceID, one.RequestID,
	}
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
