package ratelimit

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// docs/limits.md is what operators read.
func TestLimitsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	spans := map[time.Duration]string{time.Second: "a second", time.Minute: "a minute", time.Hour: "an hour"}
	asked := map[bool]string{true: "Redis", false: "here"}
	last := -1
	for _, l := range All() {
		row := fmt.Sprintf("\n| `%s` | %d %s |", l.Name, l.Max, spans[l.Window])
		at := strings.Index(string(page), row)
		if at <= last {
			t.Errorf("docs/limits.md has no row that begins %s, or not in this place", row)
			continue
		}
		last = at
		if line, _, _ := strings.Cut(string(page)[at+1:], "\n"); !strings.HasSuffix(line, "| "+asked[l.Exact]+" |") {
			t.Errorf("docs/limits.md says of %s that it is asked elsewhere: %s", l.Name, line)
		}
	}
}

// A call takes whole microseconds, and whole seconds are told.
func TestLimitsAreWhole(t *testing.T) {
	names := map[string]bool{Shed: true}
	for _, l := range All() {
		if names[l.Name] || l.Max <= 0 || l.every() <= 0 || l.every()*l.Max != l.most() || l.Window%time.Second != 0 {
			t.Errorf("%+v", l)
		}
		names[l.Name] = true
	}
}
