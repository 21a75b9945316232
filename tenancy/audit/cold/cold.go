// Package cold moves what is old of audit logs into object storage: months that a tenant's policy does not keep in the
// database any more, as signed bundles that `biocore audit verify` reads, locked where the store enforces it (ADR 0054). What is
// private in them is sealed as in the log, so that a person can be erased of what nobody can delete.
//
// A piece is written to object storage, read back from there and verified as anybody would, and noted then: what is
// noted is there. A piece and its objects' ids follow from the log alone, so that whoever comes after a server that was
// killed writes the same bytes to the same place.
package cold

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Kind is what archives are called in object storage.
const Kind blob.Kind = "audit-archive"

// Faults of archives.
var (
	ErrNotFound = fault.New(fault.NotFound, "AUDIT_ARCHIVE_UNKNOWN", "no archive of the audit log begins at this entry")
	ErrDamaged  = fault.New(fault.Damaged, "AUDIT_ARCHIVE_DAMAGED", "what object storage has is not the archive that was stored: an operator of the installation must look")
)

// Options configures a Service. Store and Trail are required, Policy for Maintain, and Keys for Page.
type Options struct {
	Store   *db.Store
	Keys    *keys.Service
	Trail   *trail.Reader
	Objects *blob.Bucket // nil: nothing is archived
	// Policy is the tenant's as it is now.
	Policy func(ctx context.Context, sc scope.Scope) (policy.Document, error)
	// LockFor is how long nobody is to be able to remove an archive; 0 asks for no lock.
	LockFor time.Duration
	// On reports whether anything of a tenant is to be archived and removed, now; nil: always. Maintain asks before each piece.
	On func(ctx context.Context, sc scope.Scope) bool
}

// Service archives, and reads archives. It is safe for concurrent use.
type Service struct {
	o     Options
	piece int64 // entries
	part  int   // bytes of an object
	batch int32 // entries that a transaction removes

	entries, bytes, failures atomic.Int64

	mu     sync.Mutex
	behind map[uuid.UUID]behind // tenants
}

const (
	// piece is how many entries a bundle has, and then those until the next checkpoint: those of a minute. Each
	// may have a checkpoint of its own, of which a bundle carries 10,000.
	piece = 10_000
	// part bounds an object.
	part = blob.MaxBytes
	// batch bounds a transaction of removing: some tens of milliseconds.
	batch = 5_000
)

// Longest is for how long one Maintain may go on; the next one finds what is left.
const Longest = 10 * time.Minute

// New returns a Service.
func New(o Options) *Service { return &Service{o: o, piece: piece, part: part, batch: batch} }

// Maintain archives what is due, and removes what has been archived for a week: whole months (UTC), all of whose entries are older than the tenant's policy keeps in
// the database. Where it is turned off it does neither, and counts what waits. It may be run at any time, by several servers at once, and again after a failure. trail.ErrDamaged, ErrDamaged,
// blob.ErrUnavailable.
func (s *Service) Maintain(ctx context.Context, sc scope.Scope) error {
	if s.o.Objects == nil {
		return nil
	}
	keep, err := s.keep(ctx, sc)
	if err != nil || keep == 0 {
		return err
	}
	err = s.maintain(ctx, sc, keep)
	s.look(ctx, sc, err)
	return err
}

func (s *Service) maintain(ctx context.Context, sc scope.Scope, keep time.Duration) error {
	now := s.o.Store.Now()
	before, until := month(now.Add(-keep)), now.Add(Longest/2)
	for did := true; did && s.o.Store.Now().Before(until) && s.on(ctx, sc); {
		var err error
		if did, err = s.Archive(ctx, sc, before); err != nil {
			return err
		}
	}
	for more := true; more && s.o.Store.Now().Before(until) && s.on(ctx, sc); {
		var err error
		if more, err = s.Remove(ctx, sc); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) on(ctx context.Context, sc scope.Scope) bool {
	return s.o.On == nil || s.o.On(ctx, sc)
}

// Remove removes up to 5,000 of the first entries of the log that have been archived for a week and are 90 days old, and answers
// whether there may be more. Their hashes stay. Most months go before that, with all of their entries, once no tenant keeps any.
func (s *Service) Remove(ctx context.Context, sc scope.Scope) (more bool, err error) {
	err = s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		n, err := tx.RemoveAuditEntries(ctx, s.batch)
		if err != nil {
			return fmt.Errorf("remove archived audit entries: %w", err)
		}
		if more = n == s.batch; n == 0 {
			return nil
		}
		below, err := trail.FirstKeptIn(ctx, tx, 0)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{
			Action: "auditlog.remove", Target: audit.Target{Kind: "auditlog", ID: sc.Tenant().String()},
			Detail: []attr.Attr{attr.Int("count", int64(n)), attr.Int("below", below)},
		})
	})
	return more, err
}

// Archive archives the next piece of what was sequenced before a time, and answers whether there was one. Errors
// are Maintain's.
func (s *Service) Archive(ctx context.Context, sc scope.Scope, before time.Time) (bool, error) {
	var from int64
	if err := s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		if from, err = tx.LastAuditArchive(ctx); err != nil && !db.IsNoRows(err) {
			return fmt.Errorf("last archive: %w", err)
		}
		return nil
	}); err != nil {
		return false, err
	}
	to, err := s.o.Trail.NextPiece(ctx, sc, from, before, s.piece)
	if err != nil || to == 0 {
		return false, err
	}
	up := &upload{ctx: ctx, s: s, sc: sc, sum: sha256.New(), Archive: Archive{From: from, To: to}}
	if err := s.o.Trail.WriteSealed(ctx, sc, from, to, up); err != nil {
		return false, fmt.Errorf("write archive: %w", err)
	}
	if err := up.flush(); err != nil {
		return false, err
	}
	up.SHA256 = up.sum.Sum(nil)
	named := &names{all: map[uuid.UUID]struct{}{}}
	report, err := s.verify(ctx, sc, &up.Archive, named)
	if err != nil {
		return false, err
	}
	if err := s.note(ctx, sc, &up.Archive, report, named.filter()); err != nil {
		return false, err
	}
	s.entries.Add(to - from)
	s.bytes.Add(up.Bytes)
	return true, nil
}

// verify reads an archive back, as anybody would who has the key of the log. What is read is written to also.
func (s *Service) verify(ctx context.Context, sc scope.Scope, a *Archive, also ...io.Writer) (*bundle.Report, error) {
	last, err := s.o.Trail.Checkpoint(ctx, sc)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	report, err := bundle.Verify(io.TeeReader(&download{ctx: ctx, s: s, sc: sc, a: a}, io.MultiWriter(append(also, sum)...)), last.VerifierKey)
	switch {
	case errors.Is(err, blob.ErrUnavailable) || errors.Is(err, ErrDamaged):
		return nil, err
	case err != nil:
		return nil, ErrDamaged.WithCause(err)
	case !report.Valid():
		return nil, ErrDamaged.WithCause(errors.New(report.Findings[0].String()))
	case !bytes.Equal(sum.Sum(nil), a.SHA256) || report.Header.From != a.From || report.Header.To != a.To:
		return nil, ErrDamaged.WithCause(errors.New("what is read is not what was written"))
	}
	return report, nil
}

func (s *Service) note(ctx context.Context, sc scope.Scope, a *Archive, report *bundle.Report, named []byte) error {
	return s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		p := tenantq.InsertAuditArchiveParams{
			FromSeq: a.From, ToSeq: a.To, FirstAt: report.Earliest, LastAt: report.Latest, Objects: a.Objects, Versions: a.Versions, Bytes: a.Bytes, Sha256: a.SHA256,
			ArchivedAt: tx.Now(), Problem: a.Problem, Names: named,
		}
		if !a.LockedUntil.IsZero() {
			p.LockedUntil = &a.LockedUntil
		}
		if n, err := tx.InsertAuditArchive(ctx, p); err != nil {
			return fmt.Errorf("note archive: %w", err)
		} else if n == 0 {
			return nil // another server has
		}
		return audit.Append(ctx, tx, audit.Entry{
			Action: "auditlog.archive", Target: audit.Target{Kind: "auditlog", ID: sc.Tenant().String()},
			Detail: []attr.Attr{attr.Int("from", a.From), attr.Int("to", a.To), attr.Int("bytes", a.Bytes)},
		})
	})
}

// upload is an io.Writer that cuts what is written into objects, which it fills into the Archive.
type upload struct {
	Archive

	ctx    context.Context //nolint:containedctx // of one call
	s      *Service
	sc     scope.Scope
	buffer bytes.Buffer
	sum    hash.Hash
}

// Write implements io.Writer.
func (u *upload) Write(p []byte) (int, error) {
	u.sum.Write(p)
	u.Bytes += int64(len(p))
	for rest := p; len(rest) > 0; {
		n := min(len(rest), u.s.part-u.buffer.Len())
		u.buffer.Write(rest[:n])
		if rest = rest[n:]; u.buffer.Len() == u.s.part {
			if err := u.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// flush stores what has been gathered as the next object.
func (u *upload) flush() error {
	if u.buffer.Len() == 0 {
		return nil
	}
	id := uuid.NewSHA1(u.sc.Tenant(), fmt.Appendf(nil, "audit archive %d-%d part %d", u.From, u.To, len(u.Objects)))
	lock := blob.Lock{Problem: "no lock is configured"}
	var err error
	if u.s.o.LockFor > 0 {
		lock, err = u.s.o.Objects.PutLocked(u.ctx, u.sc, Kind, id, u.buffer.Bytes(), u.s.o.Store.Now().Add(u.s.o.LockFor))
	} else {
		err = u.s.o.Objects.Put(u.ctx, u.sc, Kind, id, u.buffer.Bytes())
	}
	if err != nil {
		return fmt.Errorf("store archive: %w", err)
	}
	if len(u.Objects) == 0 || lock.Until.Before(u.LockedUntil) { // zero where one of them is not locked
		u.LockedUntil = lock.Until
	}
	u.Problem = cmp.Or(u.Problem, lock.Problem)
	u.Objects, u.Versions = append(u.Objects, id), append(u.Versions, lock.Version)
	u.buffer.Reset()
	return nil
}
