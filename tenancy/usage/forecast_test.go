package usage

import (
	"testing"
	"time"
)

func TestForecast(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	at := day(21).Add(12 * time.Hour) // ten and a half days are left of thirty
	var steady []Day
	for d := 10; d <= 21; d++ {
		steady = append(steady, Day{Day: day(d), Ceremonies: 100, MonthlyActiveUsers: int64(10 * d), StoredBytes: int64(1000 * d)})
	}
	steady[len(steady)-1].Ceremonies = 50 // half of the day has gone
	for _, tt := range []struct {
		name string
		kind Kind
		days []Day
		used int64
		at   time.Time
		want int64
	}{
		{"ceremonies go on by the mean of whole days", Ceremonies, steady, 2050, at, 2050 + 950},
		{"users by how many came for the first time", MonthlyActiveUsers, steady, 210, at, 210 + 95},
		{"bytes by what was added", Storage, steady, 21000, at, 21000 + 9500},
		{"nothing yet", Ceremonies, nil, 0, at, 0},
		{"the first day alone, by its hours", Ceremonies, []Day{{Day: day(1), Ceremonies: 30}}, 30, day(1).Add(6 * time.Hour), 3600},
		{"what shrinks is not forecast below what is", Storage, []Day{{Day: day(19), StoredBytes: 900}, {Day: day(20), StoredBytes: 100}}, 100, at, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := forecast(tt.kind, tt.used, tt.days, tt.at); got != tt.want {
				t.Errorf("forecast = %d, want %d", got, tt.want)
			}
		})
	}
}
