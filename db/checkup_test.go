package db_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
)

func TestProbe(t *testing.T) {
	store := dbtest.New(t)
	first, err := db.Probe(t.Context(), store.URL(db.RoleControl))
	if err != nil {
		t.Fatal(err)
	}
	if first.Version < 150000 || first.Server == "" || first.Skew.Abs() > time.Minute {
		t.Errorf("Probe = %+v", first)
	}
	for _, role := range db.LoginRoles() {
		l, err := db.Probe(t.Context(), store.URL(role))
		if err != nil || l.Role != role || l.Database != first.Database || !l.Started.Equal(first.Started) {
			t.Errorf("Probe as %s = %+v, %v", role, l, err)
		}
	}
}

func TestProbeRefused(t *testing.T) {
	store := dbtest.New(t)
	wrong, err := db.RoleURL(store.URL(db.RoleApp), db.RoleApp, "hunter2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Probe(t.Context(), wrong); err == nil || errors.Is(err, db.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong password = %v", err)
	}
	if _, err := db.Probe(t.Context(), "postgres://u:hunter2@[bad"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("an unreadable URL = %v", err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	began := time.Now()
	_, err = db.Probe(t.Context(), fmt.Sprintf("postgres://u@%s/x?sslmode=disable", silent.Addr()))
	if took := time.Since(began); !errors.Is(err, db.ErrUnavailable) || took > 15*time.Second {
		t.Errorf("a server that says nothing = %v after %v, want %v", err, took, db.ErrUnavailable)
	}
}

// The names are those that make_partitions gives: the test drops each kind.
func TestMissingPartitions(t *testing.T) {
	store := dbtest.Fresh(t)
	missing := func(ahead time.Duration) []string {
		t.Helper()
		names, err := store.MissingPartitions(t.Context(), ahead)
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	// A fresh schema has 75 hours, 4 months and 8 days from its migration on.
	if got := missing(72 * time.Hour); len(got) != 0 {
		t.Errorf("of a fresh schema %v are missing", got)
	}
	conn := store.Superuser(t)
	for kind, sql := range map[string]string{
		"spent_challenges": `SELECT 'spent_challenges_' || (floor(extract(epoch FROM now()) / 3600)::integer + 7)`,
		"ceremonies":       `SELECT 'ceremonies_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')`,
		"event_outbox":     `SELECT 'event_outbox_' || to_char(now() AT TIME ZONE 'UTC' + interval '1 day', 'YYYYMMDD')`,
	} {
		var name string
		if err := conn.QueryRow(t.Context(), sql).Scan(&name); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "ALTER TABLE "+kind+" DETACH PARTITION "+name); err != nil {
			t.Fatal(err)
		}
		if got := missing(24 * time.Hour); !slices.Equal(got, []string{name}) {
			t.Errorf("without %s %v are missing", name, got)
		}
		if _, err := conn.Exec(t.Context(), "DROP TABLE "+name); err != nil {
			t.Fatal(err)
		}
		if _, err := store.As(t, db.RoleJobs).Exec(t.Context(), "SELECT make_partitions(now())"); err != nil {
			t.Fatal(err)
		}
	}
	if got := missing(365 * 24 * time.Hour); len(got) < 365*23 {
		t.Errorf("of a year %d are missing", len(got))
	}
}
