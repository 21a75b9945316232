package user

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/governance/dlp"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// scannedUsers are opened at a time.
const scannedUsers = 250

// Texts opens names and contacts for scans. Who is erased is not there any more; what does not open is counted.
func (s *Service) Texts() dlp.Source { return dlp.Source{Name: "users (opened)", Read: s.readTexts} }

func (s *Service) readTexts(ctx context.Context, sc scope.Scope, after []string, look func(place, item, body string)) (dlp.Opened, error) {
	var out dlp.Opened
	p := tenantq.ListProfilesParams{MaxRows: scannedUsers}
	if len(after) == 1 {
		id, err := uuid.Parse(after[0])
		if err != nil {
			return out, fmt.Errorf("the scan's place among users: %w", err)
		}
		p.AfterID = &id
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return out, fmt.Errorf("keys: %w", err)
	}
	var rows []tenantq.ListProfilesRow
	var contacts map[ID]Contact
	if err := s.store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		if rows, err = tx.ListProfiles(ctx, p); err != nil {
			return fmt.Errorf("list profiles: %w", err)
		}
		ids := make([]ID, len(rows))
		for i := range rows {
			ids[i] = ID(rows[i].ID)
		}
		contacts, err = ContactsOf(ctx, tx, ring, ids)
		return err
	}); err != nil {
		return out, err
	}
	sealed := 0
	for i := range rows {
		id := rows[i].ID.String()
		if profile, err := OpenProfile(ring, ID(rows[i].ID), rows[i].ProfileSealed); err != nil {
			sealed++
		} else {
			look("users.externalId", id, profile.ExternalID)
			look("users.name", id, profile.Name)
			look("users.displayName", id, profile.DisplayName)
		}
		of := contacts[ID(rows[i].ID)]
		look("contacts.value", id, of.Email)
		look("contacts.value", id, of.Phone)
	}
	out.Rows = len(rows)
	if sealed > 0 {
		out.Unseen = []dlp.Unseen{{Place: "users", Reason: dlp.UnseenSealed, Count: sealed}}
	}
	if len(rows) == scannedUsers {
		out.After = []string{rows[len(rows)-1].ID.String()}
	}
	return out, nil
}
