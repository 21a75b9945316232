package ui

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Unknown is a value of a chart that nobody knows: the line breaks there.
var Unknown = math.NaN()

// Known reports whether v is a number.
func Known(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Series is one line, or one colour of a column.
type Series struct {
	Name   string
	Class  string    // c1 to c6
	Values []float64 // one for each of Chart.Times; Unknown where nothing is known
}

// Chart is values over time, as Kit.LineChart, Kit.ColumnChart, Kit.SeriesTable and
// Kit.Spark draw it. The zero value draws an empty one.
type Chart struct {
	ID     string // of the element; unique on the page
	Title  string // for who does not see it
	Unit   string // of every value: ms, %, or empty for counts
	Times  []time.Time
	Step   time.Duration // from one to the next
	Series []Series
	Area   bool      // fill below the lines
	Going  time.Time // when the step began that is not over: it is drawn apart, and said to be so far; zero: all are
	Whole  bool      // values are counts: the scale has no fractions
	Max    float64
}

// The viewBox of every chart. It is stretched to the space there is, and strokes are not.
const chartWidth, chartHeight = 600, 200

// Empty reports whether there is no value at all.
func (c *Chart) Empty() bool {
	return !slices.ContainsFunc(c.Series, func(s Series) bool { return slices.ContainsFunc(s.Values, Known) })
}

// top is the value at the upper edge: four equal round steps that hold every value.
func (c *Chart) top(stacked bool) float64 {
	if c.Max > 0 {
		return c.Max
	}
	highest := 0.0
	for i := range c.Times {
		sum := 0.0
		for _, s := range c.Series {
			if v := s.at(i); Known(v) {
				if !stacked {
					sum = 0
				}
				sum += v
				highest = max(highest, sum)
			}
		}
	}
	return 4 * roundStep(highest/4, c.Whole)
}

func (s *Series) at(i int) float64 {
	if i >= len(s.Values) {
		return Unknown
	}
	return s.Values[i]
}

// roundStep is the least of 1, 2, 2.5, 5 times a power of ten that is not below v; of
// whole numbers where whole is set.
func roundStep(v float64, whole bool) float64 {
	if v <= 0 || !Known(v) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, k := range []float64{1, 2, 2.5, 5, 10} {
		if step := k * power; step >= v*(1-1e-9) && (!whole || step >= 1 && step == math.Trunc(step)) {
			return step
		}
	}
	return max(1, 10*power)
}

// yTicks are the numbers of the scale, the highest first.
func (c *Chart) yTicks(stacked bool) []string {
	top := c.top(stacked)
	out := make([]string, 0, 5)
	for i := 4; i >= 0; i-- {
		out = append(out, Short(top*float64(i)/4))
	}
	return out
}

// tick is a time below a chart.
type tick struct{ Text, ISO string }

// xTicks are at most nine times at equal distances, the first and the end among them.
func (c *Chart) xTicks() []tick {
	if len(c.Times) == 0 {
		return nil
	}
	from := c.Times[0]
	to := c.Times[len(c.Times)-1].Add(c.Step)
	n := 1
	for _, try := range []int{6, 7, 8, 5, 4, 3, 2} {
		if part := to.Sub(from) / time.Duration(try); len(c.Times) >= try && part*time.Duration(try) == to.Sub(from) && part%c.grain() == 0 {
			n = try
			break
		}
	}
	out := make([]tick, 0, n+1)
	for i := range n + 1 {
		at := from.Add(to.Sub(from) * time.Duration(i) / time.Duration(n))
		out = append(out, tick{c.short(at), at.UTC().Format(time.RFC3339)})
	}
	return out
}

// grain is what a tick is rounded to: a day where days are shown, else a minute.
func (c *Chart) grain() time.Duration {
	if c.days() {
		return 24 * time.Hour
	}
	return time.Minute
}

// days reports whether the chart is long enough for dates instead of times of day.
func (c *Chart) days() bool {
	return len(c.Times) > 0 && time.Duration(len(c.Times))*c.Step > 48*time.Hour
}

func (c *Chart) short(t time.Time) string {
	if c.days() {
		return t.UTC().Format("2 Jan")
	}
	return t.UTC().Format("15:04")
}

// labels are the times of the points in UTC, in full.
func (c *Chart) labels() []string {
	out := make([]string, len(c.Times))
	for i, t := range c.Times {
		switch {
		case c.Step >= 24*time.Hour:
			out[i] = t.UTC().Format("2 Jan 2006")
		case c.days():
			out[i] = t.UTC().Format("2 Jan, 15:04")
		default:
			out[i] = t.UTC().Format("15:04")
		}
	}
	if i := c.over(); i < len(out) {
		out[i] += ", so far"
	}
	return out
}

// Describe says in a line what the chart shows, for who does not see it.
func (c *Chart) Describe() string {
	if c.Empty() {
		return "No data in this period."
	}
	var out []string
	labels := c.labels()
	for _, s := range c.Series {
		high, last := -1, -1
		for i := range s.Values {
			if Known(s.Values[i]) {
				last = i
				if high < 0 || s.Values[i] > s.Values[high] {
					high = i
				}
			}
		}
		if high >= 0 && high < len(labels) && last < len(labels) {
			out = append(out, fmt.Sprintf("%s: highest %s at %s UTC, last %s", s.Name, c.say(s.Values[high]), labels[high], c.say(s.Values[last])))
		}
	}
	return strings.Join(out, ". ") + "."
}

// say is a value with its unit.
func (c *Chart) say(v float64) string {
	if !Known(v) {
		return "–"
	}
	text := Grouped(v)
	if c.Unit == "%" {
		return text + "%"
	}
	return strings.TrimSpace(text + " " + c.Unit)
}

// Grouped is v with thousands apart, and up to two digits behind the point where it is
// small: 48,213, 84, 99.21.
func Grouped(v float64) string {
	if !Known(v) {
		return "–"
	}
	digits := 0
	if v != math.Trunc(v) {
		switch abs := math.Abs(v); {
		case abs < 100:
			digits = 2
		case abs < 1000:
			digits = 1
		}
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	whole, rest, fraction := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "−", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest = strings.TrimRight(rest, "0"); fraction && rest != "" {
		whole += "." + rest
	}
	return sign + whole
}

// Short is v for a scale: 800, 1.5k, 2M.
func Short(v float64) string {
	switch {
	case v >= 1e9:
		return trimmed(v/1e9) + "G"
	case v >= 1e6:
		return trimmed(v/1e6) + "M"
	case v >= 1e4:
		return trimmed(v/1e3) + "k"
	case v >= 1:
		return trimmed(v)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

func trimmed(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// point is a value's place in the viewBox.
type point struct{ x, y float64 }

// point is where the i-th value of a series is.
func (c *Chart) point(s *Series, i int, low, high float64) point {
	x := chartWidth / 2.0
	if n := len(c.Times); n > 1 {
		x = float64(i) * chartWidth / float64(n-1)
	}
	return point{x, chartHeight - (s.at(i)-low)/(high-low)*chartHeight}
}

// over is how many steps are over.
func (c *Chart) over() int {
	if c.Going.IsZero() {
		return len(c.Times)
	}
	over, _ := slices.BinarySearchFunc(c.Times, c.Going, time.Time.Compare)
	return over
}

// runs are the series' points of steps that are over, apart where values are unknown.
func (c *Chart) runs(s *Series, low, high float64) [][]point {
	var out [][]point
	var run []point
	for i := range c.over() {
		if !Known(s.at(i)) {
			if run != nil {
				out, run = append(out, run), nil
			}
			continue
		}
		run = append(run, c.point(s, i, low, high))
	}
	if run != nil {
		out = append(out, run)
	}
	return out
}

// going is the path to a series' value of the step that is not over; empty for none.
func (c *Chart) going(s *Series, low, high float64) string {
	i := c.over()
	if i == 0 || i == len(c.Times) || !Known(s.at(i)) || !Known(s.at(i-1)) {
		return ""
	}
	from, to := c.point(s, i-1, low, high), c.point(s, i, low, high)
	return fmt.Sprintf("M%.1f %.1fL%.1f %.1f", from.x, from.y, to.x, to.y)
}

// line is the path of a series: a monotone cubic (Fritsch-Carlson), which is smooth and
// never goes beyond the data. A point alone is a dot.
func line(runs [][]point) string {
	var b strings.Builder
	for _, run := range runs {
		monotone(&b, run)
	}
	return b.String()
}

// area is the path of what is below a series.
func area(runs [][]point) string {
	var b strings.Builder
	for _, run := range runs {
		if len(run) < 2 {
			continue
		}
		monotone(&b, run)
		fmt.Fprintf(&b, "L%.1f %d %.1f %dZ", run[len(run)-1].x, chartHeight, run[0].x, chartHeight)
	}
	return b.String()
}

func monotone(b *strings.Builder, p []point) {
	n := len(p)
	fmt.Fprintf(b, "M%.1f %.1f", p[0].x, p[0].y)
	if n == 1 {
		b.WriteString("h.01") // round caps make a dot of it
		return
	}
	slope, tangent := make([]float64, n-1), make([]float64, n)
	for i := range slope {
		slope[i] = (p[i+1].y - p[i].y) / (p[i+1].x - p[i].x)
	}
	tangent[0], tangent[n-1] = slope[0], slope[n-2]
	for i := 1; i < n-1; i++ {
		if slope[i-1]*slope[i] > 0 {
			tangent[i] = 2 * slope[i-1] * slope[i] / (slope[i-1] + slope[i])
		}
	}
	for i := range slope {
		h := (p[i+1].x - p[i].x) / 3
		fmt.Fprintf(b, "C%.1f %.1f %.1f %.1f %.1f %.1f", p[i].x+h, p[i].y+h*tangent[i], p[i+1].x-h, p[i+1].y-h*tangent[i+1], p[i+1].x, p[i+1].y)
	}
}

// column is one rectangle.
type column struct {
	class, x, y, width, height string
	going                      bool // of the step that is not over
}

// columns are the rectangles of a chart by columns, the series on top of each other.
func (c *Chart) columns() []column {
	var out []column
	top := c.top(true)
	slot := chartWidth / float64(max(1, len(c.Times)))
	for i := range c.Times {
		y := float64(chartHeight)
		for k := range c.Series {
			v := c.Series[k].at(i)
			if !Known(v) || v <= 0 {
				continue
			}
			h := v / top * chartHeight
			y -= h
			out = append(out, column{c.Series[k].Class, fixed(float64(i)*slot + slot*.14), fixed(y), fixed(slot * .72), fixed(h), i >= c.over()})
		}
	}
	return out
}

func fixed(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

// sparkRuns scale a series to itself: a spark shows the shape and no size, so it goes over
// what is not known. What does not change is in the middle.
func (c *Chart) sparkRuns() [][]point {
	if len(c.Series) == 0 || c.Empty() {
		return nil
	}
	low, high := math.Inf(1), math.Inf(-1)
	for i := range c.over() {
		if v := c.Series[0].at(i); Known(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	room := (high - low) * .35
	if room == 0 {
		room = max(1, math.Abs(high)*.1)
	}
	run := slices.Concat(c.runs(&c.Series[0], low-2*room, high+room)...)
	if len(run) == 0 {
		return nil
	}
	return [][]point{run}
}

// hover is what the script reads to say the values below the pointer.
type hover struct {
	Unit   string        `json:"unit"`
	Times  []string      `json:"times"`
	Labels []string      `json:"labels"`
	Series []hoverSeries `json:"series"`
}

type hoverSeries struct {
	Name   string   `json:"name"`
	Class  string   `json:"class"`
	Values []string `json:"values"`
}

func (c *Chart) hover() hover {
	h := hover{Unit: c.Unit, Labels: c.labels(), Times: make([]string, len(c.Times))}
	for i, t := range c.Times {
		h.Times[i] = t.UTC().Format(time.RFC3339)
	}
	for k := range c.Series {
		s := hoverSeries{Name: c.Series[k].Name, Class: c.Series[k].Class, Values: make([]string, len(c.Times))}
		for i := range c.Times {
			s.Values[i] = c.say(c.Series[k].at(i))
		}
		h.Series = append(h.Series, s)
	}
	return h
}

// Part is a share of a whole.
type Part struct {
	Name  string
	Class string // c1 to c6
	Value string // as people read it
	Share float64
}

// Percent is a share of 0 to 1, for people: 94.1%, and <0.1% for what is more than nothing.
func Percent(share float64) string {
	switch {
	case !Known(share):
		return "–"
	case share > 0 && share < .001:
		return "<0.1%"
	case share < 1 && share > .9995:
		return "99.9%"
	}
	if share == 0 || share == 1 {
		return trimmed(share*100) + "%"
	}
	return strconv.FormatFloat(share*100, 'f', 1, 64) + "%" // its column has one digit behind each point
}

// Shares are parts of counts, in their order; all of them 0 where the whole is.
func Shares(counts []int64) []float64 {
	var whole int64
	for _, n := range counts {
		whole += n
	}
	out := make([]float64, len(counts))
	for i, n := range counts {
		if whole > 0 {
			out[i] = float64(n) / float64(whole)
		}
	}
	return out
}

func partsText(parts []Part) string {
	out := make([]string, 0, len(parts))
	for _, p := range parts {
		out = append(out, p.Name+" "+Percent(p.Share))
	}
	return strings.Join(out, ", ")
}

func partStart(parts []Part, i int) string {
	x := 0.0
	for _, p := range parts[:i] {
		x += p.Share
	}
	return fixed(x * 100)
}

// Change is how a key number moved against the period before.
type Change struct {
	Text string // "12.4%", "0.34 pt", "6 ms"; empty: there is nothing to compare with
	Up   bool
	Good bool // the way it should go
	Even bool // it did not move
	Note string
}

func (c Change) class() string {
	switch {
	case c.Even:
		return "muted"
	case c.Good:
		return "good"
	default:
		return "bad"
	}
}

func (c Change) icon() string {
	switch {
	case c.Even:
		return "minus"
	case c.Up:
		return "arrowur"
	default:
		return "arrowdl"
	}
}

func (c Change) word() string {
	switch {
	case c.Even:
		return "unchanged"
	case c.Up:
		return "up"
	default:
		return "down"
	}
}

func viewBox() string { return fmt.Sprintf("0 0 %d %d", chartWidth, chartHeight) }
