package merkle_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/biocore-id/biocore/tenancy/audit/merkle"
)

func entry(i int64) string { return fmt.Sprintf(`{"v":2,"seq":%d}`, i) }

// whole keeps every hash, as tlog itself stores them: what Edge and tiles are compared with.
type whole []tlog.Hash

func (w *whole) append(t *testing.T, i int64) {
	t.Helper()
	more, err := tlog.StoredHashes(i, merkle.Record(i, entry(i)), w)
	if err != nil {
		t.Fatal(err)
	}
	*w = append(*w, more...)
}

func (w *whole) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at >= int64(len(*w)) {
			return nil, errors.New("not there yet")
		}
		out[i] = (*w)[at]
	}
	return out, nil
}

// The edge has the root of the whole tree after each entry, survives being stored, and
// tells each node of a tile's height once, in order.
func TestEdge(t *testing.T) {
	var e merkle.Edge
	var all whole
	var nodes []merkle.Node
	const n = 1<<16 + 3
	for i := range int64(n) {
		nodes = append(nodes, e.Append(merkle.Leaf(i, entry(i)))...)
		all.append(t, i)
		if i > 600 && i%997 != 0 && i < n-4 {
			continue
		}
		want, err := tlog.TreeHash(i+1, &all)
		if err != nil {
			t.Fatal(err)
		}
		again, err := merkle.ParseEdge(e.Size, e.AppendBinary(nil))
		if err != nil || e.Size != i+1 || e.Root() != want || again.Root() != want {
			t.Fatalf("after %d entries: size %d, root %v, stored %v (%v), want %v", i+1, e.Size, e.Root(), again.Root(), err, want)
		}
		e = again
	}
	if len(nodes) != 256+1 || nodes[len(nodes)-1].Level != 16 || nodes[len(nodes)-2].N != 255 {
		t.Fatalf("%d nodes, the last %+v", len(nodes), nodes[len(nodes)-1])
	}
	for _, node := range nodes {
		if want := all[tlog.StoredHashIndex(node.Level, node.N)]; node.Hash != want {
			t.Errorf("node %d of level %d = %v, want %v", node.N, node.Level, node.Hash, want)
		}
	}
}

func TestRecord(t *testing.T) {
	if got := string(merkle.Record(12, `{"v":1}`)); got != "12\n{\"v\":1}" {
		t.Errorf("Record = %q", got)
	}
}

func TestEmptyEdge(t *testing.T) {
	var e merkle.Edge
	if got := e.Root().String(); got != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" { // SHA-256 of nothing
		t.Errorf("Root = %s", got)
	}
	if _, err := merkle.ParseEdge(0, nil); err != nil {
		t.Errorf("ParseEdge of the empty tree: %v", err)
	}
	for size, bytes := range map[int64]int{3: 32, 0: 32, 4: 64, -1: 64 * 32, 1: 31} {
		if _, err := merkle.ParseEdge(size, make([]byte, bytes)); err == nil {
			t.Errorf("ParseEdge of %d bytes for size %d was taken", bytes, size)
		}
	}
}

const origin = "id.bank.example/audit/01a22499-f800-7000-8000-000000000000"

func pair(t *testing.T, name string) (note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func TestCheckpoint(t *testing.T) {
	signer, verifier := pair(t, origin)
	want := merkle.Checkpoint{Origin: origin, Size: 21, Root: merkle.Leaf(0, "x")}
	signed, err := want.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(signed, origin+"\n21\n") || !strings.Contains(signed, "\n\n— "+origin+" ") {
		t.Errorf("signed note:\n%s", signed)
	}
	if got, err := merkle.Open(signed, verifier); err != nil || got != want {
		t.Errorf("Open = %+v, %v, want %+v", got, err, want)
	}
	_, other := pair(t, origin)
	strangerSigner, stranger := pair(t, "elsewhere.example/audit/1")
	if _, err := want.Sign(strangerSigner); err == nil {
		t.Error("a key of another log signs")
	}
	elsewhere, err := merkle.Checkpoint{Origin: "elsewhere.example/audit/1", Size: 1}.Sign(strangerSigner)
	if err != nil {
		t.Fatal(err)
	}
	hand := func(text string) string {
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return string(signed)
	}
	root := "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	if _, err := merkle.Open(hand(origin+"\n0\n"+root+"\nextension\n"), verifier); err != nil {
		t.Errorf("with a line for others: %v", err)
	}
	for name, bad := range map[string]struct {
		text string
		v    note.Verifier
	}{
		"another key":        {signed, other},
		"another log's":      {elsewhere, verifier},
		"asked of another":   {signed, stranger},
		"size changed":       {strings.Replace(signed, "\n21\n", "\n22\n", 1), verifier},
		"unsigned":           {origin + "\n1\n" + root + "\n", verifier},
		"two lines":          {hand(origin + "\n1\n"), verifier},
		"a sign":             {hand(origin + "\n+1\n" + root + "\n"), verifier},
		"a negative size":    {hand(origin + "\n-1\n" + root + "\n"), verifier},
		"a leading zero":     {hand(origin + "\n01\n" + root + "\n"), verifier},
		"too large":          {hand(origin + "\n9007199254740992\n" + root + "\n"), verifier},
		"a short root":       {hand(origin + "\n1\nAAAA\n"), verifier},
		"loose base64":       {hand(origin + "\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n"), verifier},
		"its key, another’s": {hand("elsewhere.example/audit/1\n1\n" + root + "\n"), verifier},
		"nothing":            {"", verifier},
	} {
		if got, err := merkle.Open(bad.text, bad.v); !errors.Is(err, merkle.ErrCheckpoint) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Each proof holds for what it proves, and for nothing beside it.
func TestProofs(t *testing.T) {
	var all whole
	var e merkle.Edge
	const n = 70
	at := make([]merkle.Checkpoint, n+1)
	at[0] = merkle.Checkpoint{Root: e.Root()}
	for i := range int64(n) {
		all.append(t, i)
		e.Append(merkle.Leaf(i, entry(i)))
		at[i+1] = merkle.Checkpoint{Size: i + 1, Root: e.Root()}
	}
	for size := int64(1); size <= n; size++ {
		for seq := range size {
			proof, err := tlog.ProveRecord(size, seq, &all)
			if err != nil {
				t.Fatal(err)
			}
			if err := merkle.CheckEntry(at[size], seq, entry(seq), proof); err != nil {
				t.Errorf("entry %d of %d: %v", seq, size, err)
			}
			if merkle.CheckEntry(at[size], seq, entry(seq)+" ", proof) == nil {
				t.Errorf("entry %d of %d: another text was taken", seq, size)
			}
			if size > 1 && merkle.CheckEntry(at[size], (seq+1)%size, entry(seq), proof) == nil {
				t.Errorf("entry %d of %d: another place was taken", seq, size)
			}
			if len(proof) > 0 {
				bad := slices.Clone(proof)
				bad[0][3] ^= 1
				if merkle.CheckEntry(at[size], seq, entry(seq), bad) == nil || merkle.CheckEntry(at[size], seq, entry(seq), proof[1:]) == nil {
					t.Errorf("entry %d of %d: a proof that was changed was taken", seq, size)
				}
			}
		}
		for from := int64(1); from <= size; from++ {
			proof, err := tlog.ProveTree(size, from, &all)
			if err != nil {
				t.Fatal(err)
			}
			if err := merkle.CheckGrowth(at[from], at[size], proof); err != nil {
				t.Errorf("from %d to %d: %v", from, size, err)
			}
			fork := at[from]
			fork.Root[0] ^= 1
			if merkle.CheckGrowth(fork, at[size], proof) == nil {
				t.Errorf("from %d to %d: another history was taken", from, size)
			}
		}
	}
	if err := merkle.CheckGrowth(at[0], at[5], nil); err != nil {
		t.Errorf("from nothing: %v", err)
	}
	for name, err := range map[string]error{
		"an entry past the end":         merkle.CheckEntry(at[3], 3, entry(3), nil),
		"an entry before the beginning": merkle.CheckEntry(at[3], -1, entry(0), nil),
		"growing backwards":             merkle.CheckGrowth(at[5], at[3], nil),
		"nothing with another root":     merkle.CheckGrowth(merkle.Checkpoint{}, at[3], nil),
	} {
		if !errors.Is(err, merkle.ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is no checkpoint is refused whatever it is, and what is one says the same when it is
// written again.
func FuzzOpen(f *testing.F) {
	skey, vkey, err := note.GenerateKey(bytes.NewReader(binary.LittleEndian.AppendUint64(make([]byte, 56), 7)), origin)
	if err != nil {
		f.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		f.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", origin + "\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", origin + "\n1\n\n", "\n\n\n\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			return
		}
		c, err := merkle.Open(string(signed), verifier)
		if err != nil {
			return
		}
		again, err := c.Sign(signer)
		if body, _, _ := strings.Cut(again, "\n\n"); err != nil || !strings.HasPrefix(text, body+"\n") {
			t.Fatalf("%q was read as %+v, %v", text, c, err)
		}
	})
}
