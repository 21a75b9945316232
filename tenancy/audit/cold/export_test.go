package cold

// Bound sets how many entries a piece has and how many bytes an object.
func (s *Service) Bound(piece int64, part int) { s.piece, s.part = piece, part }
