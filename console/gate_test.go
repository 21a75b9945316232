package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/member"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
)

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func TestJoinSignInSignOut(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	token := s.token(t, acme, member.Owner)
	ana := s.browser(t, "Ana Sousa")

	if look := ana.json(t, "/console/join/look", object{"token": token}); len(look.Invitations) != 1 || look.Invitations[0].Role != "Owner" || look.SignedIn {
		t.Fatalf("look = %+v", look)
	}
	if res := ana.get(t, "/console/t/"+slug+"/members"); res.StatusCode != http.StatusSeeOther ||
		res.Header.Get("Location") != "/console/signin?next=%2Fconsole%2Ft%2F"+slug+"%2Fmembers" {
		t.Errorf("signed out: %d to %s", res.StatusCode, res.Header.Get("Location"))
	}
	ana.join(t, token)
	if res := ana.get(t, "/console"); res.Header.Get("Location") != "/console/t/"+slug {
		t.Errorf("home leads to %q", res.Header.Get("Location"))
	}
	if res := ana.get(t, "/console/t/"+slug+"/members"); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "Ana Sousa") || !strings.Contains(res.body, "You are a member now") {
		t.Errorf("members = %d %s", res.StatusCode, res.body)
	}
	if res := ana.get(t, "/console/t/"+slug+"/members"); strings.Contains(res.body, "You are a member now") {
		t.Error("the toast is shown twice")
	}

	t.Run("an invitation is for one", func(t *testing.T) {
		other := s.browser(t, "Somebody Else")
		if begun := other.json(t, "/console/join/begin", object{"token": token, "name": other.name}); begun.Problem.Reason != "INVITATION_CLOSED" {
			t.Errorf("begin = %+v", begun)
		}
		if begun := other.json(t, "/console/join/begin", object{"token": "none", "name": other.name}); begun.Problem.Reason != "INVITATION_UNKNOWN" {
			t.Errorf("begin without an invitation = %+v", begun)
		}
	})
	t.Run("a newcomer has a name", func(t *testing.T) {
		open := s.token(t, acme, member.Viewer)
		for _, name := range []string{"", "  ", strings.Repeat("x", 101), "a\u202eb"} {
			if begun := ana.json(t, "/console/join/begin", object{"token": open, "name": name}); begun.Problem.Field != "name" || begun.status != http.StatusUnprocessableEntity {
				t.Errorf("name %q: %+v", name, begun)
			}
		}
	})
	t.Run("one link may hold two", func(t *testing.T) {
		other, _ := s.tenant(t)
		both := s.token(t, other, member.Owner) + "." + s.token(t, s.home, member.StaffAdmin)
		if look := ana.json(t, "/console/join/look", object{"token": both}); len(look.Invitations) != 2 || look.Invitations[1].Tenant != "Platform" || !look.SignedIn {
			t.Errorf("look = %+v", look)
		}
		if joined := ana.json(t, "/console/join/accept", object{"token": both}); joined.Next != "/console/platform" {
			t.Errorf("accept = %+v", joined)
		}
	})

	cookie := *ana.cookies["biocore_console"]
	if out := ana.form(t, "/console/signout"); out.Header.Get("Location") != "/console/signin?after=sign-out" || ana.cookies["biocore_console"] != nil {
		t.Errorf("sign out: %s, %v", out.Header.Get("Location"), ana.cookies)
	}
	ana.cookies["biocore_console"] = &cookie
	if res := ana.get(t, "/console"); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/console/signin") {
		t.Errorf("a copy of the cookie still works: %d %s", res.StatusCode, res.Header.Get("Location"))
	}
}

func TestCookie(t *testing.T) {
	for _, tt := range []struct{ at, name string }{{publicURL, "biocore_console"}, {"https://localhost:8080", "__Host-biocore_console"}} {
		s := newSiteAt(t, tt.at, nil)
		acme, _ := s.tenant(t)
		ana := s.person(t, "Ana", acme, member.Owner)
		got := ana.cookies[tt.name]
		if got == nil {
			t.Fatalf("%s: no cookie %s", tt.at, tt.name)
		}
		if !got.HttpOnly || got.SameSite != http.SameSiteLaxMode || got.Path != "/" || got.Domain != "" || got.Secure != (tt.at != publicURL) || len(got.Value) != 43 || got.MaxAge != 0 {
			t.Errorf("%s: cookie = %+v", tt.at, got)
		}
		before := got.Value
		ana.signIn(t)
		if ana.cookies[tt.name].Value == before {
			t.Error("a sign-in keeps the cookie from before it")
		}
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	ana := s.person(t, "Ana", acme, member.Owner)
	nobody := s.browser(t, "Nobody")
	for _, res := range []answer{
		ana.get(t, "/console/t/"+slug+"/members"), ana.get(t, "/console/nowhere"), nobody.get(t, "/console/signin"), nobody.get(t, "/console/join"),
		ana.get(t, "/console/account"), ana.form(t, "/console/t/"+slug+"/invitations"),
	} {
		h := res.Header
		if h.Get("Content-Security-Policy") != policy || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Referrer-Policy") != "same-origin" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" {
			t.Errorf("%d: headers = %v", res.StatusCode, h)
		}
		for _, banned := range []string{"style=", "<style", "onclick=", "<script>"} {
			if strings.Contains(res.body, banned) {
				t.Errorf("%d: the page holds %q, which its policy refuses", res.StatusCode, banned)
			}
		}
	}
}

// A page of another site must not act with the visitor's cookie: remove the guard in New
// and this turns red.
func TestCrossOriginRefused(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	ana := s.person(t, "Ana", acme, member.Owner)
	for _, path := range []string{"/console/signout", "/console/theme", "/console/t/" + slug + "/invitations", "/console/stepup/begin", "/console/account/sessions/end-others"} {
		for _, site := range []string{"cross-site", "same-site"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("label=Eve&role=viewer"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", site)
			if res := ana.send(t, r); res.StatusCode != http.StatusForbidden {
				t.Errorf("POST %s from %s = %d, want 403", path, site, res.StatusCode)
			}
		}
	}
	if open, err := s.members.Invitations(t.Context(), acme); err != nil || len(open) != 0 {
		t.Errorf("invitations = %v, %v", open, err)
	}
}

func TestLimits(t *testing.T) {
	now := time.Now()
	s := newSiteAt(t, publicURL, ratelimit.New(ratelimit.Options{Now: func() time.Time { return now }}))
	b := s.browser(t, "Nobody")
	for range ratelimit.PerVisitor.Max {
		if begun := b.json(t, "/console/signin/begin", object{}); begun.status != http.StatusOK {
			t.Fatalf("begin = %+v", begun)
		}
	}
	if begun := b.json(t, "/console/join/look", object{"token": "x"}); begun.status != http.StatusTooManyRequests || begun.Problem.Reason != "RATE_LIMITED" {
		t.Errorf("one more = %+v", begun)
	}
	if res := b.get(t, "/console/signin"); res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("a page = %d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
}

func TestNextStaysHere(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	ana := s.person(t, "Ana", acme, member.Owner)
	for next, want := range map[string]string{
		"/console/t/" + slug + "/members?a=b": "/console/t/" + slug + "/members?a=b",
		"https://evil.example/":               "/console",
		"//evil.example/console/":             "/console",
		"/console//evil.example":              "/console",
		"/console/../../evil":                 "/console",
		"/console/%2e%2e/evil":                "/console",
		`/console/\evil.example`:              "/console",
		"/console/%5cevil":                    "/console",
		"javascript:alert(1)":                 "/console",
		"/consoles":                           "/console",
		"/demo":                               "/console",
		"\t/console/account":                  "/console",
		"":                                    "/console",
	} {
		if in := ana.use(t, "/console/signin", next); in.Next != want {
			t.Errorf("next %q leads to %q, want %q", next, in.Next, want)
		}
	}
}

func TestHostileNamesAreInert(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	const name = `<script>alert("x")</script>' onload=`
	ana := s.person(t, name, acme, member.Owner)
	if res := ana.form(t, "/console/t/"+slug+"/invitations", "label", `"><img src=x onerror=alert(1)>`, "role", "viewer"); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("invite = %d %s", res.StatusCode, res.body)
	}
	for _, page := range []string{"/console/t/" + slug + "/members", "/console/account", "/console/join"} {
		body := ana.get(t, page).body
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img") {
			t.Errorf("%s: a name became markup", page)
		}
	}
}

func TestTheme(t *testing.T) {
	s := newSite(t)
	b := s.browser(t, "Nobody")
	if res := b.form(t, "/console/theme", "theme", "dark", "next", "/console/signin"); res.Header.Get("Location") != "/console/signin" {
		t.Errorf("leads to %s", res.Header.Get("Location"))
	}
	if body := b.get(t, "/console/signin").body; !strings.Contains(body, `data-theme="dark"`) {
		t.Error("the theme is not kept")
	}
	b.form(t, "/console/theme", "theme", `"><x`, "next", "//evil.example")
	if body := b.get(t, "/console/signin").body; strings.Contains(body, "data-theme") {
		t.Error("a made-up theme is not the system's")
	}
}
