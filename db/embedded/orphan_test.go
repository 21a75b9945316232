package embedded

import (
	"os"
	"path/filepath"
	"testing"
)

// Removing Pdeathsig from childAttr turns the first case red, and removing the
// locked thread from startChild now and then; removing stopLeftover the second.
func TestKillLeavesNoOrphan(t *testing.T) {
	t.Setenv("BIOCORE_EMBEDDED_TEMPLATE", template(t))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("both servers end", func(t *testing.T) {
		helper, _, servers := startHelper(t, self, dataDir(t), account{})
		if !alive(servers.PostgresPID) || !alive(servers.RedisPID) {
			t.Fatal("the servers do not run")
		}
		if err := helper.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "Postgres has ended", func() bool { return !alive(servers.PostgresPID) })
		eventually(t, "Redis has ended", func() bool { return !alive(servers.RedisPID) })
	})
	t.Run("the next start does not wait for us to look", func(t *testing.T) {
		dir := dataDir(t)
		helper, _, servers := startHelper(t, self, dir, account{})
		remember(t, servers.URL, "walrus")
		if err := helper.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = helper.Wait() // its lock is released now, Postgres may still be ending
		pg := startPostgres(t, PostgresOptions{DataDir: dir})
		if got := recall(t, pg.SuperuserURL("postgres")); got != "walrus" {
			t.Errorf("after kill -9 the word is %q, want walrus", got)
		}
	})
	t.Run("a normal end without Stop is no different", func(t *testing.T) {
		helper, input, servers := startHelper(t, self, dataDir(t), account{})
		if err := input.Close(); err != nil {
			t.Fatal(err)
		}
		if err := helper.Wait(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "Postgres has ended", func() bool { return !alive(servers.PostgresPID) })
		eventually(t, "Redis has ended", func() bool { return !alive(servers.RedisPID) })
	})
}

// Where no death signal exists, or it was lost, the next start finds the server.
func TestLeftoverIsStopped(t *testing.T) {
	dir := dataDir(t)
	pg := startPostgres(t, PostgresOptions{DataDir: dir})
	remember(t, pg.SuperuserURL("postgres"), "walrus")
	pg.lock.release() // as if we had been killed

	again, err := StartPostgres(t.Context(), PostgresOptions{DataDir: dir})
	if err != nil {
		t.Fatalf("StartPostgres beside a leftover server: %v", err)
	}
	t.Cleanup(func() { stopPostgres(t, again) })
	if !pg.server.ended() && alive(pg.server.cmd.Process.Pid) {
		t.Error("the server left behind still runs")
	}
	if got := recall(t, again.SuperuserURL("postgres")); got != "walrus" {
		t.Errorf("the word is %q, want walrus", got)
	}
	if _, err := os.Stat(filepath.Join(dir, clusterDir, "postmaster.pid")); err != nil {
		t.Errorf("the new server has no pid file: %v", err)
	}
}
