package console

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/web/sendfile"
)

// archiveRoutes are the exports of all that a tenant has. A tenant that is stopped still has
// them: it may be leaving.
func (c *Console) archiveRoutes(mux *router) {
	const base = Path + "/t/{slug}/settings/exports"
	mux.HandleFunc("GET "+base, c.inStopped(apikey.ScopeExportTenant, c.showArchives))
	mux.HandleFunc("POST "+base, c.inStopped(apikey.ScopeExportTenant, c.startArchive))
	mux.HandleFunc("POST "+base+"/{export}/cancel", c.inStopped(apikey.ScopeExportTenant, c.cancelArchive))
	mux.HandleFunc("POST "+base+"/{export}/download", c.inStopped(apikey.ScopeExportTenant, c.downloadArchive))
}

type archivesView struct {
	ui.Page

	Path     string
	Open     *archiveView // that is being written
	List     []archiveView
	More     bool // there are older ones
	Start    ui.Act
	Problem  *ui.Problem // of a download or a cancellation
	Fresh    string
	Snippets []ui.Snippet
}

// archiveView is one export.
type archiveView struct {
	ID       string
	State    archive.State
	Tone     string
	Says     string
	Who      string
	Reason   string
	At       ui.Moment
	Expires  *ui.Moment
	Rows     string
	Size     string
	SHA256   string
	Progress string
	Percent  string
	Failure  string
	Ready    bool
}

func newArchive(e archive.Export, now time.Time) archiveView {
	v := archiveView{
		ID: e.ID.String(), State: e.State, Who: e.AskedName, Reason: e.Reason, At: ui.Ago(e.CreatedAt, now), Rows: ui.Thousands(int(e.Rows)),
		Size: bytesText(e.Size), SHA256: e.SHA256, Failure: e.Failure, Percent: strconv.Itoa(e.Percent()),
	}
	if v.Who == "" {
		v.Who = e.AskedBy
	}
	v.Progress = strconv.Itoa(e.FilesDone) + " of " + strconv.Itoa(e.FilesTotal) + " tables, " + v.Rows + " rows"
	switch e.State {
	case archive.Queued:
		v.Tone, v.Says, v.Progress = "info", "Waiting", "It begins within ten seconds"
	case archive.Running:
		v.Tone, v.Says = "info", "Running"
	case archive.Done:
		v.Tone, v.Says = "ok", "Done"
		v.Ready = now.Before(*e.ExpiresAt)
		v.Expires = at(e.ExpiresAt)
	case archive.Failed:
		v.Tone, v.Says = "bad", "Failed"
	case archive.Cancelled:
		v.Tone, v.Says = "neutral", "Cancelled"
	case archive.Expired:
		v.Tone, v.Says = "neutral", "Removed"
	}
	return v
}

func (c *Console) showArchives(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.archives200(w, r, v, p, ui.Act{}, nil, http.StatusOK)
}

func (c *Console) archives200(w http.ResponseWriter, r *http.Request, v *visit, p *place, start ui.Act, problem *ui.Problem, status int) {
	page, err := c.exports.List(r.Context(), p.sc, p.sc.Tenant(), listing.Request{PageSize: 20})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	path := p.base + "/settings/exports"
	start.ID, start.Action, start.Title, start.Button, start.Fresh = "export", path, "Export all of this tenant", "export", freshUntil(v)
	start.Effects = []ui.Effect{
		{Icon: "db", Text: "Users, passkeys, sessions, ceremonies, evidence, settings and the audit log, as they are at one moment"},
		{Icon: "eye", Text: "Names, e-mail addresses and phone numbers are in the clear; secrets are left out"},
		{Icon: "clock", Text: "The archive is kept for seven days, and then destroyed"},
	}
	view := archivesView{
		Path: path, More: page.NextToken != "", Start: start, Problem: problem, Fresh: freshUntil(v),
		Snippets: []ui.Snippet{
			{Title: "On the server", Text: "biocore tenant export " + r.PathValue("slug") + " --reason '…' --wait --out " + r.PathValue("slug") + ".zip"},
			{Title: "Verify an archive", Text: "biocore tenant verify-export " + r.PathValue("slug") + ".zip"},
		},
	}
	for _, e := range page.Items {
		one := newArchive(e, c.now())
		if e.State.Open() {
			view.Open = &one
		}
		view.List = append(view.List, one)
	}
	view.Page = c.frame(w, r, v, p, "Exports", p.base+"/settings", ui.Link{Href: p.base + "/settings", Label: "Settings"})
	view.Page.Here = path
	c.render(w, r, status, c.archivesPage(view))
}

func (c *Console) startArchive(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	act := ui.Act{Reason: clean(r.PostFormValue("reason"))}
	err := sensitive(v, act.Reason)
	if err == nil {
		_, err = c.exports.Start(r.Context(), p.sc, archive.StartRequest{Tenant: p.sc.Tenant(), Reason: act.Reason})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		act.Problem = problem
		if errors.Is(err, archive.ErrRunning) { // its form is not there any more
			code = http.StatusConflict
		}
		c.archives200(w, r, v, p, act, nil, code)
		return
	}
	c.done(w, r, "exporting", p.base+"/settings/exports")
}

func (c *Console) cancelArchive(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	id, err := archive.ParseID(r.PathValue("export"))
	if err == nil {
		_, err = c.exports.Cancel(r.Context(), p.sc, archive.CancelRequest{Tenant: p.sc.Tenant(), ID: id})
	}
	c.afterArchive(w, r, v, p, err, "exportCancelled")
}

// afterArchive goes back to the list, or tells there what was refused.
func (c *Console) afterArchive(w http.ResponseWriter, r *http.Request, v *visit, p *place, err error, toast string) {
	if errors.Is(err, archive.ErrNotFound) {
		c.fail(w, r, v, err)
		return
	}
	if problem, code := c.inForm(r, err); problem != nil {
		c.archives200(w, r, v, p, ui.Act{}, problem, code)
		return
	}
	c.done(w, r, toast, p.base+"/settings/exports")
}

// downloadArchive answers the file, with a fresh passkey: it holds what is sealed elsewhere.
func (c *Console) downloadArchive(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	d, err := c.openArchive(r, v, p)
	if err != nil {
		c.afterArchive(w, r, v, p, err, "")
		return
	}
	if err := sendfile.Send(w, r, sendfile.File{
		Name: d.Name, Type: archive.MediaType, Size: d.Export.Size, SHA256: d.Export.SHA256,
		Write: d.WriteTo,
	}); err != nil {
		c.log.WarnContext(r.Context(), "a download was broken off", "err", err)
		panic(http.ErrAbortHandler) // so that the browser sees it
	}
}

func (c *Console) openArchive(r *http.Request, v *visit, p *place) (*archive.Download, error) {
	id, err := archive.ParseID(r.PathValue("export"))
	if err != nil {
		return nil, err
	}
	if !v.fresh {
		if _, err := c.exports.Get(r.Context(), p.sc, p.sc.Tenant(), id); err != nil {
			return nil, err
		}
		return nil, errStale
	}
	return c.exports.Download(r.Context(), p.sc, p.sc.Tenant(), id)
}
