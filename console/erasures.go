package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/authcore/erasure"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/web/sendfile"
)

const erasuresPath = "/erasures"

// erasureRoutes are what becomes of persons' data: what there is of one, and who was erased.
func (c *Console) erasureRoutes(mux *router) {
	base := Path + "/t/{slug}" + erasuresPath
	mux.HandleFunc("GET "+base, c.inTenant(apikey.ScopeErasuresRead, c.showErasures))
	mux.HandleFunc("GET "+base+"/{id}", c.inTenant(apikey.ScopeErasuresRead, c.showErasure))
	mux.HandleFunc("POST "+base+"/{id}/certificate", c.inTenant(apikey.ScopeErasuresRead, c.downloadCertificate))
	user := Path + "/t/{slug}/users/{id}/export"
	mux.HandleFunc("GET "+user, c.inTenant(apikey.ScopeExportUser, c.showExportUser))
	mux.HandleFunc("POST "+user, c.inTenant(apikey.ScopeExportUser, c.exportUser))
}

// exportAct asks for all that there is of one user.
var exportAct = userAct{
	name: "export", needs: apikey.ScopeExportUser, title: "Export this user’s data", button: "download",
	effects: []ui.Effect{
		{Icon: "export", Text: "All that this tenant has of the user, as one archive: names, contacts, passkeys, sessions, ceremonies, audit entries"},
		{Icon: "shield", Text: "Nothing of other users is in it, and no secret; it is signed with this tenant’s key"},
		{Icon: "history", Text: "No copy is kept here. Who asked, and why, stands in the audit log"},
	},
}

// personOf is the user that the path names.
func (c *Console) personOf(r *http.Request, p *place) (user.User, error) {
	id, err := parsed(r)
	if err != nil {
		return user.User{}, err
	}
	return c.users.Get(r.Context(), p.sc, id)
}

func (c *Console) showExportUser(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	u, err := c.personOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	c.exportUser200(w, r, v, p, u, actForm{}, http.StatusOK)
}

func (c *Console) exportUser200(w http.ResponseWriter, r *http.Request, v *visit, p *place, u user.User, form actForm, status int) {
	users := p.base + "/users"
	base := users + "/" + u.ID.String()
	view := actView{Back: base, Act: exportAct.form(v, base+"/export", base, form)}
	view.Act.File = true
	view.Name, view.Below = called(user.Profile{ExternalID: u.ExternalID, Name: u.Name, DisplayName: u.DisplayName})
	view.Page = c.frame(w, r, v, p, exportAct.title, users, ui.Link{Href: users, Label: "Users"}, ui.Link{Href: base, Label: view.Name})
	view.Page.Here = base
	c.render(w, r, status, c.actPage(view))
}

// exportUser answers the archive, with a fresh passkey and a reason: it holds what is sealed elsewhere.
func (c *Console) exportUser(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	u, err := c.personOf(r, p)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	form := actForm{Reason: clean(r.PostFormValue("reason"))}
	var made *archive.Person
	if err = exportAct.check(v, form, ""); err == nil {
		made, err = c.exports.OfPerson(r.Context(), p.sc, archive.PersonRequest{User: u.ID, Reason: form.Reason})
	}
	if problem, code := c.inForm(r, err); problem != nil {
		form.Problem = problem
		c.exportUser200(w, r, v, p, u, form, code)
		return
	}
	begun, err := sendfile.Stream(w, r, sendfile.File{
		Name: made.Name, Type: archive.MediaType, Write: func(ctx context.Context, w io.Writer) error { return made.WriteTo(ctx, w) },
	})
	switch {
	case err == nil:
	case !begun:
		c.fail(w, r, v, err)
	default:
		c.log.WarnContext(r.Context(), "a download was broken off", "err", err)
		panic(http.ErrAbortHandler) // so that the browser sees it
	}
}

// erasureRow is an erasure in the list, and on its own page.
type erasureRow struct {
	Href    string
	ID      string
	User    string // its id; empty where this database never had the user
	At      ui.Moment
	By      string
	Again   *ui.Moment // when it was carried out again, after a restore
	Ledger  *ui.Moment
	Signed  *ui.Moment // of the certificate
	Class   string     // of the certificate's state
	StateIs string
	Deleted []erasureCount
}

type erasureCount struct{ Label, Count string }

func (c *Console) erasureRow(p *place, e *erasure.Erasure) erasureRow {
	row := erasureRow{
		Href: p.base + erasuresPath + "/" + e.ID.String(), ID: e.ID.String(), At: ui.Ago(e.At, c.now()), By: e.By,
		Again: c.moment(e.ReplayedAt), Ledger: c.moment(e.StoredAt), Signed: c.moment(e.IssuedAt), Class: "idle", StateIs: "Not asked for",
	}
	if e.UserID != nil {
		row.User = e.UserID.String()
	}
	if e.IssuedAt != nil {
		row.Class, row.StateIs = "ok", "Signed"
	} else if e.UserID == nil {
		row.StateIs = "Cannot be made"
	}
	for _, n := range []struct {
		label string
		count int64
	}{{"Passkeys", e.Credentials}, {"Sessions", e.Sessions}, {"Contacts", e.Contacts}, {"Records of evidence", e.Evidence}} {
		row.Deleted = append(row.Deleted, erasureCount{n.label, strconv.FormatInt(n.count, 10)})
	}
	return row
}

type erasuresView struct {
	ui.Page

	Rows    []erasureRow
	Pager   ui.Pager
	DataMap string // empty for who may not see it
	CLI     string
}

// erasureFrame is that of pages below the data map.
func (c *Console) erasureFrame(w http.ResponseWriter, r *http.Request, v *visit, p *place, title, here string, above ...ui.Link) ui.Page {
	dataMap := p.base + dataMapPath
	if p.may(apikey.ScopeGovernanceRead) {
		above = append([]ui.Link{{Href: dataMap, Label: "Data map"}}, above...)
	}
	page := c.frame(w, r, v, p, title, dataMap, above...)
	page.Here = here
	return page
}

func (c *Console) showErasures(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	here := p.base + erasuresPath
	at := ui.Address{Path: here, Query: r.URL.Query()}
	page, err := c.erasures.List(r.Context(), p.sc, listing.Request{PageToken: at.Get("after")})
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := erasuresView{
		Page: c.erasureFrame(w, r, v, p, "Erasures", here), Pager: ui.Pager{Says: ui.Count(len(page.Items), "erasure")},
		CLI: "biocore erasures list --tenant " + r.PathValue("slug"),
	}
	if p.may(apikey.ScopeGovernanceRead) {
		view.DataMap = p.base + dataMapPath
	}
	view.Pager.Turn(at, at.Query, page.NextToken)
	for i := range page.Items {
		view.Rows = append(view.Rows, c.erasureRow(p, &page.Items[i]))
	}
	c.render(w, r, http.StatusOK, c.erasuresPage(view))
}

type erasureView struct {
	ui.Page
	erasureRow

	Made     bool                 // a certificate may be made, or is
	Says     *erasure.Certificate // what it says; nil: nobody has asked for it yet
	Verified string               // by which key; empty: by none of the tenant's
	Backups  string
	Problem  *ui.Problem
}

// unread names the archives of the log that may name the user and could not be read when the certificate was made.
func (v *erasureView) unread() string {
	pieces := make([]string, len(v.Says.Mentions.Unread))
	for i, p := range v.Says.Mentions.Unread {
		pieces[i] = ui.Thousands(int(p.From)) + " to " + ui.Thousands(int(p.To)-1)
	}
	return "Archives that could not be read: entries " + strings.Join(pieces, ", ")
}

func (c *Console) showErasure(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	c.erasure200(w, r, v, p, nil, http.StatusOK)
}

func (c *Console) erasure200(w http.ResponseWriter, r *http.Request, v *visit, p *place, problem *ui.Problem, status int) {
	id, err := erasure.ParseID(r.PathValue("id"))
	var e erasure.Erasure
	if err == nil {
		e, err = c.erasures.Get(r.Context(), p.sc, id)
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := erasureView{erasureRow: c.erasureRow(p, &e), Made: e.UserID != nil, Problem: problem, Backups: "Nobody has said how long they are kept"}
	if e.IssuedAt != nil {
		if err := c.readCertificate(r, p, id, &view); err != nil {
			c.fail(w, r, v, err)
			return
		}
	}
	list := p.base + erasuresPath
	view.Page = c.erasureFrame(w, r, v, p, "Erasure", view.Href, ui.Link{Href: list, Label: "Erasures"})
	c.render(w, r, status, c.erasurePage(view))
}

// readCertificate holds what was signed to the tenant's keys.
func (c *Console) readCertificate(r *http.Request, p *place, id [16]byte, view *erasureView) error {
	jws, err := c.erasures.Certify(r.Context(), p.sc, id) // the one that was signed first
	if err != nil {
		return err
	}
	ring, err := c.keys.Ring(r.Context(), p.sc)
	if err != nil {
		return err
	}
	said, kid, err := erasure.Verify(ring.JWKS(), jws)
	if errors.Is(err, erasure.ErrCertificate) {
		return nil // Verified stays empty
	} else if err != nil {
		return err
	}
	view.Says, view.Verified = &said, kid
	if said.Backups != nil {
		view.Backups = "Expire " + said.Backups.ExpireAt.UTC().Format("2 January 2006")
	}
	return nil
}

// downloadCertificate hands the certificate out, and signs it when nobody has asked for it before.
func (c *Console) downloadCertificate(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	id, err := erasure.ParseID(r.PathValue("id"))
	var jws string
	if err == nil {
		jws, err = c.erasures.Certify(r.Context(), p.sc, id)
	}
	if errors.Is(err, erasure.ErrNotFound) {
		c.fail(w, r, v, err)
		return
	}
	if problem, code := c.inForm(r, err); problem != nil {
		if errors.Is(err, erasure.ErrWaiting) {
			problem = &ui.Problem{Title: "The audit log and the ledger do not have this erasure yet", Message: "They have it within a minute or so: try again then.", Reason: erasure.ErrWaiting.Reason}
		}
		c.erasure200(w, r, v, p, problem, code)
		return
	}
	attachment(w, "application/jose", "erasure-"+id.String()+".jws")
	if _, err := io.WriteString(w, jws); err != nil { //nolint:gosec // a signed token, as an attachment
		c.unwritten(r, err)
	}
}

// afterErasure is where whoever has erased a user goes on: to the erasure, where they may see it.
func (c *Console) afterErasure(ctx context.Context, p *place, id user.ID) string {
	if p.may(apikey.ScopeErasuresRead) {
		if e, err := c.erasures.OfUser(ctx, p.sc, id.UUID()); err == nil {
			return p.base + erasuresPath + "/" + e.ID.String()
		}
	}
	return p.base + "/users"
}
