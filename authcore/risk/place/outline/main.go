// Command outline makes countries.txt of package place from Natural Earth's country borders.
//
//	go run ./authcore/risk/place/outline countries-10m.json > authcore/risk/place/countries.txt
//
// The argument is Natural Earth's "Admin 0 – Countries" at 1:10 million (public domain) as TopoJSON, in the
// form of the world-atlas project, which names countries by their UN M.49 codes. Of each country it covers the border,
// coasts and enclaves included, with caps: circles on the globe. Names are those of CLDR.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// earth is the mean radius in km (IUGG).
const earth = 6371.0088

// Caps are added to a country until none is wider than smallEnough, or there are maxCaps.
const (
	smallEnough = 250.0 // km
	maxCaps     = 12
	step        = 10.0 // km between points of a border that are covered
	cell        = 0.1  // degrees: of points in one cell, one is covered
	slack       = 20.0 // km added to each radius: more than step/2 and the diagonal of a cell together
)

// byName are what the file has no number for, and whom it belongs to. Disputed areas go to each side that an address may be filed
// under: a border too near is never wrong.
var byName = map[string][]string{
	"Kosovo": {"XK", "RS"}, "Somaliland": {"SO"}, "N. Cyprus": {"CY"}, "Cyprus U.N. Buffer Zone": {"CY"}, "Dhekelia": {"CY"}, "Akrotiri": {"CY"},
	"Siachen Glacier": {"IN", "PK"}, "Baikonur": {"KZ"}, "USNB Guantanamo Bay": {"CU"}, "Indian Ocean Ter.": {"AU"}, "Coral Sea Is.": {"AU"},
}

// box is where a territory with a code of its own lies, which the file draws as a part of another country. That country keeps
// it, too: registries file addresses of such territories under either code.
type box struct{ west, south, east, north float64 }

var parts = map[string]box{
	"GF": {-55, 2, -51, 6}, "GP": {-62, 15.7, -60.9, 16.6}, "MQ": {-61.3, 14.3, -60.7, 15}, "RE": {55, -21.5, 56, -20.7}, "YT": {44.9, -13.1, 45.4, -12.6},
	"SJ": {10, 70.5, 34, 81}, "BQ": {-68.6, 11.9, -62.9, 17.7}, "BV": {3.2, -54.6, 3.6, -54.3}, "CX": {105.4, -10.7, 105.8, -10.3}, "CC": {96.7, -12.3, 97, -11.7},
	"TK": {-172.6, -9.5, -171.1, -8.5},
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: outline countries-10m.json")
	}
	raw, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	borders, err := read(raw)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, header); err != nil {
		return err
	}
	names := display.English.Regions()
	for _, code := range slices.Sorted(maps.Keys(borders)) {
		region, err := language.ParseRegion(code)
		if err != nil {
			return fmt.Errorf("%s: %w", code, err)
		}
		var caps []string
		for _, c := range cover(borders[code]) {
			caps = append(caps, c.String())
		}
		if _, err := fmt.Fprintf(out, "%s|%s|%s\n", code, names.Name(region), strings.Join(caps, ";")); err != nil {
			return err
		}
	}
	return nil
}

const header = `# Countries and territories by their codes of ISO 3166-1 (XK: Kosovo): name, and circles that cover the whole border, coasts included,
# each as latitude and longitude in degrees and radius in km. Borders: Natural Earth 4.1, Admin 0 Countries, 1:10 million, public domain.
# Names: Unicode CLDR. Written by ./outline; do not edit.
`

// point is a direction from the middle of the earth, of length 1.
type point [3]float64

func at(lon, lat float64) point {
	sinLat, cosLat := math.Sincos(lat * math.Pi / 180)
	sinLon, cosLon := math.Sincos(lon * math.Pi / 180)
	return point{cosLat * cosLon, cosLat * sinLon, sinLat}
}

func (p point) degrees() (lat, lon float64) {
	return math.Asin(max(-1, min(1, p[2]))) * 180 / math.Pi, math.Atan2(p[1], p[0]) * 180 / math.Pi
}

// near is the cosine of the angle between p and q: the greater, the nearer.
func (p point) near(q point) float64 { return p[0]*q[0] + p[1]*q[1] + p[2]*q[2] }

// to is the distance in km.
func (p point) to(q point) float64 { return earth * math.Acos(max(-1, min(1, p.near(q)))) }

// topology is the part of TopoJSON that the file uses.
type topology struct {
	Transform struct {
		Scale     [2]float64 `json:"scale"`
		Translate [2]float64 `json:"translate"`
	} `json:"transform"`
	Arcs    [][][2]float64 `json:"arcs"`
	Objects map[string]struct {
		Geometries []struct {
			Type       string          `json:"type"`
			ID         string          `json:"id"`
			Arcs       json.RawMessage `json:"arcs"`
			Properties struct {
				Name string `json:"name"`
			} `json:"properties"`
		} `json:"geometries"`
	} `json:"objects"`
}

// read returns the points of each country's border, by its code.
func read(raw []byte) (map[string][]point, error) {
	var t topology
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, err
	}
	for _, arc := range t.Arcs { // each point tells its way from the one before
		var x, y float64
		for i, d := range arc {
			x, y = x+d[0], y+d[1]
			arc[i] = [2]float64{x*t.Transform.Scale[0] + t.Transform.Translate[0], y*t.Transform.Scale[1] + t.Transform.Translate[1]}
		}
	}
	borders := map[string][]point{}
	for _, g := range t.Objects["countries"].Geometries {
		codes := byName[g.Properties.Name]
		if n, err := strconv.Atoi(g.ID); err == nil {
			region, err := language.EncodeM49(n)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", g.Properties.Name, err)
			}
			codes = []string{region.String()}
		}
		var polygons [][][]int
		switch g.Type {
		case "Polygon":
			polygons = make([][][]int, 1)
			if err := json.Unmarshal(g.Arcs, &polygons[0]); err != nil {
				return nil, err
			}
		case "MultiPolygon":
			if err := json.Unmarshal(g.Arcs, &polygons); err != nil {
				return nil, err
			}
		default:
			continue
		}
		for _, ring := range slices.Concat(polygons...) {
			points, inBox := trace(t.Arcs, ring)
			for _, code := range codes {
				borders[code] = append(borders[code], points...)
			}
			if len(codes) > 0 && inBox != "" {
				borders[inBox] = append(borders[inBox], points...)
			}
		}
	}
	for code, b := range parts {
		if len(borders[code]) == 0 { // too small for the file
			borders[code] = []point{at(b.west, b.south), at(b.west, b.north), at(b.east, b.south), at(b.east, b.north)}
		}
	}
	for code, points := range borders {
		borders[code] = thin(points)
	}
	return borders, nil
}

// thin leaves one point in each cell.
func thin(points []point) (few []point) {
	seen := map[[2]float64]bool{}
	for _, p := range points {
		lat, lon := p.degrees()
		if k := [2]float64{math.Floor(lat / cell), math.Floor(lon / cell)}; !seen[k] {
			seen[k] = true
			few = append(few, p)
		}
	}
	return few
}

// trace follows a ring, with points no farther apart than step, and tells which of parts it lies in.
func trace(arcs [][][2]float64, ring []int) (points []point, inBox string) {
	var line [][2]float64
	for _, n := range ring {
		if n >= 0 {
			line = append(line, arcs[n]...)
			continue
		}
		back := slices.Clone(arcs[^n])
		slices.Reverse(back)
		line = append(line, back...)
	}
	for i, p := range line {
		points = append(points, at(p[0], p[1]))
		if i == 0 {
			continue
		}
		before := line[i-1]
		n := math.Ceil(at(before[0], before[1]).to(at(p[0], p[1])) / step)
		for k := 1.0; k < n; k++ { // along the line as it is drawn: a parallel is one
			// The short way: 180 and -180 degrees are the same meridian.
			points = append(points, at(before[0]+math.Remainder(p[0]-before[0], 360)*k/n, before[1]+(p[1]-before[1])*k/n))
		}
	}
	for code, b := range parts {
		if !slices.ContainsFunc(line, func(p [2]float64) bool { return p[0] < b.west || p[0] > b.east || p[1] < b.south || p[1] > b.north }) {
			inBox = code
		}
	}
	return points, inBox
}

// circle is a cap.
type circle struct {
	lat, lon float64 // degrees, as they are written
	radius   float64 // km
}

func (c circle) String() string { return fmt.Sprintf("%.1f %.1f %.0f", c.lat, c.lon, c.radius) }

// cover covers points with as few caps as are small, or with maxCaps.
func cover(points []point) []circle {
	for n := 1; ; n = min(n+(n+1)/2, maxCaps) {
		caps := clusters(points, n)
		widest := slices.MaxFunc(caps, func(a, b circle) int { return int(a.radius - b.radius) })
		if widest.radius <= smallEnough || n == maxCaps {
			return caps
		}
	}
}

// clusters covers points with at most n caps: it begins with points far from each other, gives each point to the nearest middle,
// moves middles, and does so again.
func clusters(points []point, n int) []circle {
	middles := []point{middle(points)}
	if n > 1 {
		middles = []point{farthest(points, middles)}
		for len(middles) < n {
			middles = append(middles, farthest(points, middles))
		}
	}
	var groups [][]point
	for range 6 {
		groups = make([][]point, len(middles))
		for _, p := range points {
			nearest := 0
			for i := range middles {
				if p.near(middles[i]) > p.near(middles[nearest]) {
					nearest = i
				}
			}
			groups[nearest] = append(groups[nearest], p)
		}
		for i := range groups {
			if len(groups[i]) > 0 {
				middles[i] = middle(groups[i])
			}
		}
	}
	var caps []circle
	for i, group := range groups {
		if len(group) == 0 {
			continue
		}
		m := middles[i]
		lat, lon := m.degrees()
		c := circle{lat: math.Round(lat*10) / 10, lon: math.Round(lon*10) / 10}
		for _, p := range group { // from the middle as it is written
			c.radius = max(c.radius, at(c.lon, c.lat).to(p))
		}
		c.radius = math.Ceil(c.radius + slack)
		caps = append(caps, c)
	}
	return caps
}

func farthest(points, from []point) (far point) {
	most := 2.0
	for _, p := range points {
		nearest := -1.0
		for _, m := range from {
			nearest = max(nearest, p.near(m))
		}
		if nearest < most {
			most, far = nearest, p
		}
	}
	return far
}

// middle is about the middle of the smallest cap around points: it moves towards the farthest by ever smaller steps
// (Bădoiu and Clarkson 2003).
func middle(points []point) point {
	m := points[0]
	for i := range 80 {
		far := farthest(points, []point{m})
		w := 1 / float64(i+2)
		var next point
		for k := range next {
			next[k] = m[k]*(1-w) + far[k]*w
		}
		length := math.Sqrt(next[0]*next[0] + next[1]*next[1] + next[2]*next[2])
		if length == 0 {
			return m
		}
		for k := range next {
			next[k] /= length
		}
		m = next
	}
	return m
}
