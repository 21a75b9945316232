package risk

import (
	"context"
	"encoding/base64"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/ratelimit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// What is in Redis, all of a tenant under one hash tag: profiles, sealed, by user; and counters, by user and by a MAC
// of the address.
const (
	kindProfile = ephemeral.Kind("risk-profile")
	kindCount   = ephemeral.Kind("risk-count")

	sealProfile keys.Purpose = "risk profile"
	macAddress  keys.Purpose = "risk address"
)

// Windows of counters. A window slides: of the one before, what is left of it counts in part.
const (
	attemptWindow  = 10 * time.Minute
	tenantWindow   = time.Minute
	failureWindow  = 15 * time.Minute
	addressWindow  = 24 * time.Hour // of distinct addresses of a user
	usersWindow    = time.Hour      // of distinct users of an address
	profileLife    = 7 * 24 * time.Hour
	distinctSlices = 2 // a window of distinct ones is made of halves: they cannot be counted in part
)

// subject is whom counters count: a user, an address, or both.
type subject struct {
	user    string // "" nobody known
	address string // a MAC; "" not known
}

// subjectOf names a user and an address in keys. An IPv6 address counts with its /64.
func subjectOf(ring *keys.Ring, user uuid.UUID, address netip.Addr) subject {
	var s subject
	if user != uuid.Nil {
		s.user = user.String()
	}
	if address.IsValid() {
		visitor := ratelimit.Visitor(address)
		mac := ring.MAC(macAddress, visitor.AsSlice())
		s.address = base64.RawURLEncoding.EncodeToString(mac[:12])
	}
	return s
}

// window is a counter's: the number of the window that at is in, and how much of the one before counts still.
func window(at time.Time, of time.Duration) (number int64, before float64) {
	number = at.UnixNano() / int64(of)
	return number, 1 - float64(at.UnixNano()%int64(of))/float64(of)
}

func counter(what, who string, number int64) string {
	return what + ":" + who + ":" + strconv.FormatInt(number, 10)
}

// sliding is a count over a window that slides, rounded down.
func sliding(now, last int, before float64) int { return now + int(float64(last)*before) }

// observed is what there was before an attempt.
type observed struct {
	profile []byte // sealed; nil: Redis has none
}

// observe counts an attempt and reads what is known, in one round trip: at most fourteen commands.
func (s *Service) observe(ctx context.Context, sc scope.Scope, who subject, at time.Time, f *Facts) (observed, error) {
	attempt, before := window(at, attemptWindow)
	minute, _ := window(at, tenantWindow)
	failure, failedBefore := window(at, failureWindow)
	fromHalf, _ := window(at, addressWindow/distinctSlices)
	usersHalf, _ := window(at, usersWindow/distinctSlices)
	var (
		profile                                          ephemeral.Value
		userNow, addressNow, tenantNow, addresses, users ephemeral.Number
		others                                           ephemeral.Numbers
	)
	names := make([]string, 0, 6)
	err := s.ephemeral.Do(ctx, sc, func(b *ephemeral.Batch) {
		if who.user != "" {
			profile = b.Get(kindProfile, who.user)
			userNow = b.Count(kindCount, counter("user", who.user, attempt), 1, 2*attemptWindow)
			names = append(names, counter("user", who.user, attempt-1), counter("failed-user", who.user, failure), counter("failed-user", who.user, failure-1))
		}
		if who.address != "" {
			addressNow = b.Count(kindCount, counter("address", who.address, attempt), 1, 2*attemptWindow)
			names = append(names, counter("address", who.address, attempt-1), counter("failed-address", who.address, failure), counter("failed-address", who.address, failure-1))
		}
		if who.user != "" && who.address != "" {
			addresses = b.Distinct(kindCount, who.address, addressWindow*3/2, counter("addresses", who.user, fromHalf), counter("addresses", who.user, fromHalf-1))
			users = b.Distinct(kindCount, who.user, usersWindow*3/2, counter("users", who.address, usersHalf), counter("users", who.address, usersHalf-1))
		}
		tenantNow = b.Count(kindCount, counter("tenant", "all", minute), 1, 2*tenantWindow)
		if len(names) > 0 {
			others = b.Counts(kindCount, names...)
		}
	})
	if err != nil {
		return observed{}, err
	}
	f.TenantAttempts = tenantNow.Int()
	var out observed
	var counts []int
	if len(names) > 0 {
		counts = others.Ints()
	}
	if who.user != "" {
		out.profile, _ = profile.Bytes()
		f.UserAttempts = sliding(userNow.Int(), counts[0], before)
		f.UserFailures = sliding(counts[1], counts[2], failedBefore)
		counts = counts[3:]
	}
	if who.address != "" {
		f.AddressAttempts = sliding(addressNow.Int(), counts[0], before)
		f.AddressFailures = sliding(counts[1], counts[2], failedBefore)
	}
	if who.user != "" && who.address != "" {
		f.UserAddresses, f.AddressUsers = addresses.Int(), users.Int()
	}
	return out, nil
}
