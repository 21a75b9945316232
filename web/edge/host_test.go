package edge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/biocore-id/biocore/web/edge"
)

// A site that points its own name at this machine reads nothing of the operations port.
func TestOperationsPortKnowsItsHosts(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("inside")) })
	ops := edge.NewOps(edge.OpsOptions{
		Metrics: echo, Ready: func(*http.Request) map[string]error { return nil }, Hosts: []string{"biocore", "ops.example.com"},
	})
	paths := []string{"/metrics", "/healthz", "/readyz", "/debug/pprof/", "/debug/pprof/goroutine", "/nothing"}
	for host, known := range map[string]bool{
		"127.0.0.1:9090": true, "127.0.0.1": true, "127.1.2.3:9090": true, "[::1]:9090": true, "[::1]": true, "10.0.0.7:9090": true, "[fd00::7]:9090": true,
		"localhost": true, "localhost:9090": true, "LOCALHOST:9090": true, "dev.localhost:9090": true, "localhost.:9090": true,
		"biocore:9090": true, "biocore": true, "Ops.Example.Com": true,
		"evil.example": false, "evil.example:9090": false, "localhost.evil.example": false, "127.0.0.1.evil.example:9090": false,
		"evillocalhost": false, "ops.example.com.evil.example": false, "": false, ":9090": false, "biocore.evil": false, "0x7f.1": false,
	} {
		for _, path := range paths {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			ops.ServeHTTP(w, r)
			if refused := w.Code == http.StatusMisdirectedRequest; refused == known {
				t.Errorf("Host %q, %s: %d, known: %t", host, path, w.Code, known)
			}
		}
	}
}

// The command line is not served, whatever the profiles' index can do.
func TestOperationsPortServesNoCommandLine(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/debug/pprof/cmdline", nil)
	r.Host = "localhost"
	edge.NewOps(edge.OpsOptions{Metrics: http.NotFoundHandler()}).ServeHTTP(w, r)
	if w.Code != http.StatusNotFound {
		t.Errorf("/debug/pprof/cmdline = %d: %q", w.Code, w.Body)
	}
}
