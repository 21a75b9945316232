package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/member"
)

func TestSearch(t *testing.T) {
	s := newSite(t)
	sc, slug := s.tenant(t)
	_, foreign := s.tenant(t)
	b := s.person(t, "Ana", sc, member.Viewer)

	t.Run("finds pages of the role, and says when there is nothing", func(t *testing.T) {
		res := b.get(t, "/console/t/"+slug+"/search?q=memb")
		if res.StatusCode != http.StatusOK || !strings.Contains(res.body, `href="/console/t/`+slug+`/members"`) {
			t.Errorf("status %d, want the members page", res.StatusCode)
		}
		if res := b.get(t, "/console/t/"+slug+"/search?q=%3Cb%3Enothing"); !strings.Contains(res.body, "Nothing found") || strings.Contains(res.body, "<b>nothing") {
			t.Error("markup that was typed stands in the page, or nothing is said")
		}
	})
	t.Run("answers the palette as JSON", func(t *testing.T) {
		var answer struct {
			Groups []struct {
				Label string
				Items []struct{ Href, Label string }
			}
		}
		res := b.getJSON(t, "/console/t/"+slug+"/search?q=memb")
		if err := json.Unmarshal([]byte(res.body), &answer); err != nil || len(answer.Groups) == 0 || answer.Groups[0].Label != "Pages" {
			t.Errorf("answer %s (%v)", res.body, err)
		}
	})
	t.Run("places of others are not found", func(t *testing.T) {
		if res := b.getJSON(t, "/console/t/"+slug+"/search?q=%40"); strings.Contains(res.body, foreign) || strings.Contains(res.body, "/platform") {
			t.Errorf("answer %s", res.body)
		}
		if res := b.get(t, "/console/t/"+foreign+"/search?q=memb"); res.StatusCode != http.StatusNotFound {
			t.Errorf("search in another's tenant = %d, want 404", res.StatusCode)
		}
	})
}
