package browsertest_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsolePages looks at every page of the console with data in it, so that none is
// forgotten: it begins at the sidebar, of the tenant and of the platform, and where pictures are
// wanted it follows the links of each page too, to one page of each kind.
func TestConsolePages(t *testing.T) {
	days := "2" // for a look; pictures take a week
	if browsertest.Shots() != "" {
		days = "7"
	}
	biocore, chromium := browsertest.StartBiocore(t, "--demo-data", "--demo-days", days), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")

	ana.Open(ana.url + "/t/acme/users")
	ana.See("tbody tr:nth-child(40)", "")
	if top := browsertest.Eval[int](ana.Visitor, `(window.scrollTo(0, 600), Math.round(document.querySelector(".table thead th").getBoundingClientRect().top))`); top != 48 {
		t.Errorf("the head of a long table is %d px from the top of the window, want 48: below the bar", top)
	}

	tour := tour{colleague: ana, begun: map[string]string{}}
	for _, place := range []string{"/t/acme", "/platform/tenants"} {
		ana.Open(ana.url + place)
		menu := tour.links("#nav a[href]")
		if len(menu) < 5 {
			t.Fatalf("the sidebar of %s has %d pages", place, len(menu))
		}
		tour.add(menu...)
	}
	fromMenus := len(tour.waiting)
	tour.add(ana.url)
	for n := 0; len(tour.waiting) > 0; n++ {
		at := tour.waiting[0]
		tour.waiting = tour.waiting[1:]
		ana.Open(at)
		ana.See("h1", "")
		if title := ana.Read("h1"); title == "Nothing is here" || title == "That did not work" || title == "" {
			t.Errorf("%s shows %q", at, title)
		}
		if browsertest.Shots() != "" || n < fromMenus {
			ana.Inspect(pageName(ana.url, at))
		}
		if browsertest.Shots() != "" {
			tour.add(tour.links("body a[href]:not([download])")...)
		}
	}
	if browsertest.Shots() == "" {
		return
	}
	t.Logf("%d pages", len(tour.begun))
	for _, at := range tour.begun {
		for _, picture := range browsertest.Pictures(pageName(ana.url, at)) {
			if found, err := os.Stat(filepath.Join(browsertest.Shots(), picture)); err != nil || found.Size() < 2000 {
				t.Errorf("%s has no picture: %v", at, err)
			}
		}
	}
}

// tour is a walk through the console by its links.
type tour struct {
	colleague

	begun   map[string]string // addresses, by the name of their kind
	waiting []string
}

// links are where the links of a page lead that match.
func (r *tour) links(selector string) []string {
	return browsertest.Eval[[]string](r.Visitor, `[...document.querySelectorAll('`+selector+`')].map((link) => link.href)`)
}

// elsewhere are addresses that are no pages of somebody who is signed in.
var elsewhere = regexp.MustCompile(`/(export|join|signin)(/|$)|/icon$`)

// add takes those addresses on whose kind is new.
func (r *tour) add(addresses ...string) {
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || !strings.HasPrefix(address, r.url) || elsewhere.MatchString(u.Path) {
			continue
		}
		view := u.Query().Get("view") // of one page, as a whole other one
		u.RawQuery, u.Fragment = "", ""
		if view != "" {
			u.RawQuery = "view=" + view
		}
		if name := pageName(r.url, u.String()); r.begun[name] == "" {
			r.begun[name] = u.String()
			r.waiting = append(r.waiting, u.String())
		}
	}
}

// ids are what tells things of one kind apart in an address: UUIDs, credential ids, versions.
var ids = regexp.MustCompile(`^([0-9a-f]{8}-[0-9a-f-]{27}|[\w-]{20,}|\d+)$`)

// pageName is the name of a kind of page, for its pictures: page-t-acme-users-id-activity.
func pageName(base, address string) string {
	parts := strings.FieldsFunc(strings.TrimPrefix(address, base), func(r rune) bool { return r == '/' || r == '?' || r == '=' })
	for i, part := range parts {
		if ids.MatchString(part) {
			parts[i] = "id"
		}
	}
	return strings.Join(append([]string{"page"}, parts...), "-")
}
