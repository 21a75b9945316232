package db_test

import (
	"sync"
	"testing"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
)

// Postgres was restarted, or somebody ended its connections: nobody is refused for the sake of those that the pool still has.
// Without the reset each of them costs a call.
func TestConnectionsThatEndedCostNoCall(t *testing.T) {
	store := dbtest.Fresh(t)
	acme, super := store.Tenant(t), store.Superuser(t)
	for range 3 {
		var all, held sync.WaitGroup
		held.Add(4)
		for range 4 { // as many connections
			all.Go(func() {
				if err := store.ReadTenant(t.Context(), acme, func(*db.TenantTx) error {
					held.Done()
					held.Wait()
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		var ended, left int
		if err := super.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE usename = 'bc_app' AND datname = current_database()`).Scan(&ended); err != nil || ended < 4 {
			t.Fatalf("ended %d connections, %v", ended, err)
		}
		for i := range 5 {
			if err := store.ReadTenant(t.Context(), acme, func(tx *db.TenantTx) error {
				return tx.Pgx().QueryRow(t.Context(), "SELECT count(*) FROM users").Scan(&left)
			}); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		}
	}
}
