// Package erasure tells of users who were erased (user.Service.Delete): the record of each, the certificate that the
// tenant signs about it, and what carries erasures out again after a backup of the database was restored.
package erasure

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/governance/ledger"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/siem"
)

// Errors returned by Service. Each Reason is part of the public API.
var (
	ErrNotFound = fault.New(fault.NotFound, "ERASURE_UNKNOWN", "no such erasure")
	ErrWaiting  = fault.New(fault.Unavailable, "ERASURE_CERTIFICATE_WAITING",
		"the erasure is not yet in the audit log and in the ledger").WithRetryAfter(10 * time.Second)
	ErrUnknownUser = fault.New(fault.Precondition, "ERASURE_WITHOUT_USER",
		"this erasure was carried out before the backup that the database was restored from had the user: only the first certificate tells of it")
)

// Options is what a Service needs. All but BackupDays are required.
type Options struct {
	Store *db.Store
	Keys  *keys.Service
	Users *user.Service
	Trail *trail.Reader
	// Archived has what of the log is no longer in the database.
	Archived *cold.Service
	Streams  *siem.Service
	Ledger   *ledger.Ledger
	// BackupDays is how long backups of the database are kept, as the operator says; 0: nobody has said.
	BackupDays int
}

// Service tells of erasures. It is safe for concurrent use.
type Service struct{ o Options }

// New returns a Service.
func New(o Options) *Service { return &Service{o: o} }

// Erasure is one.
type Erasure struct {
	ID         uuid.UUID
	UserID     *uuid.UUID // nil: carried out again where the restored database did not have the user
	At         time.Time
	By         string // kind:id
	ReplayedAt *time.Time
	StoredAt   *time.Time // since when the ledger has it
	IssuedAt   *time.Time // of the certificate; nil: nobody has asked for it

	Credentials, Sessions, Contacts, Evidence int64
}

func fromRow(row *tenantq.Erasure) Erasure {
	return Erasure{
		ID: row.ID, UserID: row.UserID, At: row.At, By: row.ErasedBy, ReplayedAt: row.ReplayedAt, StoredAt: row.StoredAt, IssuedAt: row.IssuedAt,
		Credentials: row.Credentials, Sessions: row.Sessions, Contacts: row.Contacts, Evidence: row.Evidence,
	}
}

// ParseID reads an erasure's id. ErrNotFound for what is none.
func ParseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, ErrNotFound
	}
	return id, nil
}

// Get returns one. ErrNotFound also for another tenant's.
func (s *Service) Get(ctx context.Context, sc scope.Scope, id uuid.UUID) (Erasure, error) {
	row, err := s.get(ctx, sc, id)
	return fromRow(&row), err
}

func (s *Service) get(ctx context.Context, sc scope.Scope, id uuid.UUID) (row tenantq.Erasure, err error) {
	err = s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if row, err = tx.GetErasure(ctx, id); db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get erasure: %w", err)
		}
		return nil
	})
	return row, err
}

// OfUser returns the erasure of a user. ErrNotFound for who was not erased.
func (s *Service) OfUser(ctx context.Context, sc scope.Scope, id uuid.UUID) (e Erasure, err error) {
	subject := ledger.SubjectOf(sc.Tenant(), id)
	err = s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetErasureOfSubject(ctx, subject[:])
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get erasure: %w", err)
		}
		e = fromRow(&row)
		return nil
	})
	return e, err
}

// List returns a page of them, the newest first. listing.ErrPageToken.
func (s *Service) List(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Erasure], error) {
	var page listing.Page[Erasure]
	ring, err := s.o.Keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "erasures"}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	params := tenantq.ListErasuresParams{BeforeID: uuid.Max, MaxRows: int32(req.Limit()) + 1} //nolint:gosec // a page; one more tells whether there is a next one
	if cursor != nil {
		if params.BeforeID, err = uuid.FromBytes(cursor); err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
	}
	err = s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListErasures(ctx, params)
		if err != nil {
			return fmt.Errorf("list erasures: %w", err)
		}
		page = listing.Page[Erasure]{}
		if limit := req.Limit(); len(rows) > limit {
			rows = rows[:limit]
			page.NextToken = listing.Seal(ring, query, rows[limit-1].ID[:])
		}
		for i := range rows {
			page.Items = append(page.Items, fromRow(&rows[i]))
		}
		return nil
	})
	return page, err
}
