package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/report"
)

// Each control says what it came to in the report of the period before, of the same length: improved, worse, same or new. What it is compared
// with is named, and a report that is made again is the same bytes. A comparison with another length, or another catalogue, turns it red.
func TestCompare(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create", "user.delete")
	text := "format: biocore-catalogue/1\nname: acme\ntitle: Ours\nstandard: S\nversion: '1'\ncontrols:\n" +
		"  - {id: A-1, section: S, title: Erased, evidence: [{measure: audit.erasures, is: at least, value: 1}]}\n" +
		"  - {id: A-2, section: S, title: Made, evidence: [{measure: audit.user_changes, is: at most, value: 0}]}\n" +
		"  - {id: A-3, section: S, title: Trained, outside: elsewhere}\n"
	put := func(text string) {
		t.Helper()
		if _, err := p.PutCatalogue(t.Context(), p.acme, report.PutCatalogueRequest{Name: "acme", Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	put(text)
	now := today()
	yesterday := report.Period{From: now.From.AddDate(0, 0, -1), To: now.From}
	p.made(t, p.acme, "acme", report.Period{From: now.From.AddDate(0, 0, -2), To: now.From}) // of another length
	p.made(t, p.acme, "soc2", yesterday)                                                     // of another catalogue
	first := p.made(t, p.acme, "acme", now)
	if first.Body.Before != nil || control(t, first, "A-1").Before != nil {
		t.Errorf("compared with %+v", first.Body.Before)
	}
	before := p.made(t, p.acme, "acme", yesterday)
	put(text + "  - {id: A-4, section: S, title: More, outside: elsewhere}\n")
	a, b := p.made(t, p.acme, "acme", now), p.made(t, p.acme, "acme", now)
	if with := a.Body.Before; with == nil || with.ReportID != before.ID || with.SHA256 != before.SHA256 || with.Catalogue == a.Body.Catalogue.SHA256 {
		t.Fatalf("compared with %+v", with)
	}
	for id, want := range map[string]report.ControlBefore{
		"A-1": {Result: report.NoEvidence, Change: report.Improved}, "A-2": {Result: report.NoEvidence, Change: report.Worse}, "A-3": {Result: report.NoEvidence, Change: report.Same}, "A-4": {Change: report.Added},
	} {
		if got := control(t, a, id).Before; got == nil || *got != want {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
	}
	if f := control(t, a, "A-1").Findings[0]; f.Before == nil || f.Before.Figure != 0 || !strings.HasPrefix(f.BeforeText(), "0 ") {
		t.Errorf("figure before = %+v", f.Before)
	}
	for _, f := range a.Manifest.Files {
		if !bytes.Equal(p.file(t, p.acme, a.ID, f.Name), p.file(t, p.acme, b.ID, f.Name)) {
			t.Errorf("%s differs", f.Name)
		}
	}
	if table := string(p.file(t, p.acme, a.ID, report.CSVName)); !strings.Contains(table, "improved,no evidence,0") || !strings.Contains(table, before.ID.String()) {
		t.Errorf("CSV\n%s", table)
	}
	if err := p.Delete(t.Context(), p.acme, before.ID, "over"); err != nil {
		t.Fatal(err)
	}
	if o := p.made(t, p.acme, "acme", now); o.Body.Before != nil {
		t.Errorf("compared with what is deleted: %+v", o.Body.Before)
	}
}

func TestPrecedes(t *testing.T) {
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, tt := range []struct {
		from, to, next string
		want           bool
	}{
		{"2026-02-01", "2026-03-01", "2026-04-01", true},  // months of 28 and 31 days
		{"2026-01-29", "2026-03-01", "2026-04-01", false}, // as many days as March
		{"2026-01-01", "2026-04-01", "2026-07-01", true},
		{"2026-02-01", "2026-04-01", "2026-07-01", false},
		{"2026-03-02", "2026-03-09", "2026-03-16", true},
		{"2026-03-02", "2026-03-08", "2026-03-16", false},
	} {
		p, next := report.Period{From: day(tt.from), To: day(tt.to)}, report.Period{From: day(tt.to), To: day(tt.next)}
		if got := report.Precedes(p, next); got != tt.want {
			t.Errorf("%s before %s = %t", p, next, got)
		}
	}
}
