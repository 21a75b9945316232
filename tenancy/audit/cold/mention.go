package cold

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// NamingIn returns the archives that have entries before a number and may name an id, in the order of the log. Those that name it
// are among them, and one of 120 others.
func NamingIn(ctx context.Context, tx *db.TenantTx, id uuid.UUID, below int64) ([]Archive, error) {
	var out []Archive
	for from := int64(0); from < below; {
		rows, err := tx.ListAuditArchiveNames(ctx, tenantq.ListAuditArchiveNamesParams{FromSeq: from, Below: below, MaxRows: namesBatch})
		if err != nil {
			return nil, fmt.Errorf("list archives: %w", err)
		}
		for i := range rows {
			row := &rows[i]
			if mayName(row.Names, id) {
				out = append(out, archiveOf(&tenantq.ListAuditArchivesRow{
					FromSeq: row.FromSeq, ToSeq: row.ToSeq, FirstAt: row.FirstAt, LastAt: row.LastAt, Objects: row.Objects, Versions: row.Versions, Bytes: row.Bytes,
					Sha256: row.Sha256, ArchivedAt: row.ArchivedAt, LockedUntil: row.LockedUntil, Problem: row.Problem,
				}))
			}
			from = row.ToSeq
		}
		if len(rows) < namesBatch {
			break
		}
	}
	return out, nil
}

const (
	namesBatch = 20      // filters in memory: some 40 kB each, half a megabyte of a busy minute
	linesBatch = 200     // entries in memory, some kilobytes each
	longest    = 8 << 20 // bytes of a line, as package bundle reads them: a header with all its checkpoints; an entry has some kilobytes
)

// Mentions reads archives, and gives take the entries before a number whose text names an id: in the order of the log, some at a time. An
// archive is read once and verified, as anybody would, before anything is taken of it; those of which object storage has nothing, or something else than
// was stored, are answered as unread. blob.ErrUnavailable, trail.ErrDamaged, and what take fails with.
func (s *Service) Mentions(ctx context.Context, sc scope.Scope, archives []Archive, id uuid.UUID, below int64, take func([]bundle.Line) error) (unread []Archive, err error) {
	for i := range archives {
		a := &archives[i]
		_, err := s.verify(ctx, sc, a)
		if errors.Is(err, ErrDamaged) {
			unread = append(unread, *a)
			continue
		} else if err != nil {
			return nil, err
		}
		if err := s.mentions(ctx, sc, a, id.String(), below, take); err != nil {
			return nil, err
		}
	}
	return unread, nil
}

func (s *Service) mentions(ctx context.Context, sc scope.Scope, a *Archive, id string, below int64, take func([]bundle.Line) error) error {
	lines := bufio.NewScanner(&download{ctx: ctx, s: s, sc: sc, a: a})
	lines.Buffer(nil, longest)
	var found []bundle.Line
	for first := true; lines.Scan(); first = false {
		if first || !bytes.Contains(lines.Bytes(), []byte(id)) { // the first is the header
			continue
		}
		var line bundle.Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return ErrDamaged.WithCause(err)
		}
		if line.Seq >= below {
			break
		}
		if found = append(found, line); len(found) == linesBatch {
			if err := take(found); err != nil {
				return err
			}
			found = found[:0]
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	if len(found) == 0 {
		return nil
	}
	return take(found)
}
