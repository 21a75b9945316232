// Package ui is what the console's pages are put together from: the shell around them,
// the gate before them, and the small parts of the design system.
//
// A part is given finished views and touches no store. Nothing here carries a style, a
// handler or a script of its own, since the pages' policy lets none run.
package ui

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/biocore-id/biocore/web/static"
)

// Path is where the console must be mounted: this path and everything below it.
const Path = "/console"

// Kit draws the parts. It is safe for concurrent use.
type Kit struct {
	Static *static.Files // names the files that pages load; required
}

// Link is a step of a breadcrumb.
type Link struct{ Href, Label string }

// Nav is a page in the sidebar.
type Nav struct {
	Href, Icon, Label string

	Count int    // of what waits there; 0 shows nothing
	Says  string // what is counted, for screen readers
}

// NavGroup is a part of the sidebar.
type NavGroup struct {
	Label string // empty for the first
	Items []Nav
}

// Place is a tenant that a person works in, or the platform.
type Place struct {
	Href string
	Name string
	Note string // its mode, and the person's role
	Here bool   // the page is in it
}

// Mark is the letter that stands for a place.
func (p Place) Mark() string {
	if i := Initials(p.Name); i != "" {
		return string([]rune(i)[0])
	}
	return "·"
}

// Page is what differs between pages beside their content.
type Page struct {
	Title  string
	Path   string // of the entry in the sidebar
	Here   string // the page's own address, to come back to; local
	Theme  string // light, dark, or empty for the system's
	Crumbs []Link // before the title
	Place  Place  // where the page is
	Places []Place
	Nav    []NavGroup
	Name   string // who is signed in
	Role   string // what they are here
	Toast  string // what has just been done; empty for nothing
	Search string // address of the search, for who has no script
	Flush  bool   // the content goes to the edges of the page
	Alerts []Alert
}

// title is what the browser calls the page, before the product's name.
func (p Page) title() string {
	if p.Place.Href == "" { // it is in none
		return p.Title
	}
	return p.Title + " · " + p.Place.Name
}

// Alert is what everybody in a tenant must see on every page.
type Alert struct {
	Name  string // of the region, for screen readers
	Text  string
	Ready *Moment // when it comes to pass; nil: not settled
	Left  string  // how long that is
	Href  string
	Label string

	Icon     string  // empty for a warning's
	Until    *Moment // when it ends; a countdown shows Left
	Leaves   bool    // with that the page is over too
	End      string  // where it is ended by a form; empty for nowhere
	EndLabel string
}

func (a Alert) icon() string {
	if a.Icon == "" {
		return "warn"
	}
	return a.Icon
}

// Gate is a page without the shell.
type Gate struct {
	Title  string
	Theme  string
	Script string // module under static/console
	Host   string // where this installation is reached
	Wide   bool
}

// Moment is a time said twice: in words for reading, to the second for hovering. A script
// puts the latter into the reader's own time.
type Moment struct {
	Text  string
	Exact string
	ISO   string
	Clock bool // Text is a time of day, which the script rewrites
}

// Ago is t, as far as it is back from now.
func Ago(t, now time.Time) Moment { return moment(t, since(t.UTC(), now.UTC()), false) }

// At is t by the calendar and the clock.
func At(t time.Time) Moment { return moment(t, t.UTC().Format("2 Jan 2006, 15:04 UTC"), true) }

func moment(t time.Time, text string, clock bool) Moment {
	t = t.UTC()
	return Moment{Text: text, Exact: t.Format("2 Jan 2006, 15:04:05 UTC"), ISO: t.Format(time.RFC3339), Clock: clock}
}

// since says how long ago t was, coarser the longer it is. A clock that runs a little
// ahead of ours is "just now", not the future.
func since(t, now time.Time) string {
	ago := now.Sub(t)
	switch {
	case ago < time.Minute:
		return "just now"
	case ago < time.Hour:
		return fmt.Sprintf("%d min ago", int(ago.Minutes()))
	case ago < 24*time.Hour:
		return fmt.Sprintf("%d h ago", int(ago.Hours()))
	case t.Year() == now.Year():
		return t.Format("2 Jan")
	default:
		return t.Format("2 Jan 2006")
	}
}

// Left says how long d is, in its two largest units.
func Left(d time.Duration) string {
	days, hours, minutes := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60
	switch {
	case d < time.Minute:
		return "less than a minute"
	case days > 0 && hours > 0:
		return fmt.Sprintf("%s %d h", plural(days, "day"), hours)
	case days > 0:
		return plural(days, "day")
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%d h", hours)
	default:
		return fmt.Sprintf("%d min", minutes)
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok && !strings.HasSuffix(stem, "a") && !strings.HasSuffix(stem, "e") {
		return Thousands(n) + " " + stem + "ies"
	}
	return Thousands(n) + " " + noun + "s"
}

// Count is n of a noun, in words.
func Count(n int, noun string) string { return plural(n, noun) }

// Initials are the first letters of the first and the last word that have any.
func Initials(name string) string {
	var out []rune
	fields := strings.Fields(name)
	for i, field := range fields {
		if i != 0 && i != len(fields)-1 {
			continue
		}
		for _, r := range field {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				out = append(out, unicode.ToUpper(r))
				break
			}
		}
	}
	return string(out)
}

// nextTheme is what the theme button switches to: the system's, light, dark.
func nextTheme(theme string) (to, label string) {
	switch theme {
	case "light":
		return "dark", "Theme: light. Switch to dark"
	case "dark":
		return "", "Theme: dark. Switch to the system’s"
	default:
		return "light", "Theme: the system’s. Switch to light"
	}
}

// Number is n for an attribute.
func Number(n int) string { return strconv.Itoa(n) }

// sheets are the style sheets, in the order of their layers.
var sheets = []string{"tokens", "base", "layout", "components", "charts", "console"}
