package main

import (
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/audit/anchor"
)

// What nobody has seen locked is never called so, and what is old or contradicted is never called well.
func TestJudgeAnchor(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	fresh := anchor.Status{StoredAt: now.Add(-time.Minute), Size: 9, Problem: "a folder locks nothing"}
	locked := anchor.Status{StoredAt: now.Add(-time.Minute), Size: 9, LockedUntil: now.Add(48 * time.Hour)}
	old, changed := locked, locked
	old.StoredAt, changed.Refused = now.Add(-6*time.Minute), 2
	for name, tt := range map[string]struct {
		last anchor.Status
		days int
		want verdict
		says string
	}{
		"nothing yet":        {anchor.Status{}, 365, doubtful, "none is in object storage"},
		"locked":             {locked, 365, well, "locked until 2030-01-04"},
		"not locked":         {fresh, 365, doubtful, "a folder locks nothing"},
		"no lock was wanted": {fresh, 0, well, "without a lock"},
		"old":                {old, 365, unwell, "6m0s old"},
		"contradicted":       {changed, 365, unwell, "2 audit logs contradict"},
	} {
		if f := judgeAnchor(&tt.last, tt.days, now); f.Verdict != tt.want || !strings.Contains(f.Detail, tt.says) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
