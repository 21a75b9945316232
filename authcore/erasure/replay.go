package erasure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/governance/ledger"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Replayed counts what became of the ledger's erasures.
type Replayed struct {
	Known   int // that the database has
	Erased  int // users who were there again, and are erased
	Locked  int // persons of whom only the audit log told
	Absent  int // of users whom this database never had
	Tenants int // erasures of tenants that this database does not have
}

// replayReason stands in the audit entries of users who are erased again.
const replayReason = "erased again from the ledger, after an older database was restored"

// page bounds how many ids are read at a time.
const page = 5_000

// Unknown returns those erasures of the ledger since a day that this database does not know: some, and it was restored
// from a backup that is older. ledger.ErrWithoutStorage.
func (s *Service) Unknown(ctx context.Context, since time.Time) ([]ledger.Entry, error) {
	entries, err := s.o.Ledger.Read(ctx, since)
	if err != nil {
		return nil, err
	}
	unknown, _, _, err := s.split(ctx, entries)
	return unknown, err
}

// split tells those that this database does not know from those that it knows, and of how many the tenant is not there.
func (s *Service) split(ctx context.Context, entries []ledger.Entry) (unknown []ledger.Entry, known, tenants int, err error) {
	err = s.o.Store.InPlatform(ctx, "compare the ledger of erasures", func(tx *db.PlatformTx) error {
		unknown, known, tenants = nil, 0, 0
		for i := range entries {
			e := &entries[i]
			own, err := tx.AsTenant(ctx, scope.New(e.Tenant, scope.Actor{Kind: scope.ActorSystem, ID: "erasures"}))
			if err != nil {
				return err
			}
			if _, err := tx.GetTenant(ctx, e.Tenant); db.IsNoRows(err) {
				tenants++
				continue
			} else if err != nil {
				return fmt.Errorf("get tenant: %w", err)
			}
			switch _, err := own.KnowsErasure(ctx, e.Subject[:]); {
			case db.IsNoRows(err):
				unknown = append(unknown, *e)
			case err != nil:
				return fmt.Errorf("look for an erasure: %w", err)
			default:
				known++
			}
		}
		return nil
	})
	return unknown, known, tenants, err
}

// Replay erases, by actor, whoever the ledger names since a day and this database has again. Run it after a restore and before
// the server is started. It may be broken off and run again. An error tells what could not be erased; the rest was.
func (s *Service) Replay(ctx context.Context, actor scope.Actor, since time.Time) (Replayed, error) {
	entries, err := s.o.Ledger.Read(ctx, since)
	if err != nil {
		return Replayed{}, err
	}
	unknown, known, tenants, err := s.split(ctx, entries)
	if err != nil {
		return Replayed{}, err
	}
	done := Replayed{Known: known, Tenants: tenants}
	of := map[uuid.UUID][]ledger.Entry{}
	for i := range unknown {
		of[unknown[i].Tenant] = append(of[unknown[i].Tenant], unknown[i])
	}
	var failed []error
	for tenant, entries := range of {
		if err := s.replayTenant(ctx, scope.New(tenant, actor), entries, &done); err != nil {
			failed = append(failed, fmt.Errorf("tenant %s: %w", tenant, err))
		}
	}
	return done, errors.Join(failed...)
}

func (s *Service) replayTenant(ctx context.Context, sc scope.Scope, entries []ledger.Entry, done *Replayed) error {
	sought := map[ledger.Subject]*ledger.Entry{}
	for i := range entries {
		sought[entries[i].Subject] = &entries[i]
	}
	var failed []error
	found, err := s.find(ctx, sc, sought, func(tx *db.TenantTx, after uuid.UUID) ([]uuid.UUID, error) {
		return tx.ListUserIDs(ctx, tenantq.ListUserIDsParams{AfterID: after, MaxRows: page})
	})
	if err != nil {
		return fmt.Errorf("look for users: %w", err)
	}
	for _, id := range found {
		subject := ledger.SubjectOf(sc.Tenant(), id)
		if _, err := s.o.Users.Delete(ctx, sc, user.DeleteRequest{ID: user.ID(id), Reason: replayReason, Again: sought[subject]}); err != nil {
			failed = append(failed, fmt.Errorf("user %s: %w", id, err))
		} else {
			done.Erased++
		}
		delete(sought, subject)
	}
	// Who is a user no more may still be in the log, readable: the backup is from between.
	if found, err = s.find(ctx, sc, sought, func(tx *db.TenantTx, after uuid.UUID) ([]uuid.UUID, error) {
		return tx.ListSubjects(ctx, tenantq.ListSubjectsParams{AfterID: after, MaxRows: page})
	}); err != nil {
		return errors.Join(append(failed, fmt.Errorf("look for persons of the audit log: %w", err))...)
	}
	for _, id := range found {
		subject := ledger.SubjectOf(sc.Tenant(), id)
		if err := s.note(ctx, sc, sought[subject], &id); err != nil {
			failed = append(failed, err)
		} else {
			done.Locked++
		}
		delete(sought, subject)
	}
	for _, e := range sought {
		if err := s.note(ctx, sc, e, nil); err != nil {
			failed = append(failed, err)
		} else {
			done.Absent++
		}
	}
	return errors.Join(failed...)
}

// find walks ids and returns those whom the ledger names.
func (s *Service) find(
	ctx context.Context, sc scope.Scope, sought map[ledger.Subject]*ledger.Entry, list func(*db.TenantTx, uuid.UUID) ([]uuid.UUID, error),
) (found []uuid.UUID, err error) {
	for after, more := uuid.Nil, len(sought) > 0; more; {
		var ids []uuid.UUID
		err := s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) (err error) {
			ids, err = list(tx, after)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if sought[ledger.SubjectOf(sc.Tenant(), id)] != nil {
				found = append(found, id)
			}
		}
		if more = len(ids) == page; more {
			after = ids[page-1]
		}
	}
	return found, nil
}

// note records an erasure of somebody who is no user here; person is who the log still opens for.
func (s *Service) note(ctx context.Context, sc scope.Scope, e *ledger.Entry, person *uuid.UUID) error {
	return s.o.Store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		if person != nil {
			if err := tx.EraseSubject(ctx, tenantq.EraseSubjectParams{SubjectID: *person, Now: tx.Now()}); err != nil {
				return fmt.Errorf("erase from the audit log: %w", err)
			}
		}
		err := tx.InsertErasure(ctx, tenantq.InsertErasureParams{
			ID: e.ID, Subject: e.Subject[:], UserID: person, At: e.At, ErasedBy: string(sc.Actor().Kind) + ":" + sc.Actor().ID, ReplayedAt: new(tx.Now()),
		})
		if err != nil {
			return fmt.Errorf("note erasure: %w", err)
		}
		return audit.Append(ctx, tx, audit.Entry{Action: "erasure.replay", Target: audit.Target{Kind: "erasure", ID: e.ID.String()}, Reason: replayReason})
	})
}
