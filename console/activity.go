package console

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// shownActivity is how many audit entries the page of an object shows.
const shownActivity = 50

// activityOf is what happened to an object, from its audit entries, the newest first.
func (c *Console) activityOf(ctx context.Context, p *place, kind, id string) ([]ui.Event, error) {
	page, err := c.trail.List(ctx, p.sc, listing.Request{PageSize: shownActivity, Filter: fmt.Sprintf("target = %q", kind+"/"+id)})
	if err != nil {
		return nil, err
	}
	people := make([]uuid.UUID, 0, len(page.Items))
	for _, e := range page.Items {
		people = append(people, who(string(e.Actor.Kind)+":"+e.Actor.ID))
	}
	names, err := c.names(ctx, people)
	if err != nil {
		return nil, err
	}
	events := make([]ui.Event, len(page.Items))
	day := ""
	for i, e := range page.Items {
		one := ui.Event{Icon: "activity", Text: actionWords(e.Action), Who: whoLabel(string(e.Actor.Kind)+":"+e.Actor.ID, names), At: ui.Ago(e.At, c.now()), Note: e.Reason}
		if e.Actor.Kind == scope.ActorAPIKey && e.Actor.Name != "" {
			one.Who = "API key " + e.Actor.Name
		}
		if e.Outcome != audit.Success {
			one.Class, one.Icon, one.Text = "bad", "ban", one.Text+" was refused"
		}
		if d := e.At.UTC().Format("2 January 2006"); d != day {
			one.Day, day = d, d
		}
		events[i] = one
	}
	return events, nil
}

// actionWords is an action of the audit log, for people: apikey.rotate is "Rotate".
func actionWords(action string) string {
	_, verb, _ := strings.Cut(action, ".")
	return reasonWords(verb)
}
