package risk

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Bounds of a profile.
const (
	remembered  = 180 // days for which a device, a country and a network stay known
	maxKept     = 16  // of each, those seen last
	maxSignIns  = 1000
	hoursShares = 10_000 // what the hours add up to
	forgetting  = 10     // a sign-in takes a tenth of what was, and gives it to its hour
)

// profile is what a user's sign-ins are like. It is a value: learn makes another.
type profile struct {
	SignIns   int            `json:"signIns"`   // at most maxSignIns
	Last      int64          `json:"last"`      // Unix seconds of the last one
	Country   string         `json:"country"`   // of the last one where it was known; "" never
	CountryAt int64          `json:"countryAt"` // Unix seconds of that one; 0: it was the last
	Hours     []int          `json:"hours"`     // 24 shares, UTC: an exponentially weighted average; nil before the first
	Devices   map[string]int `json:"devices"`   // the day each was seen last, counted from 1970
	// Countries and Networks likewise: ISO 3166-1 alpha-2, and the number of an autonomous system.
	Countries map[string]int `json:"countries"`
	Networks  map[string]int `json:"networks"`
}

// visit is a sign-in as a profile sees it.
type visit struct {
	at      time.Time
	device  string // "" not known
	country string
	asn     uint32
}

func (v *visit) network() string {
	if v.asn == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(v.asn), 10)
}

func day(at time.Time) int { return int(at.Unix() / secondsPerDay) }

func parseProfile(text []byte) (profile, error) {
	var p profile
	if err := json.Unmarshal(text, &p); err != nil {
		return profile{}, fmt.Errorf("risk profile: %w", err)
	}
	if p.Hours != nil && len(p.Hours) != 24 {
		return profile{}, fmt.Errorf("risk profile: a day of %d hours", len(p.Hours))
	}
	return p, nil
}

// append appends the profile as JSON, the same for the same profile.
func (p *profile) append(dst []byte) []byte {
	m := writer{dst: append(dst, '{'), first: true}
	m.number("signIns", p.SignIns)
	m.number("last", int(p.Last))
	m.text("country", p.Country)
	m.number("countryAt", int(p.CountryAt))
	if p.Hours != nil {
		m.key("hours")
		for i, share := range p.Hours {
			m.dst = append(m.dst, "[,"[min(i, 1)])
			m.dst = strconv.AppendInt(m.dst, int64(share), 10)
		}
		m.dst = append(m.dst, ']')
	}
	m.days("devices", p.Devices)
	m.days("countries", p.Countries)
	m.days("networks", p.Networks)
	return append(m.dst, '}')
}

func (m *writer) days(name string, days map[string]int) {
	if len(days) == 0 {
		return
	}
	m.key(name)
	m.dst, m.first = append(m.dst, '{'), true
	for _, k := range slices.Sorted(maps.Keys(days)) {
		m.key(k)
		m.dst = strconv.AppendInt(m.dst, int64(days[k]), 10)
	}
	m.dst, m.first = append(m.dst, '}'), false
}

// compare notes in f what the profile says of a visit.
func (p *profile) compare(v *visit, f *Facts, distance func(from, to string) int) {
	f.Known, f.SignIns = p.SignIns > 0, p.SignIns
	if !f.Known {
		return
	}
	today := day(v.at)
	f.NewDevice = isNew(p.Devices, v.device, today)
	f.NewCountry = isNew(p.Countries, v.country, today)
	f.NewNetwork = isNew(p.Networks, v.network(), today)
	f.PreviousCountry, f.PreviousSeconds = p.Country, int(max(v.at.Unix()-p.Last, 0))
	if p.CountryAt != 0 {
		f.CountrySeconds = int(max(v.at.Unix()-p.CountryAt, 0))
	}
	if p.Country != "" && v.country != "" && p.Country != v.country && distance != nil {
		f.DistanceKm = distance(p.Country, v.country)
	}
	if p.Hours != nil {
		h := v.at.UTC().Hour()
		f.HourShare = (p.Hours[(h+23)%24] + p.Hours[h] + p.Hours[(h+1)%24]) * 1000 / hoursShares
	}
}

// isNew reports something that was never seen, or not for a long time. What is not known is not new, nor
// is anything where nothing of its kind was ever known.
func isNew(seen map[string]int, name string, today int) bool {
	if name == "" || len(seen) == 0 {
		return false
	}
	last, ok := seen[name]
	return !ok || today-last > remembered
}

// learn returns the profile after a visit that was let in, and whether there was news in it: something new, or the first
// visit of a day.
func (p *profile) learn(v *visit) (after profile, news bool) {
	today := day(v.at)
	after = profile{
		SignIns: min(p.SignIns+1, maxSignIns), Last: max(v.at.Unix(), p.Last), Country: p.Country, Hours: make([]int, 24),
		Devices: keep(p.Devices, v.device, today), Countries: keep(p.Countries, v.country, today), Networks: keep(p.Networks, v.network(), today),
	}
	switch {
	case v.country != "":
		after.Country = v.country
	case p.Country != "": // when the user was there stays known, or the journey from there would seem shorter
		after.CountryAt = cmp.Or(p.CountryAt, p.Last)
	}
	left := hoursShares
	for i, share := range p.Hours {
		after.Hours[i] = share - (share+forgetting-1)/forgetting
		left -= after.Hours[i]
	}
	after.Hours[v.at.UTC().Hour()] += left
	news = p.SignIns == 0 || day(time.Unix(p.Last, 0)) != today || p.Country != after.Country ||
		!same(p.Devices, after.Devices) || !same(p.Countries, after.Countries) || !same(p.Networks, after.Networks)
	return after, news
}

func same(a, b map[string]int) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if _, ok := b[k]; !ok {
			return false
		}
	}
	return true
}

// keep returns what was seen with name, without what is forgotten.
func keep(seen map[string]int, name string, today int) map[string]int {
	out := make(map[string]int, len(seen)+1)
	for k, last := range seen {
		if today-last <= remembered {
			out[k] = last
		}
	}
	if name != "" {
		out[name] = max(today, out[name])
	}
	for len(out) > maxKept {
		oldest := ""
		for k, last := range out {
			if k != name && (oldest == "" || last < out[oldest] || last == out[oldest] && k < oldest) {
				oldest = k
			}
		}
		delete(out, oldest)
	}
	return out
}
