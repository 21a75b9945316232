package dlp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/governance/detect"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Source is something that is opened for a scan: what is sealed, or lies outside of the database.
type Source struct {
	Name string // a place's
	// Read opens what comes behind after, shows each text to look, and tells how far it came. It keeps no more than a
	// text in memory at a time, and what look has seen is forgotten. The same item may be shown many times: it is one finding.
	Read func(ctx context.Context, sc scope.Scope, after []string, look func(place, item, body string)) (Opened, error)
}

// Opened is what a Source has read.
type Opened struct {
	Rows   int
	After  []string // where it goes on; nil: nothing is left
	Unseen []Unseen
}

// Unseen is what a scan has not looked at, and why.
type Unseen struct {
	Place  string `json:"place"`
	Reason string `json:"reason"`
	Count  int    `json:"count"` // of rows, or files
}

// Reasons why something was not looked at.
const (
	// UnseenSealed does not open: its key is destroyed, or it is damaged.
	UnseenSealed = "SEALED"
	// UnseenGone is not where it should be, or its store does not answer.
	UnseenGone = "GONE"
	// UnseenLarge has more than a scan looks at.
	UnseenLarge = "LARGE"
	// UnseenDerived holds what stands elsewhere, where it is looked at.
	UnseenDerived = "DERIVED"
	// UnseenArchived is out of the database for good.
	UnseenArchived = "ARCHIVED"
	// UnseenBinary holds no words of people.
	UnseenBinary = "BINARY"
)

// kept are kinds that a place of a source holds by design: a user's name is often an address, an archive has everybody's.
var kept = map[string][]detect.Kind{
	"users.externalId": {detect.Email}, "users.name": {detect.Email}, "users.displayName": {detect.Email}, "contacts.value": {detect.Email},
	"export": {detect.Email, detect.Token}, // of every file of it
}

// isKept reports whether a place holds a kind by design.
func isKept(place string, kind detect.Kind) bool {
	of, _, _ := strings.Cut(place, "/")
	return expected[place] == kind || slices.Contains(kept[of], kind)
}

// of is a source as a place.
func (src *Source) of() place {
	return place{src.Name, func(ctx context.Context, sc scope.Scope, after []string) (page, error) {
		var p page
		opened, err := src.Read(ctx, sc, after, func(where, item, body string) {
			for _, one := range sight(text{where, item, body}) {
				one.body = ""
				i := slices.IndexFunc(p.seen, func(o sighting) bool { return o.place == one.place && o.item == one.item && o.kind == one.kind })
				if i < 0 {
					p.seen = append(p.seen, one)
				} else {
					p.seen[i].count += one.count
				}
			}
		})
		if err != nil {
			return p, err
		}
		p.rows, p.after, p.last, p.unseen = opened.Rows, opened.After, opened.After == nil, opened.Unseen
		return p, nil
	}}
}

// addUnseen counts what was not looked at to what was not before.
func addUnseen(list []Unseen, more []Unseen) []Unseen {
	for _, u := range more {
		if i := slices.IndexFunc(list, func(o Unseen) bool { return o.Place == u.Place && o.Reason == u.Reason }); i >= 0 {
			list[i].Count += u.Count
		} else if u.Count > 0 {
			list = append(list, u)
		}
	}
	return list
}

// neverSeen is what no scan looks at, as far as the tenant has it.
func (s *Service) neverSeen(ctx context.Context, sc scope.Scope) (list []Unseen, err error) {
	err = s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		n, err := tx.CountUnscanned(ctx)
		if err != nil {
			return fmt.Errorf("count what is not scanned: %w", err)
		}
		list = addUnseen(nil, []Unseen{
			{"reports", UnseenDerived, int(n.Reports)}, {"audit_archives", UnseenArchived, int(n.Archives)}, {"evidence", UnseenBinary, int(n.Evidence)},
		})
		return nil
	})
	return list, err
}

func unseenOf(row *tenantq.DlpScan) (list []Unseen, err error) {
	if err := json.Unmarshal(row.Unseen, &list); err != nil {
		return nil, fmt.Errorf("what scan %s has not seen: %w", row.ID, err)
	}
	return list, nil
}

// addUnseenTo notes more of what a scan has not seen.
func addUnseenTo(row *tenantq.DlpScan, more []Unseen) error {
	list, err := unseenOf(row)
	if err != nil {
		return err
	}
	if list = addUnseen(list, more); len(list) == 0 {
		list = []Unseen{}
	}
	if row.Unseen, err = json.Marshal(list); err != nil {
		return fmt.Errorf("encode what scan %s has not seen: %w", row.ID, err)
	}
	return nil
}

// inPart are the places of which something should have been seen and was not: what was found there before is not gone.
func inPart(list []Unseen) (places []string) {
	for _, u := range list {
		if u.Reason == UnseenSealed || u.Reason == UnseenGone || u.Reason == UnseenLarge {
			of, _, _ := strings.Cut(u.Place, "/")
			places = append(places, of)
		}
	}
	return places
}
