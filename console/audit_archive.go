package console

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/web/sendfile"
)

// auditArchivesPath is a page of its own: archives and kept checkpoints each have a pager.
const auditArchivesPath = auditPath + "/archives"

// auditArchivesView is what of the log is in object storage, and no longer, or not for long, in the database.
type auditArchivesView struct {
	ui.Page

	Says    string // where the log begins in the database
	Rows    []auditArchiveRow
	Pager   ui.Pager
	CLI     []ui.Snippet
	Problem *ui.Problem
}

type auditArchiveRow struct {
	Entries  string // numbers of the first and the last
	Since    ui.Moment
	Until    ui.Moment
	Size     string
	SHA256   string
	Locked   *ui.Moment
	Problem  string // why it is not locked
	Download string
}

func (c *Console) auditArchiveRow(base string, a *cold.Archive) auditArchiveRow {
	row := auditArchiveRow{
		Entries: ui.Thousands(int(a.From)) + " to " + ui.Thousands(int(a.To-1)), Since: dayOf(a.First), Until: dayOf(a.Last),
		Size: bytesText(a.Bytes), SHA256: hex.EncodeToString(a.SHA256), Problem: a.Problem, Download: base + "/" + strconv.FormatInt(a.From, 10) + "/download",
	}
	if !a.LockedUntil.IsZero() {
		until := dayOf(a.LockedUntil)
		row.Locked = &until
	}
	return row
}

// dayOf is a time of which the day is enough.
func dayOf(t time.Time) ui.Moment {
	m := ui.At(t)
	m.Text, m.Clock = t.UTC().Format("2 Jan 2006"), false
	return m
}

func (c *Console) showAuditArchives(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.listAuditArchives(w, r, v, p, nil, http.StatusOK)
}

func (c *Console) listAuditArchives(w http.ResponseWriter, r *http.Request, v *visit, p *place, problem *ui.Problem, status int) {
	base := p.base + auditArchivesPath
	at := ui.Address{Path: base, Query: r.URL.Query()}
	page, err := c.archives.Page(r.Context(), p.sc, listing.Request{PageToken: at.Get("after")})
	var begins trail.Beginning
	if err == nil {
		begins, err = c.trail.Beginning(r.Context(), p.sc)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := auditArchivesView{Says: "All entries are in the database, too", Pager: ui.Pager{Says: ui.Count(len(page.Items), "archive"), ByTime: true}, Problem: problem}
	if begins.Seq > 0 {
		view.Says = "Entries below number " + ui.Thousands(int(begins.Seq)) + " are here alone; their hashes stay in the database"
	}
	view.Pager.Turn(at, at.Query, page.NextToken)
	for i := range page.Items {
		view.Rows = append(view.Rows, c.auditArchiveRow(base, &page.Items[i]))
	}
	slug := r.PathValue("slug")
	view.CLI = []ui.Snippet{{Title: "On the server", Text: "biocore audit archives list --tenant " + slug + "\nbiocore audit archives get --tenant " + slug + " 0 > archive.jsonl\nbiocore audit verify archive.jsonl --key @kept.vkey"}}
	view.Page = c.frame(w, r, v, p, "Archives", p.base+auditPath, ui.Link{Href: p.base + auditPath, Label: "Audit log"})
	c.render(w, r, status, c.auditArchivesPage(view))
}

// downloadAuditArchive sends an archive, once it was read whole and found to be what was stored. That it was is an entry.
func (c *Console) downloadAuditArchive(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	from, err := strconv.ParseInt(r.PathValue("from"), 10, 64)
	if err != nil || from < 0 {
		c.fail(w, r, v, errNowhere)
		return
	}
	begun, err := sendfile.Stream(w, r, sendfile.File{
		Name: bundle.FileName(p.sc.Tenant(), from), Type: bundle.MediaType,
		Write: func(ctx context.Context, w io.Writer) error { return c.archives.Read(ctx, p.sc, from, w) },
	})
	switch {
	case err == nil:
	case begun:
		c.logFailure(r, http.StatusInternalServerError, err)
		panic(http.ErrAbortHandler) // the reader must see that the file is not whole
	case errors.Is(err, cold.ErrNotFound):
		c.fail(w, r, v, errNowhere)
	case errors.Is(err, cold.ErrDamaged):
		c.log.ErrorContext(r.Context(), "an archive of an audit log is damaged", "err", err)
		c.listAuditArchives(w, r, v, p, &ui.Problem{
			Title: "What is there is not what was stored", Message: "Object storage has another file, or none. Somebody of the installation must look.", Reason: cold.ErrDamaged.Reason,
		}, http.StatusInternalServerError)
	default:
		if problem, code := c.inForm(r, err); problem != nil {
			c.listAuditArchives(w, r, v, p, problem, code)
			return
		}
		c.fail(w, r, v, err)
	}
}
