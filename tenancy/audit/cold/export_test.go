package cold

// Bound sets how many entries a piece has, how many bytes an object, and how many entries go at a time.
func (s *Service) Bound(piece int64, part int, batch int32) {
	s.piece, s.part, s.batch = piece, part, batch
}
