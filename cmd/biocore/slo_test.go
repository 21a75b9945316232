package main

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// A sign-in that the storage spoils is counted, written, and told by the API and the command:
// of its tenant, of all, and to no other tenant. Its refusals are no faults.
func TestServiceLevel(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.tenant(t, "acme"), w.tenant(t, "globex")
	w.enroll(t, acme, "alice")
	w.signIn(t, acme)
	assertion := w.assert(t, acme, acme.secret, map[string]any{}, authenticatortest.Deviation{})
	super := w.store.Superuser(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := super.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("REVOKE INSERT ON ceremonies FROM bc_app, bc_writer")
	if a := w.call(t, "POST", "/v1/authentications:finish", acme.secret, assertion); a.status != http.StatusInternalServerError {
		t.Fatalf("a sign-in that cannot be written: %s", a)
	}
	exec("GRANT INSERT ON ceremonies TO bc_app, bc_writer")
	if a := w.call(t, "POST", "/v1/authentications:finish", acme.secret, map[string]any{"authenticationId": "made-up"}); a.status >= 500 {
		t.Fatalf("a refusal: %s", a)
	}
	w.faults.Flush(t.Context())
	for _, c := range []*customer{acme, globex} {
		sc := scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorSystem, ID: "test"})
		if err := w.stats.Maintain(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
		if err := w.usage.Measure(t.Context(), sc); err != nil {
			t.Fatal(err)
		}
	}

	answered, _ := w.must(t, "GET", "/admin/v1/tenants/"+acme.id, w.platformKey, nil).at("availability", "answered").(float64)
	if answered < 2 {
		t.Fatalf("%v were answered, want the registration and the sign-in at least", answered)
	}
	if a := w.must(t, "GET", "/admin/v1/tenants/"+acme.id, w.platformKey, nil); a.at("availability", "faults") != 1.0 {
		t.Errorf("acme = %s, want one fault", a.raw)
	}
	if a := w.must(t, "GET", "/admin/v1/tenants/"+globex.id, w.platformKey, nil); a.at("availability", "faults") != 0.0 || a.at("availability", "percent") != nil {
		t.Errorf("globex = %s, want nothing tried, and no percentage", a.raw)
	}
	level := w.must(t, "GET", "/admin/v1/system", w.platformKey, nil)
	windows, _ := level.at("serviceLevel", "windows").([]any)
	well, _ := level.at("well").(bool)
	if well || len(windows) != 5 || level.at("serviceLevel", "objectivePercent") != 99.9 {
		t.Fatalf("system = %s, want five windows, 99.9 %%, and a need to look", level.raw)
	}
	for _, one := range windows {
		window, _ := one.(map[string]any)
		availability, _ := window["availability"].(map[string]any)
		if availability["answered"] != answered || availability["faults"] != 1.0 || window["mark"] != "PAGE" && window["mark"] != "TICKET" {
			t.Errorf("window = %v, want %v answered and one fault, burning", window, answered)
		}
	}
	if a := w.call(t, "GET", "/admin/v1/system", acme.secret, nil); a.status != http.StatusForbidden {
		t.Errorf("a tenant's key: %s", a)
	}

	s := newShell(t, w.cfg)
	for _, want := range []string{"WINDOW", "30d", "page", "objective   99.9 %", "budget left -"} {
		if out := s.must(t, "slo"); !strings.Contains(out, want) {
			t.Errorf("slo lacks %q:\n%s", want, out)
		}
	}
	if got := s.read(t, "slo"); len(got.items("windows")) != 5 {
		t.Errorf("slo --json = %s", got.raw)
	}
	if out := s.must(t, "tenant", "list"); !strings.Contains(out, "30 DAYS") || !regexp.MustCompile(`acme .* \d+(\.\d+)? %`).MatchString(out) {
		t.Errorf("tenant list:\n%s", out)
	}
}

func TestObjective(t *testing.T) {
	for value, good := range map[float64]bool{99.9: true, 90: true, 99.999: true, 100: false, 0: false, -1: false, 89.9: false} {
		cfg := Config{SLOObjective: value}
		if err := cfg.validObjective(); (err == nil) != good {
			t.Errorf("%v: %v", value, err)
		}
	}
}

// What the rules for Prometheus ask for, the server exports: each metric, each label, and of
// its methods the four of ceremonies.
func TestPrometheusRules(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t, "acme")
	w.enroll(t, acme, "alice")
	w.signIn(t, acme)
	super := w.store.Superuser(t)
	assertion := w.assert(t, acme, acme.secret, map[string]any{}, authenticatortest.Deviation{})
	if _, err := super.Exec(t.Context(), "REVOKE INSERT ON ceremonies FROM bc_app, bc_writer"); err != nil {
		t.Fatal(err)
	}
	if a := w.call(t, "POST", "/v1/authentications:finish", acme.secret, assertion); a.status != http.StatusInternalServerError {
		t.Fatalf("a sign-in that cannot be written: %s", a)
	}
	metrics := scrape(t, w.tel)
	text, err := os.ReadFile("../../deploy/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Record, Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	selector := regexp.MustCompile(`([a-z_:][a-zA-Z0-9_:]*)\{([^}]*)\}|biocore:[a-zA-Z0-9_:]+`)
	recorded, alerts, asked := []string{}, 0, 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			for _, use := range selector.FindAllStringSubmatch(r.Expr, -1) {
				asked++
				if name := use[1]; name == "" && !slices.Contains(recorded, use[0]) {
					t.Errorf("%s uses %s, which no rule before it records", r.Alert, use[0])
				} else if name != "" && !strings.Contains(metrics, "\n"+name+"{") {
					t.Errorf("%s uses the metric %s, which the server does not export", r.Record, name)
				}
				for _, m := range regexp.MustCompile(`(\w+)=~"([^"]*)"`).FindAllStringSubmatch(use[2], -1) {
					matches := regexp.MustCompile("^(?:" + m[2] + ")$")
					var met []string
					for _, v := range regexp.MustCompile(m[1]+`="([^"]*)"`).FindAllStringSubmatch(metrics, -1) {
						if matches.MatchString(v[1]) && !slices.Contains(met, v[1]) {
							met = append(met, v[1])
						}
					}
					slices.Sort(met)
					if want := map[string][]string{
						"rpc_method": {
							"biocore.auth.v1.AuthenticationService/BeginAuthentication", "biocore.auth.v1.AuthenticationService/FinishAuthentication",
							"biocore.auth.v1.RegistrationService/BeginRegistration", "biocore.auth.v1.RegistrationService/FinishRegistration",
						},
						"rpc_response_status_code": {"INTERNAL"}, // the one that was provoked
					}[m[1]]; !slices.Equal(met, want) {
						t.Errorf("%s asks for %s, and is given %v, want %v", r.Record, m[0], met, want)
					}
				}
			}
			if r.Record != "" {
				recorded = append(recorded, r.Record)
			} else {
				alerts++
			}
		}
	}
	if alerts != 4 || len(recorded) != 7 || asked != 22 {
		t.Errorf("%d alerts, %d recorded, %d selectors, want 4, 7 and 22", alerts, len(recorded), asked)
	}
}
