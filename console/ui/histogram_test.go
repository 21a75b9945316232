package ui

import (
	"strings"
	"testing"
)

// What is not nothing can be seen, and all of it is said in words and in the table.
func TestHistogram(t *testing.T) {
	h := Histogram{ID: "h", Title: "Scores", Noun: "sign-ins", Marks: []Mark{{Label: "Step-up", Score: 50}}, Bands: []Band{{Label: "0–49", Class: "c2", Count: 50_000}, {Label: "50–100", Class: "c4", Count: 1}}}
	if got := h.Describe(); got != "50,000 of 50,001 sign-ins score 0–49, the most of all bands." {
		t.Errorf("described as %q", got)
	}
	bars := h.columns()
	if len(bars) != 2 || bars[1].height != "2.00" || bars[1].y != "198.00" || bars[0].class != "c2" {
		t.Errorf("bars %+v", bars)
	}
	var out strings.Builder
	if err := (Kit{}).Histogram(h).Render(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`x1="300.00"`, "<span>50k</span>", `<th scope="row">50–100</th><td class="num">1</td>`, "<span>0</span>", "<span>100</span>"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s lacks %s", out.String(), want)
		}
	}
	empty := Histogram{ID: "h", Title: "Scores", Noun: "sign-ins", Bands: []Band{{Label: "0–100"}}}
	if empty.Describe() != "No data in this period." || len(empty.columns()) != 0 {
		t.Error("an empty one shows something")
	}
}
