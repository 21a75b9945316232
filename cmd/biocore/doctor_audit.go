package main

import (
	"context"
	"time"

	"github.com/biocore-id/biocore/tenancy/audit/anchor"
)

// maxAnchorAge is five anchors that were not made.
const maxAnchorAge = 5 * time.Minute

// auditHeads says how old the last anchor of the audit logs' heads is, and whether it is locked.
func (d *checkup) auditHeads(ctx context.Context) finding {
	switch {
	case d.cfg.ObjectStorageURL == "":
		return skip("object storage")
	case d.store == nil:
		return skip("roles")
	}
	last, err := anchor.New(anchor.Options{Store: d.store}).Status(ctx)
	if err != nil {
		return fail("see the checks above", "%s", explain(err))
	}
	return judgeAnchor(&last, d.cfg.AuditLockDays, d.store.Now())
}

func judgeAnchor(last *anchor.Status, lockDays int, now time.Time) finding {
	age := now.Sub(last.StoredAt).Round(time.Second)
	switch {
	case last.Size == 0:
		return warn("start a server: it anchors within minutes of the first audit entry", "none is in object storage yet")
	case last.Refused > 0:
		return fail("look for the errors of the servers' logs that name the tenants, and compare with the anchors: docs/audit.md",
			"%d audit logs contradict what was anchored of them", last.Refused)
	case age > maxAnchorAge:
		return fail("see whether a server runs, and its log for why it cannot anchor", "the last anchor is %s old", age)
	case last.LockedUntil.IsZero() && lockDays > 0:
		return warn("turn object lock on in the bucket: docs/object-storage.md", "anchored %s ago, and not locked: %s", age, last.Problem)
	case last.LockedUntil.IsZero():
		return ok("anchored %s ago, without a lock, as BIOCORE_AUDIT_LOCK_DAYS says", age)
	}
	return ok("anchored %s ago, locked until %s", age, last.LockedUntil.Format(time.DateOnly))
}
