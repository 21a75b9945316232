package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// What happened to an object stands on the Activity tab of its page: its audit entries, for
// whose role reads the audit log. The tab is the page of the object with /activity behind its
// address.

const (
	activityPath = "/activity"
	// shownActivity is how many audit entries a page of it shows.
	shownActivity = 50
	// recentActivity is how many a card shows.
	recentActivity = 6
	// activityReads bounds the pages of the audit log that are read for one of those: of a
	// tenant's own entries, few may be about the object.
	activityReads = 5
)

// about is an object as audit entries name it.
type about struct {
	kind, id string
	actions  []string // of its entries, those that are meant; empty for all
}

// withActivity is the part of an object's view that its tabs are drawn from.
type withActivity struct {
	Tabs     []ui.Tab      // none for whom there is only one
	Activity *activityView // nil on the other tabs
}

type activityView struct {
	Events []ui.Event
	Pager  ui.Pager
}

// asksActivity reports whether a request is for the Activity tab of the object at here.
func asksActivity(r *http.Request, here string) bool {
	return r.Method == http.MethodGet && r.URL.Path == here+activityPath
}

// activity returns the tabs of the object at here, after those that its page has besides,
// and what the Activity tab shows where that is asked for. errMayNot for whose role does not
// read the audit log.
func (c *Console) activity(r *http.Request, p *place, here string, of about, tabs ...ui.Tab) (withActivity, error) {
	on := asksActivity(r, here)
	if !p.may(apikey.ScopeAuditRead) {
		if on {
			return withActivity{}, errMayNot
		}
		if len(tabs) < 2 {
			tabs = nil
		}
		return withActivity{Tabs: tabs}, nil
	}
	out := withActivity{Tabs: append(tabs, ui.Tab{Href: here + activityPath, Label: "Activity", Here: on})}
	if !on {
		return out, nil
	}
	view, err := c.activityView(r, p, ui.Address{Path: r.URL.Path, Query: r.URL.Query()}, of, shownActivity)
	out.Activity = &view
	return out, err
}

// lately is the end of what happened to an object, for a card beside other things;
// nil for whose role does not read the audit log, and where there is nothing.
func (c *Console) lately(r *http.Request, p *place, of about) ([]ui.Event, error) {
	if !p.may(apikey.ScopeAuditRead) {
		return nil, nil
	}
	view, err := c.activityView(r, p, ui.Address{}, of, recentActivity)
	return view.Events, err
}

// activityView is a page of at most n entries, from where at says on.
func (c *Console) activityView(r *http.Request, p *place, at ui.Address, of about, n int) (activityView, error) {
	ctx := r.Context()
	ask := listing.Request{PageSize: n, PageToken: at.Get("after"), Filter: fmt.Sprintf("target = %q", of.kind+"/"+of.id)}
	if len(of.actions) == 1 {
		ask.Filter += " AND action = " + of.actions[0]
	}
	var found []trail.Record
	for range activityReads {
		page, err := c.trail.List(ctx, p.sc, ask)
		if err != nil {
			return activityView{}, err
		}
		for i := range page.Items {
			if len(of.actions) == 0 || slices.Contains(of.actions, page.Items[i].Action) {
				found = append(found, page.Items[i])
			}
		}
		if ask.PageToken = page.NextToken; ask.PageToken == "" || len(found) > 0 {
			break
		}
	}
	people := make([]uuid.UUID, 0, len(found))
	for i := range found {
		people = append(people, who(actorOf(&found[i])))
	}
	names, err := c.names(ctx, people)
	if err != nil {
		return activityView{}, err
	}
	view := activityView{Pager: ui.Pager{Says: ui.Count(len(found), "entry"), ByTime: true}}
	view.Pager.Turn(at, at.Query, ask.PageToken)
	day := ""
	for i := range found {
		one := c.happened(&found[i], of, names)
		if d := found[i].At.UTC().Format("2 January 2006"); d != day {
			one.Day, day = d, d
		}
		view.Events = append(view.Events, one)
	}
	return view, nil
}

func actorOf(e *trail.Record) string { return string(e.Actor.Kind) + ":" + e.Actor.ID }

// happened is an entry as a line of a timeline.
func (c *Console) happened(e *trail.Record, of about, names map[uuid.UUID]string) ui.Event {
	noun := of.kind
	if len(of.actions) > 0 { // of something larger than what the page is about
		noun = ""
	}
	done := actionLineOf(e.Action, noun, e.Outcome)
	one := ui.Event{Icon: done.icon, Class: done.class, Text: done.words, Who: whoLabel(actorOf(e), names), At: ui.Ago(e.At, c.now())}
	if e.Actor.Kind == scope.ActorAPIKey && e.Actor.Name != "" {
		one.Who = "API key " + e.Actor.Name
	}
	var notes []string
	for _, note := range []string{e.Reason, changedWords(e.Before, e.After)} {
		if note != "" {
			notes = append(notes, note)
		}
	}
	one.Note = strings.Join(notes, " · ")
	return one
}

// maxChanged is how long a value may be to be shown in a line, in bytes.
const maxChanged = 60

// changedWords says what an entry has changed: values where they are short, else the names of
// the fields.
func changedWords(before, after json.RawMessage) string {
	was, is := members(before), members(after)
	var said []string
	for _, name := range slices.Sorted(maps.Keys(is)) {
		switch from, to := was[name], is[name]; {
		case from == to:
		case from == "" && len(to) <= maxChanged:
			said = append(said, name+": "+to)
		case len(from) <= maxChanged && len(to) <= maxChanged:
			said = append(said, name+": "+from+" → "+to)
		default:
			said = append(said, name)
		}
	}
	return strings.Join(said, ", ")
}

// members are those of a JSON object: strings and lists of them as they are, all else as JSON.
func members(object json.RawMessage) map[string]string {
	var raw map[string]json.RawMessage
	if json.Unmarshal(object, &raw) != nil {
		return nil
	}
	out := make(map[string]string, len(raw))
	for name, value := range raw {
		var text string
		var list []string
		switch {
		case json.Unmarshal(value, &text) == nil:
		case json.Unmarshal(value, &list) == nil:
			text = strings.Join(list, " ")
		default:
			text = string(value)
		}
		out[name] = text
	}
	return out
}
