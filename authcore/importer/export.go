package importer

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ExportRequest asks for one page of lines.
type ExportRequest struct {
	listing.Request // Filter is not used

	Contacts bool // with e-mail addresses and phone numbers
}

// Export returns one page of the tenant's users as lines that Append takes, the oldest
// first: public keys and no secrets. Revoked credentials are left out, since they sign
// nobody in. That somebody asked is in the audit log. ErrNotFound for the reserved
// tenant; listing.ErrPageToken; a *user.DamagedError when something does not open,
// since an export that leaves it out would be believed.
func (s *Service) Export(ctx context.Context, sc scope.Scope, req ExportRequest) (listing.Page[Line], error) {
	var page listing.Page[Line]
	if sc.Tenant() == scope.PlatformTenant {
		return page, ErrNotFound
	}
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	snap, err := s.tenants.Current(ctx, sc)
	if err != nil {
		return page, err
	}
	query := listing.Query{List: "export"}
	if req.Contacts {
		query.Parent = "contacts" // a token goes no further than the call that it is of
	}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	var after *uuid.UUID
	if cursor != nil {
		id, err := uuid.FromBytes(cursor)
		if err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
		after = &id
	}
	limit := req.Limit()
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		users, err := user.ListExported(ctx, tx, ring, after, limit+1, req.Contacts)
		if err != nil {
			return err
		}
		page = listing.Page[Line]{}
		if len(users) > limit {
			users = users[:limit]
			page.NextToken = listing.Seal(ring, query, users[limit-1].ID[:])
		}
		credentials, err := exported(ctx, tx, users)
		if err != nil {
			return err
		}
		page.Items = make([]Line, len(users))
		for i := range users {
			u := &users[i]
			page.Items[i] = Export(Record{
				Profile: u.Profile, Contact: u.Contact, Handle: u.Handle, Blocked: u.State == user.Blocked, CreatedAt: &u.CreatedAt,
				Credentials: credentials[u.ID],
			})
			for j := range page.Items[i].Credentials {
				page.Items[i].Credentials[j].RPID = snap.RPID
			}
		}
		return audit.Append(ctx, tx, audit.Entry{Action: "user.export", Detail: []attr.Attr{
			attr.Int("users", int64(len(users))), attr.Bool("contacts", req.Contacts), attr.Bool("last", page.NextToken == ""),
		}})
	})
	return page, err
}

// exported returns the credentials of users.
func exported(ctx context.Context, tx *db.TenantTx, users []user.Incoming) (map[user.ID][]Credential, error) {
	ids := make([]uuid.UUID, len(users))
	for i := range users {
		ids[i] = users[i].ID.UUID()
	}
	rows, err := tx.ListExportedCredentials(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("list credentials: %w", err)
	}
	out := map[user.ID][]Credential{}
	for _, row := range rows {
		c := credential.FromRow(row)
		out[c.UserID] = append(out[c.UserID], Credential{
			ID: c.ID, PublicKey: row.PublicKey, Algorithm: webauthn.Algorithm(c.Algorithm), SignCount: c.SignCount, Transports: c.Transports,
			Attachment: c.Attachment, AAGUID: c.AAGUID, BackupEligible: c.BackupEligible, BackedUp: c.BackedUp, Discoverable: c.Discoverable,
			Nickname: c.Nickname, Suspended: c.State == credential.Suspended, CreatedAt: &c.CreatedAt, LastUsedAt: c.LastUsedAt,
		})
	}
	return out, nil
}
