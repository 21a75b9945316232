package cold

import (
	"slices"

	"github.com/google/uuid"
)

// Bound sets how many entries a piece has, how many bytes an object, and how many entries go at a time.
func (s *Service) Bound(piece int64, part int, batch int32) {
	s.piece, s.part, s.batch = piece, part, batch
}

// FilterOf is the filter of the ids of a text, which comes in pieces of some bytes.
func FilterOf(text string, size int) []byte {
	n := &names{all: map[uuid.UUID]struct{}{}}
	for piece := range slices.Chunk([]byte(text), size) {
		_, _ = n.Write(piece)
	}
	return n.filter()
}

// MayName reports whether a filter has an id.
func MayName(filter []byte, id uuid.UUID) bool { return mayName(filter, id) }
