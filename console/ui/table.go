package ui

import (
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"
)

// Column is a head of a table.
type Column struct {
	Label  string
	Class  string // num, when, opt …: as its cells have it
	Hidden bool   // the label is for screen readers alone
	Sort   string // address of the list in this order; empty: no order by it
	Order  string // ascending, descending, or empty while the list is not in this order
	Name   string // by which it is chosen; empty: it is always shown
	Off    bool   // somebody chose not to see it
}

// Columns are those of a table, of which people choose what they see.
type Columns struct {
	List string // of which the choice is remembered
	Next string // address of the list, to come back to; without a choice
	All  []Column
}

// Named is a column by the name by which it is chosen.
func (c Column) Named(name string) Column {
	c.Name = name
	return c
}

// Choose leaves of the columns that have a name those in shown.
func (c Columns) Choose(shown []string) Columns {
	all := slices.Clone(c.All)
	for i := range all {
		all[i].Off = all[i].Name != "" && !slices.Contains(shown, all[i].Name)
	}
	c.All = all
	return c
}

// Shows reports whether the column of a name is shown.
func (c Columns) Shows(name string) bool {
	return !slices.ContainsFunc(c.All, func(one Column) bool { return one.Name == name && one.Off })
}

// some reports whether any column is left out.
func (c Columns) some() bool {
	return slices.ContainsFunc(c.All, func(one Column) bool { return one.Off })
}

func (c Column) attributes() templ.Attributes {
	a := templ.Attributes{"scope": "col"}
	if c.Order != "" {
		a["aria-sort"] = c.Order
	}
	if c.Class != "" {
		a["class"] = c.Class
	}
	return a
}

// Sorted is a column by which the list at a may be in order: name and -name, downwards, are
// the values of the parameter sort. first of the two is what a click asks for on a column that
// is not in order.
func Sorted(label, class string, a Address, first, byDefault string) Column {
	name := strings.TrimPrefix(first, "-")
	c := Column{Label: label, Class: class, Sort: a.With("sort", first)}
	now := a.Get("sort")
	if now == "" {
		now = byDefault
	}
	switch now {
	case name:
		c.Order, c.Sort = "ascending", a.With("sort", "-"+name)
	case "-" + name:
		c.Order, c.Sort = "descending", a.With("sort", name)
	}
	return c
}

// Pager is the foot of a list that is read by keyset: there are no page numbers. Turn puts the
// addresses in.
type Pager struct {
	Says   string   // "50 users", "50 of about 26,400"
	First  string   // address of the first page; empty on it
	Before string   // address of the page before; empty on the first, and where it is not known
	Next   string   // address of the page after; empty on the last
	ByTime bool     // the newest first: Newer and Older, instead of Previous and Next
	Rows   []Choice // how many rows a page may have, with the addresses as values
	Limit  string   // of those, the label of the one that holds
}

// Filters are what stands above a table: a search, chips of the filters that hold, and what
// else can be filtered by. All of it is in the address.
type Filters struct {
	At     Address
	Search *Search
	Chips  []Chip
	Add    []Filter // what the filter menu offers
}

// Search is a text to look for.
type Search struct{ Name, Label, Value string }

// Chip is a filter that holds.
type Chip struct {
	Label, Value string
	Names        []string // of the parameters that make it
}

// Filter is a choice in the filter menu. Without choices it is a line of text.
type Filter struct {
	Name, Label, Value string
	Hint               string
	Choices            []Choice // the first is for no filter, with an empty value
}

// ChipsOf are the chips of those filters that hold.
func ChipsOf(filters []Filter) []Chip {
	var chips []Chip
	for _, f := range filters {
		if f.Value == "" {
			continue
		}
		chip := Chip{Label: f.Label, Value: f.Value, Names: []string{f.Name}}
		for _, c := range f.Choices {
			if c.Value == f.Value {
				chip.Value = c.Label
			}
		}
		chips = append(chips, chip)
	}
	return chips
}

func (f Filters) names() []string {
	var names []string
	if f.Search != nil {
		names = append(names, f.Search.Name)
	}
	for _, one := range f.Add {
		names = append(names, one.Name)
	}
	return names
}

// held reports whether anything is filtered by.
func (f Filters) held() bool { return len(f.Chips) > 0 || f.Search != nil && f.Search.Value != "" }

// says is what is looked for, in words.
func (f Filters) says() string {
	var s string
	add := func(part string) {
		if s != "" {
			s += ", "
		}
		s += part
	}
	if f.Search != nil && f.Search.Value != "" {
		add("“" + f.Search.Value + "”")
	}
	for _, c := range f.Chips {
		add(c.Label + ": " + c.Value)
	}
	return s
}

// Tab is a part of an object's page.
type Tab struct {
	Href, Label string
	Count       int // shown if it is more than none
	Here        bool
}

// Segment is one of at most five switches of a view.
type Segment struct {
	Href, Label string
	Here        bool
}

// Event is a line of a timeline: what happened to an object, from its audit entries.
type Event struct {
	Day   string // a head above the line, where the day begins; empty else
	Icon  string
	Class string // ok, warn, bad, info, or empty
	Text  string
	Who   string
	At    Moment
	Href  string // more about it; empty for none
	Note  string // the reason that was given, or what else a reader must know
}

// Snippet is a command that does what a page does.
type Snippet struct{ Title, Text string }

// Act is a sensitive act: what it does, what must be typed, why, and a passkey.
type Act struct {
	ID      string // of its elements; unique in the page
	Action  string // address that it is posted to
	Title   string
	Effects []Effect
	Confirm string // what must be typed for it to be done; empty for nothing
	Typed   string // what was typed
	Reason  string // what was typed
	Button  string // "revoke": the button says "Confirm with passkey and revoke"
	Danger  bool
	Cancel  string // address to go back to; empty for no button
	Files   bool   // the form has fields for files
	File    bool   // it is answered by one
	Fresh   string // until when the passkey counts as fresh, RFC 3339
	Problem *Problem
}

func (a Act) label() string {
	return "Confirm with passkey and " + a.Button
}

// Upper is s with a capital letter, if it begins with a small English one.
func Upper(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// Thousands is n with its thousands apart: 48,213.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
