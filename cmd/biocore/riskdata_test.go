package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/risk/place/placetest"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scoring"
)

func TestRiskLists(t *testing.T) {
	for _, tt := range []struct{ text, want, wrong string }{
		{"", "[]", ""},
		{" tor = /a/tor.txt ,\n vpn=/a/vpn,", "[{tor /a/tor.txt} {vpn /a/vpn}]", ""},
		{"tor=/a=b", "[{tor /a=b}]", ""},
		{"tor=/a,vpn", "", "list 2 is label=/a/file"},
		{"tor=/a,Tor=/b", "", `list 2: the label "Tor"`},
		{"tor=/a,tor=/b", "", "list 2: there is a list"},
		{"tor=", "", "list 1: tor names no file"},
	} {
		cfg := Config{RiskNetworkLists: tt.text}
		got, err := cfg.riskLists()
		if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), "BIOCORE_RISK_NETWORK_LISTS: ") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.wrong)
		}
		if err == nil && fmt.Sprint(got) != tt.want {
			t.Errorf("%q = %v, want %s", tt.text, got, tt.want)
		}
		if all := cfg.validateServe(); (strings.Contains(all.Error(), "RISK_NETWORK_LISTS")) != (tt.wrong != "") {
			t.Errorf("%q: serve says %v", tt.text, all)
		}
	}
}

func TestJudgeRiskData(t *testing.T) {
	now := placetest.Built.AddDate(0, 0, 45)
	file := func(name string, days int, problem string) riskFile {
		at := now.AddDate(0, 0, -days)
		return riskFile{Name: name, DataFrom: &at, Holds: "7 nodes", Problem: problem}
	}
	for _, tt := range []struct {
		name  string
		files []riskFile
		want  verdict
		says  string
	}{
		{"none", nil, well, "none is configured"},
		{"fresh", []riskFile{file("country", 45, ""), file("list tor", 1, "")}, well, "country of 2026-11-01, 7 nodes\nlist tor of 2026-12-15"},
		{"old", []riskFile{file("country", 46, ""), file("asn", 0, "")}, doubtful, "country of 2026-10-31 is 46 days old"},
		{"broken", []riskFile{file("country", 99, ""), file("list tor", 0, "line 3: x")}, unwell, "list tor: line 3: x"},
		{"never read", []riskFile{{Name: "asn", Problem: "no such file"}}, unwell, "asn: no such file"},
	} {
		if got := judgeRiskData(tt.files, 45, now); got.Verdict != tt.want || !strings.Contains(got.Detail, tt.says) || (got.Fix == "") != (tt.want == well) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func TestRiskCommands(t *testing.T) {
	cfg := defaults()
	cfg.RiskCountryFile, cfg.RiskASNFile = placetest.Documentation(t)
	cfg.RiskNetworkLists = "vpn=" + writeTo(t, "vpn.txt", []byte("AS64496\n")) + ",tor=" + writeTo(t, "tor.txt", []byte("203.0.113.7\n"))
	sh := newShell(t, cfg)
	for _, tt := range []struct{ address, want string }{
		{"192.0.2.1", `{"address":"192.0.2.1","asn":64496,"country":"PT","countryName":"Portugal","lists":["vpn"],"network":"Example Telecom","public":"192.0.2.1"}`},
		{"::ffff:203.0.113.7", `{"address":"::ffff:203.0.113.7","country":"DE","countryName":"Germany","lists":["tor"],"public":"203.0.113.7"}`},
		{"10.0.0.1", `{"address":"10.0.0.1","lists":[]}`},
	} {
		var got map[string]any
		if err := json.Unmarshal([]byte(sh.must(t, "risk", "lookup", "--json", tt.address)), &got); err != nil {
			t.Fatal(err)
		}
		files, _ := got["files"].([]any)
		delete(got, "files")
		if text, _ := json.Marshal(got); string(text) != tt.want || len(files) != 4 {
			t.Errorf("lookup %s = %s, %d files", tt.address, text, len(files))
		}
	}
	if out := sh.must(t, "risk", "lookup", "192.0.2.1"); !strings.Contains(out, "PT, Portugal") || !strings.Contains(out, "AS64496 Example Telecom") || !strings.Contains(out, "2026-11-01, ") {
		t.Errorf("lookup for people: %s", out)
	}
	sh.refused(t, 2, "an address, such as", "risk", "lookup", "somewhere")

	good := placetest.Table(placetest.Built.AddDate(0, 1, 0), map[string]map[string]any{"192.0.2.0/24": placetest.Country("FR")})
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/country", http.StatusFound)
		case "/country":
			_, _ = w.Write(good)
		case "/list":
			_, _ = io.WriteString(w, "1.2.3.0/24\n")
		case "/broken":
			_, _ = w.Write(good[:len(good)/2])
		case "/short":
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(good)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(mirror.Close)
	target := filepath.Join(t.TempDir(), "country.mmdb")
	if err := os.WriteFile(target, []byte("what was there"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/broken": "cannot be used, and " + target + " stays as it was", "/list": "it is no MaxMind DB", "/none": "status 404", "/short": "unexpected EOF"} {
		sh.refused(t, 1, want, "risk", "fetch", "--kind", "country", "--url", mirror.URL+path, target)
		if raw, err := os.ReadFile(target); err != nil || string(raw) != "what was there" {
			t.Errorf("%s: the file is %q, %v", path, raw, err)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(target)); err != nil || len(left) != 1 {
		t.Errorf("fetches that failed leave %v, %v", left, err)
	}
	sh.refused(t, 2, "--url is required", "risk", "fetch", "--kind", "asn", target)
	sh.refused(t, 2, "--url is https://host/path", "risk", "fetch", "--kind", "asn", "--url", "http://mirror.example/x", target)
	sh.refused(t, 2, "--kind is country, asn or list", "risk", "fetch", "--url", mirror.URL+"/list", target)
	if out := sh.must(t, "risk", "fetch", "--kind", "country", "--url", mirror.URL+"/moved", target); !strings.Contains(out, "of 2026-12-01") {
		t.Errorf("fetch: %s", out)
	}
	if raw, err := os.ReadFile(target); err != nil || string(raw) != string(good) {
		t.Errorf("the file was not replaced: %v", err)
	}
	if got := sh.read(t, "risk", "fetch", "--kind", "list", "--url", mirror.URL+"/list", target); got.at("holds") != "1 networks, 0 autonomous systems" || got.at("path") != target {
		t.Errorf("fetch of a list: %s", got)
	}
}

func TestRiskMetrics(t *testing.T) {
	quiet(t)
	tel := start(t, TelemetryConfig{LogOutput: io.Discard})
	cfg := Config{RiskNetworkLists: "tor=/no/such/file"}
	cfg.RiskCountryFile, _ = placetest.Documentation(t)
	places := cfg.openPlaces(t.Context(), tel, time.Now)
	lists, err := cfg.openLists(t.Context(), tel, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	counts := new(scoring.Counts)
	if err := tel.ObserveRiskData(places, lists, func() time.Time { return placetest.Built.Add(time.Hour) }); err != nil {
		t.Fatal(err)
	}
	if err := tel.ObserveScoring(counts); err != nil {
		t.Fatal(err)
	}
	metrics := scrape(t, tel)
	for _, want := range []string{
		`biocore_risk_data_age_seconds{file="country"} 3600`, `biocore_risk_data_broken{file="country"} 0`, `biocore_risk_data_broken{file="list tor"} 1`,
		`biocore_risk_data_failures_total{file="list tor"} 1`, `biocore_risk_provider_questions_total{kind="FEEDZAI",outcome="TIMEOUT"} 0`,
		`biocore_risk_provider_time_seconds_total{kind="THREATMETRIX"} 0`,
	} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("metrics lack %q", want)
		}
	}
	if strings.Contains(metrics, `data_age_seconds{file="list tor"}`) {
		t.Error("a file that was never read has an age")
	}
}

// The API tells where a session's address is, by the files as they are now; of an erased user it tells nothing.
func TestSessionPlaces(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.RiskCountryFile, cfg.RiskASNFile = placetest.Documentation(t)
	w := startWorld(t, store, cfg)
	c := w.tenant(t, "acme")
	w.enroll(t, c, "alice")
	w.signIn(t, c)
	list := "/v1/users/" + c.user + "/sessions"
	where := func(a answer, path ...string) string {
		one := answer{body: map[string]any{"of": a.at(path...)}}
		return fmt.Sprint(one.at("of", "country"), " ", one.at("of", "asn"), " ", one.at("of", "network"))
	}
	const nowhere, portugal = "<nil> <nil> <nil>", "PT 64496 Example Telecom"
	if got := where(w.must(t, "GET", list, c.secret, nil), "sessions", "0"); got != nowhere {
		t.Errorf("of a loopback address: %s", got)
	}
	if _, err := store.Superuser(t).Exec(t.Context(), "UPDATE sessions SET address = '192.0.2.7'"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{list, "/v1/users/-/sessions"} {
		if got := where(w.must(t, "GET", path, c.secret, nil), "sessions", "0"); got != portugal {
			t.Errorf("%s: %s", path, got)
		}
	}
	refreshed := w.must(t, "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": c.refresh})
	if got := where(refreshed, "session"); got != portugal {
		t.Errorf("refreshed: %s", got)
	}
	if got := where(w.must(t, "POST", "/v1/sessions/"+c.session+":revoke", c.secret, map[string]any{}), "session"); got != portugal {
		t.Errorf("revoked: %s", got)
	}
	w.must(t, "DELETE", "/v1/users/"+c.user, c.secret, nil)
	if got := w.must(t, "GET", "/v1/users/-/sessions", c.secret, nil); got.at("sessions", "0") != nil {
		t.Errorf("after the user was erased: %s", got)
	}
}
