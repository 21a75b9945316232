package bundle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
)

// A bundle is held to heads that others have kept: those within it, at its edges, and those that it does not reach.
func TestVerifyAgainstHeads(t *testing.T) {
	l, key := newLog(t, 7)
	head := func(size int64) merkle.Checkpoint {
		var e merkle.Edge
		for i := range size {
			e.Append(merkle.Leaf(i, text(i)))
		}
		return merkle.Checkpoint{Origin: origin, Size: size, Root: e.Root()}
	}
	other := func(c merkle.Checkpoint) merkle.Checkpoint { c.Root[3] ^= 1; return c }
	for name, tt := range map[string]struct {
		heads    []merkle.Checkpoint
		anchored int
		want     string
	}{
		"none":                    {nil, 0, ""},
		"where it begins":         {[]merkle.Checkpoint{head(7)}, 1, ""},
		"within":                  {[]merkle.Checkpoint{head(19), head(8), head(30)}, 3, ""},
		"another where it begins": {[]merkle.Checkpoint{other(head(7))}, 0, "entries 0 to 6: something of these"},
		"another within":          {[]merkle.Checkpoint{head(12), other(head(19))}, 1, "entries 0 to 18: something of these"},
		"beyond":                  {[]merkle.Checkpoint{head(33)}, 0, "entries 30 to 32: missing"},
		"before":                  {[]merkle.Checkpoint{head(5)}, 0, "entries 5 to 6: before the bundle"},
	} {
		r, err := bundle.Verify(bytes.NewReader(l.bytes(t)), key, tt.heads...)
		if err != nil || r.Anchored != tt.anchored || r.Valid() != (tt.want == "") {
			t.Errorf("%s: %+v, %v", name, r, err)
			continue
		}
		if tt.want != "" && !strings.Contains(r.Findings[0].String(), tt.want) {
			t.Errorf("%s: %s", name, r.Findings)
		}
	}
	foreign := head(10)
	foreign.Origin = "elsewhere"
	if _, err := bundle.Verify(bytes.NewReader(l.bytes(t)), key, foreign); !errors.Is(err, bundle.ErrKey) {
		t.Errorf("a head of another log = %v", err)
	}
}

// heads is a log of heads of 30 lines in the place of l's.
func heads(t *testing.T, from int64) (l log, key string) {
	t.Helper()
	l, key = newLog(t, from)
	l.header.Format, l.header.TenantID = bundle.HeadsFormat, ""
	return l, key
}

func TestReadAnchor(t *testing.T) {
	l, _ := heads(t, 7)
	h, lines, err := bundle.ReadAnchor(l.bytes(t))
	if err != nil || h.From != 7 || len(lines) != 23 || lines[0].Seq != 7 || lines[0].Entry != text(7) {
		t.Fatalf("ReadAnchor = %+v, %d lines, %v", h, len(lines), err)
	}
	for name, change := range map[string]func(*log){
		"changed":             func(l *log) { l.lines[3].Entry = "{}" },
		"cut off":             func(l *log) { l.lines = l.lines[:20] },
		"of a tenant":         func(l *log) { l.header.TenantID = tenant },
		"a bundle of a log":   func(l *log) { l.header.Format, l.header.TenantID = bundle.Format, tenant },
		"changed with hashes": func(l *log) { l.lines[3].Entry = "{}"; l.lines[3].Leaf = merkle.Leaf(l.lines[3].Seq, "{}") },
	} {
		l, _ := heads(t, 7)
		change(&l)
		if _, _, err := bundle.ReadAnchor(l.bytes(t)); !errors.Is(err, bundle.ErrFormat) {
			t.Errorf("%s = %v, want ErrFormat", name, err)
		}
	}
}

// What shows that a head was anchored shows no other head, and nothing by another key.
func TestAnchoredHead(t *testing.T) {
	l, key := heads(t, 0)
	line, err := json.Marshal(bundle.Head{TenantID: tenant, Origin: origin, Size: 4, Root: merkle.Leaf(0, "x")})
	if err != nil {
		t.Fatal(err)
	}
	var p merkle.Piece
	var e merkle.Edge
	for i := range int64(10) {
		entry := text(i)
		if i == 6 {
			entry = string(line)
		}
		leaf := merkle.Leaf(i, entry)
		e.Append(leaf)
		p.Leaves = append(p.Leaves, leaf)
	}
	_, foreign := heads(t, 0)
	hashes, err := p.Prove(6)
	if err != nil {
		t.Fatal(err)
	}
	signed := l.sign(t, e)
	good := bundle.AnchoredHead{Entry: string(line), Sequence: 6, Hashes: hashes, Checkpoint: bundle.AnchorNote{Note: signed}, VerifierKey: key}
	for _, k := range []string{key, ""} {
		if h, err := good.Check(k); err != nil || h.Size != 4 || h.Checkpoint().Origin != origin {
			t.Errorf("Check(%q) = %+v, %v", k, h, err)
		}
	}
	if _, err := good.Check(foreign); !errors.Is(err, bundle.ErrAnchor) {
		t.Errorf("by another key = %v", err)
	}
	for name, change := range map[string]func(*bundle.AnchoredHead){
		"another head":  func(a *bundle.AnchoredHead) { a.Entry = strings.Replace(a.Entry, `"size":4`, `"size":5`, 1) },
		"another place": func(a *bundle.AnchoredHead) { a.Sequence = 5 },
		"another path":  func(a *bundle.AnchoredHead) { a.Hashes = slices.Clone(a.Hashes); a.Hashes[0][0] ^= 1 },
		"no path":       func(a *bundle.AnchoredHead) { a.Hashes = nil },
		"no signature":  func(a *bundle.AnchoredHead) { a.Checkpoint.Note = "x" },
		"no key":        func(a *bundle.AnchoredHead) { a.VerifierKey = "x" },
		"before it":     func(a *bundle.AnchoredHead) { a.Sequence = -1 },
	} {
		a := good
		change(&a)
		if h, err := a.Check(""); !errors.Is(err, bundle.ErrAnchor) {
			t.Errorf("%s = %+v, %v, want ErrAnchor", name, h, err)
		}
	}
	if _, err := (&bundle.AnchoredHead{Entry: text(0), Sequence: 0, Hashes: first(t, p), Checkpoint: good.Checkpoint, VerifierKey: key}).Check(""); !errors.Is(err, bundle.ErrAnchor) {
		t.Errorf("a line that is no head = %v", err)
	}
}

func first(t *testing.T, p merkle.Piece) []merkle.Hash {
	t.Helper()
	hashes, err := p.Prove(0)
	if err != nil {
		t.Fatal(err)
	}
	return hashes
}
