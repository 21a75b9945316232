package cold_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/scope"
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

// Archiving that is turned off does nothing more from the next piece on, says how much waits, and goes on from where it was.
func TestTurnedOff(t *testing.T) {
	w := newWorld(t, "")
	acme := w.tenant(t)
	w.grow(t, acme, 330)
	w.year(t, acme)
	s := w.server()
	count := func() int {
		t.Helper()
		list, err := s.List(t.Context(), acme, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	maintain := func() {
		t.Helper()
		if err := s.Maintain(t.Context(), acme); err != nil {
			t.Fatal(err)
		}
	}
	asked := 0
	w.on = func(scope.Scope) bool { asked++; return asked <= 2 }
	maintain()
	if n := count(); n != 2 {
		t.Fatalf("%d archives, want the two pieces before it was turned off", n)
	}
	if got := s.Stats(); got.Behind == 0 || got.Failures != 0 {
		t.Errorf("while it is off: %+v", got)
	}
	maintain()
	if n := count(); n != 2 {
		t.Errorf("%d archives while it is off", n)
	}
	w.on = func(sc scope.Scope) bool { return sc.Tenant() == acme.Tenant() }
	maintain()
	if n := count(); n < 5 || s.Stats().Behind != 0 {
		t.Errorf("%d archives once it is on, %+v", n, s.Stats())
	}
	// What was archived for a week stays while it is off.
	if _, err := w.super.Exec(t.Context(), "UPDATE audit_archives SET archived_at = archived_at - interval '8 days'"); err != nil {
		t.Fatal(err)
	}
	w.on = func(scope.Scope) bool { return false }
	maintain()
	if seq, _ := w.first(t, acme); seq != 0 {
		t.Errorf("removed up to %d while it is off", seq)
	}
	w.on = nil
	maintain()
	if seq, _ := w.first(t, acme); seq == 0 {
		t.Error("nothing was removed once it is on")
	}
}
