package cold_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/audit/cold"
)

// What could have been archived and is not is told, by its age, and no longer once it is; and so is each failure.
func TestState(t *testing.T) {
	w := newWorld(t, "")
	acme := w.tenant(t)
	w.year(t, acme)
	s := w.server()
	state := func() cold.State {
		t.Helper()
		st, err := s.State(t.Context(), acme)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	w.keep = 0
	if st := state(); st.Archiving || st.Behind != 0 || st.Last != nil {
		t.Errorf("kept for good: %+v", st)
	}
	w.keep = 90
	st := state()
	if oldest := 300 * day; !st.Archiving || st.Behind < oldest-(31+90)*day || st.Behind > oldest-90*day {
		t.Errorf("nothing is archived: %+v", st)
	}
	// While object storage is away.
	place := filepath.Join(w.folder, "audit-archive")
	if err := os.WriteFile(place, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Maintain(t.Context(), acme); err == nil {
		t.Fatal("archived into nothing")
	}
	if got := s.Stats(); got.Failures != 1 || got.Entries != 0 || got.Behind < st.Behind-time.Hour {
		t.Errorf("after a failure: %+v, want %s behind", got, st.Behind)
	}
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	if err := s.Maintain(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	_, archived := w.judge(t, acme)
	st = state()
	if got := s.Stats(); got.Failures != 1 || got.Entries != archived || got.Bytes == 0 || got.Behind != 0 || st.Behind != 0 || st.Last == nil || st.Last.To != archived {
		t.Errorf("archived: %+v, %+v, want %d entries", got, st, archived)
	}
	if err := s.Check(t.Context(), acme, st.Last); err != nil {
		t.Errorf("Check = %v", err)
	}
	if err := os.RemoveAll(place); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context(), acme, st.Last); !errors.Is(err, cold.ErrDamaged) {
		t.Errorf("Check of what is gone = %v, want ErrDamaged", err)
	}
}
