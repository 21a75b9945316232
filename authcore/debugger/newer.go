package debugger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// maxNewest is how many places Newer looks at: 12 seconds of 800 ceremonies each.
const maxNewest = 10_000

// Newer is what there is since a time.
type Newer struct {
	Ceremonies []Ceremony              // in order; at most as many as were asked for, the newest
	Places     map[uuid.UUID]time.Time // all that were seen, told or not
	Left       int                     // how many of them were new and are not in Ceremonies
	LeftFrom   time.Time               // of the oldest of those
}

// Newer returns the tenant's ceremonies since a time that told does not say were told
// before. Rows are committed out of order, so ask again from some time before the newest.
func (r *Reader) Newer(ctx context.Context, sc scope.Scope, since time.Time, told func(uuid.UUID) bool, limit int) (Newer, error) {
	var out Newer
	err := r.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		out = Newer{Places: map[uuid.UUID]time.Time{}}
		places, err := tx.NewestCeremonies(ctx, tenantq.NewestCeremoniesParams{Since: since, MaxRows: maxNewest})
		if err != nil {
			return fmt.Errorf("newest ceremonies: %w", err)
		}
		p := tenantq.GetCeremoniesParams{}
		for _, one := range places {
			out.Places[one.ID] = one.At
			switch {
			case told(one.ID):
				continue
			case len(p.Ids) == limit:
				out.Left++
				out.LeftFrom = one.At
				continue
			case len(p.Ids) == 0:
				p.Until = one.At
			}
			p.Since = one.At
			p.Ids = append(p.Ids, one.ID)
		}
		if len(p.Ids) == 0 {
			return nil
		}
		rows, err := tx.GetCeremonies(ctx, p)
		if err != nil {
			return fmt.Errorf("get ceremonies: %w", err)
		}
		out.Ceremonies = make([]Ceremony, len(rows))
		for i, row := range rows {
			if out.Ceremonies[i], err = fromRow(row); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Matcher is a filter of List, for ceremonies that come one by one.
type Matcher struct{ f filter }

// NewMatcher reads a filter as List does. listing.ErrFilter.
func NewMatcher(text string) (Matcher, error) {
	f, err := parseFilter(text)
	return Matcher{f}, err
}

// Matches reports whether List with the filter would have c in it.
func (m *Matcher) Matches(c *Ceremony) bool {
	p := &m.f.params
	is := func(want *string, have string) bool { return want == nil || *want == have }
	var owner string
	if c.UserID != nil {
		owner = c.UserID.String()
	}
	return !m.f.none && m.kind(c.Kind) && m.outcome(c.Outcome) && m.owner(owner) && m.during(c.At) &&
		is(p.Reason, c.Reason) && is(p.TraceID, c.TraceID) && is(p.RequestID, c.RequestID) && is(p.Model, c.Facts.AAGUID.String()) &&
		(p.CredentialID == nil || string(p.CredentialID) == string(c.CredentialID.Bytes()))
}

// MatchesBegun reports whether a ceremony that has only begun may come to match: nothing is
// asked that its end alone will tell. owner is a user's id; empty where nobody knows.
func (m *Matcher) MatchesBegun(kind Kind, owner string, at time.Time) bool {
	p := &m.f.params
	return !m.f.none && m.kind(kind) && m.owner(owner) && m.during(at) && len(p.Outcomes) == len(outcomes) &&
		p.Reason == nil && p.TraceID == nil && p.RequestID == nil && p.Model == nil && p.CredentialID == nil
}

func (m *Matcher) kind(k Kind) bool { return slices.Contains(m.f.params.Kinds, string(k)) }

func (m *Matcher) outcome(o Outcome) bool { return slices.Contains(m.f.params.Outcomes, string(o)) }

func (m *Matcher) owner(id string) bool {
	return m.f.params.UserID == nil || m.f.params.UserID.String() == id
}

func (m *Matcher) during(at time.Time) bool {
	return !at.Before(m.f.params.Since) && at.Before(m.f.params.Until)
}
