package demo

import "net/http"

// showNotFound answers for every path below the bank that has no page.
func (b *Bank) showNotFound(w http.ResponseWriter, r *http.Request) {
	b.render(w, r, http.StatusNotFound, b.failurePage(problem{
		Title: "There is no such page", Message: "The bank is small: it has a front page and an account page.",
	}, nil))
}
