package stats

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

// A quantile is within a bucket's half of the truth, whatever was added in which order and
// however it was put together.
func TestHistogram(t *testing.T) {
	bucketOf := func(us float64) int { return int(math.Floor(math.Log2(us) * perOctave)) }
	var whole, low, high Histogram
	for i := 1; i <= 1000; i++ { // 100 µs to 100 ms
		b := bucketOf(float64(i) * 100)
		whole.Add(b, 1)
		if i%2 == 0 {
			low.Add(b, 1)
		} else {
			high.Add(b, 1)
		}
	}
	high.merge(&low)
	text, err := json.Marshal(&high)
	if err != nil {
		t.Fatal(err)
	}
	var back Histogram
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	for _, q := range []float64{.5, .95, .99, 1} {
		want := time.Duration(q*1000) * 100 * time.Microsecond
		for name, h := range map[string]*Histogram{"whole": &whole, "merged": &high, "read back": &back} {
			got, ok := h.Quantile(q)
			if off := math.Abs(float64(got-want)) / float64(want); !ok || off > .05 {
				t.Errorf("%s: Quantile(%v) = %v, want %v", name, q, got, want)
			}
		}
	}
	if _, ok := (&Histogram{}).Quantile(.5); ok {
		t.Error("nothing has a median")
	}
	var odd Histogram
	odd.Add(-7, 1)
	odd.Add(1<<30, 1)
	if len(odd.N) != maxBucket+1 {
		t.Errorf("%d buckets, want %d", len(odd.N), maxBucket+1)
	}
}

// cover leaves no gap, overlaps nowhere, and reads days where there are whole ones.
func TestCover(t *testing.T) {
	from := time.Date(2026, 11, 3, 10, 35, 0, 0, time.UTC)
	for _, tt := range []struct {
		to    time.Time
		parts int
	}{
		{from.Add(5 * time.Minute), 1},
		{from.Add(time.Hour), 1},
		{from.Add(2 * time.Hour), 3},
		{from.Add(24 * time.Hour), 3},
		{from.Add(30 * 24 * time.Hour), 5},
		{from, 0},
	} {
		parts := cover(from, tt.to, fine)
		at := from
		for _, p := range parts {
			if !p.from.Equal(at) || !p.to.After(p.from) || !p.from.Equal(p.from.Truncate(p.step)) || !p.to.Equal(p.to.Truncate(p.step)) {
				t.Errorf("to %v: %+v after %v", tt.to, p, at)
			}
			at = p.to
		}
		if len(parts) != tt.parts || !at.Equal(tt.to) {
			t.Errorf("to %v: %+v, want %d parts", tt.to, parts, tt.parts)
		}
	}
}
