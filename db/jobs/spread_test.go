package jobs

import (
	"fmt"
	"testing"
	"time"
)

// Each installation has its own second of the hour, and keeps it.
func TestSpread(t *testing.T) {
	begin := time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC)
	s := spreadOf("https://auth.acme.example")
	first := s.Next(begin)
	if again := spreadOf("https://auth.acme.example"); again != s || s.offset < 0 || s.offset >= time.Hour {
		t.Errorf("offsets %s and %s, want the same, within the hour", s.offset, again.offset)
	}
	for _, tt := range []struct {
		name      string
		now, want time.Time
	}{
		{"before it", first.Add(-time.Second), first},
		{"at it: the next", first, first.Add(time.Hour)},
		{"after it", first.Add(time.Second), first.Add(time.Hour)},
		{"a day later", first.Add(24*time.Hour + time.Minute), first.Add(25 * time.Hour)},
		{"on another server, elsewhere", first.In(time.FixedZone("", 5*3600+1800)).Add(-time.Minute), first},
	} {
		if got := s.Next(tt.now); !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	quarters := [4]int{}
	for i := range 4000 {
		o := spreadOf(fmt.Sprintf("https://auth-%d.example", i))
		quarters[o.offset/(15*time.Minute)]++
	}
	for i, n := range quarters {
		if n < 800 || n > 1200 {
			t.Errorf("%d of 4000 installations ask in quarter %d of the hour, want about a quarter", n, i)
		}
	}
}
