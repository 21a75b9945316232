package assurance_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/assurance"
)

var update = flag.Bool("update", false, "rewrite the table in docs/assurance.md")

// The table that customers read is the one that decides.
func TestDocsHaveTheRules(t *testing.T) {
	const page, begin, end = "../../docs/assurance.md", "<!-- rules: made of authcore/assurance by its test -->\n", "<!-- end of rules -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	was, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the rules", page)
	}
	var table strings.Builder
	table.WriteString("\n| level | takes | else the reason is | by |\n|---|---|---|---|\n")
	for _, r := range assurance.Rules() {
		fmt.Fprintf(&table, "| AAL%d | %s | `%s` | %s |\n", r.Level, r.Needs, r.Reason, r.Cites)
	}
	table.WriteString("\n")
	if was == table.String() {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the rules say: go test ./authcore/assurance -run TestDocs -update", page)
	}
	if err := os.WriteFile(page, []byte(before+begin+table.String()+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}
