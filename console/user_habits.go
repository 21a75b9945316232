package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
)

// habitsView is what a user's sign-ins are like.
type habitsView struct {
	Says  string
	Last  ui.Moment
	Facts []fact
	// Of the newest session that is open; no Badge where its sign-in was not assessed.
	Class, Badge, Href string
}

// habitsOf returns nil where nothing is known, for who may not see risk, and for support: what is put together of a person is
// walled off from it.
func (c *Console) habitsOf(ctx context.Context, p *place, id user.ID, sessions []sessionRow) (*habitsView, error) {
	if !p.may(apikey.ScopeRiskRead) || p.support != nil {
		return nil, nil //nolint:nilnil // not for them
	}
	h, ok, err := c.risk.Habits(ctx, p.sc, id.UUID())
	if err != nil || !ok {
		return nil, err
	}
	v := &habitsView{Says: ui.Count(h.SignIns, "sign-in") + " that were assessed", Last: ui.Ago(h.LastAt, c.now())}
	if h.SignIns == 1 {
		v.Says = "1 sign-in that was assessed"
	}
	networks := make([]string, len(h.Networks))
	for i, n := range h.Networks {
		networks[i] = "AS" + n
	}
	for _, f := range []fact{
		{Label: "Devices", Text: strings.Join(h.Devices, ", ")}, {Label: "Countries", Text: strings.Join(h.Countries, ", ")},
		{Label: "Networks", Text: strings.Join(networks, ", ")}, {Label: "Usual hours", Text: hoursText(h.Hours)},
	} {
		if f.Text != "" {
			v.Facts = append(v.Facts, f)
		}
	}
	if len(sessions) > 0 && p.may(apikey.ScopeCeremoniesRead) {
		return v, c.scoreOf(ctx, p, v, sessions[0].ID)
	}
	return v, nil
}

// scoreOf adds how unusual the sign-in of a session was. A session has the id of its ceremony.
func (c *Console) scoreOf(ctx context.Context, p *place, v *habitsView, session string) error {
	id, err := uuid.Parse(session)
	if err != nil {
		return fmt.Errorf("session %q: %w", session, err)
	}
	one, err := c.debugger.Get(ctx, p.sc, id)
	if errors.Is(err, debugger.ErrNotFound) { // older than ceremonies are kept
		return nil
	} else if err != nil {
		return err
	}
	r, ok, err := risk.ParseRecorded(one.Facts.JSON)
	if err != nil || !ok {
		return err
	}
	level := levelWords[risk.LevelOf(r.Score)]
	v.Class, v.Badge, v.Href = level[0], level[1]+", "+ui.Number(r.Score)+" of 100", p.base+"/ceremonies/"+one.ID.String()
	return nil
}

// hoursText are hours of the day as spans: "08:00 to 11:00, 17:00 to 18:00 UTC". One that goes over midnight is one.
func hoursText(hours []int) string {
	if len(hours) == 24 {
		return "All day"
	}
	var spans []string
	for _, from := range hours {
		if slices.Contains(hours, (from+23)%24) {
			continue
		}
		to := from
		for slices.Contains(hours, to) {
			to = (to + 1) % 24
		}
		spans = append(spans, fmt.Sprintf("%02d:00 to %02d:00", from, to))
	}
	if len(spans) == 0 {
		return ""
	}
	return strings.Join(spans, ", ") + " UTC"
}
