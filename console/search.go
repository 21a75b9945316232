package console

import (
	"net/http"
	"strings"

	"github.com/biocore-id/biocore/tenancy/apikey"
)

// hit is something that a search found.
type hit struct {
	Href  string `json:"href"`
	Icon  string `json:"icon"`
	Label string `json:"label"`
	Note  string `json:"note,omitempty"`
}

// hits are those of one kind.
type hits struct {
	Label string `json:"label"`
	Items []hit  `json:"items"`
}

// finder looks for one kind of objects of a tenant, for who may see them.
type finder struct {
	label string // of the kind, in the plural
	needs string // the scope
	// find returns at most maxHits, the best first. It must be quick: it runs while somebody types.
	find func(r *http.Request, p *place, q string) ([]hit, error)
}

// maxHits of one kind are shown: who sees more types on.
const maxHits = 5

// minFind is the shortest text that objects are looked for by, in characters.
const minFind = 2

// finders are the kinds of objects that a tenant's search knows, in the order in which
// they are shown.
func (c *Console) finders() []finder {
	return []finder{
		{"Users", apikey.ScopeUsersRead, c.findUsers},
		{"Credentials", apikey.ScopeUsersRead, c.findCredentials},
	}
}

// search answers the palette as JSON, and everybody else as a page.
func (c *Console) search(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	q := clean(r.URL.Query().Get("q"))
	if len(q) > 200 {
		q = ""
	}
	found, err := c.found(r, v, p, q)
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		if err != nil {
			c.refuse(w, r, err)
			return
		}
		c.reply(w, r, http.StatusOK, struct {
			Groups []hits `json:"groups"`
		}{found})
		return
	}
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	f := c.frame(w, r, v, p, "Search", "")
	c.render(w, r, http.StatusOK, c.searchPage(f, q, found))
}

// found is what q finds where the person is: objects first, then pages, then places.
// "@" looks for places alone.
func (c *Console) found(r *http.Request, v *visit, p *place, q string) ([]hits, error) {
	all := []hits{}
	add := func(label string, items []hit) {
		if len(items) > 0 {
			all = append(all, hits{Label: label, Items: items})
		}
	}
	places, onlyPlaces := strings.CutPrefix(q, "@")
	if !onlyPlaces {
		if p != nil && !p.staff && len([]rune(q)) >= minFind {
			for _, f := range c.finders() {
				if !p.may(f.needs) {
					continue
				}
				items, err := f.find(r, p, q)
				if err != nil {
					return nil, err
				}
				add(f.label, items)
			}
		}
		add("Pages", pagesLike(p, q))
		places = q
	}
	var tenants []hit
	for _, one := range placesOf(v, p) {
		if !one.Here && like(one.Name, places) && (onlyPlaces || q != "") {
			tenants = append(tenants, hit{Href: one.Href, Icon: "tenants", Label: one.Name, Note: one.Note})
		}
	}
	add("Places", tenants)
	return all, nil
}

// pagesLike are the pages of the sidebar by their labels.
func pagesLike(p *place, q string) []hit {
	var out []hit
	for _, g := range p.nav() {
		for _, n := range g.Items {
			if like(n.Label, q) || q != "" && like(g.Label, q) {
				out = append(out, hit{Href: n.Href, Icon: n.Icon, Label: n.Label, Note: g.Label})
			}
		}
	}
	return out
}

// like reports whether a label holds what was typed, whatever its case.
func like(label, typed string) bool {
	return strings.Contains(strings.ToLower(label), strings.ToLower(typed))
}
