package authenticator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrUnknown is what a model is that nobody knows and the tenant has not.
var ErrUnknown = fault.New(fault.NotFound, "AUTHENTICATOR_UNKNOWN", "neither the metadata nor this tenant knows such a model")

// Options configures a Catalogue.
type Options struct {
	Keys     *keys.Service        // required: page tokens are sealed
	Metadata func() *mds.Snapshot // required: nil while there is none
	Now      func() time.Time     // required: reports come into force
}

// Catalogue lists the models that the metadata describes. It is safe for concurrent use.
type Catalogue struct{ o Options }

// NewCatalogue returns a Catalogue, or an error that says what is missing.
func NewCatalogue(o Options) (*Catalogue, error) {
	if o.Keys == nil || o.Metadata == nil || o.Now == nil {
		return nil, errors.New("authenticator: Keys, Metadata and Now are required")
	}
	return &Catalogue{o}, nil
}

// Model is a model as the metadata describes it, at a time.
type Model struct {
	*mds.Entry

	Certification string   // FIDO certification level in force; empty for none
	Reports       []string // what is held against it
}

// Lookup returns the model of an AAGUID, and false where the metadata has none.
func (c *Catalogue) Lookup(aaguid uuid.UUID) (Model, bool) {
	snap := c.o.Metadata()
	if snap == nil {
		return Model{}, false
	}
	e, ok := snap.Lookup(aaguid)
	if !ok {
		return Model{}, false
	}
	return modelOf(e, c.o.Now()), true
}

func modelOf(e *mds.Entry, at time.Time) Model {
	return Model{Entry: e, Certification: e.Certification(at), Reports: e.Against(at)}
}

// List returns one page of the models that the metadata describes, by AAGUID; those of the
// U2F kind, which have none, come first by their key identifiers, and those of UAF, which
// are no WebAuthn authenticators, are left out. Without metadata there are none. A page
// goes on after the last model of the one before, also when the metadata has changed
// meanwhile.
//
// The filter takes certification (= and >=, a level), status (=, one that is in force) and
// name (=, without regard to case, with * at either end for anything).
// listing.ErrPageToken, listing.ErrFilter.
func (c *Catalogue) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Model], error) {
	var page listing.Page[Model]
	matches, err := parseFilter(req.Filter)
	if err != nil {
		return page, err
	}
	ring, err := c.o.Keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "models", Filter: req.Filter}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	snap, now := c.o.Metadata(), c.o.Now()
	if snap == nil {
		return page, nil
	}
	var found []*mds.Entry
	for e := range snap.Entries() {
		if key := keyOf(e); key != "" && key > string(cursor) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *mds.Entry) int { return strings.Compare(keyOf(a), keyOf(b)) })
	limit := req.Limit()
	for _, e := range found {
		m := modelOf(e, now)
		if !matches(&m, now) {
			continue
		}
		if len(page.Items) == limit {
			page.NextToken = listing.Seal(ring, query, []byte(keyOf(page.Items[limit-1].Entry)))
			break
		}
		page.Items = append(page.Items, m)
	}
	return page, nil
}

// keyOf is what a list is ordered by; empty for what is not listed.
func keyOf(e *mds.Entry) string {
	if e.AAGUID != uuid.Nil {
		return string(e.AAGUID[:])
	}
	if len(e.KeyIdentifiers) == 0 {
		return ""
	}
	return string(e.AAGUID[:]) + string(e.KeyIdentifiers[0])
}

// parseFilter returns what a filter asks of a model.
func parseFilter(filter string) (func(*Model, time.Time) bool, error) {
	terms, err := listing.Parse(filter)
	if err != nil {
		return nil, err
	}
	tests := make([]func(*Model, time.Time) bool, 0, len(terms))
	for _, t := range terms {
		test, err := parseTerm(t)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	return func(m *Model, at time.Time) bool {
		for _, test := range tests {
			if !test(m, at) {
				return false
			}
		}
		return true
	}, nil
}

func parseTerm(t listing.Term) (func(*Model, time.Time) bool, error) {
	switch {
	case t.Field == "certification" && (t.Op == listing.Equal || t.Op == listing.GreaterEqual):
		level := policy.Certification(t.Literal)
		if !slices.Contains(policy.Certifications(), level) {
			return nil, t.Refuse("expected a certification level, for example FIDO_CERTIFIED_L1")
		}
		return func(m *Model, _ time.Time) bool {
			if t.Op == listing.Equal {
				return m.Certification == t.Literal
			}
			return policy.Certification(m.Certification).AtLeast(level)
		}, nil
	case t.Field == "status" && t.Op == listing.Equal:
		return func(m *Model, at time.Time) bool { return slices.Contains(m.InForce(at), t.Literal) }, nil
	case t.Field == "name" && t.Op == listing.Equal:
		return func(m *Model, _ time.Time) bool { return like(m.Name, t.Literal) }, nil
	}
	return nil, t.Refuse("expected certification with = or >=, status with =, name with =")
}

// like compares a name with a pattern, which may begin and end with *.
func like(name, pattern string) bool {
	name, pattern = strings.ToLower(name), strings.ToLower(pattern)
	rest, before := strings.CutPrefix(pattern, "*")
	word, after := strings.CutSuffix(rest, "*")
	switch {
	case before && (after || word == ""):
		return strings.Contains(name, word)
	case before:
		return strings.HasSuffix(name, word)
	case after:
		return strings.HasPrefix(name, word)
	}
	return name == word
}
