package ui

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/web/static"
)

func hours(n int) []time.Time {
	out := make([]time.Time, n)
	for i := range out {
		out[i] = time.Date(2026, 11, 3, i, 0, 0, 0, time.UTC)
	}
	return out
}

func drawn(t *testing.T, c Chart, columns bool) string {
	t.Helper()
	k := Kit{Static: static.New()}
	page := k.LineChart(c)
	if columns {
		page = k.ColumnChart(c)
	}
	var b strings.Builder
	if err := page.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if err := k.Spark(c).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") || strings.Contains(b.String(), "style=") {
		t.Errorf("drawn with what is no number, or with a style: %s", b.String())
	}
	return b.String()
}

// Charts are drawn whatever is known: an empty one says so, one point is a dot, a hole
// stays a hole.
func TestChart(t *testing.T) {
	for _, tt := range []struct {
		name   string
		chart  Chart
		want   []string
		absent []string
	}{
		{
			name: "nothing at all", chart: Chart{ID: "a", Title: "Sign-ins"},
			want: []string{"No data in this period", "Sign-ins"}, absent: []string{"data-chart", "<details"},
		},
		{
			name: "times without values", chart: Chart{ID: "a", Times: hours(3), Step: time.Hour, Series: []Series{{Name: "p95", Class: "c1", Values: []float64{Unknown, Unknown, Unknown}}}},
			want: []string{"No data in this period"}, absent: []string{"spark"},
		},
		{
			name: "one point is a dot", chart: Chart{ID: "a", Times: hours(1), Step: time.Hour, Series: []Series{{Name: "n", Class: "c1", Values: []float64{7}}}},
			want: []string{"M300.0 ", "h.01", "highest 7 at 00:00 UTC"},
		},
		{
			name: "all zero", chart: Chart{ID: "a", Times: hours(2), Step: time.Hour, Whole: true, Series: []Series{{Name: "n", Class: "c1", Values: []float64{0, 0}}}},
			want: []string{"M0.0 200.0C"},
		},
		{
			name: "a hole stays a hole", chart: Chart{ID: "a", Times: hours(5), Step: time.Hour, Unit: "ms", Area: true, Series: []Series{{Name: "p95", Class: "c1", Values: []float64{1, 2, Unknown, 4, 3}}}},
			want: []string{"M0.0 ", "M450.0 ", "<td class=\"num\">–</td>", "3 ms"},
		},
		{
			name: "hostile names stay text", chart: Chart{ID: "a", Times: hours(2), Step: time.Hour, Title: "<script>x</script>", Series: []Series{{Name: "</div><img src=x>", Class: "c1", Values: []float64{1, 2}}}},
			want: []string{"&lt;script&gt;"}, absent: []string{"<script>x", "<img"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, columns := range []bool{false, true} {
				page := drawn(t, tt.chart, columns)
				for _, want := range tt.want {
					if columns && (strings.HasPrefix(want, "M") || want == "h.01") {
						continue
					}
					if !strings.Contains(page, want) {
						t.Errorf("columns=%v: no %q in %s", columns, want, page)
					}
				}
				for _, absent := range tt.absent {
					if strings.Contains(page, absent) {
						t.Errorf("columns=%v: %q in %s", columns, absent, page)
					}
				}
			}
		})
	}
}

// A monotone curve never leaves the interval of its two points.
func TestMonotone(t *testing.T) {
	c := Chart{Times: hours(6), Step: time.Hour, Series: []Series{{Values: []float64{0, 0, 100, 100, 3, 3}}}}
	path := line(c.runs(&c.Series[0], 0, 100))
	for field := range strings.FieldsFuncSeq(path, func(r rune) bool { return strings.ContainsRune("MC ", r) }) {
		if strings.HasPrefix(field, "-") {
			t.Errorf("%s goes beyond the data at %s", path, field)
		}
	}
	if strings.Contains(path, "200.1") {
		t.Errorf("%s goes below nothing", path)
	}
}

func TestScale(t *testing.T) {
	for _, tt := range []struct {
		highest float64
		whole   bool
		want    string
	}{
		{0, true, "4 3 2 1 0"}, {1, true, "4 3 2 1 0"}, {5, true, "8 6 4 2 0"}, {10, true, "20 15 10 5 0"}, {775, true, "800 600 400 200 0"},
		{9.1, true, "20 15 10 5 0"}, {9.1, false, "10 7.5 5 2.5 0"}, {161, false, "200 150 100 50 0"}, {52_000, true, "80k 60k 40k 20k 0"}, {.3, false, "0.4 0.3 0.2 0.1 0"},
	} {
		c := Chart{Whole: tt.whole, Times: hours(1), Series: []Series{{Values: []float64{tt.highest}}}}
		if got := strings.Join(c.yTicks(false), " "); got != tt.want {
			t.Errorf("scale of %v = %s, want %s", tt.highest, got, tt.want)
		}
	}
}

func TestTicks(t *testing.T) {
	said := func(c Chart) string {
		var out []string
		for _, x := range c.xTicks() {
			out = append(out, x.Text)
		}
		return strings.Join(out, " ")
	}
	if got, want := said(Chart{Times: hours(24), Step: time.Hour}), "00:00 04:00 08:00 12:00 16:00 20:00 00:00"; got != want {
		t.Errorf("ticks of a day = %s, want %s", got, want)
	}
	var week []time.Time
	for i := range 7 {
		week = append(week, time.Date(2026, 11, 3+i, 0, 0, 0, 0, time.UTC))
	}
	if got, want := said(Chart{Times: week, Step: 24 * time.Hour}), "3 Nov 4 Nov 5 Nov 6 Nov 7 Nov 8 Nov 9 Nov 10 Nov"; got != want {
		t.Errorf("ticks of a week = %s, want %s", got, want)
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7: "7", 48_213: "48,213", 99.21: "99.21", 1_234_567: "1,234,567", 99.5: "99.5", -12_000: "−12,000", 84.04: "84.04", 1234.5: "1,234"} {
		if got := Grouped(v); got != want {
			t.Errorf("Grouped(%v) = %s, want %s", v, got, want)
		}
	}
	if got := Grouped(math.NaN()); got != "–" {
		t.Errorf("Grouped of nothing known = %s", got)
	}
	for share, want := range map[float64]string{0: "0%", .941: "94.1%", .0002: "<0.1%", .38: "38.0%", 1: "100%", .99999: "99.9%"} {
		if got := Percent(share); got != want {
			t.Errorf("Percent(%v) = %s, want %s", share, got, want)
		}
	}
}

func TestShares(t *testing.T) {
	if got := Shares([]int64{3, 1}); got[0] != .75 || got[1] != .25 {
		t.Errorf("Shares = %v", got)
	}
	if got := Shares([]int64{0, 0}); got[0] != 0 || got[1] != 0 {
		t.Errorf("Shares of nothing = %v", got)
	}
}

// The step that is not over is drawn apart: else each chart would end in a fall.
func TestStepThatIsNotOver(t *testing.T) {
	c := Chart{ID: "a", Times: hours(3), Step: time.Hour, Going: hours(3)[2], Area: true, Series: []Series{{Name: "n", Class: "c1", Values: []float64{4, 4, 2}}}}
	lines, columns := drawn(t, c, false), drawn(t, c, true)
	for _, want := range []string{`class="line going c1" d="M300.0 0.0L600.0 100.0"`, "02:00, so far", "L300.0 200 0.0 200Z"} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in %s", want, lines)
		}
	}
	if strings.Contains(lines, "L600.0 200 ") {
		t.Error("the area goes on to the step that is not over")
	}
	if strings.Count(columns, "column c1 going") != 1 {
		t.Errorf("of the columns %s", columns)
	}
}
