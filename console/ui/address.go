package ui

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Address is where a list is, with its filters: a page's own path and query. Its methods
// return the address of the list as it would be otherwise, and leave out what is empty.
type Address struct {
	Path  string
	Query url.Values
}

// cursor are the parameters that say where in a list a page begins, and where those before
// it did: they mean nothing to another filter or order.
var cursor = []string{"after", "back"}

// With returns the address of the first page with each name set to the value after it.
func (a Address) With(pairs ...string) string {
	q := a.filters()
	for pair := range slices.Chunk(pairs, 2) {
		q.Del(pair[0])
		if pair[1] != "" {
			q.Set(pair[0], pair[1])
		}
	}
	return link(a.Path, q)
}

// Without returns the address of the first page without some of the filters.
func (a Address) Without(names ...string) string {
	q := a.filters()
	for _, name := range names {
		q.Del(name)
	}
	return link(a.Path, q)
}

// firstPage stands for the first page among the tokens of pages; no token is spelled so.
const firstPage = "-"

// maxBack is how many pages can be gone back one by one: with tokens of a hundred characters
// the address stays short of what servers and proxies take.
const maxBack = 24

// Turn puts the addresses of the pages around the one that was asked for into p. next is the
// token of the page after; empty on the last.
//
// A page begins after an item, whatever is added or deleted before it. The address remembers
// where the pages before it began, so that going back shows those, and no item is passed over:
// what was deleted from one of them makes room for the next. The first page is the newest there
// is by then.
func (p *Pager) Turn(a Address, asked url.Values, next string) {
	here, back := asked.Get("after"), strings.FieldsFunc(asked.Get("back"), func(r rune) bool { return r == '.' })
	if here == "" {
		here, back = firstPage, nil
	} else {
		p.First = a.Without()
	}
	if n := len(back); n > 0 && back[n-1] == firstPage {
		p.Before = p.First
	} else if n > 0 {
		p.Before = a.page(back[n-1], back[:n-1])
	}
	if next != "" {
		back = append(back, here)
		p.Next = a.page(next, back[max(0, len(back)-maxBack):])
	}
}

func (a Address) page(token string, back []string) string {
	q := a.filters()
	q.Set("after", token)
	if len(back) > 0 {
		q.Set("back", strings.Join(back, "."))
	}
	return link(a.Path, q)
}

// At returns the address of another path with the same filters: an export of the list.
func (a Address) At(path string) string { return link(path, a.filters()) }

// Get is the value of a filter; empty for none.
func (a Address) Get(name string) string { return a.Query.Get(name) }

// Hidden are the filters as the hidden inputs of a form that sets others, without those.
func (a Address) Hidden(without ...string) []Hidden {
	var out []Hidden
	q := a.filters()
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if v := q.Get(name); v != "" && !slices.Contains(without, name) {
			out = append(out, Hidden{Name: name, Value: v})
		}
	}
	return out
}

// Hidden is an input that is not shown.
type Hidden struct{ Name, Value string }

func (a Address) filters() url.Values {
	q := url.Values{}
	for name, values := range a.Query {
		if len(values) > 0 && values[0] != "" && !slices.Contains(cursor, name) {
			q.Set(name, values[0])
		}
	}
	return q
}

func link(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
