package retention

// SetBatch makes transactions of n rows.
func (s *Service) SetBatch(n int32) { s.batch = n }
