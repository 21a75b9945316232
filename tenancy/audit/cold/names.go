package cold

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// names gathers the ids that a bundle names as its bytes go by: all that looks like a UUID, whatever member has it. io.Writer.
type names struct {
	all  map[uuid.UUID]struct{}
	rest []byte // the last bytes, in which one may have begun
}

const (
	idChars = 36 // of a UUID as text
	dash    = 8  // where its first dash stands
)

// Write implements io.Writer.
func (n *names) Write(p []byte) (int, error) {
	text := append(n.rest, p...) //nolint:gocritic // rest is replaced below
	for from := dash; ; {
		at := bytes.IndexByte(text[min(from, len(text)):], '-')
		if at < 0 {
			break
		}
		at += from
		if from = at + 1; at-dash+idChars > len(text) {
			break
		}
		if one := text[at-dash : at-dash+idChars]; one[13] == '-' && one[18] == '-' && one[23] == '-' {
			if id, err := uuid.ParseBytes(one); err == nil {
				n.all[id] = struct{}{}
			}
		}
	}
	n.rest = append([]byte(nil), text[max(0, len(text)-idChars+1):]...)
	return len(p), nil
}

// A filter is a Bloom filter of ids: one that was put in is always found, and one of 120 others is, too. It depends on
// the ids alone and on no order.
const (
	filterBits   = 10 // for each id
	filterHashes = 7
	filterLeast  = 64 // bytes: an archive of one entry tells no more of itself than one of some dozens
)

// filter returns that of all that was gathered.
func (n *names) filter() []byte {
	f := make([]byte, max(filterLeast, (len(n.all)*filterBits+7)/8))
	for id := range n.all {
		for _, bit := range places(f, id) {
			f[bit/8] |= 1 << (bit % 8)
		}
	}
	return f
}

// mayName reports whether a filter has an id. One that nobody has made has all.
func mayName(filter []byte, id uuid.UUID) bool {
	if len(filter) == 0 {
		return true
	}
	for _, bit := range places(filter, id) {
		if filter[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

// places are the bits of an id, by double hashing.
func places(filter []byte, id uuid.UUID) (bits [filterHashes]uint64) {
	sum := sha256.Sum256(id[:])
	first, step := binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])|1
	for i := range bits {
		bits[i] = (first + uint64(i)*step) % uint64(len(filter)*8)
	}
	return bits
}
