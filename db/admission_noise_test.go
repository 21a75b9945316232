package db_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// What a quiet tenant's transactions take, one after the other, while nobody else is there and
// while a noisy one keeps so many going at once: the median and the 99th percentile. A transaction
// waits in Postgres for 4 ms, as for a disk, so that it is the queue which is measured and not how
// many cores the machine has; "busy" ones compute instead. Run it with -benchtime 500x.
func BenchmarkNoisyTenant(b *testing.B) {
	store := dbtest.New(b)
	quiet, noisy := store.Tenant(b), store.Tenant(b)
	const waits, computes = "SELECT pg_sleep(0.004)", "SELECT sum(sqrt(n)) FROM generate_series(1, 20000) n"
	for _, tt := range []struct {
		name, sql string
		noise     int
	}{
		{"idle", waits, 0},
		{"waiting noise=16", waits, 16},
		{"waiting noise=250", waits, 250},
		{"idle, busy", computes, 0},
		{"busy noise=250", computes, 250},
	} {
		b.Run(tt.name, func(b *testing.B) {
			one := func(ctx context.Context, sc scope.Scope) error {
				return store.ReadTenant(ctx, sc, func(tx *db.TenantTx) error {
					_, err := tx.Pgx().Exec(ctx, tt.sql)
					return err
				})
			}
			ctx, stop := context.WithCancel(b.Context())
			var noise sync.WaitGroup
			for range tt.noise {
				noise.Go(func() {
					for ctx.Err() == nil {
						if err := one(ctx, noisy); err != nil && ctx.Err() == nil && !errors.Is(err, db.ErrOverloaded) {
							b.Error(err)
							return
						}
					}
				})
			}
			took := make([]time.Duration, 0, b.N)
			for b.Loop() {
				began := time.Now()
				if err := one(b.Context(), quiet); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			stop()
			noise.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
	b.Logf("%+v", store.AdmissionStats())
}
