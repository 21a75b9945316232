// Package merkle is the mathematics of a tenant's audit log: a Merkle tree over its entries
// (RFC 6962, section 2.1, hashed by x/mod/sumdb/tlog), the checkpoints that are signed over it
// (C2SP tlog-checkpoint and signed-note), and the proofs that compare with them. It needs
// no database and no service, so that whoever holds an export can check it.
package merkle

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Hash is the hash of an entry or of a part of the tree: SHA-256.
type Hash = tlog.Hash

// Record is what is hashed of an entry: its number in decimal, a line feed, and its exact text.
// The number is in it so that an entry at another place is found by itself.
func Record(seq int64, entry string) []byte {
	record := make([]byte, 0, len(entry)+20)
	record = strconv.AppendInt(record, seq, 10)
	return append(append(record, '\n'), entry...)
}

// Leaf is the hash of entry seq with this exact text.
func Leaf(seq int64, entry string) Hash { return tlog.RecordHash(Record(seq, entry)) }

// Height is how many levels of the tree a tile holds.
const Height = 8

// Width is how many hashes a complete tile holds.
const Width = 1 << Height

// Edge is what must be known of a tree to append to it: how many entries it has and
// the roots of its complete subtrees, the largest first. The zero Edge is the empty tree.
type Edge struct {
	Size  int64
	Roots []Hash // as many as Size has bits
}

// Node is a root of a complete subtree: of 1<<Level entries, from entry N<<Level on.
type Node struct {
	Level int
	N     int64
	Hash  Hash
}

// Append adds one entry and returns the nodes of tiles' heights that are complete by it,
// the lowest first: levels Height, 2*Height and so on.
func (e *Edge) Append(leaf Hash) []Node {
	var done []Node
	level, n, h := 0, e.Size, leaf
	for ; n&1 == 1; n >>= 1 {
		h = tlog.NodeHash(e.Roots[len(e.Roots)-1], h)
		e.Roots = e.Roots[:len(e.Roots)-1]
		if level++; level%Height == 0 {
			done = append(done, Node{Level: level, N: n >> 1, Hash: h})
		}
	}
	e.Roots = append(e.Roots, h)
	e.Size++
	return done
}

// Root is the hash of the whole tree; the empty tree's is the hash of nothing (RFC 6962).
func (e *Edge) Root() Hash {
	if len(e.Roots) == 0 {
		empty, _ := tlog.TreeHash(0, nil) // reads nothing
		return empty
	}
	h := e.Roots[len(e.Roots)-1]
	for i := len(e.Roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(e.Roots[i], h)
	}
	return h
}

// AppendBinary appends the roots, 32 bytes each.
func (e *Edge) AppendBinary(dst []byte) []byte {
	for i := range e.Roots {
		dst = append(dst, e.Roots[i][:]...)
	}
	return dst
}

// errEdge says that a stored edge does not fit its size.
var errEdge = errors.New("the edge of the tree has another number of hashes than its size says")

// ParseEdge is the Edge of a size with what AppendBinary wrote.
func ParseEdge(size int64, roots []byte) (Edge, error) {
	n := bits.OnesCount64(uint64(size)) //nolint:gosec // a negative one has bits too, and is refused
	if size < 0 || len(roots) != n*tlog.HashSize {
		return Edge{}, errEdge
	}
	e := Edge{Size: size, Roots: make([]Hash, n, n+1)}
	for i := range e.Roots {
		copy(e.Roots[i][:], roots[i*tlog.HashSize:])
	}
	return e, nil
}

// Checkpoint says what a log holds: who signs one vouches that there is one tree of this
// size, and this is its root.
type Checkpoint struct {
	Origin string // the log's name, and its key's: no spaces, no plus
	Size   int64
	Root   Hash
}

// text is the body that is signed: three lines.
func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// Sign returns the signed note.
func (c Checkpoint) Sign(s note.Signer) (string, error) {
	if s.Name() != c.Origin {
		return "", fmt.Errorf("the key is of %q, the checkpoint of %q", s.Name(), c.Origin)
	}
	signed, err := note.Sign(&note.Note{Text: c.text()}, s)
	if err != nil {
		return "", fmt.Errorf("sign checkpoint: %w", err)
	}
	return string(signed), nil
}

// ErrCheckpoint says that a text is no checkpoint of the log that was asked for, or that
// its signature is not by the log's key.
var ErrCheckpoint = errors.New("not a checkpoint of this log, signed by its key")

// maxSize is the greatest size that JSON's numbers hold exactly.
const maxSize = 1<<53 - 1

// Open checks a signed note and returns what it says. Lines after the third are for others
// and are left alone, as the specification asks. ErrCheckpoint.
func Open(signed string, v note.Verifier) (Checkpoint, error) {
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	c, err := read(n.Text)
	if err == nil && c.Origin != v.Name() {
		err = fmt.Errorf("%w: it is of another log", ErrCheckpoint)
	}
	if err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

// Read is what a signed note says, whoever has signed it. ErrCheckpoint for no checkpoint.
func Read(signed string) (Checkpoint, error) {
	text, _, ok := strings.Cut(signed, "\n\n")
	if !ok {
		return Checkpoint{}, fmt.Errorf("%w: it has no signature", ErrCheckpoint)
	}
	return read(text + "\n")
}

func read(text string) (Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 {
		return Checkpoint{}, fmt.Errorf("%w: it has under three lines", ErrCheckpoint)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || size > maxSize || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("%w: size %q", ErrCheckpoint, lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, fmt.Errorf("%w: root %q", ErrCheckpoint, lines[2])
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: Hash(root)}, nil
}

// ErrProof says that a proof does not show what it is said to.
var ErrProof = errors.New("the proof does not hold")

// CheckEntry reports whether proof shows that the entry with this text is entry seq of the
// tree that c names: nil, or ErrProof. The first entry is 0.
func CheckEntry(c Checkpoint, seq int64, entry string, proof []Hash) error {
	if seq < 0 || seq >= c.Size || tlog.CheckRecord(proof, c.Size, c.Root, seq, Leaf(seq, entry)) != nil {
		return ErrProof
	}
	return nil
}

// CheckGrowth reports whether proof shows that the tree of later begins with the
// whole tree of earlier: nil, or ErrProof. It takes a proof of nothing for an empty earlier tree.
func CheckGrowth(earlier, later Checkpoint, proof []Hash) error {
	empty := Edge{}
	switch {
	case earlier.Size > later.Size, earlier.Size < 0:
		return ErrProof
	case earlier.Size == 0:
		if earlier.Root != empty.Root() || len(proof) != 0 {
			return ErrProof
		}
		return nil
	case tlog.CheckTree(proof, later.Size, later.Root, earlier.Size, earlier.Root) != nil:
		return ErrProof
	}
	return nil
}
