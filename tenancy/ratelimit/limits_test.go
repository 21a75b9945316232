package ratelimit

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// docs/limits.md is what operators read.
func TestLimitsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []Limit{PerKey, PerVisitor, PerPublishableKey} {
		row := fmt.Sprintf("| `%s` | %d calls a second |", l.Name, l.Max)
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/limits.md has no row that begins %s", row)
		}
	}
}
