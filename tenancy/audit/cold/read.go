package cold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Archive is a piece of a tenant's log that is in object storage.
type Archive struct {
	From, To    int64     // numbers of the first entry, and of the last and one
	First, Last time.Time // when they were sequenced
	Objects     []uuid.UUID
	Versions    []string // of the objects; empty where the store keeps none
	Bytes       int64
	SHA256      []byte // of the bundle
	ArchivedAt  time.Time
	LockedUntil time.Time // zero: it is not locked
	Problem     string    // why
}

func archiveOf(row *tenantq.ListAuditArchivesRow) Archive {
	a := Archive{
		From: row.FromSeq, To: row.ToSeq, First: row.FirstAt, Last: row.LastAt, Objects: row.Objects, Versions: row.Versions, Bytes: row.Bytes, SHA256: row.Sha256,
		ArchivedAt: row.ArchivedAt, Problem: row.Problem,
	}
	if row.LockedUntil != nil {
		a.LockedUntil = *row.LockedUntil
	}
	return a
}

// List returns up to limit archives that begin before an entry, the latest first; before of 0 is no bound.
func (s *Service) List(ctx context.Context, sc scope.Scope, before int64, limit int) ([]Archive, error) {
	if before == 0 {
		before = 1 << 62
	}
	var out []Archive
	err := s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		rows, err := tx.ListAuditArchives(ctx, tenantq.ListAuditArchivesParams{BeforeSeq: before, MaxRows: int32(limit)}) //nolint:gosec // a page
		if err != nil {
			return fmt.Errorf("list archives: %w", err)
		}
		out = make([]Archive, len(rows))
		for i := range rows {
			out[i] = archiveOf(&rows[i])
		}
		return nil
	})
	return out, err
}

// Page is List by pages. It takes no filter. listing.ErrPageToken.
func (s *Service) Page(ctx context.Context, sc scope.Scope, req listing.Request) (listing.Page[Archive], error) {
	var page listing.Page[Archive]
	ring, err := s.o.Keys.Ring(ctx, sc)
	if err != nil {
		return page, fmt.Errorf("keys: %w", err)
	}
	query := listing.Query{List: "auditArchives"}
	cursor, err := listing.Open(ring, query, req.PageToken)
	if err != nil {
		return page, err
	}
	before := int64(0)
	if cursor != nil {
		if before, err = strconv.ParseInt(string(cursor), 10, 64); err != nil {
			return page, listing.ErrPageToken.WithCause(err)
		}
	}
	limit := req.Limit()
	if page.Items, err = s.List(ctx, sc, before, limit+1); err == nil && len(page.Items) > limit {
		page.Items = page.Items[:limit]
		page.NextToken = listing.Seal(ring, query, strconv.AppendInt(nil, page.Items[limit-1].From, 10))
	}
	return page, err
}

// Addresses are where an archive's objects are, for people, in their order.
func (s *Service) Addresses(sc scope.Scope, a *Archive) []string {
	out := make([]string, len(a.Objects))
	for i, id := range a.Objects {
		if s.o.Objects != nil {
			out[i] = s.o.Objects.Address(sc, Kind, id)
		}
	}
	return out
}

// Read writes the bundle of the archive that begins at an entry, after it was read once and found to be what was
// stored. That it was read is an entry of the log. ErrNotFound, ErrDamaged, blob.ErrUnavailable, and what w fails with.
func (s *Service) Read(ctx context.Context, sc scope.Scope, from int64, w io.Writer) error {
	var a Archive
	if err := s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		row, err := tx.GetAuditArchive(ctx, from)
		if db.IsNoRows(err) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("get archive: %w", err)
		}
		listed := tenantq.ListAuditArchivesRow(row)
		a = archiveOf(&listed)
		return audit.Append(ctx, tx, audit.Entry{
			Action: "auditlog.archive_read", Target: audit.Target{Kind: "auditlog", ID: sc.Tenant().String()},
			Detail: []attr.Attr{attr.Int("from", a.From), attr.Int("to", a.To)},
		})
	}); err != nil {
		return err
	}
	if _, err := s.verify(ctx, sc, &a); err != nil {
		return err
	}
	if _, err := io.Copy(w, &download{ctx: ctx, s: s, sc: sc, a: &a}); err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	return nil
}

// download is an io.Reader of the objects of an archive, one after the other.
type download struct {
	ctx  context.Context //nolint:containedctx // of one call
	s    *Service
	sc   scope.Scope
	a    *Archive
	next int
	rest bytes.Reader
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	for d.rest.Len() == 0 {
		if d.next == len(d.a.Objects) {
			return 0, io.EOF
		}
		if d.s.o.Objects == nil {
			return 0, blob.ErrUnavailable.WithCause(errors.New("none is configured"))
		}
		body, err := d.s.o.Objects.GetVersion(d.ctx, d.sc, Kind, d.a.Objects[d.next], d.a.Versions[d.next])
		if errors.Is(err, blob.ErrNotFound) {
			return 0, ErrDamaged.WithCause(fmt.Errorf("object %s is gone", d.a.Objects[d.next]))
		} else if err != nil {
			return 0, fmt.Errorf("get archive: %w", err)
		}
		d.rest.Reset(body)
		d.next++
	}
	return d.rest.Read(p)
}

// Destroy removes the objects of a tenant that is at its end, but those that are locked: what is private in them opens
// nowhere any more. tenant.Subject.
func (s *Service) Destroy(ctx context.Context, sc scope.Scope) error {
	now := s.o.Store.Now()
	for before := int64(0); ; {
		list, err := s.List(ctx, sc, before, destroyBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			if list[i].LockedUntil.After(now) {
				continue
			}
			for _, id := range list[i].Objects {
				if s.o.Objects == nil {
					return blob.ErrUnavailable.WithCause(errors.New("none is configured, and objects are to be deleted"))
				}
				if err := s.o.Objects.Delete(ctx, sc, Kind, id); err != nil {
					return err
				}
			}
		}
		if before = list[len(list)-1].From; before == 0 { // the first of the log
			return nil
		}
	}
}

const destroyBatch = 100
