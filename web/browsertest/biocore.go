package browsertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/risk/place/placetest"
)

const (
	// startTimeout bounds `biocore dev` from nothing, its Postgres and days of a past included.
	startTimeout = 5 * time.Minute
	// stopTimeout is what Ctrl-C may take, several times what is promised.
	stopTimeout = 15 * time.Second
)

// Biocore is a running `biocore dev`, as .biocore/dev.json tells of it.
type Biocore struct {
	APIURL  string `json:"apiUrl"`
	DemoURL string `json:"demoUrl"`

	DatabaseURL string   `json:"databaseUrl"` // as bc_migrator: for what takes days to come about
	PlatformKey string   `json:"platformKey"` // makes tenants
	Tenants     []Tenant `json:"tenants"`

	ConsoleURL       string `json:"consoleUrl"`
	ConsoleEnrollURL string `json:"consoleEnrollUrl"` // of the first person: staff, and acme's owner
}

// Tenant is a customer with its keys.
type Tenant struct {
	ID             string   `json:"id"`
	Slug           string   `json:"slug"`
	SecretKey      string   `json:"secretKey"`
	PublishableKey string   `json:"publishableKey"`
	RPID           string   `json:"rpId"`
	Origins        []string `json:"origins"`
}

// StartBiocore builds the binary and runs `biocore dev` in a folder of its own,
// on ports that are free, with more flags. It stops with the test, which fails if that takes
// too long.
func StartBiocore(t testing.TB, more ...string) *Biocore {
	t.Helper()
	folder := t.TempDir()
	binary := filepath.Join(folder, "biocore")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/biocore") //nolint:gosec // G204: a folder of the test
	build.Dir = moduleRoot(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build biocore: %v\n%s", err, out)
	}

	// Rate limits are per address, and all visitors come from one.
	arguments := append([]string{"dev", "--no-limits", "--port", "0", "--ops-port", "0"}, more...)
	if bin := os.Getenv("BIOCORE_PG_BIN"); bin != "" {
		arguments = append(arguments, "--pg-bin", bin)
	}
	server := exec.Command(binary, arguments...) //nolint:gosec,noctx // built above; stopped by hand, gently
	server.Dir = folder
	placePeople(t, folder)
	server.Env = withoutBiocore(os.Environ())
	output := &log{}
	server.Stdout, server.Stderr = output, output
	if err := server.Start(); err != nil {
		t.Fatalf("start biocore: %v", err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		if err := server.Wait(); err != nil {
			_, _ = fmt.Fprintf(output, "it ended: %v\n", err)
		}
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("biocore dev said:\n%s", output)
		}
		stop(t, server, exited)
	})
	return await(t, filepath.Join(folder, ".biocore", "dev.json"), exited, output)
}

// placePeople leaves in the server's folder where the addresses of the demo's people are.
func placePeople(t testing.TB, folder string) {
	t.Helper()
	data := filepath.Join(folder, ".biocore")
	if err := os.MkdirAll(data, 0o755); err != nil { //nolint:gosec // as the server makes it: Postgres's own account must reach its folder in here
		t.Fatalf("make %s: %v", data, err)
	}
	countries, networks := placetest.Documentation(t)
	for name, from := range map[string]string{"country.mmdb": countries, "asn.mmdb": networks} {
		if err := os.Rename(from, filepath.Join(data, name)); err != nil {
			t.Fatalf("place the people: %v", err)
		}
	}
}

// await returns when the server answers that it is ready.
func await(t testing.TB, told string, exited <-chan struct{}, output *log) *Biocore {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-exited:
			t.Fatalf("biocore dev ended before it was ready:\n%s", output)
		case <-ctx.Done():
			t.Fatalf("biocore dev is not ready after %s:\n%s", startTimeout, output)
		case <-ticker.C:
		}
		raw, err := os.ReadFile(told)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var b Biocore
		// Half-written is not ready either.
		if err != nil || json.Unmarshal(raw, &b) != nil || len(b.Tenants) == 0 {
			continue
		}
		if ready(ctx, b.APIURL) {
			return &b
		}
	}
}

func ready(ctx context.Context, apiURL string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, apiURL+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

func stop(t testing.TB, server *exec.Cmd, exited <-chan struct{}) {
	t.Helper()
	if err := server.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("interrupt biocore dev: %v", err)
	}
	select {
	case <-exited:
	case <-time.After(stopTimeout):
		t.Errorf("biocore dev still runs %s after Ctrl-C", stopTimeout)
		if err := server.Process.Kill(); err != nil {
			t.Errorf("kill biocore dev: %v", err)
		}
		<-exited
	}
}

// moduleRoot is where go.mod is, whichever package tests.
func moduleRoot(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatalf("find the module: %v", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// withoutBiocore drops what configures tests and other servers: biocore refuses
// variables of its own prefix that it doesn't know.
func withoutBiocore(environ []string) []string {
	var kept []string
	for _, one := range environ {
		if !strings.HasPrefix(one, "BIOCORE_") {
			kept = append(kept, one)
		}
	}
	return kept
}

// Call calls the API with the first tenant's secret key, as its server would,
// and decodes the answer into out. It fails the test unless the status is 200.
func (b *Biocore) Call(t testing.TB, method, path string, body, out any) {
	t.Helper()
	b.CallAs(t, b.Tenants[0].SecretKey, method, path, body, out)
}

// CallAs is Call with another key.
func (b *Biocore) CallAs(t testing.TB, key, method, path string, body, out any) {
	t.Helper()
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, b.APIURL+path, &sent)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(res.Body); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s = %d, want 200: %s", method, path, res.StatusCode, answer.String())
	}
	if err := json.Unmarshal(answer.Bytes(), out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

// log is a process's output, safe to read while it is written.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
