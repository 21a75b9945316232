package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
	"github.com/biocore-id/biocore/db/dbtest"
)

// writeTo makes a file in a folder of the test's own.
func writeTo(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMDSCommands(t *testing.T) {
	by, stranger := mdstest.New(t), mdstest.New(t)
	cfg := testConfig(t, dbtest.Fresh(t), dbtest.Redis(t))
	cfg.MDSRootsFile = writeTo(t, "roots.pem", by.RootPEM())
	sh := newShell(t, cfg)
	model := uuid.New()
	blob := func(number int, reports ...mdstest.Report) []byte {
		return by.Sign(t, mdstest.BLOB{Number: number, Entries: []mdstest.Entry{{AAGUID: model, Name: "Key", Reports: reports}}})
	}
	if got := sh.read(t, "mds", "status"); got.is("known") {
		t.Errorf("status of nothing: %s", got)
	}
	if out := sh.must(t, "mds", "status"); !strings.Contains(out, "No metadata is known") {
		t.Errorf("status of nothing, for people: %s", out)
	}
	sh.refused(t, 1, "no source is configured", "mds", "sync")
	sh.refused(t, 2, "exclude each other", "mds", "sync", "--file", "x", "--url", "https://x/")
	if out := sh.must(t, "mds", "sync", "--file", writeTo(t, "7", blob(7))); !strings.Contains(out, "Number 7 is in use: 1 models") {
		t.Errorf("sync: %s", out)
	}
	if out := sh.must(t, "mds", "sync", "--file", writeTo(t, "7", blob(7))); !strings.Contains(out, "Number 7 is known already") {
		t.Errorf("sync again: %s", out)
	}
	sh.refused(t, 1, "older than what is known", "mds", "sync", "--file", writeTo(t, "6", blob(6)))
	sh.refused(t, 1, "no root that is trusted", "mds", "sync", "--file", writeTo(t, "9", stranger.Sign(t, mdstest.BLOB{Number: 9})))
	sh.refused(t, 1, "is no BLOB", "mds", "sync", "--file", writeTo(t, "9", blob(9)[:300]))
	sh.refused(t, 1, "cannot be fetched", "mds", "sync", "--file", "/no/such/file")
	got := sh.read(t, "mds", "sync", "--file", writeTo(t, "8", blob(8, mdstest.Report{Status: mds.Revoked})))
	changes, _ := got.at("changes").([]any)
	if !got.is("changed") || got.at("number") != 8.0 || len(changes) != 1 || got.at("reported") != 1.0 {
		t.Errorf("sync of a report: %s", got)
	}
	if got := sh.read(t, "mds", "status"); !got.is("known") || got.is("stale") || got.at("number") != 8.0 || got.at("entries") != 1.0 {
		t.Errorf("status: %s", got)
	}
	if out := sh.must(t, "mds", "sync", "--file", writeTo(t, "9", blob(9))); !strings.Contains(out, model.String()) || !strings.Contains(out, "REVOKED") {
		t.Errorf("sync of what is taken back: %s", out)
	}
	sh.must(t, "mds", "sync", "--file", writeTo(t, "10", by.Sign(t, mdstest.BLOB{Number: 10, NextUpdate: time.Now().AddDate(0, 0, -9)})))
	if out := sh.must(t, "mds", "status"); !strings.Contains(out, "it is stale") {
		t.Errorf("status of what is stale: %s", out)
	}
}

// What is fetched comes from the host that was named, and has an end.
func TestFetchMDS(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("elsewhere")) }))
	defer elsewhere.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/blob", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("blob")) })
	mux.Handle("/moved", http.RedirectHandler("/blob", http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.Handle("/away", http.RedirectHandler(elsewhere.URL+"/", http.StatusFound))
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		piece := make([]byte, 1<<20)
		for range mds.MaxBytes>>20 + 1 {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	here := httptest.NewServer(mux)
	defer here.Close()
	file := writeTo(t, "blob", []byte("blob"))
	for source, want := range map[string]string{
		here.URL + "/blob":      "",
		here.URL + "/moved":     "",
		"file://" + file:        "",
		here.URL + "/round":     "redirects elsewhere",
		here.URL + "/away":      "redirects elsewhere",
		here.URL + "/none":      "status 404",
		here.URL + "/long":      "more than",
		"http://mds.example/":   "is https://",
		"ftp://localhost/":      "is https://",
		"file://" + file + "no": "no such file",
		"":                      "",
	} {
		blob, err := fetchMDS(t.Context(), source)
		switch {
		case source == "":
			if err == nil {
				t.Error("nothing was fetched from nowhere")
			}
		case want == "" && (err != nil || string(blob) != "blob"):
			t.Errorf("%s: %q, %v", source, blob, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", source, err, want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := fetchMDS(ended, here.URL+"/blob"); err == nil {
		t.Error("a fetch outlives its context")
	}
}

// A report in a BLOB that an operator brings reaches the credentials of a tenant, by the
// jobs of a server that runs, as the tenant's policy says.
func TestReportedModelIsDisposedOf(t *testing.T) {
	store := dbtest.Fresh(t)
	by := mdstest.New(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.MDSRootsFile = writeTo(t, "roots.pem", by.RootPEM())
	w := startWorld(t, store, cfg)
	c := w.tenant(t, "acme")
	w.setPolicy(t, c, `{"authenticatorStatus":"SUSPEND"}`)
	w.enroll(t, c, "alice")
	superuser := store.Superuser(t)
	row := func(column string) (value string) {
		t.Helper()
		if err := superuser.QueryRow(t.Context(), "SELECT "+column+"::text FROM credentials LIMIT 1").Scan(&value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	model := uuid.New() // clients that were asked for no attestation leave the model out
	if _, err := superuser.Exec(t.Context(), "UPDATE credentials SET aaguid = $1", model); err != nil {
		t.Fatal(err)
	}
	sh := newShell(t, cfg)
	sh.must(t, "mds", "sync", "--file", writeTo(t, "7", by.Sign(t, mdstest.BLOB{Number: 7, Entries: []mdstest.Entry{
		{AAGUID: model, Name: "Key", Reports: []mdstest.Report{{Status: mds.UserKeyRemoteCompromise}}},
	}})))
	limit := time.After(100 * time.Second)
	for row("state") != "SUSPENDED" {
		select {
		case <-limit:
			t.Fatalf("the credential is %s", row("state"))
		case <-time.After(200 * time.Millisecond):
		}
	}
	if snap := w.mds.Current(); snap == nil || snap.Number != 7 {
		t.Errorf("the server knows %+v", snap)
	}
	if got := signInOn(w)(t, c); got != "CREDENTIAL_SUSPENDED" {
		t.Errorf("sign-in = %s", got)
	}
}
