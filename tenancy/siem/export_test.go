package siem

import "time"

// Quick makes waits short.
func (s *Service) Quick() {
	s.timing = timing{
		dial: 2 * time.Second, answer: time.Second, acknowledge: 500 * time.Millisecond, poll: 10 * time.Millisecond,
		lease: time.Minute, turn: 10 * time.Second, backoff: time.Nanosecond, maxBackoff: time.Nanosecond,
	}
}

// Backoff sets how long is waited after failures.
func (s *Service) Backoff(first, most time.Duration) {
	s.timing.backoff, s.timing.maxBackoff = first, most
}

// Lease sets how long a delivery may be silent.
func (s *Service) Lease(d time.Duration) { s.timing.lease = d }

// OnStep has fn told what deliveries are about to do.
func (s *Service) OnStep(fn func(at string) error) { s.step = fn }

// Steps are those of a delivery.
func Steps() []string { return []string{stepClaimed, stepRead, stepAcknowledged, stepAdvanced} }

// Pause is how long to wait after a failure that followed failures in a row.
func Pause(failures int) time.Duration { return usual.pause(failures) }

// CheckAddress is what an address is kept as.
func CheckAddress(kind Kind, address string) (string, error) {
	c := Config{Kind: kind, Address: address}
	return c.cleanAddress(nil)
}
