package sequencer_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// childVariable holds, in a process of its own, where its keys are.
const childVariable = "BIOCORE_TEST_SEQUENCER_KEYS"

// TestMain is a server that sequences, where it is started as one.
func TestMain(m *testing.M) {
	file := os.Getenv(childVariable)
	if file == "" {
		os.Exit(m.Run())
	}
	if err := sequence(context.Background(), file); err != nil {
		slog.Error("sequence", "err", err)
		os.Exit(1)
	}
}

func sequence(ctx context.Context, file string) error {
	store, err := db.Open(ctx, db.Options{
		AppURL: os.Getenv("APP"), WriterURL: os.Getenv("WRITER"), ControlURL: os.Getenv("CONTROL"), SupportURL: os.Getenv("SUPPORT"), AuditURL: os.Getenv("AUDIT"),
		Unfollowed: true,
	})
	if err != nil {
		return err
	}
	defer store.Close()
	k, err := kms.OpenLocal(file)
	if err != nil {
		return err
	}
	return sequencer.New(sequencer.Options{Store: store, Keys: keys.New(keys.Options{Store: store, KMS: k}), Host: "id.bank.example"}).Run(ctx)
}

// server starts a process that sequences.
func (w *world) server(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$") //nolint:gosec // the program is this one
	cmd.Env = append(os.Environ(), childVariable+"="+w.file, "APP="+w.URL(db.RoleApp), "WRITER="+w.URL(db.RoleWriter), "CONTROL="+w.URL(db.RoleControl),
		"SUPPORT="+w.URL(db.RoleSupport), "AUDIT="+w.URL(db.RoleAudit))
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	return cmd
}

// kill is kill -9.
func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // by the signal, or it was killed before
}

// A server that is killed in any step of its work has moved all of a batch or nothing, and another one goes
// on: each step waits for a table that the test holds when it is killed. After each, the whole tree is
// derived anew.
func TestKilledInEachStep(t *testing.T) {
	w := newWorld(t)
	tenants := []scope.Scope{w.tenant(t), w.tenant(t)}
	const each = 300 // more than a tile holds
	total := int64(0)
	steps := []string{"audit_inbox", "subject_keys", "audit_logs", "audit_entries", "audit_tiles", "audit_checkpoints"}
	for round, table := range steps {
		for _, sc := range tenants {
			w.append(t, sc, each)
		}
		total += each
		if _, err := w.super.Exec(t.Context(), "UPDATE audit_logs SET kept_at = NULL"); err != nil { // so that a checkpoint is kept now
			t.Fatal(err)
		}
		w.killAt(t, table)
		if table == steps[0] { // and the one that comes after it, in the middle of what it does
			w.killAt(t, "audit_entries")
		}
		s := w.sequencer(w.Replica(t))
		drain(t, s)
		if n := w.waiting(t); n != 0 {
			t.Errorf("killed at %s: %d wait", table, n)
		}
		for _, sc := range tenants {
			var written int64 // of the test's own kind
			if err := w.super.QueryRow(t.Context(), "SELECT count(*) FROM audit_entries WHERE tenant_id = $1 AND action = 'user.update'", sc.Tenant()).Scan(&written); err != nil || written != total {
				t.Errorf("round %d, killed at %s: %d entries, want %d, %v", round, table, written, total, err)
			}
			w.judge(t, sc)
		}
	}
}

// killAt kills a server that waits for a table, which nobody else can write.
func (w *world) killAt(t *testing.T, table string) {
	t.Helper()
	tx, err := w.super.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context())) //nolint:errcheck // it frees the table
	if _, err := tx.Exec(t.Context(), fmt.Sprintf("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", pgx.Identifier{table}.Sanitize())); err != nil {
		t.Fatal(err)
	}
	server := w.server(t)
	look := w.Superuser(t)
	eventually(t, "server that waits for "+table, func() bool {
		var waits bool
		err := look.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = $1 AND wait_event_type = 'Lock')`, db.RoleAudit).Scan(&waits)
		return err == nil && waits
	})
	kill(server)
	// Postgres learns of it when it answers: until then the server's locks are held.
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of its connections", func() bool {
		var n int
		err := look.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = $1 AND state <> 'idle'", db.RoleAudit).Scan(&n)
		return err == nil && n == 0
	})
}

// Two servers run, and one of them is killed again and again, while entries are committed.
func TestKilledUnderLoad(t *testing.T) {
	w := newWorld(t)
	sc := w.tenant(t)
	w.server(t)
	const rounds, each = 8, 120
	for range rounds {
		doomed := w.server(t)
		w.append(t, sc, each)
		before := w.moved(t, sc)
		eventually(t, "entries that are moved", func() bool { return w.moved(t, sc) > before || w.waiting(t) == 0 })
		kill(doomed)
	}
	eventually(t, "end of the inbox", func() bool { return w.waiting(t) == 0 })
	if n := w.moved(t, sc); n != rounds*each {
		t.Errorf("%d entries are in the log, want %d", n, rounds*each)
	}
	eventually(t, "a checkpoint", func() bool {
		var signed bool
		err := w.super.QueryRow(t.Context(), "SELECT size = signed_size FROM audit_logs WHERE tenant_id = $1", sc.Tenant()).Scan(&signed)
		return err == nil && signed
	})
	w.judge(t, sc)
}

// moved counts the test's own entries in a log.
func (w *world) moved(t *testing.T, sc scope.Scope) (n int) {
	t.Helper()
	if err := w.super.QueryRow(t.Context(), "SELECT count(*) FROM audit_entries WHERE tenant_id = $1 AND action = 'user.update'", sc.Tenant()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
