package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/flag"
)

// flagBackView is what bringing back a former version of a flag would change.
type flagBackView struct {
	ui.Page

	Flag    flagRow
	What    string
	Where   string // the environment; empty: everywhere
	At      ui.Moment
	Diff    []diffRow
	Changes int
	Act     ui.Act
}

func (c *Console) showFlagChange(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.flagBack200(w, r, v, p, ui.Act{}, http.StatusOK)
}

func (c *Console) restoreFlag(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := actOf(r)
	var back flag.Stored
	id, err := changeID(r)
	if err == nil {
		err = sensitive(v, act.Reason)
	}
	if err == nil {
		back, err = c.flags.Restore(r.Context(), p.sc, flag.RestoreRequest{Key: r.PathValue("key"), Change: id, Reason: act.Reason, IfMatch: r.PostFormValue("etag")})
	}
	problem, code := c.inForm(r, err)
	if problem == nil {
		c.done(w, r, "flagBack", c.flagRow(p, &back).Href)
		return
	}
	act.Problem = problem
	c.flagBack200(w, r, v, p, act, code)
}

func changeID(r *http.Request) (uuid.UUID, error) {
	id, err := uuid.Parse(r.PathValue("change"))
	if err != nil {
		return uuid.Nil, flag.ErrChangeNotFound
	}
	return id, nil
}

func (c *Console) flagBack200(w http.ResponseWriter, r *http.Request, v *visit, p *place, act ui.Act, status int) {
	id, err := changeID(r)
	var change flag.Change
	if err == nil {
		change, err = c.flags.Change(r.Context(), p.sc, r.PathValue("key"), id)
	}
	if err == nil && change.After == nil {
		err = flag.ErrChangeNotFound
	}
	var all []flag.Stored
	if err == nil {
		all, err = c.flags.Get(r.Context(), p.sc, change.FlagKey)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	at := max(0, slices.IndexFunc(all, func(f flag.Stored) bool { return f.Environment == change.Environment }))
	f := &all[at]
	row := c.flagRow(p, f)
	view := flagBackView{
		Page: c.frame(w, r, v, p, "Back to a former version", p.base+flagsPath, ui.Link{Href: p.base + flagsPath, Label: "Feature flags"}, ui.Link{Href: row.Href, Label: f.Name}),
		Flag: row, What: changeWords(&change), At: ui.Ago(change.ChangedAt, c.now()), Act: act,
	}
	here, shared := change.Restores()
	var before, after []string
	if shared {
		before, after = append(before, sharedText(&flag.Document{Flag: f.Flag, About: f.About})), append(after, sharedText(change.After))
	}
	if here {
		view.Where = row.Where
		before = append(before, targetingText(f.Rules, f.OffVariant, f.DefaultVariant), `"salt": `+flag.ValueText(f.Salt))
		after = append(after, targetingText(change.After.Rules, change.After.OffVariant, change.After.DefaultVariant), `"salt": `+flag.ValueText(change.After.Salt))
	}
	if was, is := strings.Join(before, "\n"), strings.Join(after, "\n"); was != is {
		view.Diff, view.Changes = diffLines(was, is)
	}
	view.Act.ID, view.Act.Action, view.Act.Fresh, view.Act.Title, view.Act.Button, view.Act.Cancel = "back", r.URL.Path, freshUntil(v), "Bring it back", "bring back", row.Href
	view.Act.Effects = []ui.Effect{{Icon: "history", Text: "A change of its own, in the history with your reason"}}
	switch {
	case !here:
		view.Act.Effects = append(view.Act.Effects, ui.Effect{Icon: "globe", Text: "In every environment; rules stay as they are"})
	case shared:
		view.Act.Effects = append(view.Act.Effects, ui.Effect{Icon: "globe", Text: "In every environment what they share, and in " + f.Environment + " the rules; it stays " + strings.ToLower(row.StateIs)})
	default:
		view.Act.Effects = append(view.Act.Effects, ui.Effect{Icon: "zap", Text: "In " + f.Environment + ", within a second; it stays " + strings.ToLower(row.StateIs)})
	}
	c.render(w, r, status, c.flagBackPage(view, f.ETag))
}

// sharedText is what of a flag its environments share, a thing to a line.
func sharedText(d *flag.Document) string {
	lines := []string{
		`"name": ` + flag.ValueText(d.Name), `"description": ` + flag.ValueText(d.Description), `"owner": ` + flag.ValueText(d.Owner), `"removeBy": ` + flag.ValueText(dayText(d.RemoveBy)), `"clientVisible": ` + flag.ValueText(d.ClientVisible),
	}
	for _, name := range variantNames(&flag.Stored{Flag: d.Flag}) {
		lines = append(lines, flag.ValueText(name)+": "+flag.ValueText(d.Variants[name]))
	}
	return strings.Join(lines, "\n")
}
