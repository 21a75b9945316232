package erasure

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// erased is the action of the entry of an erasure.
const erased = "user.delete"

// place finds the entry of an erasure in the log, wherever that is. ErrWaiting.
func (s *Service) place(ctx context.Context, sc scope.Scope, person uuid.UUID) (AuditPlace, error) {
	page, err := s.o.Trail.List(ctx, sc, listing.Request{PageSize: 1, Filter: `target = "user/` + person.String() + `" AND action = "` + erased + `"`})
	if err != nil {
		return AuditPlace{}, fmt.Errorf("find the audit entry: %w", err)
	}
	if len(page.Items) > 0 {
		if page.Items[0].Seq < 0 {
			return AuditPlace{}, ErrWaiting
		}
		return AuditPlace{EntryID: page.Items[0].ID, Sequence: page.Items[0].Seq}, nil
	}
	begins, err := s.o.Trail.Beginning(ctx, sc)
	if err != nil {
		return AuditPlace{}, err
	}
	found := AuditPlace{Sequence: -1}
	if _, err := s.archived(ctx, sc, person, begins.Seq, func(line *bundle.Line) error {
		var e struct {
			ID     uuid.UUID
			Action string
			Target audit.Target
		}
		if err := json.Unmarshal([]byte(line.Entry), &e); err != nil { //nolint:musttag // names match whatever their case
			return fmt.Errorf("archived audit entry %d: %w", line.Seq, err)
		}
		if e.Action == erased && e.Target.Kind == "user" && e.Target.ID == person.String() {
			found = AuditPlace{EntryID: e.ID, Sequence: line.Seq}
		}
		return nil
	}); err != nil {
		return AuditPlace{}, err
	}
	if found.Sequence < 0 {
		return AuditPlace{}, ErrWaiting
	}
	return found, nil
}

// mentions counts, for each of some numbers, the entries before it that name somebody, in the database and in archives.
func (s *Service) mentions(ctx context.Context, sc scope.Scope, person uuid.UUID, below []int64) ([]Mentions, error) {
	kept, begins, err := s.o.Trail.Mentions(ctx, sc, person, below)
	if err != nil {
		return nil, err
	}
	all := make([]Mentions, len(kept))
	for i, m := range kept {
		all[i] = Mentions{Entries: m.Entries, First: m.First, Last: m.Last}
	}
	unread, err := s.archived(ctx, sc, person, begins, func(line *bundle.Line) error {
		for i := range all {
			if line.Seq < below[i] {
				all[i].add(line.Seq)
				all[i].Archived++
			}
		}
		return nil
	})
	for i := range unread {
		all[0].Unread = append(all[0].Unread, Piece{From: unread[i].From, To: min(unread[i].To, begins)})
	}
	return all, err
}

// archived gives take the entries before a number that name somebody out of the archives, and answers which of these could not be read.
func (s *Service) archived(ctx context.Context, sc scope.Scope, person uuid.UUID, below int64, take func(*bundle.Line) error) (unread []cold.Archive, err error) {
	var list []cold.Archive
	if err := s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
		list, err = cold.NamingIn(ctx, tx, person, below)
		return err
	}); err != nil || len(list) == 0 {
		return nil, err
	}
	return s.o.Archived.Mentions(ctx, sc, list, person, below, func(lines []bundle.Line) error {
		for i := range lines {
			if err := take(&lines[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
