package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/a-h/templ"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/support"
	"github.com/biocore-id/biocore/web/sse"
)

// liveRoutes are what pages watch: the same streams as the API's, in rows of a page.
func (c *Console) liveRoutes(mux *router) {
	base := Path + "/t/{slug}"
	mux.HandleFunc("GET "+base+"/ceremonies/events", c.inTenant(apikey.ScopeCeremoniesRead, c.watchCeremonies))
	mux.HandleFunc("GET "+base+"/activity/events", c.inTenant(apikey.ScopeCeremoniesRead, c.watchActivity))
}

// errWatch ends a stream whose reader's role or grant does not go so far any more.
var errWatch = fault.New(fault.Forbidden, "STREAM_NOT_ALLOWED", "you may not watch this any more")

// activityRows is how many rows the activity of the overview begins with.
const activityRows = 8

// liveRow is one row as the page's script takes it.
type liveRow struct {
	Key      string `json:"key"`                // of the ceremony, or of the begin
	Replaces string `json:"replaces,omitempty"` // key of the begin that it came of
	HTML     string `json:"html"`
}

// begunRow is one line of what has only begun.
type begunRow struct {
	Key, What, Who, Note string
	At, Until            ui.Moment
}

// activityRow is one line of the overview's activity.
type activityRow struct {
	Key, Href, Who, What string
	Model, Browser       string
	Face                 modelFace // of the model
	Reason               string    // instead of the model, where nobody was let in
	Took, Class, Outcome string
	At                   ui.Moment
}

// live makes rows of events, in the form of one page.
type live struct {
	c      *Console
	p      *place
	at     ui.Address // of the page, whose rows lead on with its filters
	finish func(row ceremonyRow, one *debugger.Ceremony) templ.Component
	begin  func(row begunRow) templ.Component
}

// watchCeremonies is the list of ceremonies, live.
func (c *Console) watchCeremonies(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	at := ui.Address{Path: p.base + "/ceremonies", Query: r.URL.Query()}
	after := at.Get("after")
	at.Query.Del("after")
	filter, _, some, err := c.ceremonyFilter(r.Context(), p, at)
	if err == nil && !some {
		err = errNowhere
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.watch(w, r, v, p, tail.Request{Filter: filter, After: after}, nil, &live{
		c: c, p: p, at: at, begin: c.begunLine,
		finish: func(row ceremonyRow, _ *debugger.Ceremony) templ.Component { return c.ceremonyLine(row) },
	})
}

// watchActivity is the overview's: it begins with what was last. The page itself reads no
// ceremonies, however many there are.
func (c *Console) watchActivity(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	page, err := c.debugger.List(r.Context(), p.sc, listing.Request{PageSize: activityRows})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	slices.Reverse(page.Items)
	var first []tail.Event
	for i := range page.Items {
		first = append(first, tail.Event{Finished: &tail.Finished{Position: tail.PositionOf(&page.Items[i]), Ceremony: page.Items[i]}})
	}
	req := tail.Request{}
	if len(first) > 0 && c.now().Sub(page.Items[len(first)-1].At) < time.Minute {
		req.After = first[len(first)-1].Finished.Position // what is committed meanwhile
	}
	c.watch(w, r, v, p, req, first, &live{
		c: c, p: p, at: ui.Address{Path: p.base + "/ceremonies"},
		finish: func(row ceremonyRow, one *debugger.Ceremony) templ.Component {
			return c.activityLine(c.activityRow(row, one))
		},
		begin: c.activityBegun,
	})
}

var outcomeWords = map[debugger.Outcome]string{debugger.Allow: "Allowed", debugger.StepUp: "Step-up", debugger.Deny: "Denied", debugger.Failed: "Failed"}

func (c *Console) activityRow(row ceremonyRow, one *debugger.Ceremony) activityRow {
	a := activityRow{Key: row.Key, Href: row.Href, Who: row.Who, What: row.What, Browser: one.Browser, Took: row.Took, Class: row.Class, At: row.At}
	a.Outcome = outcomeWords[one.Outcome]
	if one.Outcome == debugger.Allow {
		a.Model, a.Face = c.model(one), c.faceOf(one.Facts.AAGUID, authenticator.Traits{BackupEligible: one.Facts.BackupEligible})
	} else {
		a.Reason = row.Note
	}
	return a
}

// watch tells a page until it goes, or may not be told any more.
func (c *Console) watch(w http.ResponseWriter, r *http.Request, v *visit, p *place, req tail.Request, first []tail.Event, l *live) {
	err := p.tenant.Usable() // of what is stopped, streams end
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		req.After, first = last, nil
	}
	var st *tail.Stream
	if err == nil {
		st, err = c.tail.Open(r.Context(), p.sc, req)
	}
	switch {
	case err == nil:
		defer st.Close(r.Context())
	case !errors.Is(err, tail.ErrOff) || len(first) == 0: // what was last is told even so
		c.fail(w, r, v, err)
		return
	}
	sse.Serve(w, r, sse.Stream{
		Next: func(ctx context.Context) ([]sse.Message, error) {
			if events := first; events != nil {
				first = nil
				return l.messages(ctx, events)
			}
			if st == nil {
				return nil, tail.ErrOff
			}
			events, err := st.Next(ctx)
			if err != nil {
				return nil, err
			}
			return l.messages(ctx, events)
		},
		May: func(ctx context.Context) error { return c.stillMay(ctx, r, v, p, apikey.ScopeCeremoniesRead) },
		Log: c.log,
	})
}

// stillMay reports whether a page may still be told what it watches: whether the session, the
// membership or the grant, the right and the tenant are what they must be. It is no visit: a
// page that is left open does not keep its session alive.
func (c *Console) stillMay(ctx context.Context, r *http.Request, v *visit, p *place, needs string) error {
	cookie, err := r.Cookie(c.sessionCookieName())
	if err != nil {
		return err
	}
	if _, err := c.members.Peek(ctx, cookie.Value); err != nil {
		return err
	}
	now := *p
	if p.support != nil {
		running, err := c.support.Running(ctx, v.session.PersonID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(running, func(g support.Placed) bool { return g.ID == p.support.ID }) {
			return errWatch
		}
	} else if now.me, err = c.members.Of(ctx, p.sc, v.session.PersonID); err != nil {
		return err
	}
	if !now.may(needs) {
		return errWatch
	}
	snap, err := c.tenants.Current(ctx, scope.New(p.sc.Tenant(), scope.Actor{Kind: scope.ActorSystem, ID: "console"}))
	if err != nil {
		return err
	}
	return snap.Usable()
}

// messages are events in rows.
func (l *live) messages(ctx context.Context, events []tail.Event) ([]sse.Message, error) {
	names, err := l.names(ctx, events)
	if err != nil {
		return nil, err
	}
	out := make([]sse.Message, 0, len(events))
	for _, e := range events {
		m, err := l.message(ctx, &e, names)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (l *live) message(ctx context.Context, e *tail.Event, names map[user.ID]string) (m sse.Message, err error) {
	switch {
	case e.Begun != nil:
		row := l.begunRow(e.Begun, names)
		m.Name = "begun"
		m.Data, err = rendered(ctx, liveRow{Key: row.Key}, l.begin(row))
	case e.Finished != nil:
		one := &e.Finished.Ceremony
		row := l.c.ceremonyRow(one, names)
		row.Href = (ui.Address{Path: l.p.base + "/ceremonies/" + one.ID.String(), Query: l.at.Query}).With()
		m.ID, m.Name = e.Finished.Position, "finished"
		m.Data, err = rendered(ctx, liveRow{Key: row.Key, Replaces: e.Finished.Begun}, l.finish(row, one))
	case e.Gap != nil:
		m.Name, m.Data = "gap", []byte("{}")
	}
	return m, err
}

func rendered(ctx context.Context, row liveRow, line templ.Component) ([]byte, error) {
	var text bytes.Buffer
	if err := line.Render(ctx, &text); err != nil {
		return nil, err
	}
	row.HTML = text.String()
	return json.Marshal(row)
}

// names are those of everybody in events.
func (l *live) names(ctx context.Context, events []tail.Event) (map[user.ID]string, error) {
	var ids []user.ID
	for _, e := range events {
		switch {
		case e.Finished != nil && e.Finished.Ceremony.UserID != nil:
			ids = append(ids, *e.Finished.Ceremony.UserID)
		case e.Begun != nil && e.Begun.UserID != "":
			if id, err := user.ParseID(e.Begun.UserID); err == nil {
				ids = append(ids, id)
			}
		}
	}
	return l.c.userNames(ctx, l.p, ids)
}

func (l *live) begunRow(b *tail.Begun, names map[user.ID]string) begunRow {
	row := begunRow{Key: b.Ref, What: "Sign-in begun", Who: "Discoverable", Note: b.Browser, At: timeOfDay(b.At), Until: ui.At(b.ExpiresAt)}
	if b.Kind == debugger.Registration {
		row.What, row.Who = "Registration begun", "New user"
	}
	if id, err := user.ParseID(b.UserID); err == nil {
		row.Who = names[id]
	}
	return row
}
