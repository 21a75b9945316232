package ui

// Histogram is counts by bands of a score from 0 to 100, as Kit.Histogram draws it.
type Histogram struct {
	ID    string // of the element; unique on the page
	Title string // for who does not see it
	Noun  string // what is counted, in the plural
	Bands []Band // of one width, the lowest first
	Marks []Mark
}

// Band is one bar.
type Band struct {
	Label string // 0–9
	Class string // c1 to c6
	Count int
}

// Mark is a score at which something begins.
type Mark struct {
	Label string
	Score int
}

// barRoom is how much of the height the highest bar takes, and leastBar what a bar has at least that is not
// empty: what is there can be seen.
const (
	barRoom  = .96
	leastBar = 2.0
)

func (h *Histogram) highest() int {
	most := 0
	for _, b := range h.Bands {
		most = max(most, b.Count)
	}
	return most
}

// top is the value at the upper edge.
func (h *Histogram) top() float64 { return 4 * roundStep(float64(h.highest())/4/barRoom, true) }

func (h *Histogram) yTicks() []string {
	out := make([]string, 0, 5)
	for i := 4; i >= 0; i-- {
		out = append(out, Short(h.top()*float64(i)/4))
	}
	return out
}

// edges are the scores between the bands.
func (h *Histogram) edges() []string {
	out := make([]string, len(h.Bands)+1)
	for i := range out {
		out[i] = Number(i * 100 / max(1, len(h.Bands)))
	}
	return out
}

func (h *Histogram) columns() []column {
	var out []column
	slot := chartWidth / float64(max(1, len(h.Bands)))
	for i, b := range h.Bands {
		if b.Count == 0 {
			continue
		}
		tall := max(leastBar, float64(b.Count)/h.top()*chartHeight)
		out = append(out, column{class: b.Class, x: fixed(float64(i)*slot + slot*.08), y: fixed(chartHeight - tall), width: fixed(slot * .84), height: fixed(tall)})
	}
	return out
}

func (m Mark) x() string { return fixed(float64(m.Score) * chartWidth / 100) }

// said is what stands above a bar: nothing above one that is empty.
func (b Band) said() string {
	if b.Count == 0 {
		return ""
	}
	return Short(float64(b.Count))
}

// Describe says in a line what the histogram shows.
func (h *Histogram) Describe() string {
	most, sum := -1, 0
	for i, b := range h.Bands {
		sum += b.Count
		if b.Count > 0 && (most < 0 || b.Count > h.Bands[most].Count) {
			most = i
		}
	}
	if most < 0 {
		return "No data in this period."
	}
	return Thousands(h.Bands[most].Count) + " of " + Thousands(sum) + " " + h.Noun + " score " + h.Bands[most].Label + ", the most of all bands."
}
