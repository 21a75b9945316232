package tenant

import (
	"slices"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// ErrQuotaExceeded refuses what a hard quota stops. The quotas are measured once an hour.
var ErrQuotaExceeded = fault.New(fault.Exhausted, "QUOTA_EXCEEDED", "the tenant has used up its quota").WithRetryAfter(time.Hour)

// Use is what a hard quota may stop.
type Use uint8

// The uses.
const (
	Enrolling Use = iota + 1 // another user or passkey
	SigningIn                // of users who are enrolled
	Importing                // of users and passkeys in bulk
)

// stops is what each kind of quota stops when it is hard and used up (usage.Kind). Sign-ins
// of those who are enrolled go on, whatever was bought: a bank's customers must not stand
// before a closed door since the bank grew. Only a hard bound on ceremonies stops them,
// which says just that.
var stops = map[string][]Use{
	"MONTHLY_ACTIVE_USERS": {Enrolling, Importing},
	"CEREMONIES":           {Enrolling, SigningIn},
	"STORAGE":              {Enrolling, Importing},
}

// Exceeds returns ErrQuotaExceeded if a hard quota of the tenant stops use.
func (s *Snapshot) Exceeds(use Use) error {
	for _, kind := range s.QuotasExceeded {
		if slices.Contains(stops[kind], use) {
			return ErrQuotaExceeded.With("quota", kind)
		}
	}
	return nil
}
