package edge

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Only what is a stream or a file outlives the time that a call may take.
func TestStreams(t *testing.T) {
	for path, want := range map[string]bool{
		"/admin/v1/ceremonies/events": true, "/admin/v1/ceremonies/events?filter=x": true,
		"/console/t/acme/ceremonies/events": true, "/console/t/acme/activity/events": true,
		"/admin/v1/tenants/x/exports/y": false, "/v1/users/events": false, "/admin/v1/users/x/socket": false, "/events": false,
		"/console/t/acme/users/events": false, "/console/t/acme/x/ceremonies/events": false, "/t/acme/oauth/events": false,
	} {
		for method, want := range map[string]bool{http.MethodGet: want, http.MethodPost: false} {
			if got := streams(httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)); got != want {
				t.Errorf("%s %s lasts: %v, want %v", method, path, got, want)
			}
		}
	}
	for call, want := range map[[2]string]bool{
		{"GET", "/admin/v1/auditEvents:export"}: true, {"POST", "/admin/v1/auditEvents:export"}: false, {"GET", "/admin/v1/auditArchives:download"}: true,
		{"GET", "/admin/v1/auditEvents"}: false, {"POST", "/console/t/acme/audit/export"}: true, {"GET", "/console/t/acme/audit/export"}: false,
		{"POST", "/console/t/acme/users/x/export"}: true, {"GET", "/console/t/acme/users/export"}: false, {"POST", "/admin/v1/users/x:export"}: true, {"POST", "/v1/users/export"}: false,
	} {
		if got := streams(httptest.NewRequestWithContext(t.Context(), call[0], call[1], http.NoBody)); got != want {
			t.Errorf("%v lasts: %v, want %v", call, got, want)
		}
	}
}

// Only the form for a file may be large, and only where it is posted.
func TestBodyBytes(t *testing.T) {
	for call, want := range map[[2]string]int64{
		{"POST", "/console/t/acme/data-map/findings/import"}: maxFileBytes, {"GET", "/console/t/acme/data-map/findings/import"}: maxBodyBytes,
		{"POST", "/console/t/acme/compliance/catalogues/ours"}: maxFileBytes, {"POST", "/console/t/acme/compliance/cataloguesx"}: maxBodyBytes,
		{"POST", "/console/t/acme/x/data-map/findings/import"}: maxBodyBytes, {"POST", "/admin/v1/dlpFindings:import"}: maxBodyBytes, {"POST", "/data-map/findings/import"}: maxBodyBytes,
	} {
		if got := bodyBytes(httptest.NewRequestWithContext(t.Context(), call[0], call[1], http.NoBody)); got != want {
			t.Errorf("%v: %d, want %d", call, got, want)
		}
	}
}
