package console_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// silent are the posts that change nothing of anybody's, each with why.
var silent = map[string]string{
	"POST /console/account/passkeys/begin":                  "asks the browser for a passkey: what comes of it is recorded",
	"POST /console/columns":                                 "a cookie of the browser's own",
	"POST /console/join/begin":                              "as passkeys/begin",
	"POST /console/join/look":                               "shows an invitation to who holds its link",
	"POST /console/platform/flags/{key}/rules/draft":        "draws a draft",
	"POST /console/signin/begin":                            "as passkeys/begin",
	"POST /console/stepup/begin":                            "as passkeys/begin",
	"POST /console/t/{slug}/authenticators/{aaguid}/policy": "makes a draft of it, which the browser keeps",
	"POST /console/t/{slug}/flags/{key}/rules/draft":        "draws a draft",
	"POST /console/t/{slug}/segments/{key}/draft":           "draws a draft",
	"POST /console/t/{slug}/segments/{key}/find":            "says whether a list has somebody",
	"POST /console/t/{slug}/flags/{key}/why":                "says what somebody gets, and why",
	"POST /console/platform/flags/{key}/why":                "the same of Biocore's own",
	"POST /console/t/{slug}/policies/affected":              "tells of a draft whom it would concern",
	"POST /console/t/{slug}/policies/check":                 "says what is wrong with a draft",
	"POST /console/t/{slug}/policies/draft":                 "draws a draft",
	"POST /console/t/{slug}/risk/rules/draft":               "draws a draft",
	"POST /console/t/{slug}/relying-party/fetch":            "looks at what is published",
	"POST /console/theme":                                   "a cookie of the browser's own",
}

// posts is what came of every post that a test of this package has sent.
var posts = struct {
	mu       sync.Mutex
	patterns []string
	done     map[string]int // that were not refused
	written  map[string]int // of those, that left an audit entry
}{done: map[string]int{}, written: map[string]int{}}

// entries counts the audit entries of a site, moved into their logs or not.
func (s *site) entries(t *testing.T) (n int) {
	t.Helper()
	s.looking.Lock()
	defer s.looking.Unlock()
	if err := s.behind.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM audit_inbox) + (SELECT count(*) FROM audit_records)").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// posted notes what came of a post.
func (s *site) posted(t *testing.T, r *http.Request, status, before int) {
	t.Helper()
	if r.Method != http.MethodPost || status >= 400 {
		return
	}
	wrote := s.entries(t) > before
	posts.mu.Lock()
	defer posts.mu.Unlock()
	posts.patterns = s.Patterns()
	posts.done[r.Pattern]++
	if wrote {
		posts.written[r.Pattern]++
	}
}

// unwritten are the posts of the console that no test has got through, and those that got through
// and never left an audit entry.
func unwritten() (faults []string) {
	for _, pattern := range posts.patterns {
		why, is := silent[pattern]
		switch {
		case !strings.HasPrefix(pattern, "POST "):
		case posts.done[pattern] == 0:
			faults = append(faults, pattern+" is got through by no test")
		case is && posts.written[pattern] > 0:
			faults = append(faults, pattern+" leaves an audit entry, and is said to change nothing: "+why)
		case !is && posts.written[pattern] == 0:
			faults = append(faults, pattern+" leaves no audit entry")
		}
	}
	for pattern := range silent {
		if !slices.Contains(posts.patterns, pattern) {
			faults = append(faults, pattern+" is no post of the console's")
		}
	}
	slices.Sort(faults)
	return faults
}

// TestMain runs the tests, and after all of them holds that each post of the console that gets through leaves
// an audit entry. Take the entry out of a service, or add a route that no test posts to, and it turns red. Which
// tests run is no matter of it but that all do: it holds nothing where some were chosen.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	whole := true // are these all tests?
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		whole = whole && flag.Lookup(name).Value.String() == ""
	}
	if code == 0 && whole {
		for _, fault := range unwritten() {
			code = 1
			_, _ = fmt.Fprintln(os.Stderr, "--- FAIL: console posts: "+fault)
		}
	}
	os.Exit(code)
}
