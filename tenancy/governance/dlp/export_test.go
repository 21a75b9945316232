package dlp

// OnStep has fn told which place a page is done of; an error breaks the attempt off.
func (s *Service) OnStep(fn func(place string) error) { s.step = fn }

// MaxRows bounds how much of a place is looked at.
func (s *Service) MaxRows(n int) { s.maxRows = n }
