package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
)

const segmentsPath = "/segments"

// segmentRoutes are the groups of subjects that rules of flags ask for.
func (c *Console) segmentRoutes(mux *router) {
	base := Path + "/t/{slug}" + segmentsPath
	reads, writes := apikey.ScopeFlagsRead, apikey.ScopeFlagsWrite
	mux.HandleFunc("GET "+base, c.inTenant(reads, c.showSegments))
	mux.HandleFunc("GET "+base+"/new", c.inTenant(writes, c.showNewSegment))
	mux.HandleFunc("POST "+base, c.inTenant(writes, c.createSegment))
	mux.HandleFunc("GET "+base+"/{key}", c.inTenant(reads, c.showSegment))
	mux.HandleFunc("GET "+base+"/{key}/edit", c.inTenant(writes, c.showSegmentForm))
	mux.HandleFunc("POST "+base+"/{key}/edit", c.inTenant(writes, c.saveSegment))
	mux.HandleFunc("POST "+base+"/{key}/draft", c.inTenant(writes, c.draftSegment))
	mux.HandleFunc("POST "+base+"/{key}/find", c.inTenant(reads, c.findMember))
	mux.HandleFunc("POST "+base+"/{key}/members", c.inTenant(writes, c.changeMembers))
	mux.HandleFunc("GET "+base+"/{key}/history/{change}", c.inTenant(writes, c.showSegmentChange))
	mux.HandleFunc("POST "+base+"/{key}/history/{change}", c.inTenant(writes, c.restoreSegment))
	mux.HandleFunc("POST "+base+"/{key}/delete", c.inTenant(writes, c.deleteSegment))
}

// segmentRow is a segment in a list.
type segmentRow struct {
	flag.StoredSegment

	Href string
	Who  string // whom it holds by its condition, in words
	List string // how many are listed
	At   ui.Moment
}

func (c *Console) segmentRow(p *place, s *flag.StoredSegment) segmentRow {
	row := segmentRow{StoredSegment: *s, Href: p.base + segmentsPath + "/" + s.Key, Who: "Whom its list has", List: "Nobody", At: ui.Ago(s.UpdatedAt, c.now())}
	if !s.When.IsZero() {
		row.Who = "Where " + conditionWords(&s.When)
	}
	if s.Included > 0 {
		row.List = ui.Thousands(s.Included) + " in it"
	}
	if s.Excluded > 0 {
		row.List += ", " + ui.Thousands(s.Excluded) + " kept out"
	}
	return row
}

type segmentsView struct {
	ui.Page

	Base string
	May  bool
	Rows []segmentRow
}

func (c *Console) showSegments(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	list, err := c.flags.Segments(r.Context(), p.sc)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := segmentsView{
		Page: c.frame(w, r, v, p, "Segments", p.base+flagsPath, ui.Link{Href: p.base + flagsPath, Label: "Feature flags"}), Base: p.base, May: p.may(apikey.ScopeFlagsWrite),
	}
	for i := range list {
		view.Rows = append(view.Rows, c.segmentRow(p, &list[i]))
	}
	c.render(w, r, http.StatusOK, c.segmentsPage(view))
}

// segmentForm is a segment as it is typed: to make, or to change.
type segmentForm struct {
	Key, Name, Description, Reason, ETag string
	Who                                  term
	Focus                                string
	Problem                              *ui.Problem
	Changed                              bool // somebody else changed it meanwhile
}

func readSegment(r *http.Request) segmentForm {
	_ = r.ParseForm()
	return segmentForm{
		Key: clean(r.PostFormValue("key")), Name: clean(r.PostFormValue("name")), Description: plainLines(r.PostFormValue("description")), Reason: clean(r.PostFormValue("reason")),
		ETag: r.PostFormValue("etag"), Who: readGroup(r.PostForm, "when"),
	}
}

// fits refuses rows that no page has drawn.
func (f *segmentForm) fits() error {
	if f.Who.size() > 2*flag.MaxConditions {
		return errMalformed
	}
	return nil
}

type segmentFormView struct {
	ui.Page

	New                   bool
	Form                  segmentForm
	Builder               builder
	Action, Cancel, Fresh string
}

func (c *Console) showNewSegment(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.newSegment200(w, r, v, p, segmentForm{}, http.StatusOK)
}

func (c *Console) newSegment200(w http.ResponseWriter, r *http.Request, v *visit, p *place, form segmentForm, status int) {
	here := p.base + segmentsPath
	c.render(w, r, status, c.segmentFormPage(segmentFormView{
		Page: c.frame(w, r, v, p, "New segment", p.base+flagsPath, ui.Link{Href: p.base + flagsPath, Label: "Feature flags"}, ui.Link{Href: here, Label: "Segments"}), New: true,
		Form: form, Action: here, Cancel: here, Fresh: freshUntil(v),
	}))
}

func (c *Console) createSegment(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	form := readSegment(r)
	err := sensitive(v, form.Reason)
	if err == nil {
		_, err = c.flags.CreateSegment(r.Context(), p.sc, flag.CreateSegmentRequest{Key: form.Key, Name: form.Name, Description: form.Description, Reason: form.Reason})
	}
	problem, code := c.segmentProblem(r, err, nil)
	if problem == nil {
		c.done(w, r, "segmentMade", p.base+segmentsPath+"/"+form.Key)
		return
	}
	form.Problem = problem
	c.newSegment200(w, r, v, p, form, code)
}

// segmentProblem puts a refusal at its field.
func (c *Console) segmentProblem(r *http.Request, err error, where places) (*ui.Problem, int) {
	problem, code := c.flagProblem(r, err)
	refused, ok := fault.As(err)
	switch {
	case problem == nil || !ok:
	case errors.Is(err, flag.ErrSegmentTaken):
		problem.Field = "key"
	case errors.Is(err, flag.ErrSegmentInUse):
		problem.Message = sentence(refused.Message)
	case errors.Is(err, flag.ErrInvalid):
		problem.Title = "This segment cannot be kept"
		path := refused.Metadata["field"]
		if name := where.field(path); name != "" {
			problem.Field, problem.Message = name, sentence(strings.TrimPrefix(refused.Message, path+": "))
		}
	}
	return problem, code
}

func (c *Console) showSegmentForm(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	s, _, err := c.flags.GetSegment(r.Context(), p.sc, r.PathValue("key"))
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.segmentForm200(w, r, v, p, &s, segmentForm{Key: s.Key, Name: s.Name, Description: s.Description, ETag: s.ETag, Who: groupOf("when", &s.When)}, http.StatusOK)
}

func (c *Console) segmentForm200(w http.ResponseWriter, r *http.Request, v *visit, p *place, s *flag.StoredSegment, form segmentForm, status int) {
	here := p.base + segmentsPath
	c.render(w, r, status, c.segmentFormPage(segmentFormView{
		Page: c.frame(w, r, v, p, "Change segment", p.base+flagsPath, ui.Link{Href: p.base + flagsPath, Label: "Feature flags"}, ui.Link{Href: here, Label: "Segments"}, ui.Link{Href: here + "/" + s.Key, Label: s.Name}),
		Form: form, Builder: builder{Draft: here + "/" + s.Key + "/draft", Focus: form.Focus, Problem: form.Problem}, Action: here + "/" + s.Key + "/edit", Cancel: here + "/" + s.Key, Fresh: freshUntil(v),
	}))
}

// draftSegment does what a button of the builder says: nothing is saved.
func (c *Console) draftSegment(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	s, _, err := c.flags.GetSegment(r.Context(), p.sc, r.PathValue("key"))
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	form := readSegment(r)
	if err := form.fits(); err != nil {
		c.fail(w, r, v, err)
		return
	}
	switch verb, name, _ := strings.Cut(r.PostFormValue("do"), " "); verb {
	case "term", isGroup:
		form.Focus = form.Who.add(verb, name)
	case "remove":
		form.Focus = form.Who.remove(name)
	}
	form.Who.rename("when")
	c.segmentForm200(w, r, v, p, &s, form, http.StatusOK)
}

func (c *Console) saveSegment(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	s, _, err := c.flags.GetSegment(r.Context(), p.sc, r.PathValue("key"))
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	form, where := readSegment(r), places{}
	if err := form.fits(); err != nil {
		c.fail(w, r, v, err)
		return
	}
	switch err = sensitive(v, form.Reason); {
	case err != nil:
	case form.ETag == "":
		err = errMalformed
	default:
		when := form.Who.root("when", where)
		_, err = c.flags.UpdateSegment(r.Context(), p.sc, flag.UpdateSegmentRequest{Key: s.Key, Name: &form.Name, Description: &form.Description, When: &when, Reason: form.Reason, IfMatch: form.ETag})
	}
	problem, code := c.segmentProblem(r, err, where)
	if problem == nil {
		c.done(w, r, "saved", p.base+segmentsPath+"/"+s.Key)
		return
	}
	form.Problem = problem
	if errors.Is(err, etag.ErrMismatch) {
		code, form.ETag, form.Changed = http.StatusConflict, s.ETag, true
	}
	c.segmentForm200(w, r, v, p, &s, form, code)
}

// segmentView is the page of one segment.
type segmentView struct {
	ui.Page

	May          bool
	Segment      segmentRow
	UsedBy       []ui.Link
	By           string
	Made         ui.Moment
	Find         ui.Input
	Found        string // what was found, in words; empty: nobody was asked for
	Where        string // that it posts to
	List, Delete ui.Act
	Keys, How    ui.Input
	History      []changeRow
	Pager        ui.Pager // of History
}

// hows are what the form of a list does with the keys that are typed.
var hows = []ui.Choice{{Value: "in", Label: "Put into the segment"}, {Value: "out", Label: "Keep out, whatever the condition says"}, {Value: "remove", Label: "Take off the list"}}

// segmentActs is what was typed into the forms of a segment's page.
type segmentActs struct {
	list, remove ui.Act
	keys, how    string
	find         string
	found        string
	findProblem  *ui.Problem
}

func (c *Console) showSegment(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.segment200(w, r, v, p, segmentActs{how: "in"}, http.StatusOK)
}

func (c *Console) segment200(w http.ResponseWriter, r *http.Request, v *visit, p *place, acts segmentActs, status int) {
	s, usedBy, err := c.flags.GetSegment(r.Context(), p.sc, r.PathValue("key"))
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	history, pager, names, err := c.segmentHistory(r, p, &s)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	here := p.base + segmentsPath
	row := c.segmentRow(p, &s)
	view := segmentView{
		Page: c.frame(w, r, v, p, s.Name, p.base+flagsPath, ui.Link{Href: p.base + flagsPath, Label: "Feature flags"}, ui.Link{Href: here, Label: "Segments"}), May: p.may(apikey.ScopeFlagsWrite),
		Segment: row, By: whoLabel(s.CreatedBy, names), Made: ui.Ago(s.CreatedAt, c.now()), List: acts.list, Delete: acts.remove, Found: acts.found, Where: row.Href + "/find",
		Find: ui.Input{ID: "find-key", Name: "targetingKey", Label: "Targeting key", Hint: "Your application’s id of the user. Who all are on the list cannot be read.", Value: acts.find, Max: 256, Problem: acts.findProblem},
		Keys: ui.Input{ID: "list-keys", Name: "targetingKeys", Label: "Targeting keys", Hint: "One to a line, up to 1000.", Value: acts.keys, Rows: 5, Max: 300_000, Problem: acts.list.Problem},
		How:  ui.Input{ID: "list-how", Name: "how", Label: "What to do", Value: acts.how, Problem: acts.list.Problem},
	}
	view.History, view.Pager = history, pager
	for _, key := range usedBy {
		view.UsedBy = append(view.UsedBy, ui.Link{Href: p.base + flagsPath + "/" + key, Label: key})
	}
	fresh := freshUntil(v)
	view.List.ID, view.List.Action, view.List.Fresh, view.List.Title, view.List.Button = "list", row.Href+"/members", fresh, "Change the list", "change the list"
	view.Delete.ID, view.Delete.Action, view.Delete.Fresh, view.Delete.Title, view.Delete.Button = "delete", row.Href+"/delete", fresh, "Delete", "delete"
	view.Delete.Effects = []ui.Effect{{Icon: "trash", Text: "With its list, which nobody can bring back"}, {Icon: "flag", Text: "Only while no rule asks for it"}, {Icon: "history", Text: "Its history stays"}}
	view.Delete.Confirm, view.Delete.Danger = s.Key, true
	c.render(w, r, status, c.segmentPage(view))
}

// findMember says whether the list has somebody. The key comes in the body: addresses are kept in many places.
func (c *Console) findMember(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := segmentActs{how: "in", find: clean(r.PostFormValue("targetingKey"))}
	m, err := c.flags.GetMember(r.Context(), p.sc, r.PathValue("key"), acts.find)
	problem, code := c.flagProblem(r, err)
	switch {
	case problem != nil && !errors.Is(err, flag.ErrInvalid):
		c.fail(w, r, v, err)
		return
	case problem != nil:
		acts.findProblem = problem
	case !m.Listed:
		acts.found = "Not on the list: the condition decides"
	case m.Excluded:
		acts.found = "On the list, to be kept out, since " + m.AddedAt.UTC().Format("2 Jan 2006")
	default:
		acts.found = "On the list, in the segment, since " + m.AddedAt.UTC().Format("2 Jan 2006")
	}
	c.segment200(w, r, v, p, acts, code)
}

func (c *Console) changeMembers(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts := segmentActs{list: actOf(r), keys: plainLines(r.PostFormValue("targetingKeys")), how: r.PostFormValue("how")}
	req := flag.MembersRequest{Key: r.PathValue("key"), Excluded: acts.how == "out", Reason: acts.list.Reason}
	for line := range strings.Lines(acts.keys) {
		if line = strings.TrimSpace(line); line != "" {
			req.TargetingKeys = append(req.TargetingKeys, line)
		}
	}
	err := sensitive(v, acts.list.Reason)
	switch {
	case err != nil:
	case acts.how == "remove":
		_, err = c.flags.RemoveMembers(r.Context(), p.sc, req)
	case slices.ContainsFunc(hows, func(one ui.Choice) bool { return one.Value == acts.how }):
		_, err = c.flags.AddMembers(r.Context(), p.sc, req)
	default:
		err = errMalformed
	}
	problem, code := c.segmentProblem(r, err, nil)
	if problem == nil {
		c.done(w, r, "segmentList", p.base+segmentsPath+"/"+req.Key)
		return
	}
	acts.list.Problem = problem
	c.segment200(w, r, v, p, acts, code)
}

func (c *Console) deleteSegment(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	acts, key := segmentActs{how: "in", remove: actOf(r)}, r.PathValue("key")
	var err error = errConfirm
	if acts.remove.Typed == key {
		if err = sensitive(v, acts.remove.Reason); err == nil {
			err = c.flags.DeleteSegment(r.Context(), p.sc, flag.DeleteSegmentRequest{Key: key, Reason: acts.remove.Reason})
		}
	}
	problem, code := c.segmentProblem(r, err, nil)
	if problem == nil {
		c.done(w, r, "segmentDeleted", p.base+segmentsPath)
		return
	}
	acts.remove.Problem = problem
	c.segment200(w, r, v, p, acts, code)
}
