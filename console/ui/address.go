package ui

import (
	"maps"
	"net/url"
	"slices"
)

// Address is where a list is, with its filters: a page's own path and query. Its methods
// return the address of the list as it would be otherwise, and leave out what is empty.
type Address struct {
	Path  string
	Query url.Values
}

// cursor are the parameters that say where in a list a page begins: they mean nothing to
// another filter or order.
var cursor = []string{"after"}

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

// After returns the address of the page that begins after a token.
func (a Address) After(token string) string {
	q := a.filters()
	q.Set("after", token)
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
