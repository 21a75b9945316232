package risk

import (
	"testing"
	"time"
)

// From where a user came, and when, belong together: a sign-in that came from nobody knows where in between makes no journey of
// ten days one of half an hour.
func TestTravelIsTimedFromWhereTheUserWas(t *testing.T) {
	far := func(string, string) int { return 8000 }
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	var p profile
	p, _ = p.learn(&visit{at: at, country: "DE"})
	p, _ = p.learn(&visit{at: at.AddDate(0, 0, 10)})
	read, err := parseProfile(p.append(nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]profile{"in memory": p, "read": read} {
		var f Facts
		p.compare(&visit{at: at.AddDate(0, 0, 10).Add(30 * time.Minute), country: "JP"}, &f, far)
		if f.PreviousCountry != "DE" || f.DistanceKm != 8000 || f.PreviousSeconds != 1800 || travel(&f) != 0 {
			t.Errorf("%s: %+v is impossible by %v", name, f, travel(&f))
		}
		f = Facts{}
		soon, _ := p.learn(&visit{at: at.AddDate(0, 0, 10).Add(time.Hour), country: "FR"})
		soon.compare(&visit{at: at.AddDate(0, 0, 10).Add(2 * time.Hour), country: "JP"}, &f, far)
		if travel(&f) != 1 {
			t.Errorf("%s: 8000 km in an hour is %v", name, travel(&f))
		}
	}
}
