package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// historyRows are those of one page of a flag's history, or of a segment's.
const historyRows = 20

// historyPager leads from one page of a history to those around it.
func historyPager(r *http.Request, href string, rows int, next string) ui.Pager {
	p := ui.Pager{Says: ui.Count(rows, "change"), ByTime: true}
	path, query, _ := strings.Cut(href, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		q = url.Values{} // not reached: it is ours
	}
	p.Turn(ui.Address{Path: path, Query: q}, r.URL.Query(), next)
	return p
}

// segmentHistory is a page of what became of a segment, with the names of who did that, and of who made it.
func (c *Console) segmentHistory(r *http.Request, p *place, s *flag.StoredSegment) ([]changeRow, ui.Pager, map[uuid.UUID]string, error) {
	ctx := r.Context()
	history, err := c.flags.SegmentChanges(ctx, p.sc, s.Key, listing.Request{PageSize: historyRows, PageToken: r.URL.Query().Get("after")})
	if err != nil {
		return nil, ui.Pager{}, nil, err
	}
	people := []uuid.UUID{who(s.CreatedBy)}
	for i := range history.Items {
		people = append(people, who(history.Items[i].ChangedBy))
	}
	names, err := c.names(ctx, people)
	if err != nil {
		return nil, ui.Pager{}, nil, err
	}
	rows := make([]changeRow, len(history.Items))
	for i := range history.Items {
		h := &history.Items[i]
		rows[i] = changeRow{What: segmentChangeWords(h), Reason: h.Reason, By: whoLabel(h.ChangedBy, names), At: ui.Ago(h.ChangedAt, c.now())}
		if h.After != nil && segmentText(h.After) != segmentText(&flag.SegmentDocument{Segment: s.Segment, Name: s.Name, Description: s.Description}) && p.may(apikey.ScopeFlagsWrite) {
			rows[i].Back = p.base + segmentsPath + "/" + s.Key + "/history/" + h.ID.String()
		}
	}
	return rows, historyPager(r, p.base+segmentsPath+"/"+s.Key, len(rows), history.NextToken), names, nil
}

// segmentChangeWords says what a step in a segment's history changed.
func segmentChangeWords(h *flag.SegmentChange) string {
	count := ui.Thousands(h.Members)
	switch {
	case h.Action == flag.MembersIncluded:
		return count + " put in by the list"
	case h.Action == flag.MembersExcluded:
		return count + " kept out by the list"
	case h.Action == flag.MembersRemoved:
		return count + " taken off the list"
	case h.Before == nil:
		return "Made"
	case h.After == nil:
		return "Deleted"
	case flag.ValueText(h.Before.When) != flag.ValueText(h.After.When):
		return "Condition changed"
	}
	return "Details changed"
}

// segmentText is what of a segment comes back, a thing to a line, and of its condition a comparison.
func segmentText(d *flag.SegmentDocument) string {
	return "\"name\": " + flag.ValueText(d.Name) + "\n\"description\": " + flag.ValueText(d.Description) + "\n\"when\": " + flag.ConditionText(d.When)
}

// segmentBackView is what bringing back a former version of a segment would change.
type segmentBackView struct {
	ui.Page

	Key, What, ETag string
	At              ui.Moment
	Diff            []diffRow
	Changes         int
	Act             ui.Act
}

func (c *Console) showSegmentChange(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.segmentBack200(w, r, v, p, ui.Act{}, http.StatusOK)
}

func (c *Console) restoreSegment(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act, key, etag := actOf(r), r.PathValue("key"), r.PostFormValue("etag")
	id, err := uuid.Parse(r.PathValue("change"))
	switch {
	case err != nil:
		err = flag.ErrSegmentChangeNotFound
	case etag == "":
		err = errMalformed
	default:
		if err = sensitive(v, act.Reason); err == nil {
			_, err = c.flags.RestoreSegment(r.Context(), p.sc, flag.RestoreRequest{Key: key, Change: id, Reason: act.Reason, IfMatch: etag})
		}
	}
	problem, code := c.inForm(r, err)
	if problem == nil {
		c.done(w, r, "segmentBack", p.base+segmentsPath+"/"+key)
		return
	}
	act.Problem = problem
	c.segmentBack200(w, r, v, p, act, code)
}

func (c *Console) segmentBack200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act ui.Act, status int) {
	key := r.PathValue("key")
	id, err := uuid.Parse(r.PathValue("change"))
	if err != nil {
		err = flag.ErrSegmentChangeNotFound
	}
	var change flag.SegmentChange
	if err == nil {
		change, err = c.flags.SegmentChange(r.Context(), p.sc, key, id)
	}
	if err == nil && change.After == nil {
		err = flag.ErrSegmentChangeNotFound
	}
	var s flag.StoredSegment
	var usedBy []string
	if err == nil {
		s, usedBy, err = c.flags.GetSegment(r.Context(), p.sc, key)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + segmentsPath
	view := segmentBackView{
		Page: c.frame(w, r, v, p, "Back to a former version", p.base+flagsPath, ui.Link{Href: p.base + flagsPath, Label: "Feature flags"}, ui.Link{Href: here, Label: "Segments"}, ui.Link{Href: here + "/" + key, Label: s.Name}),
		Key:  key, What: segmentChangeWords(&change), ETag: s.ETag, At: ui.Ago(change.ChangedAt, c.now()), Act: act,
	}
	before, after := segmentText(&flag.SegmentDocument{Segment: s.Segment, Name: s.Name, Description: s.Description}), segmentText(change.After)
	if before != after {
		view.Diff, view.Changes = diffLines(before, after)
	}
	view.Act.ID, view.Act.Action, view.Act.Fresh, view.Act.Title, view.Act.Button, view.Act.Cancel = "back", r.URL.Path, freshUntil(v), "Bring it back", "bring back", here+"/"+key
	view.Act.Effects = []ui.Effect{{Icon: "history", Text: "A change of its own, in the history with your reason"}, {Icon: "users", Text: "Its list stays as it is"}}
	if n := len(usedBy); n > 0 {
		view.Act.Effects = append(view.Act.Effects, ui.Effect{Icon: "zap", Text: "Within a second, for the rules of " + ui.Count(n, "flag")})
	}
	c.render(w, r, status, c.segmentBackPage(view))
}
