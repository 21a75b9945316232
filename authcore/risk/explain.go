package risk

import (
	"maps"
	"slices"
	"strings"
)

// Explain says why the signals of a recorded decision counted: those that it had with the points that they had then, the heaviest first,
// as Decide returned them. The reasons are made of the recorded facts, since they are not stored. What another version of the signals
// counted is returned without a reason: what it meant by it is not known here.
func Explain(r *Recorded) []Signal {
	left := maps.Clone(r.Signals)
	out := make([]Signal, 0, len(left))
	for i := range signals {
		s := &signals[i]
		points, counted := left[s.Code]
		if !counted {
			continue
		}
		delete(left, s.Code)
		one := Signal{Code: s.Code, Points: points}
		if r.Version == Version {
			one.Reason = s.reason(&r.Facts)
		}
		out = append(out, one)
	}
	for _, code := range slices.Sorted(maps.Keys(left)) {
		one := Signal{Code: code, Points: left[code]}
		if name, said := strings.CutPrefix(code, codeCaller+"."); said && r.Version == Version {
			one.Reason = callerReason(name)
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b Signal) int { return b.Points - a.Points })
	return out
}
