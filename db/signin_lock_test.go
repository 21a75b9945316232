package db_test

import (
	"errors"
	"testing"

	"github.com/biocore-id/biocore/db"
)

// Another transaction holds a credential: its sign-in waits, alone, and is answered
// when the other one commits. What the other one did counts.
func TestALockedCredentialWaitsAlone(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		name, sql string
		accepted  bool
	}{
		{"a rename commits", "UPDATE credentials SET nickname = 'new' WHERE id = $1", true},
		{"a revocation commits", "UPDATE credentials SET state = 'REVOKED' WHERE id = $1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			acme := f.tenant(t)
			who := []person{f.person(t, acme), f.person(t, acme), f.person(t, f.tenant(t))}
			tx := f.begin(t)
			if _, err := tx.Exec(t.Context(), tt.sql, who[1].credential); err != nil {
				t.Fatal(err)
			}
			store := f.running(t)
			answers := make([]chan error, len(who))
			outcomes := make([]db.SignInOutcome, len(who))
			for i, p := range who {
				answers[i] = make(chan error, 1)
				go func() {
					var err error
					outcomes[i], err = store.SignIn(t.Context(), p.sc, p.signIn(1))
					answers[i] <- err
				}()
			}
			for _, i := range []int{0, 2} {
				if err := <-answers[i]; err != nil || !outcomes[i].Accepted {
					t.Errorf("beside the locked credential: %+v, %v", outcomes[i], err)
				}
			}
			// Longer than any row of the fast lane may wait.
			waitFor(t, "patient sign-in", func() bool {
				var patient bool
				if err := f.admin.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'bc_writer'
  AND datname = current_database() AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > '50ms')`).Scan(&patient); err != nil {
					t.Fatal(err)
				}
				return patient
			})
			select {
			case err := <-answers[1]:
				t.Fatalf("answered while its row was locked: %+v, %v", outcomes[1], err)
			default:
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-answers[1]; err != nil || outcomes[1].Accepted != tt.accepted {
				t.Errorf("after the commit: %+v, %v, want accepted: %v", outcomes[1], err, tt.accepted)
			}
		})
	}
}

func TestALockThatStaysIsAnOutage(t *testing.T) {
	f := newFixture(t)
	p := f.person(t, f.tenant(t))
	tx := f.begin(t)
	if _, err := tx.Exec(t.Context(), "SELECT FROM credentials WHERE id = $1 FOR UPDATE", p.credential); err != nil {
		t.Fatal(err)
	}
	store := f.running(t)
	in := p.signIn(1)
	if out, err := store.SignIn(t.Context(), p.sc, in); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("SignIn = %+v, %v, want %v", out, err, db.ErrUnavailable)
	}
	if traces, spent := f.written(t, in); traces+spent != 0 {
		t.Errorf("it left %d rows and spent %d challenges", traces, spent)
	}
}
