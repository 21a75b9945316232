package report_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/report"
)

// hostile is a body whose names are not what people are called.
func hostile() *report.Body {
	from, of, seq := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), int64(684220), int64(1170018)
	name := "=HYPERLINK(\"http://evil.example\") <script>alert(1)</script> \u202egnp.exe\u0000 銀行 Zoë"
	return &report.Body{
		Format: report.Format, Tenant: report.BodyTenant{ID: uuid.MustParse("01b8e27f-3e00-7e9d-a86d-351cf9a7642d"), Slug: "northwind", Name: name},
		Catalogue: report.BodyCatalogue{Name: "ours", Title: "Authentication assurance", Standard: "NIST SP 800-63B-4", Version: "1", SHA256: strings.Repeat("ab", 32)},
		Period:    report.BodyPeriod{From: from, To: from.AddDate(0, 1, 0), Over: true, Text: "January 2030"},
		Log:       report.BodyLog{First: 1098204, Next: 1171554},
		Counts:    report.Counts{NotMet: 1, NoEvidence: 1},
		Controls: []report.BodyControl{
			{
				ID: "2.2.1", Section: "Authenticator assurance", Title: "Two factors", Result: report.NotMet,
				Findings: []report.Finding{{
					Measure: "signins.unverified", Title: "Sign-ins without user verification", Basis: report.OfPeriod, Figure: 71, Unit: "sign-ins", Of: &of, OfUnit: "sign-ins",
					Is: report.AtMost, Value: 0, Result: report.NotMet, Query: "SELECT 1", Evidence: report.BodyEvidence{Entries: 71, First: &seq, Last: &seq},
				}},
			},
			{ID: "3.2.9", Section: "Authenticators", Title: "Sync fabric", Result: report.NoEvidence, Outside: "A statement of the provider.", Findings: []report.Finding{}},
		},
		Lists: []report.BodyList{{Name: "members", Title: "Members", Columns: []string{"name", "role"}, Rows: [][]string{{name, "owner"}, {"@SUM(A1)", "admin"}}}},
	}
}

// JSON and CSV are read by programs that others have written: testdata/report.json and report.csv.
func TestBodyGolden(t *testing.T) {
	b := hostile()
	text, err := b.JSON()
	if err != nil {
		t.Fatal(err)
	}
	table, err := b.CSV()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"report.json": text, "report.csv": table} {
		path := filepath.Join("testdata", name)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from %s; UPDATE=1 rewrites it:\n%s", name, path, got)
		}
	}
	if back, err := report.ParseBody(text); err != nil || back.Tenant != b.Tenant {
		t.Errorf("ParseBody = %+v, %v", back, err)
	}
}

// Nothing that somebody has called themselves is a formula in a spreadsheet, or hides in a page.
func TestHostileNames(t *testing.T) {
	b := hostile()
	table, err := b.Lists[0].CSV()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows[1:] {
		if !strings.HasPrefix(row[0], "'") {
			t.Errorf("%q is a formula", row[0])
		}
	}
	if got := report.Legible(b.Tenant.Name); !strings.Contains(got, "‹U+202E›") || !strings.Contains(got, "‹U+0000›") || !strings.Contains(got, "‹U+9280›") || !strings.Contains(got, "Zoë") || !strings.Contains(got, "<script>") {
		t.Errorf("Legible = %q", got)
	}
	one, err := b.PDF()
	if err != nil {
		t.Fatal(err)
	}
	two, err := hostile().PDF()
	if err != nil || !bytes.Equal(one, two) || !bytes.HasPrefix(one, []byte("%PDF-")) {
		t.Errorf("PDF: %d and %d bytes, %v", len(one), len(two), err)
	}
	for _, active := range []string{"/JavaScript", "/JS", "/AA", "/OpenAction", "/Launch", "/URI", "/AcroForm", "/Filespec", "/RichMedia", "/Annots"} {
		if bytes.Contains(one, []byte(active)) {
			t.Errorf("the PDF has %s", active)
		}
	}
}

func TestPeriod(t *testing.T) {
	for _, tt := range []struct{ first, last, want string }{
		{"2026-10-01", "2026-10-31", "October 2026"},
		{"2026-10-01", "2026-12-31", "Q4 2026"},
		{"2026-01-01", "2026-12-31", "2026"},
		{"2026-11-01", "2026-11-14", "1 Nov to 14 Nov 2026"},
		{"2026-11-14", "2026-11-14", "14 November 2026"},
		{"2026-12-14", "2027-01-03", "14 Dec 2026 to 3 Jan 2027"},
	} {
		p, err := report.ParsePeriod(tt.first, tt.last)
		if err != nil || p.String() != tt.want || p.First() != tt.first || p.Last() != tt.last {
			t.Errorf("%s to %s = %q, %s to %s, %v, want %q", tt.first, tt.last, p, p.First(), p.Last(), err, tt.want)
		}
	}
	if _, err := report.ParsePeriod("2026-13-01", "x"); err == nil {
		t.Error("no days are taken")
	}
}
