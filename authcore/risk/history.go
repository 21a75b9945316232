package risk

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
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

	peakWindow = 24 * time.Hour // of the tenant's busiest minute
	peakDays   = 7
)

// busy counts an attempt of a tenant. KEYS are this minute, today, and the days before; ARGV are how long a minute and a day are
// kept, in milliseconds. It answers how many there are in this minute, and what a busy minute is: the most of the second busiest of
// the days before, so that one day of an attack does not make the next one usual.
//
//nolint:dupword // Lua's blocks end so
var busy = ephemeral.NewScript(`
local now = redis.call('INCR', KEYS[1])
if now == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
local peaks = redis.call('MGET', unpack(KEYS, 2))
if now > tonumber(peaks[1] or 0) then redis.call('SET', KEYS[2], now, 'PX', ARGV[2]) end
local most, second = 0, 0
for i = 2, #peaks do
  local n = tonumber(peaks[i] or 0)
  if n > most then most, second = n, most elseif n > second then second = n end
end
return {now, second}`)

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

// observe counts an attempt and reads what is known, in one round trip: at most fourteen commands, one of which is a script.
func (s *Service) observe(ctx context.Context, sc scope.Scope, who subject, at time.Time, f *Facts) (observed, error) {
	attempt, before := window(at, attemptWindow)
	minute, _ := window(at, tenantWindow)
	failure, failedBefore := window(at, failureWindow)
	fromHalf, _ := window(at, addressWindow/distinctSlices)
	usersHalf, _ := window(at, usersWindow/distinctSlices)
	var profile, userNow, addressNow, addresses, users, others *ephemeral.Reply
	names := make([]string, 0, 6)
	x := s.ephemeral.Exchange()
	if who.user != "" {
		profile = x.Get(sc, kindProfile, who.user)
		userNow = x.Count(sc, kindCount, counter("user", who.user, attempt), 1, 2*attemptWindow)
		names = append(names, counter("user", who.user, attempt-1), counter("failed-user", who.user, failure), counter("failed-user", who.user, failure-1))
	}
	if who.address != "" {
		addressNow = x.Count(sc, kindCount, counter("address", who.address, attempt), 1, 2*attemptWindow)
		names = append(names, counter("address", who.address, attempt-1), counter("failed-address", who.address, failure), counter("failed-address", who.address, failure-1))
	}
	if who.user != "" && who.address != "" {
		addresses = x.Distinct(sc, kindCount, who.address, addressWindow*3/2, counter("addresses", who.user, fromHalf), counter("addresses", who.user, fromHalf-1))
		users = x.Distinct(sc, kindCount, who.user, usersWindow*3/2, counter("users", who.address, usersHalf), counter("users", who.address, usersHalf-1))
	}
	day, _ := window(at, peakWindow)
	minutes := make([]string, 0, 2+peakDays)
	minutes = append(minutes, counter("tenant", "all", minute))
	for past := range int64(1 + peakDays) {
		minutes = append(minutes, counter("tenant-peak", "all", day-past))
	}
	tenant := x.Run(sc, busy, kindCount, minutes, (2 * tenantWindow).Milliseconds(), ((1 + peakDays) * peakWindow).Milliseconds())
	if len(names) > 0 {
		others = x.Numbers(sc, kindCount, names...)
	}
	if err := x.Do(ctx); err != nil {
		return observed{}, err
	}
	counts, err := others.Numbers()
	var errs [6]error
	all, err2 := tenant.Ints()
	if errs[0] = err2; len(all) == 2 {
		f.TenantAttempts, f.TenantPeak = int(all[0]), int(all[1])
	}
	f.UserAttempts, errs[1] = userNow.Int()
	f.AddressAttempts, errs[2] = addressNow.Int()
	f.UserAddresses, errs[3] = addresses.Int()
	f.AddressUsers, errs[4] = users.Int()
	errs[5] = err
	if err := errors.Join(errs[:]...); err != nil {
		return observed{}, fmt.Errorf("counters: %w", err)
	}
	var out observed
	if who.user != "" {
		out.profile, _ = profile.Bytes()
		f.UserAttempts = sliding(f.UserAttempts, counts[0], before)
		f.UserFailures = sliding(counts[1], counts[2], failedBefore)
		counts = counts[3:]
	}
	if who.address != "" {
		f.AddressAttempts = sliding(f.AddressAttempts, counts[0], before)
		f.AddressFailures = sliding(counts[1], counts[2], failedBefore)
	}
	return out, nil
}
