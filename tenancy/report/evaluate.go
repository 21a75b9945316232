package report

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Timing is when one measurement was taken and how long it took: beside the body, which it would change.
type Timing struct {
	Measure      string    `json:"measure"`
	At           time.Time `json:"at"`
	Microseconds int64     `json:"microseconds"`
}

// Why a finding is no evidence.
const (
	silent   = "nothing was recorded in this period"
	nobody   = "there was nothing to look at"
	unseen   = "nothing of the kind was recorded in this period"
	archived = "entries of this period are archived: what was counted is not all"
)

// steps tells how far a report is: fn is called with the steps that are done.
type steps struct {
	done int
	fn   func(done int) error
}

func (s *steps) next() error {
	s.done++
	return s.fn(s.done)
}

// stepsOf is how many there are of a catalogue: measurements, the tally before them, lists, and the files.
func stepsOf(c *Catalogue) int { return len(measured(c)) + 1 + len(c.Lists) + 1 }

// measured are the measurements that a catalogue names, each once, in its order.
func measured(c *Catalogue) []string {
	var names []string
	for _, control := range c.Controls {
		for _, e := range control.Evidence {
			if !slices.Contains(names, e.Measure) {
				names = append(names, e.Measure)
			}
		}
	}
	return names
}

// evaluate takes the measurements of a catalogue in one snapshot and makes the body.
func (s *Service) evaluate(ctx context.Context, sc scope.Scope, ring *keys.Ring, doc *Document, p Period, over bool, progress func(done int) error) (*Body, []Timing, error) {
	t := &taker{period: p, ring: ring, rows: map[string]any{}}
	if err := s.look(ctx, sc, doc.Catalogue, t); err != nil {
		return nil, nil, err
	}
	var body *Body
	var timings []Timing
	err := s.store.Snapshot(ctx, sc, func(tx *db.TenantTx) error {
		at := &steps{fn: progress}
		t.tx, t.note = tx, func() error { return at.fn(at.done) }
		own, err := tx.GetTenant(ctx)
		if err != nil {
			return fmt.Errorf("get tenant: %w", err)
		}
		body = &Body{
			Format: Format, Tenant: BodyTenant{sc.Tenant(), own.Slug, own.Name},
			Catalogue: BodyCatalogue{doc.Name, doc.Title, doc.Standard, doc.Version, hexOf([]byte(doc.Text)), doc.About},
			Period:    BodyPeriod{p.From, p.To, over, p.String()}, Controls: []BodyControl{}, Lists: []BodyList{},
		}
		if err := t.readLog(ctx); err != nil {
			return err
		}
		body.Log = BodyLog{First: t.first, Next: t.next, Missing: t.kept - t.first}
		if err := at.next(); err != nil {
			return err
		}
		if body.Silent, err = t.silence(ctx); err != nil {
			return err
		}
		figures := map[string][2]int64{}
		for _, name := range measured(doc.Catalogue) {
			began := s.store.Now()
			figure, of, err := measurements[name].take(ctx, t)
			if err != nil {
				return err
			}
			figures[name] = [2]int64{figure, of}
			timings = append(timings, Timing{name, began, max(0, s.store.Now().Sub(began).Microseconds())})
			if err := at.next(); err != nil {
				return err
			}
		}
		for i := range doc.Controls {
			c := t.control(&doc.Controls[i], body, figures)
			body.Controls = append(body.Controls, c)
			switch c.Result {
			case Met:
				body.Counts.Met++
			case NotMet:
				body.Counts.NotMet++
			case NoEvidence:
				body.Counts.NoEvidence++
			}
		}
		for _, name := range doc.Lists {
			l, err := lists[name].take(ctx, t)
			if err != nil {
				return fmt.Errorf("list %s: %w", name, err)
			}
			l.Name, l.Title, l.Columns = name, lists[name].Title, lists[name].Columns
			if l.Rows == nil {
				l.Rows = [][]string{}
			}
			body.Lists = append(body.Lists, l)
			if err := at.next(); err != nil {
				return err
			}
		}
		return nil
	})
	return body, timings, err
}

// look reads what is not in the tenant's snapshot: people of the console, who are the reserved tenant's, and the
// schema.
func (s *Service) look(ctx context.Context, sc scope.Scope, c *Catalogue, t *taker) (err error) {
	names := measured(c)
	if t.policy, err = s.policy(ctx, sc); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "members.") }) || slices.Contains(c.Lists, "members") {
		if t.members, err = s.members.List(ctx, sc); err != nil {
			return fmt.Errorf("list members: %w", err)
		}
		if t.seen, err = s.members.Presences(ctx, t.members); err != nil {
			return err
		}
		people := make([]uuid.UUID, len(t.members))
		for i, m := range t.members {
			people[i] = m.PersonID
		}
		if t.names, err = s.names(ctx, people); err != nil {
			return fmt.Errorf("names of members: %w", err)
		}
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "isolation.") }) || slices.Contains(c.Lists, "isolation") {
		t.walked = db.WallChecks()
		if t.wall, err = s.store.CheckWall(ctx); err != nil {
			return fmt.Errorf("walk the catalog: %w", err)
		}
	}
	return nil
}

// readLog finds the period's piece of the log and counts what is in it.
func (t *taker) readLog(ctx context.Context) (err error) {
	if t.first, err = trail.FirstSinceIn(ctx, t.tx, t.period.From); err != nil {
		return err
	}
	if t.next, err = trail.FirstSinceIn(ctx, t.tx, t.period.To); err != nil {
		return err
	}
	if at, err := trail.SequencedAtIn(ctx, t.tx, t.next); err != nil {
		return err
	} else if at == nil { // up to the end of the log: what is cut off there is missing
		if t.next, err = trail.SizeIn(ctx, t.tx); err != nil {
			return err
		}
	}
	if t.kept, err = trail.FirstKeptIn(ctx, t.tx, t.first); err != nil {
		return err
	}
	t.kept = min(max(t.kept, t.first), t.next)
	if t.tallies, err = trail.TallyIn(ctx, t.tx, t.kept, t.next, t.note); err != nil {
		return err
	}
	slices.SortFunc(t.tallies, byAction)
	return nil
}

// silence says why nothing can be met: that a report was asked for is no activity.
func (t *taker) silence(ctx context.Context) (string, error) {
	for _, one := range t.tallies {
		if !strings.HasPrefix(one.Action, "report") {
			return "", nil
		}
	}
	_, n, err := measurements["ceremonies.signins"].take(ctx, t)
	if err != nil {
		return "", err
	}
	_, made, err := measurements["ceremonies.registrations"].take(ctx, t)
	if err != nil || n > 0 || made > 0 {
		return "", err
	}
	return silent, nil
}

// control holds a control's measurements to what it expects. It is met when all of them are.
func (t *taker) control(c *Control, b *Body, figures map[string][2]int64) BodyControl {
	out := BodyControl{ID: c.ID, Section: c.Section, Title: c.Title, Requirement: c.Requirement, Outside: c.Outside, Result: NoEvidence, Findings: []Finding{}}
	if len(c.Evidence) == 0 {
		return out
	}
	out.Result = Met
	for _, e := range c.Evidence {
		f := t.finding(e, b, figures[e.Measure])
		out.Findings = append(out.Findings, f)
		switch {
		case f.Result == NotMet:
			out.Result = NotMet
		case f.Result == NoEvidence && out.Result == Met:
			out.Result = NoEvidence
		}
	}
	return out
}

func (t *taker) finding(e Expectation, b *Body, taken [2]int64) Finding {
	m := measurements[e.Measure]
	figure, of := taken[0], taken[1]
	f := Finding{Measure: m.Name, Title: m.Title, Basis: m.Basis, Figure: figure, Unit: m.Unit, OfUnit: m.Of, Is: e.Is, Value: e.Value, Query: m.Query}
	if m.Of != "" {
		f.Of = &of
	}
	if m.Actions != nil || m.Basis == OfLog {
		n, first, last := t.entries(m.Actions, "")
		f.Evidence.Entries = n
		if n > 0 {
			f.Evidence.First, f.Evidence.Last = &first, &last
		}
	}
	holds := e.Is.holds(figure, e.Value)
	switch {
	case b.Silent != "":
		f.Result, f.Why = NoEvidence, b.Silent
	case of == 0:
		f.Result, f.Why = NoEvidence, nobody
	case m.Basis == OfLog && b.Log.Missing > 0 && !strings.HasPrefix(m.Name, "auditlog.") && undecided(e, figure):
		f.Result, f.Why = NoEvidence, archived
	case holds:
		f.Result = Met
	case m.Basis == OfLog && e.Is == AtLeast && figure == 0: // what did not happen was not done badly
		f.Result, f.Why = NoEvidence, unseen
	default:
		f.Result = NotMet
	}
	return f
}

// undecided reports whether entries that nobody has counted could turn a finding: a count only grows by them.
func undecided(e Expectation, figure int64) bool {
	switch e.Is {
	case AtLeast:
		return figure < e.Value
	default:
		return figure <= e.Value
	}
}
