package keys

// SignsInKMS reports whether the KMS that is configured makes signing keys. Which
// algorithms it makes them for, it says itself: ErrKMSAlgorithm.
func (s *Service) SignsInKMS() bool {
	_, ok := s.kms.(SigningKMS)
	return ok
}
