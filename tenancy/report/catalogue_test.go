package report_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/report"
)

const good = `format: biocore-catalogue/1
name: ours
title: Ours
standard: Our policy
version: '1'
lists: [members]
controls:
  - id: O-1
    section: People
    title: Few owners
    evidence:
      - {measure: members.owners, is: at most, value: 3}
  - id: O-2
    section: People
    title: Everybody was trained
    outside: The records of human resources.
`

// What cannot be read is refused by the line and what was expected there.
func TestParseCatalogue(t *testing.T) {
	if c, err := report.ParseCatalogue([]byte(good)); err != nil || len(c.Controls) != 2 || c.Controls[0].Evidence[0].Value != 3 {
		t.Fatalf("ParseCatalogue = %+v, %v", c, err)
	}
	for name, tt := range map[string]struct{ from, to, want string }{
		"empty":               {good, "", "it is empty"},
		"no YAML":             {good, "a: [", "line 1"},
		"another format":      {"catalogue/1", "catalogue/2", "line 1: format: expected biocore-catalogue/1"},
		"a path as name":      {"name: ours", "name: ../ours", "line 2: name: expected"},
		"no version":          {"version: '1'\n", "", "line 1: version: expected a text"},
		"an unknown member":   {"version: '1'", "release: '1'", `line 5: there is no member "release"`},
		"of a control":        {"    section: People\n    title: Few", "    sektion: People\n    title: Few", `line 9: there is no member "sektion"`},
		"a measurement":       {"members.owners", "members.owner", `line 12: there is no measurement "members.owner"`},
		"SQL":                 {"members.owners", "SELECT 1", "there is no measurement"},
		"a comparison":        {"at most", "under", "line 12: is: expected one of at least, at most, exactly"},
		"a negative value":    {"value: 3", "value: -3", "line 12: value"},
		"no number":           {"value: 3", "value: three", "line 12"},
		"a list":              {"[members]", "[everybody]", `line 6: lists: there is no list "everybody"`},
		"a control twice":     {"O-2", "O-1", `line 13: the control "O-1" stands twice`},
		"neither":             {"    outside: The records of human resources.\n", "", "line 13: control O-2: expected either evidence, or outside"},
		"a hidden character":  {"Few owners", "Few \u202eowners", "line 10: title: there is a character"},
		"two documents":       {"controls:", "---\ncontrols:", "more than one document"},
		"too long a title":    {"Few owners", strings.Repeat("x", 201), "line 10: title: expected at most 200 characters"},
		"controls of nothing": {controlsOf(good), "controls: []\n", "line 7: controls: expected 1 to 200"},
	} {
		_, err := report.ParseCatalogue([]byte(strings.Replace(good, tt.from, tt.to, 1)))
		if !errors.Is(err, report.ErrCatalogueInvalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// controlsOf is a catalogue from its controls on.
func controlsOf(text string) string {
	_, controls, _ := strings.Cut(text, "controls:")
	return "controls:" + controls
}

// Whatever bytes come, reading them ends, and what is taken can be taken again.
func FuzzParseCatalogue(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := report.ParseCatalogue(text)
		if err != nil {
			if !errors.Is(err, report.ErrCatalogueInvalid) {
				t.Errorf("error = %v", err)
			}
			return
		}
		if c.Name == "" || len(c.Controls) == 0 {
			t.Errorf("catalogue = %+v", c)
		}
	})
}
