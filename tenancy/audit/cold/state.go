package cold

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// State is how archiving a tenant's log goes.
type State struct {
	Archiving bool // the policy asks for it
	// Behind is for how long a piece could have been archived and is not: 0 while none could. What is under no kept checkpoint yet could not.
	Behind time.Duration
	Last   *Archive // nil: there is none
}

// State asks for it. It reads a few rows, and no object.
func (s *Service) State(ctx context.Context, sc scope.Scope) (State, error) {
	var st State
	keep, err := s.keep(ctx, sc)
	if err != nil {
		return st, err
	}
	list, err := s.List(ctx, sc, 0, 1)
	if err != nil {
		return st, err
	}
	from := int64(0)
	if len(list) > 0 {
		st.Last, from = &list[0], list[0].To
	}
	if st.Archiving = keep > 0; !st.Archiving {
		return st, nil
	}
	now := s.o.Store.Now()
	if to, err := s.o.Trail.NextPiece(ctx, sc, from, month(now.Add(-keep)), s.piece); err != nil || to == 0 {
		return st, err
	}
	err = s.o.Store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
		at, err := trail.SequencedAtIn(ctx, tx, from)
		if err == nil && at != nil { // its month was over, and then it was kept
			st.Behind = max(now.Sub(month(*at).AddDate(0, 1, 0).Add(keep)), 0)
		}
		return err
	})
	return st, err
}

// keep is how long the tenant's entries stay in the database; 0: as long as the tenant.
func (s *Service) keep(ctx context.Context, sc scope.Scope) (time.Duration, error) {
	document, err := s.o.Policy(ctx, sc)
	if err != nil {
		return 0, fmt.Errorf("policy: %w", err)
	}
	return document.AuditRetention(), nil
}

// month is when the month of a time began.
func month(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// Check reads an archive, and answers ErrDamaged if object storage has nothing of it or something else than was stored; blob.ErrUnavailable.
func (s *Service) Check(ctx context.Context, sc scope.Scope, a *Archive) error {
	_, err := s.verify(ctx, sc, a)
	return err
}

// Stats is what one server's metrics tell.
type Stats struct {
	Entries, Bytes int64         // that this server has archived
	Failures       int64         // times that it could not
	Behind         time.Duration // of the tenant that is most behind, of those that this server looked at last
}

// behind is a tenant that is, as of the last look.
type behind struct {
	by time.Duration
	at time.Time
}

// looked is for how long a look counts: another server's may have been the next, which come once an hour.
const looked = 2 * time.Hour

// Stats returns them.
func (s *Service) Stats() Stats {
	st := Stats{Entries: s.entries.Load(), Bytes: s.bytes.Load(), Failures: s.failures.Load()}
	now := s.o.Store.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for tenant, b := range s.behind {
		if now.Sub(b.at) > looked {
			delete(s.behind, tenant)
			continue
		}
		st.Behind = max(st.Behind, b.by)
	}
	return st
}

// look keeps how a tenant's log is after a Maintain, which may have failed.
func (s *Service) look(ctx context.Context, sc scope.Scope, failed error) {
	if failed != nil && !errors.Is(failed, context.Canceled) {
		s.failures.Add(1)
	}
	st, err := s.State(ctx, sc)
	if err != nil {
		return // as for what it failed with
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.Behind == 0 {
		delete(s.behind, sc.Tenant())
		return
	}
	if s.behind == nil {
		s.behind = map[uuid.UUID]behind{}
	}
	s.behind[sc.Tenant()] = behind{by: st.Behind, at: s.o.Store.Now()}
}
