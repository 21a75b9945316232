package report_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/report"
)

// repacked is a bundle with something done to its files; a nil body leaves one out.
func repacked(t *testing.T, packed []byte, change func(files map[string][]byte)) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	files, names := map[string][]byte{}, []string{}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name)
	}
	change(files)
	for name := range files {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range names {
		body, there := files[name]
		if !there {
			continue
		}
		part, err := w.Create(name)
		if err == nil {
			_, err = part.Write(body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A bundle shows by itself that it is whole and that the entries it names are in the log, and each thing that is done to it is named:
// a figure that is edited, a part that is missing or too many, another tenant's key, a proof or an entry that is tampered with, also
// where whoever did it has signed anew. A check left out turns it red.
func TestEvidenceBundle(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create", "user.delete", "policy.update", "signingkey.activate")
	o := p.made(t, p.acme, "gdpr-records", today())
	packed := p.file(t, p.acme, o.ID, "")
	if again := p.file(t, p.acme, o.ID, ""); !bytes.Equal(packed, again) {
		t.Error("two downloads differ")
	}
	ours, err := p.keys.Ring(t.Context(), p.acme)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := p.keys.Ring(t.Context(), p.globex)
	if err != nil {
		t.Fatal(err)
	}
	for _, jwks := range [][]byte{nil, ours.JWKS()} {
		v, err := report.VerifyBundle(packed, jwks)
		if err != nil || len(v.Findings) > 0 || v.Proven < 2 || len(v.Unproven) > 0 || len(v.Manifest.Evidence) != 3 {
			t.Fatalf("VerifyBundle = %+v, %v", v, err)
		}
	}
	// signed anew is what somebody does who has a key: their own.
	resigned := func(files map[string][]byte, name string, ring *keys.Ring) {
		jws, _, err := keys.SignDetached(t.Context(), ring, report.SignatureType, files[name])
		if err != nil {
			t.Fatal(err)
		}
		files[name+report.SignatureSuffix] = []byte(jws + "\n")
	}
	// renamed puts a body under the manifest, and signs both by the tenant's own key: what is left to find is in what it says.
	renamed := func(files map[string][]byte, name string) {
		var m report.Manifest
		if err := json.Unmarshal(files[report.ManifestName], &m); err != nil {
			t.Fatal(err)
		}
		for _, part := range [][]report.ManifestFile{m.Files, m.Evidence} {
			for i := range part {
				if part[i].Name == name {
					part[i].Bytes, part[i].SHA256 = len(files[name]), report.HexOf(files[name])
				}
			}
		}
		text, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		files[report.ManifestName] = append(text, '\n')
		resigned(files, name, ours)
		resigned(files, report.ManifestName, ours)
	}
	audit := func(files map[string][]byte, change func(a *report.Audited)) {
		var a report.Audited
		if err := json.Unmarshal(files[report.AuditName], &a); err != nil {
			t.Fatal(err)
		}
		change(&a)
		text, err := json.MarshalIndent(a, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		files[report.AuditName] = append(text, '\n')
		renamed(files, report.AuditName)
	}
	other := p.file(t, p.globex, p.made(t, p.globex, "gdpr-records", today()).ID, "")
	for name, tt := range map[string]struct {
		jwks   []byte
		change func(files map[string][]byte)
		want   string
	}{
		"an edited figure": {nil, func(files map[string][]byte) {
			files[report.JSONName] = bytes.Replace(files[report.JSONName], []byte(`"figure": 1`), []byte(`"figure": 9`), 1)
		}, "report.json: it is not as it was signed"},
		"an edited figure, signed by another tenant": {ours.JWKS(), func(files map[string][]byte) {
			files[report.JSONName] = bytes.Replace(files[report.JSONName], []byte(`"figure": 1`), []byte(`"figure": 9`), 1)
			resigned(files, report.JSONName, theirs)
		}, "report.json: it is not as it was signed, or by another key"},
		"another tenant's key set": {theirs.JWKS(), func(map[string][]byte) {}, "manifest.json: it is not as it was signed, or by another key"},
		"a part that is missing":   {nil, func(files map[string][]byte) { delete(files, report.PDFName) }, "report.pdf: it is missing"},
		"a signature less":         {nil, func(files map[string][]byte) { delete(files, report.CSVName+report.SignatureSuffix) }, "report.csv: it is not as it was signed"},
		"no proofs":                {nil, func(files map[string][]byte) { delete(files, report.AuditName) }, "audit.json: it is missing"},
		"a part too many":          {nil, func(files map[string][]byte) { files["more.pdf"] = []byte("%PDF-") }, "more.pdf: the manifest does not name it"},
		"a tampered proof":         {nil, func(files map[string][]byte) { audit(files, func(a *report.Audited) { a.Entries[0].Proof[0][0] ^= 1 }) }, "is not in the log under the checkpoint"},
		"a tampered entry": {ours.JWKS(), func(files map[string][]byte) {
			audit(files, func(a *report.Audited) { a.Entries[1].Entry += " " })
		}, "is not in the log under the checkpoint"},
		"an entry less": {nil, func(files map[string][]byte) { audit(files, func(a *report.Audited) { a.Entries = a.Entries[1:] }) }, "which the report names, is missing"},
		"another checkpoint": {nil, func(files map[string][]byte) {
			audit(files, func(a *report.Audited) { a.Checkpoint = strings.Replace(a.Checkpoint, "\n", "x\n", 1) })
		}, "the checkpoint is not signed by the log's key"},
		"another tenant's proofs": {nil, func(files map[string][]byte) {
			repacked(t, other, func(foreign map[string][]byte) { files[report.AuditName] = foreign[report.AuditName] })
			renamed(files, report.AuditName)
		}, "its checkpoint is not that of the manifest"},
		"another tenant's body": {nil, func(files map[string][]byte) {
			repacked(t, other, func(foreign map[string][]byte) { files[report.JSONName] = foreign[report.JSONName] })
			renamed(files, report.JSONName)
		}, "it is of another tenant, catalogue or period"},
		"another's key set in it": {nil, func(files map[string][]byte) {
			files[report.JWKSName] = append(theirs.JWKS(), '\n')
			renamed(files, report.JWKSName)
		}, "jwks.json: the key that signed the manifest is not in it"},
	} {
		v, err := report.VerifyBundle(repacked(t, packed, tt.change), tt.jwks)
		if err != nil || !strings.Contains(strings.Join(v.Findings, "\n"), tt.want) {
			t.Errorf("%s: %v, %q, want %q", name, err, v.Findings, tt.want)
		}
	}
	if n := p.store.AuditCount(t, p.acme, "report.download"); n != 2 {
		t.Errorf("%d downloads are recorded", n)
	}
}

// What the log does not show any more is said, and the report is made.
func TestEvidenceOfDamage(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create", "user.delete")
	p.exec(t, "UPDATE audit_entries SET entry = replace(entry, 'user.delete', 'user.remove') WHERE tenant_id = $1 AND action = 'user.delete'", p.acme.Tenant())
	o := p.made(t, p.acme, "gdpr-records", today())
	v, err := report.VerifyBundle(p.file(t, p.acme, o.ID, ""), nil)
	if err != nil || len(v.Findings) > 0 || len(v.Unproven) == 0 || v.Unproven[0].Why != "it is not what the log has the hash of" {
		t.Errorf("VerifyBundle = %+v, %v", v, err)
	}
}
