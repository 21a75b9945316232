package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/audit/anchor"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
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

// What is behind, gone or not locked is said, the worst first, and of whom.
func TestJudgeArchives(t *testing.T) {
	id, other := uuid.New(), uuid.New()
	locked, open := &cold.Archive{LockedUntil: time.Now()}, &cold.Archive{Problem: "a folder locks nothing"}
	fine, gone := func() error { return nil }, func() error { return cold.ErrDamaged.WithCause(errors.New("gone")) }
	for name, tt := range map[string]struct {
		states []cold.State
		whole  func() error
		days   int
		want   verdict
		says   string
	}{
		"none":               {[]cold.State{{}}, fine, 365, well, "0 tenants"},
		"archived":           {[]cold.State{{Archiving: true, Last: locked}}, fine, 365, well, "1 tenants"},
		"an hour behind":     {[]cold.State{{Archiving: true, Behind: time.Hour}}, fine, 365, well, "1 tenants"},
		"days behind":        {[]cold.State{{Archiving: true, Behind: 50 * time.Hour}, {Archiving: true, Behind: 80 * time.Hour, Last: open}}, fine, 365, unwell, "for 80h"},
		"gone":               {[]cold.State{{Archiving: true, Behind: 50 * time.Hour, Last: open}}, gone, 365, unwell, "has not what was archived last of " + id.String()},
		"not locked":         {[]cold.State{{Last: open}, {Last: locked}}, fine, 365, doubtful, id.String() + " is not locked: a folder locks nothing"},
		"no lock was wanted": {[]cold.State{{Last: open}}, fine, 0, well, "1 have archives"},
	} {
		var a archivedLogs
		for i := range tt.states {
			if err := a.add([]uuid.UUID{id, other}[i], &tt.states[i], tt.whole); err != nil {
				t.Fatal(err)
			}
		}
		if f := judgeArchives(&a, tt.days); f.Verdict != tt.want || !strings.Contains(f.Detail, tt.says) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	away := errors.New("away")
	if err := new(archivedLogs).add(id, &cold.State{Last: locked}, func() error { return away }); !errors.Is(err, away) {
		t.Errorf("while object storage is away: %v", err)
	}
}
