package risk

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/authcore/risk/place"
)

// signal is one thing that makes a sign-in unusual.
type signal struct {
	Code   string
	Weight int    // points at its full value, unless a ruleset says otherwise
	About  string // for people: what it looks at

	// value is a pure function of the facts: 0 for nothing, 1 for all of the weight. Beyond is taken as these.
	value func(f *Facts) float64
	// reason says for people why the value is not 0, in one sentence. It names nobody.
	reason func(f *Facts) string
}

// SignalInfo describes a signal.
type SignalInfo struct {
	Code   string
	Weight int // by default
	About  string
}

// Signals describes all signals, in their order.
func Signals() []SignalInfo {
	out := make([]SignalInfo, len(signals))
	for i, s := range signals {
		out[i] = SignalInfo{s.Code, s.Weight, s.About}
	}
	return out
}

// The codes of signals that other code names.
const (
	codeCaller     = "CALLER"
	ProviderSignal = "PROVIDER"
)

func when(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// between is 0 up to low, 1 from high on, and grows evenly between them.
func between(n, low, high int) float64 {
	return min(max(float64(n-low)/float64(high-low), 0), 1)
}

func says(text string) func(*Facts) string { return func(*Facts) string { return text } }

// Bounds of what is told apart.
const (
	dormantDays    = 60
	longDormant    = 365
	enoughSignIns  = 10 // before a user has hours of their own
	rareShare      = 60 // of 1000
	freshHours     = 24
	unusualJump    = 1000
	manyInMinute   = 30
	busyTwice      = 2 // times the tenant's busy minute
	busyFully      = 8
	secondsPerDay  = 24 * 3600
	secondsPerHour = 3600
)

// signals are version 1. One that changes what it comes to for the same facts takes another Version.
var signals = []signal{
	{"NEW_DEVICE", 20, "The user has not signed in by this kind of browser and system in the last 180 days.",
		func(f *Facts) float64 { return when(f.Known && f.NewDevice) },
		says("a device that this user has not used before")},
	{"NEW_AUTHENTICATOR", 10, "The passkey was registered in the last 24 hours; the fresher, the more.",
		func(f *Facts) float64 {
			return when(f.SignIns > 0 && f.Model != "") * (1 - between(f.CredentialAge, 0, freshHours))
		},
		func(f *Facts) string {
			if f.CredentialAge == 0 {
				return "the passkey was registered less than an hour ago"
			}
			return "the passkey was registered " + plural(f.CredentialAge, "hour") + " ago"
		}},
	{"NEW_COUNTRY", 25, "The user has not signed in from this country in the last 180 days.",
		func(f *Facts) float64 { return when(f.Known && f.NewCountry && f.Country != "") },
		func(f *Facts) string { return "a country that this user has not come from before: " + f.Country }},
	{"NEW_NETWORK", 10, "The user has not signed in from this network (autonomous system) in the last 180 days.",
		func(f *Facts) float64 { return when(f.Known && f.NewNetwork && f.ASN != 0) },
		func(f *Facts) string {
			return fmt.Sprintf("a network that this user has not come from before: AS%d", f.ASN)
		}},
	{"IMPOSSIBLE_TRAVEL", 45, "The country of the last sign-in is further away than an airliner gets in the time since, measured between the countries' nearest points.",
		travel,
		func(f *Facts) string {
			return fmt.Sprintf("from %s to %s, at least %d km, in %s", f.PreviousCountry, f.Country, f.DistanceKm, span(f.awaySeconds()))
		}},
	{"USER_VELOCITY", 20, "Many attempts of one user: from 5 in ten minutes on, fully at 20.",
		func(f *Facts) float64 { return between(f.UserAttempts, 4, 20) },
		func(f *Facts) string { return fmt.Sprintf("%d attempts of this user in ten minutes", f.UserAttempts) }},
	{"ADDRESS_VELOCITY", 15, "Many attempts from one address: from 20 in ten minutes on, fully at 200.",
		func(f *Facts) float64 { return between(f.AddressAttempts, 19, 200) },
		func(f *Facts) string {
			return fmt.Sprintf("%d attempts from this address in ten minutes", f.AddressAttempts)
		}},
	{"TENANT_VELOCITY", 10, "Many more attempts of all users than in a busy minute of the week before: from 30 in a minute and twice as many on, fully at eight times.",
		func(f *Facts) float64 {
			return when(f.TenantPeak > 0 && f.TenantAttempts >= manyInMinute) * between(f.TenantAttempts, busyTwice*f.TenantPeak-1, busyFully*f.TenantPeak)
		},
		func(f *Facts) string {
			return fmt.Sprintf("%d attempts of all users in a minute, where a busy one had %d", f.TenantAttempts, f.TenantPeak)
		}},
	{"USER_ADDRESSES", 15, "One user from many addresses: from 4 in a day on, fully at 12.",
		func(f *Facts) float64 { return between(f.UserAddresses, 3, 12) },
		func(f *Facts) string {
			return fmt.Sprintf("this user came from %d addresses in a day", f.UserAddresses)
		}},
	{"ADDRESS_USERS", 25, "Many users from one address: from 10 in an hour on, fully at 100.",
		func(f *Facts) float64 { return between(f.AddressUsers, 9, 100) },
		func(f *Facts) string {
			return fmt.Sprintf("%d users came from this address in an hour", f.AddressUsers)
		}},
	{"USER_FAILURES", 25, "Failed attempts of the user: from 2 in fifteen minutes on, fully at 8.",
		func(f *Facts) float64 { return between(f.UserFailures, 1, 8) },
		func(f *Facts) string {
			return fmt.Sprintf("%d failed attempts of this user in fifteen minutes", f.UserFailures)
		}},
	{"ADDRESS_FAILURES", 20, "Failed attempts from the address: from 5 in fifteen minutes on, fully at 50.",
		func(f *Facts) float64 { return between(f.AddressFailures, 4, 50) },
		func(f *Facts) string {
			return fmt.Sprintf("%d failed attempts from this address in fifteen minutes", f.AddressFailures)
		}},
	{"SIGN_COUNT", 35, "The authenticator's signature counter shrank, or grew by more than 1,000 since it was last seen.",
		func(f *Facts) float64 { return when(f.CountJump < 0 || f.CountJump > unusualJump) },
		func(f *Facts) string {
			if f.CountJump < 0 {
				return "the signature counter shrank: the passkey may have been copied"
			}
			return fmt.Sprintf("the signature counter grew by %d", f.CountJump)
		}},
	{"UNUSUAL_HOUR", 10, "After ten sign-ins: an hour of the day about which the user hardly ever signs in, by an average that forgets.",
		func(f *Facts) float64 {
			return when(f.SignIns >= enoughSignIns) * (1 - between(f.HourShare, 0, rareShare))
		},
		func(f *Facts) string { return fmt.Sprintf("this user hardly signs in about %02d:00 UTC", f.Hour) }},
	{"DORMANT", 15, "The user has not signed in for 60 days; fully after a year.",
		func(f *Facts) float64 {
			return when(f.Known && f.PreviousSeconds > dormantDays*secondsPerDay) * (0.5 + 0.5*between(f.PreviousSeconds, dormantDays*secondsPerDay, longDormant*secondsPerDay))
		},
		func(f *Facts) string { return "the first sign-in in " + plural(f.PreviousSeconds/secondsPerDay, "day") }},
	{"RISKY_NETWORK", 30, "The address is on a list of networks.",
		func(f *Facts) float64 { return when(len(f.Networks) > 0) },
		func(f *Facts) string { return "the address is on a list: " + strings.Join(f.Networks, ", ") }},
	{"ADVERSE_STATUS", 40, "The FIDO Metadata Service reports the authenticator's model as compromised or revoked.",
		func(f *Facts) float64 { return when(f.Adverse) },
		says("the model of the authenticator is reported")},
	{ProviderSignal, 40, "What an external provider of scores said, in proportion.",
		func(f *Facts) float64 { return float64(f.ProviderScore) / MaxScore },
		func(f *Facts) string { return fmt.Sprintf("%s says %d of 100", f.Provider, f.ProviderScore) }},
}

// travel is 1 from twice the speed of an airliner on. Countries that touch are no distance from each other.
func travel(f *Facts) float64 {
	if !f.Known || f.DistanceKm <= 0 {
		return 0
	}
	hours := max(float64(f.awaySeconds()), 1) / secondsPerHour
	return min(max(float64(f.DistanceKm)/hours/place.FastestKMH-1, 0), 1)
}

// score adds up the signals.
func score(r *Ruleset, f *Facts) (int, []Signal) {
	var found []Signal
	sum := 0
	add := func(code string, weight int, value float64, reason func() string) {
		// What would be less than half a point is none.
		points := int(math.Round(float64(weight) * min(max(value, 0), 1)))
		if points > 0 {
			sum += points
			found = append(found, Signal{code, points, reason()})
		}
	}
	for i := range signals {
		s := &signals[i]
		add(s.Code, r.weights[i], s.value(f), func() string { return s.reason(f) })
	}
	for _, v := range f.Caller {
		if weight := r.CallerWeights[v.Name]; weight > 0 {
			add(codeCaller+"."+v.Name, weight, v.value(), func() string { return callerReason(v.Name) })
		}
	}
	slices.SortStableFunc(found, func(a, b Signal) int { return b.Points - a.Points })
	return min(sum, MaxScore), found
}

func callerReason(name string) string { return "the application says so: " + name }

// value of what a caller said: yes is all of the weight, a number its part between 0 and 1, a text none of it.
func (v *Value) value() float64 {
	switch v.Kind {
	case IsBool:
		return when(v.Yes)
	case IsNumber:
		return v.Number
	case IsText:
	}
	return 0
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

func span(seconds int) string {
	switch {
	case seconds < 2*60:
		return plural(seconds, "second")
	case seconds < 2*secondsPerHour:
		return plural(seconds/60, "minute")
	case seconds < 2*secondsPerDay:
		return plural(seconds/secondsPerHour, "hour")
	}
	return plural(seconds/secondsPerDay, "day")
}
