package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/spreadsheet"
)

// Format is what a body is: a change of it is another.
const Format = "biocore-report/1"

// Body is a report. It holds nothing of when and for whom it was made: the same period of the same records is the
// same Body, and each of its forms the same bytes.
type Body struct {
	Format    string        `json:"format"`
	Tenant    BodyTenant    `json:"tenant"`
	Catalogue BodyCatalogue `json:"catalogue"`
	Period    BodyPeriod    `json:"period"`
	Log       BodyLog       `json:"auditLog"`
	Counts    Counts        `json:"counts"`
	// Silent is why no control is met, whatever is measured: nothing was recorded in the period. Empty: something was.
	Silent string `json:"silent,omitempty"`
	// Before is what it is compared with; absent: of the period before there was no report.
	Before   *BodyBefore   `json:"before,omitempty"`
	Controls []BodyControl `json:"controls"`
	Lists    []BodyList    `json:"lists"`
}

// BodyTenant is whose report it is.
type BodyTenant struct {
	ID   uuid.UUID `json:"id"`
	Slug string    `json:"slug"`
	Name string    `json:"name"`
}

// BodyCatalogue is what the controls are of.
type BodyCatalogue struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Standard string `json:"standard"`
	Version  string `json:"version"`
	SHA256   string `json:"sha256"` // of its file, hex
	About    string `json:"about,omitempty"`
}

// BodyPeriod is what it is of.
type BodyPeriod struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`   // exclusive
	Over bool      `json:"over"` // false: it went on when the report was made
	Text string    `json:"text"`
}

// BodyLog is the piece of the audit log that the period is: entries by when they were sequenced.
type BodyLog struct {
	First   int64 `json:"first"`   // the number of the first entry
	Next    int64 `json:"next"`    // after the last
	Missing int64 `json:"missing"` // at the beginning, of which entries are archived: what is counted is not all
}

// Result is what a control came to, or one measurement of it.
type Result string

// The results.
const (
	Met        Result = "met"
	NotMet     Result = "not met"
	NoEvidence Result = "no evidence"
)

// BodyControl is a control and what it came to.
type BodyControl struct {
	ID          string         `json:"id"`
	Section     string         `json:"section"`
	Title       string         `json:"title"`
	Requirement string         `json:"requirement,omitempty"`
	Result      Result         `json:"result"`
	Outside     string         `json:"outside,omitempty"` // why no record of ours can show it
	Before      *ControlBefore `json:"before,omitempty"`  // absent as Body's
	Findings    []Finding      `json:"findings"`
}

// Finding is what one measurement came to.
type Finding struct {
	Measure string `json:"measure"`
	Title   string `json:"title"`
	Basis   Basis  `json:"basis"`
	Figure  int64  `json:"figure"`
	Unit    string `json:"unit"`
	Of      *int64 `json:"of,omitempty"` // how many there were to look at
	OfUnit  string `json:"ofUnit,omitempty"`
	Is      Is     `json:"is"`
	Value   int64  `json:"value"`
	Result  Result `json:"result"`
	Why     string `json:"why,omitempty"` // of no evidence
	Query   string `json:"query"`

	Before   *FindingBefore `json:"before,omitempty"` // absent: there was no such measurement
	Evidence BodyEvidence   `json:"evidence"`
}

// BodyEvidence is where the audit log shows it.
type BodyEvidence struct {
	Entries int64  `json:"entries"`         // of the actions that record it, in the period
	First   *int64 `json:"first,omitempty"` // numbers of the log
	Last    *int64 `json:"last,omitempty"`
}

// BodyList is a list beside the controls.
type BodyList struct {
	Name    string     `json:"name"`
	Title   string     `json:"title"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
	More    bool       `json:"more,omitempty"` // there are others, which are left out
}

// Text says what the figure came to: 71 of 684,220 sign-ins.
func (f *Finding) Text() string {
	text := thousands(f.Figure)
	if f.Of != nil && f.OfUnit != "" {
		text += " of " + thousands(*f.Of)
		if f.OfUnit != f.Unit {
			return text + " " + f.OfUnit
		}
	}
	return text + " " + f.Unit
}

// Expected says what it is held to: at most 0.
func (f *Finding) Expected() string { return string(f.Is) + " " + thousands(f.Value) }

// thousands writes a number in groups of three.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}

// JSON is the body as JSON: members in the order of their declaration, two spaces, a line feed at the end.
func (b *Body) JSON() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(b); err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	return out.Bytes(), nil
}

// ParseBody reads what JSON wrote.
func ParseBody(text []byte) (*Body, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	b := &Body{}
	if err := d.Decode(b); err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	if b.Format != Format {
		return nil, fmt.Errorf("its format is %q, and this release reads %q", b.Format, Format)
	}
	return b, nil
}

// CSV is the controls as CSV (RFC 4180): a line for each measurement, and one for each control without any. No cell is
// a formula.
func (b *Body) CSV() ([]byte, error) {
	rows := [][]string{{
		"control", "section", "title", "result", "measurement", "basis", "figure", "unit", "of", "of_unit", "expected", "finding", "why",
		"audit_entries", "first_sequence", "last_sequence", "change", "result_before", "figure_before", "of_before", "report_before",
	}}
	for i := range b.Controls {
		c := &b.Controls[i]
		head := []string{c.ID, c.Section, c.Title, string(c.Result)}
		if len(c.Findings) == 0 {
			rows = append(rows, append(append(head, "", "", "", "", "", "", "", ""), append([]string{c.Outside, "", "", ""}, b.cellsBefore(c, nil)...)...))
		}
		for j := range c.Findings {
			f := &c.Findings[j]
			cells := append(slices.Clip(head), f.Measure, string(f.Basis), strconv.FormatInt(f.Figure, 10), f.Unit, number(f.Of), f.OfUnit,
				f.Expected(), string(f.Result), f.Why, strconv.FormatInt(f.Evidence.Entries, 10), number(f.Evidence.First), number(f.Evidence.Last))
			rows = append(rows, append(cells, b.cellsBefore(c, f)...))
		}
	}
	return csvOf(rows)
}

// cellsBefore are what a control and a measurement of it, which may be nil, came to in the period before.
func (b *Body) cellsBefore(c *BodyControl, f *Finding) []string {
	cells := make([]string, 5)
	if c.Before != nil {
		cells[0], cells[1] = string(c.Before.Change), string(c.Before.Result)
	}
	if f != nil && f.Before != nil {
		cells[2], cells[3] = strconv.FormatInt(f.Before.Figure, 10), number(f.Before.Of)
	}
	if b.Before != nil {
		cells[4] = b.Before.ReportID.String()
	}
	return cells
}

// CSV is a list as CSV, as that of a Body.
func (l *BodyList) CSV() ([]byte, error) {
	return csvOf(append([][]string{l.Columns}, l.Rows...))
}

func number(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func csvOf(rows [][]string) ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = spreadsheet.Inert(cell)
		}
		if err := w.Write(cells); err != nil {
			return nil, fmt.Errorf("write CSV: %w", err)
		}
	}
	w.Flush()
	return out.Bytes(), w.Error()
}
