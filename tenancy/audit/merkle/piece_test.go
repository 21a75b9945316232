package merkle_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/biocore-id/biocore/tenancy/audit/merkle"
)

// Each entry of each piece of each small tree is proven, and by its own proof alone: another reader of the
// tree than the one under test, CheckEntry, judges.
func TestPiece(t *testing.T) {
	const most = 70
	var before merkle.Edge
	for from := range int64(most) {
		whole := merkle.Edge{Size: before.Size, Roots: slices.Clone(before.Roots)}
		p := merkle.Piece{Before: merkle.Edge{Size: before.Size, Roots: slices.Clone(before.Roots)}}
		for n := from; n < most; n++ {
			leaf := merkle.Leaf(n, strconv.FormatInt(n, 10))
			whole.Append(leaf)
			p.Leaves = append(p.Leaves, leaf)
			c := merkle.Checkpoint{Size: whole.Size, Root: whole.Root()}
			for seq := from; seq <= n; seq++ {
				proof, err := p.Prove(seq)
				if err != nil || merkle.CheckEntry(c, seq, strconv.FormatInt(seq, 10), proof) != nil {
					t.Fatalf("entry %d of %d from %d is not proven: %v", seq, n+1, from, err)
				}
				if merkle.CheckEntry(c, seq, "another", proof) == nil {
					t.Fatalf("entry %d of %d from %d: the proof shows anything", seq, n+1, from)
				}
			}
		}
		for _, outside := range []int64{-1, from - 1, most} {
			if _, err := p.Prove(outside); !errors.Is(err, merkle.ErrProof) {
				t.Errorf("Prove(%d) of a piece from %d = %v", outside, from, err)
			}
		}
		before.Append(merkle.Leaf(from, strconv.FormatInt(from, 10)))
	}
}
