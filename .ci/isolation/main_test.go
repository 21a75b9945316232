package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// ran is what go test says of every attack, but for what is replaced.
func ran(t *testing.T, replace ...string) outcomes {
	t.Helper()
	var b strings.Builder
	for _, a := range attacks {
		b.WriteString(`{"Action":"run","Test":"` + a.test + `"}` + "\n" + `{"Action":"pass","Test":"` + a.test + `/one_case"}` + "\n" + `{"Action":"pass","Test":"` + a.test + `"}` + "\n")
	}
	b.WriteString("FAIL\tnot an event\n" + `{"Action":"output","Test":"TestOther","Output":"x"}` + "\n" + `{"Action":"pass","Package":"db"}` + "\n")
	found := outcomes{}
	if err := found.read(strings.NewReader(strings.NewReplacer(replace...).Replace(b.String()))); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestChecks(t *testing.T) {
	all, err := ran(t).checks()
	if err != nil || len(all) != len(attacks) || all[0].Cases[0] != (caseDone{"one case", true}) || !all[0].Holds {
		t.Errorf("checks = %+v, %v", all, err)
	}
	failed, err := ran(t, `"pass","Test":"TestWallFindsEachHole`, `"fail","Test":"TestWallFindsEachHole`).checks()
	if err != nil || failed[1].Holds || failed[1].Cases[0].Holds {
		t.Errorf("a failed attack: %+v, %v", failed, err)
	}
	for name, replace := range map[string][]string{
		"was skipped": {`"pass","Test":"TestWallFindsEachHole/one_case"`, `"skip","Test":"TestWallFindsEachHole/one_case"`},
		"did not run": {`"Test":"TestAnotherTenantsRows`, `"Test":"TestRenamed`},
	} {
		if _, err := ran(t, replace...).checks(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is written is verified by what verifies an installation's reports.
func TestSigned(t *testing.T) {
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(dir, &releaseReport{Format: format, Version: "v1", Commit: "abc", Holds: true}, file); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	body, jws, jwks := read("isolation.json"), strings.TrimSpace(string(read("isolation.json.jws"))), read("isolation.jwks.json")
	if _, err := keys.VerifyDetached(jwks, signatureType, body, jws); err != nil {
		t.Errorf("VerifyDetached = %v", err)
	}
	if _, err := keys.VerifyDetached(jwks, signatureType, append(body, ' '), jws); err == nil {
		t.Error("another text is verified")
	}
	var r releaseReport
	if err := json.Unmarshal(body, &r); err != nil || r.Commit != "abc" {
		t.Errorf("%+v, %v", r, err)
	}
}

// What one has found and the other has not is named, whichever it is; and a mutation that survives is no release's report.
func TestAgain(t *testing.T) {
	made := func(replace ...string) *releaseReport {
		all, err := ran(t, replace...).checks()
		if err != nil {
			t.Fatal(err)
		}
		return &releaseReport{Format: format, Version: "v1.2.0", Commit: "abc", Clean: true, Holds: true, Checks: all}
	}
	good := made()
	if d := good.differ(made()); len(d) > 0 {
		t.Errorf("two of the same: %q", d)
	}
	survives := made(`"pass","Test":"TestWallFindsEachHole/one_case`, `"fail","Test":"TestWallFindsEachHole/one_case`)
	if d := good.differ(survives); len(d) != 1 || d[0] != "TestWallFindsEachHole: one case: it holds: true here, false there" {
		t.Errorf("a mutation that survives: %q", d)
	}
	var said strings.Builder
	survives.say(&said)
	if !strings.Contains(said.String(), "FAIL  TestWallFindsEachHole: one case") || !strings.Contains(said.String(), "0 of    1 hold  TestWallFindsEachHole") {
		t.Errorf("it says\n%s", said.String())
	}
	survives.Holds = false
	if survives.verdict() == nil || good.verdict() != nil {
		t.Error("a wall with a hole is a release's")
	}
	other := made()
	other.Commit, other.Checks = "def", other.Checks[1:]
	if d := good.differ(other); len(d) != 2 || !strings.HasPrefix(d[0], "the source: abc") || d[1] != "TestWallHasNoHoles: one case: it is not in the report" {
		t.Errorf("another source, and less: %q", d)
	}
	for name, tt := range map[string]struct{ tag, key string }{"another tag": {"v1.3.0", "k"}, "no key": {"v1.2.0", ""}} {
		if good.isOf(tt.tag, tt.key) == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if err := good.isOf("v1.2.0", "k"); err != nil {
		t.Error(err)
	}
}

// The workflow of a release makes the report, attests each file of it, attaches them, and runs nothing that its owner could replace.
func TestReleaseWorkflow(t *testing.T) {
	text, err := os.ReadFile("../../.github/workflows/release.yml")
	if err != nil {
		t.Fatal(err)
	}
	var flow struct {
		Jobs map[string]struct {
			Permissions map[string]string
			Steps       []struct {
				Uses, Run string
				With      map[string]any
			}
		}
	}
	if err := yaml.Unmarshal(text, &flow); err != nil {
		t.Fatal(err)
	}
	job := flow.Jobs["isolation"]
	made, attested, attached := -1, -1, -1
	for i, step := range job.Steps {
		if step.Uses != "" && !regexp.MustCompile(`^actions/[a-z-]+@[0-9a-f]{40}$`).MatchString(step.Uses) {
			t.Errorf("%s is not pinned by its commit", step.Uses)
		}
		files := fmt.Sprint(step.With["subject-path"], step.Run)
		all := strings.Contains(files, "bin/isolation.json\n") || strings.Contains(files, "bin/isolation.json ")
		all = all && strings.Contains(files, "bin/isolation.json.jws") && strings.Contains(files, "bin/isolation.jwks.json")
		switch {
		case strings.Contains(step.Run, "make isolation-report KEY=") && strings.Contains(step.Run, `RELEASE="$GITHUB_REF_NAME"`):
			made = i
		case strings.HasPrefix(step.Uses, "actions/attest-build-provenance@") && all:
			attested = i
		case strings.Contains(step.Run, "gh release upload") && all:
			attached = i
		}
	}
	if made < 0 || attested <= made || attached <= attested || job.Permissions["id-token"] != "write" || job.Permissions["attestations"] != "write" {
		t.Errorf("made by step %d, attested by %d, attached by %d, with %v", made, attested, attached, job.Permissions)
	}
}
