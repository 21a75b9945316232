package risk_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/risk"
)

// docs/risk.md has every signal with its weight, and every variable with its type.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/risk.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, s := range risk.Signals() {
		if row := fmt.Sprintf("| `%s` | %d | %s |", s.Code, s.Weight, s.About); !strings.Contains(page, row) {
			t.Errorf("docs/risk.md does not have: %s", row)
		}
	}
	for _, v := range risk.Variables() {
		if row := fmt.Sprintf("| `%s` | %s | %s |", v.Name, v.Type, v.About); !strings.Contains(page, row) || v.About == "" {
			t.Errorf("docs/risk.md does not have: %s", row)
		}
	}
}
