package bundle_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
)

const (
	tenant = "01a22499-f800-7000-8000-000000000000"
	origin = "id.bank.example/audit/" + tenant
)

// log is one of 30 entries with checkpoints over 10, 20 and 30.
type log struct {
	header bundle.Header
	lines  []bundle.Line
	signer note.Signer
}

// sign is a checkpoint of another tree by its key.
func (l *log) sign(t testing.TB, e merkle.Edge) string {
	t.Helper()
	signed, err := merkle.Checkpoint{Origin: origin, Size: e.Size, Root: e.Root()}.Sign(l.signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func text(i int64) string {
	return fmt.Sprintf(`{"v":1,"tenantId":"%s","n":%d,"note":"<&>"}`, tenant, i)
}

// newLog makes the piece of it from an entry on.
func newLog(t testing.TB, from int64) (l log, key string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	l.signer = signer
	l.header = bundle.Header{TenantID: tenant, Origin: origin, VerifierKey: vkey, From: from, To: 30, Edge: []merkle.Hash{}}
	var e merkle.Edge
	for i := range int64(30) {
		if i == from {
			l.header.Edge = append(l.header.Edge, e.Roots...)
		}
		leaf := merkle.Leaf(i, text(i))
		e.Append(leaf)
		if i >= from {
			l.lines = append(l.lines, bundle.Line{Seq: i, SequencedAt: time.Date(2030, 1, 1, 0, 0, int(i), 0, time.UTC), Leaf: leaf, Entry: text(i)})
		}
		if e.Size%10 == 0 && e.Size > from {
			signed, err := merkle.Checkpoint{Origin: origin, Size: e.Size, Root: e.Root()}.Sign(signer)
			if err != nil {
				t.Fatal(err)
			}
			l.header.Checkpoints = append(l.header.Checkpoints, signed)
		}
	}
	return l, vkey
}

func (l *log) bytes(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := bundle.NewWriter(&b, l.header)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range l.lines {
		if err := w.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestVerify(t *testing.T) {
	for _, from := range []int64{0, 1, 7, 16, 29} {
		l, key := newLog(t, from)
		r, err := bundle.Verify(bytes.NewReader(l.bytes(t)), key)
		if err != nil || !r.Valid() || r.Entries != 30-from || r.Signed != len(l.header.Checkpoints) || r.Latest.Second() != 29 || r.Earliest.Second() != int(from) {
			t.Errorf("from %d: %+v, %v", from, r, err)
		}
		if r, err := bundle.Verify(bytes.NewReader(l.bytes(t)), ""); err != nil || !r.Valid() {
			t.Errorf("from %d by its own key: %+v, %v", from, r, err)
		}
	}
}

// Each thing that a hand in the database or in the file can do is found, and its place named.
func TestVerifyNames(t *testing.T) {
	again := func(l *log, i int, entry string) { // with its hash, as who knows how would
		l.lines[i].Entry, l.lines[i].Leaf = entry, merkle.Leaf(l.lines[i].Seq, entry)
	}
	for name, tt := range map[string]struct {
		change func(*log)
		want   []string
	}{
		"edited":               {func(l *log) { l.lines[12].Entry = strings.Replace(text(12), "12", "13", 1) }, []string{"entry 12: its text"}},
		"edited with its hash": {func(l *log) { again(l, 12, strings.Replace(text(12), "12", "13", 1)) }, []string{"entries 10 to 19: something of these"}},
		"another hash":         {func(l *log) { l.lines[3].Leaf[0] ^= 1 }, []string{"entry 3: its text", "entries 0 to 9: something"}},
		"deleted":              {func(l *log) { l.lines = slices.Delete(l.lines, 12, 13) }, []string{"entry 12: missing"}},
		"three deleted":        {func(l *log) { l.lines = slices.Delete(l.lines, 12, 15) }, []string{"entries 12 to 14: missing"}},
		"the first deleted":    {func(l *log) { l.lines = l.lines[1:] }, []string{"entry 0: missing"}},
		"deleted and closed up": {func(l *log) {
			l.lines = slices.Delete(l.lines, 28, 29)
			l.lines[28].Seq = 28
		}, []string{"entry 28: its text", "entry 29: missing"}},
		"swapped lines": {func(l *log) { l.lines[4], l.lines[5] = l.lines[5], l.lines[4] }, []string{"entry 4: missing", "entry 4: stands at another place"}},
		"swapped numbers": {func(l *log) {
			l.lines[4], l.lines[9] = l.lines[9], l.lines[4]
			l.lines[4].Seq, l.lines[9].Seq = 4, 9
			l.lines[4].SequencedAt, l.lines[9].SequencedAt = l.lines[9].SequencedAt, l.lines[4].SequencedAt
		}, []string{"entry 4: its text", "entry 9: its text", "entries 0 to 9"}},
		"truncated": {func(l *log) { l.lines = l.lines[:25] }, []string{"entries 25 to 29: missing"}},
		"empty":     {func(l *log) { l.lines = nil }, []string{"entries 0 to 29: missing"}},
		"doubled":   {func(l *log) { l.lines = slices.Insert(l.lines, 7, l.lines[6]) }, []string{"entry 6: stands at another place"}},
		"past the end": {func(l *log) {
			l.lines = append(l.lines, bundle.Line{Seq: 30, Entry: text(30), Leaf: merkle.Leaf(30, text(30))})
		}, []string{"entry 30: stands at another place"}},
		"another tenant’s": {func(l *log) { again(l, 2, `{"v":1,"tenantId":"x"}`) }, []string{"entry 2: is not of this tenant", "entries 0 to 9"}},
		"dated back":       {func(l *log) { l.lines[8].SequencedAt = l.lines[1].SequencedAt }, []string{"entry 8: was sequenced before"}},
		"another beginning": {func(l *log) {
			other, _ := newLog(t, 16)
			l.header.From, l.header.Edge, l.lines, l.header.Checkpoints = 16, slices.Clone(other.header.Edge), l.lines[16:], l.header.Checkpoints[1:]
			l.header.Edge[0][5] ^= 1
		}, []string{"entries 16 to 19: something"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, key := newLog(t, 0)
			tt.change(&l)
			r, err := bundle.Verify(bytes.NewReader(l.bytes(t)), key)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range r.Findings {
				got = append(got, f.String())
			}
			if len(got) != len(tt.want) {
				t.Fatalf("findings = %q, want %q", got, tt.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tt.want[i]) {
					t.Errorf("finding %d = %q, want %q", i, got[i], tt.want[i])
				}
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	good, key := newLog(t, 0)
	_, stranger := newLog(t, 0)
	whole := good.bytes(t)
	header := func(change func(*bundle.Header)) []byte {
		l, _ := newLog(t, 0)
		l.header.VerifierKey, l.header.Checkpoints = good.header.VerifierKey, slices.Clone(good.header.Checkpoints)
		change(&l.header)
		return l.bytes(t)
	}
	for name, tt := range map[string]struct {
		file []byte
		key  string
		want error
	}{
		"nothing":                  {nil, key, bundle.ErrFormat},
		"no JSON":                  {[]byte("hello\n"), key, bundle.ErrFormat},
		"something else":           {[]byte("{}\n"), key, bundle.ErrFormat},
		"another’s key":            {whole, stranger, bundle.ErrKey},
		"no key":                   {whole, "x", bundle.ErrKey},
		"of another origin":        {header(func(h *bundle.Header) { h.Origin += "x" }), key, bundle.ErrKey},
		"no checkpoint":            {header(func(h *bundle.Header) { h.Checkpoints = nil }), key, bundle.ErrFormat},
		"not to its end":           {header(func(h *bundle.Header) { h.Checkpoints = h.Checkpoints[:2] }), key, bundle.ErrFormat},
		"in another order":         {header(func(h *bundle.Header) { slices.Reverse(h.Checkpoints) }), key, bundle.ErrFormat},
		"a checkpoint was changed": {header(func(h *bundle.Header) { h.Checkpoints[1] = strings.Replace(h.Checkpoints[1], "\n20\n", "\n21\n", 1) }), key, bundle.ErrKey},
		"a shorter edge":           {header(func(h *bundle.Header) { h.From = 3 }), key, bundle.ErrFormat},
		"nothing in it":            {header(func(h *bundle.Header) { h.From, h.To = 0, 0 }), key, bundle.ErrFormat},
	} {
		if r, err := bundle.Verify(bytes.NewReader(tt.file), tt.key); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v, want %v", name, r, err, tt.want)
		}
	}
	cut := whole[:len(whole)-20]
	if r, err := bundle.Verify(bytes.NewReader(cut), key); err != nil || len(r.Findings) != 1 || r.Findings[0].First != 29 {
		t.Errorf("cut off in a line: %+v, %v", r, err)
	}
}

func FuzzVerify(f *testing.F) {
	l, key := newLog(f, 0)
	whole := l.bytes(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(`{"format":"biocore-audit-log-v1"}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := bundle.Verify(bytes.NewReader(file), key)
		if err != nil || !r.Valid() {
			return
		}
		// What is found good says what was signed, however it is spelled.
		decoder := json.NewDecoder(bytes.NewReader(file))
		var h bundle.Header
		if err := decoder.Decode(&h); err != nil {
			t.Fatal(err)
		}
		for i := h.From; i < h.To; i++ {
			var line bundle.Line
			if err := decoder.Decode(&line); err != nil || line.Entry != text(i) {
				t.Fatalf("entry %d was found good: %+v, %v", i, line, err)
			}
		}
	})
}
