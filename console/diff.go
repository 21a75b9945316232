package console

import (
	"fmt"
	"slices"
	"strings"
)

// token is a piece of a line of JSON, by what it is: k a name, s a string, n a number or a
// word, c punctuation.
type token struct {
	Class string
	Text  string
	Mark  bool // differs from the other side
}

// diffRow is a line of two texts beside each other.
type diffRow struct {
	LeftNo, RightNo int // 0: there is none on that side
	Left, Right     []token
	Changed         bool
	Fold            string // in the place of lines that are alike: how many
}

// foldFrom is how many lines that are alike are folded, and context how many are shown
// beside a change.
const (
	foldFrom = 8
	context3 = 3
)

// diffLines puts two JSON texts of one field a line beside each other. Both are validated
// policies, at most some hundred lines, so that a table of both is small.
func diffLines(before, after string) (rows []diffRow, changes int) {
	a, b := strings.Split(strings.TrimRight(before, "\n"), "\n"), strings.Split(strings.TrimRight(after, "\n"), "\n")
	common := lengths(a, b)
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		if i < len(a) && j < len(b) && a[i] == b[j] {
			rows = append(rows, diffRow{LeftNo: i + 1, RightNo: j + 1, Left: tokens(a[i]), Right: tokens(b[j])})
			i, j = i+1, j+1
			continue
		}
		// A run of lines that differ: those of both sides stand beside each other.
		startA, startB := i, j
		for i < len(a) || j < len(b) {
			if i < len(a) && j < len(b) && a[i] == b[j] {
				break
			}
			if j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1] {
				i++
			} else {
				j++
			}
		}
		changes += max(i-startA, j-startB)
		for n := range max(i-startA, j-startB) {
			row := diffRow{Changed: true}
			if startA+n < i {
				row.LeftNo, row.Left = startA+n+1, tokens(a[startA+n])
			}
			if startB+n < j {
				row.RightNo, row.Right = startB+n+1, tokens(b[startB+n])
			}
			mark(row.Left, row.Right)
			rows = append(rows, row)
		}
	}
	return fold(rows), changes
}

// lengths are those of the longest common run of lines of a from i on and b from j on.
func lengths(a, b []string) [][]int {
	out := make([][]int, len(a)+1)
	for i := range out {
		out[i] = make([]int, len(b)+1)
	}
	for i, left := range slices.Backward(a) {
		for j, right := range slices.Backward(b) {
			if left == right {
				out[i][j] = out[i+1][j+1] + 1
			} else {
				out[i][j] = max(out[i+1][j], out[i][j+1])
			}
		}
	}
	return out
}

// mark marks what differs between two lines of one field.
func mark(left, right []token) {
	name := func(list []token) string {
		for _, t := range list {
			if t.Class == "tk" {
				return t.Text
			}
		}
		return ""
	}
	if len(left) == 0 || len(right) == 0 || name(left) != name(right) || name(left) == "" {
		return
	}
	for i := range left {
		left[i].Mark = (left[i].Class == "ts" || left[i].Class == "tn") && (i >= len(right) || right[i].Text != left[i].Text)
	}
	for i := range right {
		right[i].Mark = (right[i].Class == "ts" || right[i].Class == "tn") && (i >= len(left) || left[i].Text != right[i].Text)
	}
}

// fold leaves out what is far from any change.
func fold(rows []diffRow) []diffRow {
	near := make([]bool, len(rows))
	for i, r := range rows {
		if r.Changed {
			for k := max(0, i-context3); k <= min(len(rows)-1, i+context3); k++ {
				near[k] = true
			}
		}
	}
	var out []diffRow
	for i := 0; i < len(rows); {
		if near[i] {
			out = append(out, rows[i])
			i++
			continue
		}
		end := i
		for end < len(rows) && !near[end] {
			end++
		}
		if end-i < foldFrom {
			out = append(out, rows[i:end]...)
		} else {
			out = append(out, diffRow{Fold: fmt.Sprintf("%d unchanged lines", end-i)})
		}
		i = end
	}
	return out
}

// tokenLines are the lines of indented JSON, each in its pieces.
func tokenLines(text string) [][]token {
	var out [][]token
	for line := range strings.SplitSeq(text, "\n") {
		out = append(out, tokens(line))
	}
	return out
}

// tokens are the pieces of a line of indented JSON.
func tokens(line string) []token {
	out := []token{}
	for len(line) > 0 {
		switch c := line[0]; {
		case c == '"':
			n := 1
			for n < len(line) && line[n] != '"' {
				if line[n] == '\\' {
					n++
				}
				n++
			}
			n = min(n+1, len(line))
			class := "ts"
			if strings.HasPrefix(strings.TrimLeft(line[n:], " "), ":") {
				class = "tk"
			}
			out, line = append(out, token{Class: class, Text: line[:n]}), line[n:]
		case strings.IndexByte(" {}[],:", c) >= 0:
			n := len(line) - len(strings.TrimLeft(line, " {}[],:"))
			out, line = append(out, token{Class: "tc", Text: line[:n]}), line[n:]
		default:
			n := strings.IndexAny(line, " {}[],:\"")
			if n < 0 {
				n = len(line)
			}
			out, line = append(out, token{Class: "tn", Text: line[:n]}), line[n:]
		}
	}
	return out
}
