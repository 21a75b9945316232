package archive_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/archive"
)

// entry is a file of an archive, unpacked.
type entry struct {
	name string
	text []byte
}

func unpack(t testing.TB, raw []byte) []entry {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var all []entry
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry{f.Name, text})
	}
	return all
}

func pack(t testing.TB, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		w, err := z.Create(e.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever is changed of what the archive says turns it red, and the finding names the file.
func TestVerify(t *testing.T) {
	d := newDepot(t)
	acme := d.large(t)
	_, raw := d.made(t, acme)
	whole := unpack(t, raw)
	if r := verify(t, pack(t, whole), d.Ring(t, acme).JWKS()); !r.Valid() {
		t.Fatalf("packed anew: %+v", r.Findings)
	}
	edit := func(name string, change func([]byte) []byte) []entry {
		out := make([]entry, len(whole))
		for i, e := range whole {
			out[i] = e
			if e.name == name {
				out[i].text = change(bytes.Clone(e.text))
			}
		}
		return out
	}
	drop := func(name string) []entry {
		var out []entry
		for _, e := range whole {
			if e.name != name {
				out = append(out, e)
			}
		}
		return out
	}
	lines := func(text []byte) [][]byte { return bytes.SplitAfter(text, []byte("\n")) }
	for name, tt := range map[string]struct {
		archive []entry
		file    string
	}{
		"a byte":             {edit("credentials.jsonl", func(b []byte) []byte { b[10] ^= 1; return b }), "credentials.jsonl"},
		"the last byte":      {edit("credentials.jsonl", func(b []byte) []byte { b[len(b)-1] = ' '; return b }), "credentials.jsonl"},
		"a line dropped":     {edit("credentials.jsonl", func(b []byte) []byte { return bytes.Join(lines(b)[1:], nil) }), "credentials.jsonl"},
		"the end cut":        {edit("credentials.jsonl", func(b []byte) []byte { return b[:len(b)/2] }), "credentials.jsonl"},
		"a line twice":       {edit("users.jsonl", func(b []byte) []byte { return append(b, b...) }), "users.jsonl"},
		"a line in an empty": {edit("imports.jsonl", func([]byte) []byte { return []byte("{}\n") }), "imports.jsonl"},
		"no JSON":            {edit("users.jsonl", func(b []byte) []byte { return append([]byte("x"), b[1:]...) }), "users.jsonl"},
		"a file dropped":     {drop("users.jsonl"), "users.jsonl"},
		"a file added":       {append(drop(""), entry{"more.jsonl", []byte("{}\n")}), "more.jsonl"},
		"a file twice":       {append(drop(""), whole[0]), whole[0].name},
		"a manifest that fits the changed file": {edit("manifest.json", func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"slug": "`), []byte(`"slug": "x`), 1)
		}), "manifest.json"},
		"another signature": {edit("signature.json", func(b []byte) []byte {
			i := bytes.Index(b, []byte("..")) + 10
			b[i] ^= 1
			return b
		}), "manifest.json"},
		"no signature":          {drop("signature.json"), "signature.json"},
		"a signature of no key": {edit("signature.json", func([]byte) []byte { return []byte(`{"signature":"a..b","key":{}}`) }), "signature.json"},
	} {
		t.Run(name, func(t *testing.T) {
			r := verify(t, pack(t, tt.archive), nil)
			if r.Valid() || r.Findings[0].File != tt.file && r.Findings[len(r.Findings)-1].File != tt.file {
				t.Errorf("findings = %+v, want one of %s", r.Findings, tt.file)
			}
			for _, f := range r.Findings {
				if f.File != tt.file {
					t.Errorf("finding of another file: %+v", f)
				}
			}
		})
	}
	for name, bytes := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "half": raw[:len(raw)/2], "a zip of others": pack(t, []entry{{"a", nil}}), "no manifest": pack(t, drop("manifest.json")),
		"a manifest that is none": pack(t, edit("manifest.json", func([]byte) []byte { return []byte("[]") })),
		"a later format": pack(t, edit("manifest.json", func(b []byte) []byte {
			return []byte(strings.Replace(string(b), archive.Format, "biocore-export/2", 1))
		})),
	} {
		if _, err := archive.Verify(reader(bytes), int64(len(bytes)), nil); !errors.Is(err, archive.ErrArchive) {
			t.Errorf("%s: Verify = %v", name, err)
		}
	}
}

func reader(raw []byte) io.ReaderAt { return bytes.NewReader(raw) }

// Each byte of what is packed counts: where one is flipped the archive is no longer whole,
// unless it is one of those that unpacking does not look at (times, hints of a file system).
func TestVerifyEachFlippedByte(t *testing.T) {
	d := newDepot(t)
	_, raw := d.made(t, d.Tenant(t))
	whole := fmt.Sprint(unpack(t, raw))
	for i := 0; i < len(raw); i += 3 {
		changed := bytes.Clone(raw)
		changed[i] ^= 0x41
		r, err := archive.Verify(bytes.NewReader(changed), int64(len(changed)), nil)
		if err == nil && r.Valid() && fmt.Sprint(unpack(t, changed)) != whole {
			t.Fatalf("byte %d may be another, and what is unpacked differs", i)
		}
	}
}

// FuzzVerify: no archive, however it is made, does more than be refused.
func FuzzVerify(f *testing.F) {
	f.Add([]byte("PK\x05\x06"))
	f.Add(pack(f, []entry{{"manifest.json", []byte(`{"format":"biocore-export/1","files":[{"name":"a"},{"name":"a"},{"name":"manifest.json"}]}`)}, {"a", []byte("{}\n")}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := archive.Verify(bytes.NewReader(raw), int64(len(raw)), nil)
		if err == nil && r.Valid() {
			t.Errorf("an archive without a signature is valid: %q", raw)
		}
	})
}
