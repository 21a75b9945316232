package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/console/ui"
)

// Which columns of a table somebody sees is in the address, so that a link shows what its
// sender saw, and remembered by their browser for the times when the address says nothing.

// columnLists are the tables whose columns can be chosen: the cookie holds no other.
var columnLists = []string{"users", "credentials", "sessions", "apikeys", "members", "models", "allmodels", "tenants", "versions"}

const (
	columnsCookie = "biocore_columns_" // and whose they are: a browser may serve several people
	maxColumns    = 16                 // columns that a choice names
)

// columnsCookieOf is the cookie of a person: the end of their id is by chance.
func columnsCookieOf(v *visit) string {
	id := v.session.PersonID.String()
	return columnsCookie + id[len(id)-12:]
}

// chosenColumns are the choices that a browser remembers: by list, names with dots between.
func chosenColumns(r *http.Request, v *visit) url.Values {
	cookie, err := r.Cookie(columnsCookieOf(v))
	if err != nil {
		return url.Values{}
	}
	all, err := url.ParseQuery(cookie.Value)
	if err != nil {
		return url.Values{}
	}
	return all
}

// columnsOf are the columns of a list at a, as they were chosen; all of them where nobody has.
func columnsOf(r *http.Request, v *visit, a ui.Address, list string, all ...ui.Column) ui.Columns {
	c := ui.Columns{List: list, Next: a.Without("columns"), All: all}
	shown := a.Get("columns")
	if shown == "" {
		shown = chosenColumns(r, v).Get(list)
	}
	if shown == "" {
		return c
	}
	return c.Choose(strings.Split(shown, "."))
}

// chooseColumns remembers a choice, and goes back to the list with it.
func (c *Console) chooseColumns(w http.ResponseWriter, r *http.Request, v *visit) {
	list := r.PostFormValue("list")
	to, err := url.Parse(local(r.PostFormValue("next")))
	if err != nil || !slices.Contains(columnLists, list) {
		c.fail(w, r, v, errMalformed)
		return
	}
	var shown []string
	for _, name := range r.PostForm["show"] {
		if isColumn(name) && len(shown) < maxColumns {
			shown = append(shown, name)
		}
	}
	if len(shown) == 0 { // the one that has no name is left
		shown = []string{"none"}
	}
	remembered, query := chosenColumns(r, v), to.Query()
	remembered.Set(list, strings.Join(shown, "."))
	query.Set("columns", strings.Join(shown, "."))
	if r.PostFormValue("all") != "" {
		remembered.Del(list)
		query.Del("columns")
	}
	for name := range remembered {
		if !slices.Contains(columnLists, name) {
			remembered.Del(name)
		}
	}
	c.setCookie(w, columnsCookieOf(v), remembered.Encode(), themeLife)
	to.RawQuery = query.Encode()
	http.Redirect(w, r, to.String(), http.StatusSeeOther) //nolint:gosec // local lets nothing out of here
}

// isColumn reports whether name may be a column's: the cookie and the address hold nothing else.
func isColumn(name string) bool {
	return name != "" && len(name) <= 20 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") == ""
}
