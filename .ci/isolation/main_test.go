package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
