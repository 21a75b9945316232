package bundle_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
)

// cut is the piece of a log between two of its checkpoints' sizes, in a bundle of its own.
func (l *log) cut(from, to int64) log {
	part := log{signer: l.signer, header: l.header}
	part.header.From, part.header.To, part.header.Checkpoints = from, to, slices.Clone(l.header.Checkpoints[from/10:to/10])
	part.lines = slices.Clone(l.lines[from:to])
	var e merkle.Edge
	for i := range from {
		e.Append(l.lines[i].Leaf)
	}
	part.header.Edge = slices.Clone(e.Roots)
	return part
}

// Bundles that follow one another are verified as one: each in itself, and at their edges.
func TestVerifyAll(t *testing.T) {
	whole, key := newLog(t, 0)
	other, _ := newLog(t, 0)
	other.signer, other.header.VerifierKey = whole.signer, key
	other.lines[3].Entry = `{"v":1,"tenantId":"` + tenant + `","n":"another"}`
	other.lines[3].Leaf = merkle.Leaf(3, other.lines[3].Entry)
	var e merkle.Edge
	for i, line := range other.lines { // the same key has signed it all the same
		e.Append(line.Leaf)
		if size := int64(i + 1); size%10 == 0 {
			other.header.Checkpoints[size/10-1] = other.sign(t, e)
		}
	}
	head := merkle.Checkpoint{Origin: origin, Size: 20}
	e = merkle.Edge{}
	for i := range int64(20) {
		e.Append(merkle.Leaf(i, text(i)))
	}
	head.Root = e.Root()
	for name, tt := range map[string]struct {
		parts []log
		want  []string
		err   error
	}{
		"in two":              {[]log{whole.cut(0, 10), whole.cut(10, 30)}, nil, nil},
		"in three":            {[]log{whole.cut(0, 10), whole.cut(10, 20), whole.cut(20, 30)}, nil, nil},
		"not from 0 on":       {[]log{whole.cut(10, 20), whole.cut(20, 30)}, nil, nil},
		"one is missing":      {[]log{whole.cut(0, 10), whole.cut(20, 30)}, nil, bundle.ErrOrder},
		"in disorder":         {[]log{whole.cut(10, 20), whole.cut(0, 10)}, nil, bundle.ErrOrder},
		"one twice":           {[]log{whole.cut(0, 10), whole.cut(0, 10)}, nil, bundle.ErrOrder},
		"a fork":              {[]log{whole.cut(0, 20), other.cut(20, 30)}, []string{"entries 0 to 19: something of these is not what it was"}, nil},
		"one ends early":      {[]log{short(whole.cut(0, 10)), whole.cut(10, 30)}, []string{"entry 9: missing"}, nil},
		"one is changed":      {[]log{whole.cut(0, 10), edited(whole.cut(10, 20), 4), whole.cut(20, 30)}, []string{"entry 14: its text is not the one"}, nil},
		"the last is changed": {[]log{whole.cut(0, 10), whole.cut(10, 20), edited(whole.cut(20, 30), 9)}, []string{"entry 29: its text is not the one"}, nil},
	} {
		var files []io.Reader
		var seekers []io.ReadSeeker
		for i := range tt.parts {
			file := bytes.NewReader(tt.parts[i].bytes(t))
			files, seekers = append(files, file), append(seekers, file)
		}
		if from, err := bundle.From(seekers[0]); err != nil || from != tt.parts[0].header.From {
			t.Errorf("%s: From = %d, %v", name, from, err)
		}
		r, err := bundle.VerifyAll(files, key, head)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", name, err, tt.err)
		}
		if err != nil {
			continue
		}
		first, last := tt.parts[0].header, tt.parts[len(tt.parts)-1].header
		if r.Header.From != first.From || r.Header.To != last.To || r.Anchored != 1 || len(r.Findings) != len(tt.want) {
			t.Errorf("%s: %+v", name, r)
		}
		for i := range min(len(r.Findings), len(tt.want)) {
			if !strings.HasPrefix(r.Findings[i].String(), tt.want[i]) {
				t.Errorf("%s: finding %q, want %q", name, r.Findings[i], tt.want[i])
			}
		}
	}
	if _, err := bundle.From(strings.NewReader("{}")); !errors.Is(err, bundle.ErrFormat) {
		t.Errorf("From of no bundle = %v", err)
	}
	stranger, _ := newLog(t, 0)
	if _, err := bundle.VerifyAll([]io.Reader{bytes.NewReader(cutBytes(t, &whole, 0, 10)), bytes.NewReader(cutBytes(t, &stranger, 10, 20))}, ""); !errors.Is(err, bundle.ErrKey) {
		t.Errorf("one of another key = %v, want ErrKey", err)
	}
}

func cutBytes(t *testing.T, l *log, from, to int64) []byte {
	part := l.cut(from, to)
	return part.bytes(t)
}

func short(l log) log {
	l.lines = l.lines[:len(l.lines)-1]
	return l
}

func edited(l log, i int) log {
	l.lines[i].Entry = strings.Replace(l.lines[i].Entry, "{", "{ ", 1)
	return l
}
