package console_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/member"
)

// Whose browser went on to another page is no failure of ours, and one that we were too slow
// for is.
func TestReaderGone(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	ana := s.person(t, "Ana Sousa", acme, member.Owner)
	gone, leave := context.WithCancel(t.Context())
	leave()
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Minute))
	defer stop()
	for _, path := range []string{"/console/t/" + slug + "/users", "/console/signin"} {
		if res := ana.send(t, httptest.NewRequestWithContext(gone, http.MethodGet, path, nil)); res.StatusCode != 499 || res.body != "" {
			t.Errorf("%s, and the reader is gone: %d %q, want 499 and nothing", path, res.StatusCode, res.body)
		}
	}
	asked := httptest.NewRequestWithContext(gone, http.MethodPost, "/console/signin/begin", nil)
	asked.Header.Set("Content-Type", "application/json")
	if res := ana.send(t, asked); res.StatusCode != 499 || res.body != "" {
		t.Errorf("a script's request, and the reader is gone: %d %q, want 499 and nothing", res.StatusCode, res.body)
	}
	if s.log.Len() != 0 {
		t.Errorf("the operator is told: %s", s.log.String())
	}
	res := ana.send(t, httptest.NewRequestWithContext(late, http.MethodGet, "/console/t/"+slug+"/users", nil))
	if res.StatusCode != http.StatusServiceUnavailable || s.log.Len() == 0 {
		t.Errorf("out of time: %d, and the operator is told %q", res.StatusCode, s.log.String())
	}
}
