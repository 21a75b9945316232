package console

import (
	"net/http"
	"net/url"
)

// showHome is where a person works: straight to the only place, or a choice.
func (c *Console) showHome(w http.ResponseWriter, r *http.Request, v *visit) {
	places := placesOf(v, nil)
	if len(places) == 1 {
		http.Redirect(w, r, places[0].Href, http.StatusSeeOther)
		return
	}
	f := c.frame(w, r, v, nil, "Where you work", Path)
	c.render(w, r, http.StatusOK, c.homePage(f))
}

// hostOf is the host of a URL, for people.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Host
}
