package merkle

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Piece is the end of a tree: what was appended to Before.
type Piece struct {
	Before Edge
	Leaves []Hash
}

// Size is how many entries the tree has.
func (p *Piece) Size() int64 { return p.Before.Size + int64(len(p.Leaves)) }

// Prove is the inclusion proof (RFC 6962, 2.1.1) of entry seq in the whole tree, for CheckEntry. ErrProof for an
// entry that is not in the piece.
func (p *Piece) Prove(seq int64) ([]Hash, error) {
	if seq < p.Before.Size || seq >= p.Size() {
		return nil, ErrProof
	}
	var proof []Hash
	low, high := int64(0), p.Size()
	for high-low > 1 {
		middle := low + split(high-low)
		if seq < middle {
			proof, high = append(proof, p.hash(middle, high)), middle
		} else {
			proof, low = append(proof, p.hash(low, middle)), middle
		}
	}
	for i, j := 0, len(proof)-1; i < j; i, j = i+1, j-1 { // from the leaf up
		proof[i], proof[j] = proof[j], proof[i]
	}
	return proof, nil
}

// split is the greatest power of two below n, which is above 1.
func split(n int64) int64 { return 1 << (bits.Len64(uint64(n-1)) - 1) } //nolint:gosec // n is positive

// hash is that of the entries from low to below high: a part of the tree as RFC 6962 cuts it. What lies wholly
// before the piece, and has a neighbour that does not, is a root of Before.
func (p *Piece) hash(low, high int64) Hash {
	switch {
	case high <= p.Before.Size:
		at, i := int64(0), 0
		for ; at < low; i++ {
			at += 1 << (bits.Len64(uint64(p.Before.Size-at)) - 1) //nolint:gosec // it is positive
		}
		return p.Before.Roots[i]
	case high-low == 1:
		return p.Leaves[low-p.Before.Size]
	}
	middle := low + split(high-low)
	return tlog.NodeHash(p.hash(low, middle), p.hash(middle, high))
}
