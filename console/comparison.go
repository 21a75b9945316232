package console

import (
	"strconv"

	"github.com/biocore-id/biocore/console/ui"
)

// comparison is a version of a document beside another one.
type comparison struct {
	Here    string // address of the version's page
	What    string // is compared, for who hears it: "The policy as JSON"
	Version int
	Against int
	Others  []ui.Choice // to compare with: the latest fifty
	Left    string      // the older, as time goes
	Right   string
	Diff    []diffRow
	Changes int       // lines that differ
	Lines   [][]token // of the version itself
}

// compareVersions puts text, which is version n, beside that of another version; last is the newest that there is.
func compareVersions(n, other, last int, text, otherText string) comparison {
	v := comparison{Version: n, Against: other, Left: "v" + strconv.Itoa(n), Right: "v" + strconv.Itoa(other), Lines: tokenLines(text)}
	for one := last; one >= max(1, last-49); one-- {
		if one != n {
			v.Others = append(v.Others, ui.Choice{Value: strconv.Itoa(one), Label: "v" + strconv.Itoa(one)})
		}
	}
	older, newer := text, otherText
	if other < n {
		older, newer, v.Left, v.Right = newer, older, v.Right, v.Left
	}
	v.Diff, v.Changes = diffLines(older, newer)
	return v
}

// differs says how many lines of two documents do.
func differs(lines int) string {
	if lines == 1 {
		return "1 line differs"
	}
	return ui.Count(lines, "line") + " differ"
}
