package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/tenancy/usage"
)

const (
	// maxArchiveDelay is 24 sweeps that did not archive what was due.
	maxArchiveDelay = 24 * time.Hour
	// archivesRead is of how many tenants the last archive is read: 12 MB each.
	archivesRead = 10
)

// archivedLogs is what was found of all tenants' archives.
type archivedLogs struct {
	archiving, archives       int
	behind, damaged, unlocked []string
	worst                     time.Duration
	problem                   string // of one that is not locked
}

// auditArchives says whether old entries of audit logs are where they should be.
func (d *checkup) auditArchives(ctx context.Context) finding {
	switch {
	case d.objects == nil: // its own finding says so
		return skip("object storage")
	case d.store == nil:
		return skip("roles")
	case d.kms == nil:
		return skip("kms")
	case slices.Contains(d.behind, "0075_audit_archive_names.sql"):
		return skip("schema")
	}
	found, err := d.archivedLogs(ctx)
	if err != nil {
		return fail("see the checks above", "%s", explain(err))
	}
	return judgeArchives(found, d.cfg.AuditLockDays)
}

func (d *checkup) archivedLogs(ctx context.Context) (*archivedLogs, error) {
	tenants := tenant.New(tenant.Options{Store: d.store})
	s := cold.New(cold.Options{
		Store: d.store, Trail: trail.NewReader(d.store, keys.New(keys.Options{Store: d.store, KMS: d.kms, Log: d.tel.Log})), Objects: d.objects,
		Policy: func(ctx context.Context, sc scope.Scope) (policy.Document, error) {
			snap, err := tenants.Current(ctx, sc)
			if err != nil {
				return policy.Document{}, err
			}
			return snap.Policy, nil
		},
	})
	found := &archivedLogs{}
	err := usage.New(usage.Options{Store: d.store}).Tenants(ctx, func(page []uuid.UUID) error {
		for _, id := range page {
			sc := scope.New(id, scope.Actor{Kind: scope.ActorSystem, ID: "doctor"})
			st, err := s.State(ctx, sc)
			if err != nil {
				return fmt.Errorf("tenant %s: %w", id, err)
			}
			if err := found.add(id, &st, func() error { return s.Check(ctx, sc, st.Last) }); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

// add takes a tenant in; whole reads its last archive.
func (a *archivedLogs) add(id uuid.UUID, st *cold.State, whole func() error) error {
	if st.Archiving {
		a.archiving++
	}
	if st.Behind > maxArchiveDelay {
		a.behind = append(a.behind, id.String())
		a.worst = max(a.worst, st.Behind)
	}
	if st.Last == nil {
		return nil
	}
	if st.Last.LockedUntil.IsZero() {
		a.unlocked, a.problem = append(a.unlocked, id.String()), st.Last.Problem
	}
	if a.archives++; a.archives > archivesRead {
		return nil
	}
	err := whole()
	if errors.Is(err, cold.ErrDamaged) {
		a.damaged = append(a.damaged, id.String())
		return nil
	}
	return err
}

func judgeArchives(a *archivedLogs, lockDays int) finding {
	switch {
	case len(a.damaged) > 0:
		return fail("compare the bucket with `biocore audit archives list`: somebody has deleted or changed objects",
			"object storage has not what was archived last of %s", some(a.damaged, ", "))
	case len(a.behind) > 0:
		return fail("see the servers' logs for why the job audit_archive fails", "old entries of %s could have been archived for %s", some(a.behind, ", "), a.worst.Round(time.Hour))
	case len(a.unlocked) > 0 && lockDays > 0:
		return warn("turn object lock on in the bucket: docs/object-storage.md", "the last archive of %s is not locked: %s", some(a.unlocked, ", "), a.problem)
	}
	return ok("%d tenants' logs are archived as their policies say, %d have archives", a.archiving, a.archives)
}
