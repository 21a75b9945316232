package report

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// BodyBefore is the report of the period before that a report is compared with: it is named, so that whoever makes the report again
// compares with the same.
type BodyBefore struct {
	ReportID  uuid.UUID `json:"reportId"`
	SHA256    string    `json:"sha256"` // of its report.json, hex
	From      time.Time `json:"from"`
	To        time.Time `json:"to"` // exclusive: where this one's begins
	Text      string    `json:"text"`
	Catalogue string    `json:"catalogueSha256"` // of the file that it was made by, hex
}

// ControlBefore is what a control came to in the period before.
type ControlBefore struct {
	Result Result `json:"result,omitempty"` // empty: Added
	Change Change `json:"change"`
}

// FindingBefore is what a measurement came to in the period before.
type FindingBefore struct {
	Figure int64  `json:"figure"`
	Of     *int64 `json:"of,omitempty"`
}

// Change is how a control compares with the period before.
type Change string

// The changes.
const (
	Improved Change = "improved" // it is met, and was not
	Worse    Change = "worse"    // it was met and is not, or is not met and nothing showed that before
	Same     Change = "same"     // in all other cases
	Added    Change = "new"      // the report before has no such control
)

func changeOf(before, now Result) Change {
	switch {
	case before == now:
		return Same
	case now == Met:
		return Improved
	case before == Met || now == NotMet:
		return Worse
	}
	return Same // not met before, and no evidence now: to show nothing is no better
}

// months is how many calendar months a period is of; 0: it is not of whole ones.
func (p Period) months() int {
	if p.From.Day() != 1 {
		return 0
	}
	for n := 1; n <= 12; n++ {
		if p.From.AddDate(0, n, 0).Equal(p.To) {
			return n
		}
	}
	return 0
}

// precedes reports whether p is the period before another of the same length: as many calendar months, or else days.
func (p Period) precedes(next Period) bool {
	if !p.To.Equal(next.From) {
		return false
	}
	if n := next.months(); n > 0 {
		return p.months() == n
	}
	return p.To.Sub(p.From) == next.To.Sub(next.From)
}

// before returns the report of the period before, which is the newest where there are several, and its body; nil: there is none.
func (s *Service) before(ctx context.Context, sc scope.Scope, r *Report) (*BodyBefore, *Body, error) {
	var rows []tenantq.ListPrecedingReportsRow
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		rows, err = tx.ListPrecedingReports(ctx, tenantq.ListPrecedingReportsParams{Catalogue: r.Catalogue, Ends: r.Period.From, Now: tx.Now()})
		return err
	}); err != nil {
		return nil, nil, fmt.Errorf("list preceding reports: %w", err)
	}
	for _, row := range rows {
		p := Period{From: row.PeriodFrom.UTC(), To: row.PeriodTo.UTC()}
		if !p.precedes(r.Period) {
			continue
		}
		_, packed, err := s.open(ctx, sc, row.ID)
		if errors.Is(err, ErrGone) || errors.Is(err, ErrNotFound) { // meanwhile, or its object is lost
			continue
		} else if err != nil {
			return nil, nil, err
		}
		text, err := pick(packed, JSONName)
		if err != nil {
			return nil, nil, err
		}
		body, err := ParseBody(text)
		if err != nil {
			return nil, nil, fmt.Errorf("report %s: %w", row.ID, err)
		}
		if sum := hexOf(text); sum != hex.EncodeToString(row.Sha256) {
			return nil, nil, fmt.Errorf("report %s: its body has the SHA-256 %s", row.ID, sum)
		}
		return &BodyBefore{row.ID, hexOf(text), p.From, p.To, p.String(), body.Catalogue.SHA256}, body, nil
	}
	return nil, nil, nil
}

// compare says of each control what it came to in the period before.
func (b *Body) compare(with *BodyBefore, before *Body) {
	if with == nil {
		return
	}
	b.Before = with
	was := map[string]*BodyControl{}
	for i := range before.Controls {
		was[before.Controls[i].ID] = &before.Controls[i]
	}
	for i := range b.Controls {
		c := &b.Controls[i]
		old := was[c.ID]
		if old == nil {
			c.Before = &ControlBefore{Change: Added}
			continue
		}
		c.Before = &ControlBefore{old.Result, changeOf(old.Result, c.Result)}
		taken := map[string]*Finding{}
		for j := range old.Findings {
			taken[old.Findings[j].Measure] = &old.Findings[j]
		}
		for j := range c.Findings {
			if f := taken[c.Findings[j].Measure]; f != nil {
				c.Findings[j].Before = &FindingBefore{f.Figure, f.Of}
			}
		}
	}
}

// Text says what a control came to before: improved, from not met.
func (c *ControlBefore) Text() string {
	switch c.Change {
	case Added:
		return "new"
	case Same:
		if c.Result != "" {
			return "same: " + string(c.Result) + " before"
		}
	case Improved, Worse:
	}
	return string(c.Change) + ": " + string(c.Result) + " before"
}

// BeforeText is the figure of the period before, as Text; empty: there is none.
func (f *Finding) BeforeText() string {
	if f.Before == nil {
		return ""
	}
	old := Finding{Figure: f.Before.Figure, Unit: f.Unit, Of: f.Before.Of, OfUnit: f.OfUnit}
	return old.Text()
}
