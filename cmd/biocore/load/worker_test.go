package load

import (
	"testing"
	"time"
)

func TestDistribution(t *testing.T) {
	micros := make([]uint32, 100)
	for i := range micros {
		micros[99-i] = uint32((i + 1) * 1000)
	}
	if got, want := distribution(micros), (Latency{P50: 50, P95: 95, P99: 99}); got != want {
		t.Errorf("distribution = %+v, want %+v", got, want)
	}
	if got, want := distribution([]uint32{1500}), (Latency{P50: 1.5, P95: 1.5, P99: 1.5}); got != want {
		t.Errorf("of one = %+v, want %+v", got, want)
	}
	if got := distribution(nil); got != (Latency{}) {
		t.Errorf("of none = %+v", got)
	}
}

func TestSum(t *testing.T) {
	m := sum([]tally{
		{samples: []sample{{1000, 2000}, {1000, 4000}}, reasons: map[string]int{"X": 1}, errors: 1},
		{samples: []sample{{3000, 6000}}, reasons: map[string]int{"X": 2, "Y": 1}, errors: 3},
	}, 2, 3*time.Second)
	if m.Workers != 2 || m.SignIns != 3 || m.PerSecond != 1 || m.Errors != 4 || m.Reasons["X"] != 3 || m.Reasons["Y"] != 1 ||
		m.Total.P50 != 5 || m.Begin.P99 != 3 || m.Finish.P50 != 4 {
		t.Errorf("sum = %+v", m)
	}
}
