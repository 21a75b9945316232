// Command testreport reads `go test -json` and prints what a person wants of
// it: one line for a package that passed and one for each of its slow tests, everything a
// failing test said, and go test's own result lines last. It fails when a test was skipped, since a
// check that cannot run has to say so and fail; plain `go test` hides skips.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := report(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stdout, "FAIL\t"+err.Error())
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string  `json:"Action"`
	Package string  `json:"Package"`
	Test    string  `json:"Test"`
	Output  string  `json:"Output"`
	Elapsed float64 `json:"Elapsed"` // seconds
}

// reporter holds what tests said until it is known whether anybody wants it.
type reporter struct {
	out     io.Writer
	said    map[string][]string // by package, then by package and test
	results map[string]string   // go test's result line, by package
	slow    map[string][]string // a line for each test that took long, by package
	skipped []string
	failed  int
}

// report copies the readable part of events to out. Lines that are no events
// (the go command's own complaints) pass through.
func report(events io.Reader, out io.Writer) error {
	r := reporter{out: out, said: map[string][]string{}, results: map[string]string{}, slow: map[string][]string{}}
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				r.print(string(line))
			} else {
				r.take(e)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
	}
	slices.Sort(r.skipped)
	for _, test := range r.skipped {
		r.print("--- SKIP: " + test + "\n")
	}
	switch {
	case r.failed > 0:
		return fmt.Errorf("%d packages or builds failed", r.failed)
	case len(r.skipped) > 0:
		return fmt.Errorf("%d tests were skipped: a check that cannot run must fail and say what to install", len(r.skipped))
	}
	return nil
}

func (r *reporter) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		r.print(e.Output)
	case "build-fail":
		r.failed++
	case "output":
		if e.Test == "" && isResult(e.Output) {
			r.results[e.Package] = e.Output
		} else if !isNoise(e.Output) {
			r.said[key] = append(r.said[key], e.Output)
		}
	case "pass", "skip", "fail":
		r.finish(e, key)
	}
}

// finish ends a test, or the package itself where e.Test is empty.
func (r *reporter) finish(e event, key string) {
	if e.Test != "" {
		switch e.Action {
		case "fail":
			r.print(r.said[key]...)
		case "skip":
			r.skipped = append(r.skipped, e.Package+"."+e.Test)
		}
		delete(r.said, key)
		if e.Elapsed >= slow && !strings.Contains(e.Test, "/") {
			r.slow[e.Package] = append(r.slow[e.Package], fmt.Sprintf("    %6.1f s %s\n", e.Elapsed, e.Test))
		}
		return
	}
	if e.Action == "fail" {
		r.failed++
		// A crash leaves tests that never ended; what they said is the evidence.
		for _, left := range r.unfinished(e.Package) {
			r.print(r.said[left]...)
		}
	}
	for _, left := range r.unfinished(e.Package) {
		delete(r.said, left)
	}
	r.print(r.slow[e.Package]...)
	r.print(r.results[e.Package])
}

// slow is how many seconds a test takes for which the budget of the whole run is looked at.
const slow = 30

// unfinished returns the keys still held for a package, the package's own first.
func (r *reporter) unfinished(pkg string) []string {
	var keys []string
	for key := range r.said {
		if strings.HasPrefix(key, pkg+" ") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (r *reporter) print(lines ...string) {
	for _, line := range lines {
		fmt.Fprint(r.out, line)
	}
}

// isResult tells go test's line about a whole package.
func isResult(line string) bool {
	return strings.HasPrefix(line, "ok  \t") || strings.HasPrefix(line, "FAIL\t") ||
		strings.HasPrefix(line, "?   \t") || strings.HasPrefix(line, "\t")
}

// isNoise tells lines that mark progress and are of no use afterwards.
func isNoise(line string) bool {
	return strings.HasPrefix(line, "=== ") || line == "PASS\n" || line == "FAIL\n"
}
