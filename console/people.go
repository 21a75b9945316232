package console

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// What the lists of users, credentials and sessions have in common: their filters are
// parameters of the address, and become a filter of the API's.

// pageRows are how many rows a page may have.
var pageRows = []int{25, 50, 100}

// rowsOf is how many rows the address asks for.
func rowsOf(q url.Values) int {
	n, _ := strconv.Atoi(q.Get("rows"))
	if slices.Contains(pageRows, n) {
		return n
	}
	return pageRows[0]
}

// addressOf is where a list is, with those parameters that it knows.
func addressOf(r *http.Request, names ...string) ui.Address {
	a := ui.Address{Path: r.URL.Path, Query: url.Values{}}
	asked := r.URL.Query()
	for _, name := range append(names, "sort", "rows", "columns") {
		if value := clean(asked.Get(name)); value != "" && len(value) <= 200 {
			a.Query.Set(name, value)
		}
	}
	return a
}

// requestOf is the page that the address asks for.
func requestOf(r *http.Request, a ui.Address, filter []string) listing.Request {
	return listing.Request{PageSize: rowsOf(a.Query), PageToken: r.URL.Query().Get("after"), Filter: strings.Join(filter, " AND ")}
}

// pagerOf is the foot of a list of n rows.
func pagerOf(r *http.Request, at time.Time, a ui.Address, n int, noun, next string, byTime bool) ui.Pager {
	p := ui.Pager{Says: ui.Count(n, noun), ByTime: byTime, Limit: strconv.Itoa(rowsOf(a.Query))}
	for _, rows := range pageRows {
		p.Rows = append(p.Rows, ui.Choice{Value: a.With("rows", strconv.Itoa(rows)), Label: strconv.Itoa(rows)})
	}
	q := maps.Clone(a.Query)
	q.Set("at", strconv.FormatInt(at.Unix(), 10))
	p.Turn(ui.Address{Path: a.Path, Query: q}, r.URL.Query(), next)
	if p.First != "" { // which begins now
		if p.Before == p.First {
			p.Before = a.Without()
		}
		p.First = a.Without()
	}
	return p
}

// asOf is the time that a list's ages count from: now, and on later pages that of the first,
// since a page's token belongs to its filter.
func (c *Console) asOf(r *http.Request) time.Time {
	q := r.URL.Query()
	if at, err := strconv.ParseInt(q.Get("at"), 10, 64); err == nil && q.Get("after") != "" {
		return time.Unix(at, 0).UTC()
	}
	return c.now()
}

// quoted is a literal of a filter.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// instant is a time of a filter.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// days are the ages that lists are filtered by.
var days = map[string]time.Duration{"1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "90d": 90 * 24 * time.Hour}

// chosen is the value of a filter if it is one of its choices: what somebody typed into the
// address asks nothing.
func chosen(f ui.Filter) string {
	for _, c := range f.Choices {
		if c.Value == f.Value {
			return f.Value
		}
	}
	return ""
}

// called is what a user is called, and what stands below it.
func called(p user.Profile) (name, below string) {
	switch {
	case p == user.Profile{}:
		return "Unknown user", ""
	case p.DisplayName != "":
		return p.DisplayName, p.ExternalID
	default:
		return p.Name, p.ExternalID
	}
}

// profiles are those of the users whom a page names.
func (c *Console) profiles(r *http.Request, p *place, ids []user.ID) (map[user.ID]user.Profile, error) {
	return c.users.Profiles(r.Context(), p.sc, ids)
}

// picked are the ids of the rows that were picked, at most a page of them.
func picked(r *http.Request) []string {
	if err := r.ParseForm(); err != nil {
		return nil
	}
	ids := r.PostForm["id"]
	return ids[:min(len(ids), listing.MaxPageSize)]
}

// moment is t for a cell; nil for never.
func (c *Console) moment(t *time.Time) *ui.Moment {
	if t == nil {
		return nil
	}
	m := ui.Ago(*t, c.now())
	return &m
}

// iso is t in a file; empty for never.
func iso(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// parsed reads the id in a path; what is none is nobody's.
func parsed(r *http.Request) (user.ID, error) { return user.ParseID(r.PathValue("id")) }

// operators are what people of the console are called, who are named as kind:id.
func (c *Console) operator(r *http.Request, by string) (string, error) {
	names, err := c.names(r.Context(), []uuid.UUID{who(by)})
	return whoLabel(by, names), err
}

// joinedLines is a list to be copied as one text.
func joinedLines(list []string) string { return strings.Join(list, "\n") }
