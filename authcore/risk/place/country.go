package place

import (
	_ "embed"
	"fmt"
	"math"
	"strings"
	"sync"
)

// countriesText is written by ./outline, which says how.
//
//go:embed countries.txt
var countriesText string

// earthRadius is the mean one, in km (IUGG).
const earthRadius = 6371.0088

// FastestKMH is how fast people travel at most, in km an hour: airliners fly at 900, and a tailwind adds to it.
const FastestKMH = 1100

// country is a row of countries.txt.
type country struct {
	name string
	caps []circle
}

// circle is a cap of the globe that covers a part of a border.
type circle struct {
	x, y, z float64 // its middle, as a direction of length 1
	radius  float64 // km
}

// countries are all rows by code.
var countries = sync.OnceValue(func() map[string]country {
	all, err := readCountries(countriesText)
	if err != nil {
		panic(err) // the text is compiled in, and a test reads it
	}
	return all
})

func readCountries(text string) (map[string]country, error) {
	all := make(map[string]country, 256)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		row := strings.Split(line, "|")
		if len(row) != 3 || !isCode(row[0]) {
			return nil, fmt.Errorf("no row of a country: %q", line)
		}
		c := country{name: row[1]}
		for text := range strings.SplitSeq(row[2], ";") {
			var lat, lon, radius float64
			if n, err := fmt.Sscanf(text, "%f %f %f", &lat, &lon, &radius); err != nil || n != 3 {
				return nil, fmt.Errorf("%s: no cap: %q", row[0], text)
			}
			sinLat, cosLat := math.Sincos(lat * math.Pi / 180)
			sinLon, cosLon := math.Sincos(lon * math.Pi / 180)
			c.caps = append(c.caps, circle{cosLat * cosLon, cosLat * sinLon, sinLat, radius})
		}
		all[row[0]] = c
	}
	return all, nil
}

// isCode reports the form of an ISO 3166-1 alpha-2 code.
func isCode(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

// CountryName is the English name of a country or territory by its ISO 3166-1 code; the code itself where there is none.
func CountryName(code string) string {
	if c, ok := countries()[code]; ok {
		return c.name
	}
	return code
}

// MinDistance is how many km two countries are apart at least: 0 for a country and itself, and for neighbours. It is false
// where one of the codes is not of ISO 3166-1, or empty.
//
// The borders of both, coasts and enclaves included, lie within caps (countries.txt). Two points in two caps are no nearer to
// each other than the caps' middles are, less both radii; so no two points of the two borders are nearer than the least of that over
// all pairs of caps, and with them no two points of the countries, of which none lies in the other. The figure is never
// greater than the true distance between the borders, as Natural Earth draws them; it is less by up to the radii. A country's overseas parts count as the
// country, also where they have a code of their own.
func MinDistance(from, to string) (km float64, known bool) {
	a, ok := countries()[from]
	b, also := countries()[to]
	if !ok || !also {
		return 0, false
	}
	if from == to {
		return 0, true
	}
	least := math.Inf(1)
	for i := range a.caps {
		for j := range b.caps {
			p, q := &a.caps[i], &b.caps[j]
			angle := math.Acos(max(-1, min(1, p.x*q.x+p.y*q.y+p.z*q.z)))
			if least = min(least, angle*earthRadius-p.radius-q.radius); least <= 0 {
				return 0, true
			}
		}
	}
	return least, true
}
