package fault

import (
	"fmt"
	"strings"
)

// Hint proposes the one of all that is nearest to text, as " (did you mean this?)"; "" when none is near.
func Hint(text string, all []string) string {
	const long = 64 // no name is longer, and the work grows with the length
	if len(text) > long {
		return ""
	}
	best, least := "", 3 // edits: more is another word
	for _, one := range all {
		if d := distance(strings.ToLower(text), strings.ToLower(one)); d < least {
			best, least = one, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
