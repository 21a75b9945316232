package user

import (
	"context"
	"fmt"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ContactSummary counts the contacts of all of a tenant's users.
type ContactSummary struct {
	Email ContactCount // parts are domains
	Phone ContactCount // parts are country calling codes, with their +
}

// ContactCount counts those of one kind.
type ContactCount struct {
	Users      int64 // who have one
	Distinct   int64 // different ones, as a search compares them
	Unreadable int64 // of Users: does not open, and is in no part
	Parts      []ContactPart
}

// ContactPart is what several values have in common, and how many users have it.
type ContactPart struct {
	Part  string
	Users int64
}

// maxParts bounds the parts of a summary; the commonest come first.
const maxParts = 50

// Summarize counts the tenant's contacts. Postgres opens them all, 70 µs each, and no
// value leaves it. That somebody asked is in the audit log. What does not open is
// counted and does not end the report; the audit log tells it too.
func (s *Service) Summarize(ctx context.Context, sc scope.Scope) (ContactSummary, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return ContactSummary{}, fmt.Errorf("keys: %w", err)
	}
	var sum ContactSummary
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		sum = ContactSummary{} // this may be the second run
		if _, err := admitKeys(ctx, tx); err != nil {
			return err
		}
		secrets, versions := sqlKeys(ring)
		rows, err := tx.SummarizeContacts(ctx, tenantq.SummarizeContactsParams{Keys: secrets, Versions: versions, MaxParts: maxParts})
		if err != nil {
			return fmt.Errorf("summarize contacts: %w", err)
		}
		for _, row := range rows {
			count := sum.of(ContactKind(row.Kind))
			if row.Place == 0 {
				count.Users, count.Distinct, count.Unreadable = row.Users, row.Different, row.Unopened
				continue
			}
			count.Parts = append(count.Parts, ContactPart{Part: row.Part, Users: row.Users})
		}
		entry := audit.Entry{Action: "contact.summarize", Detail: []attr.Attr{
			attr.Int("emails", sum.Email.Users), attr.Int("phones", sum.Phone.Users),
			attr.Int("unreadable", sum.Email.Unreadable+sum.Phone.Unreadable),
		}}
		return audit.Append(ctx, tx, entry)
	})
	return sum, err
}

func (s *ContactSummary) of(kind ContactKind) *ContactCount {
	if kind == Phone {
		return &s.Phone
	}
	return &s.Email
}
