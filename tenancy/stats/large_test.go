package stats_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// asked remembers what a store was asked.
type asked struct {
	mu   sync.Mutex
	sql  []string
	args [][]any
}

// TraceQueryStart implements pgx.QueryTracer.
func (a *asked) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sql, a.args = append(a.sql, data.SQL), append(a.args, data.Args)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*asked) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// An overview of any range is made of rollups: no plan of its queries touches ceremonies,
// and what they return is a few hundred rows.
func TestOverviewReadsRollupsAlone(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t)
	acme := store.Tenant(t)
	if _, err := store.Superuser(t).Exec(t.Context(), `INSERT INTO stats_counts (tenant_id, step, at, counts)
		SELECT $1, step, at, '{"outcomes":{"AUTHENTICATION/ALLOW/":13889}}' FROM unnest(ARRAY[300, 3600, 86400]) step,
		generate_series(date_bin(make_interval(secs => step), now() - interval '62 days', 'epoch'), now(), make_interval(secs => step)) at`, acme.Tenant()); err != nil {
		t.Fatal(err)
	}
	trace := &asked{}
	o := store.Options()
	o.Tracer = trace
	own, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	svc := stats.New(own)
	for _, r := range stats.Ranges() {
		trace.sql, trace.args = nil, nil
		began := time.Now()
		got := overview(t, svc, acme, r)
		t.Logf("overview of %s took %v", r, time.Since(began))
		if n := got.Now.Of(stats.SignIn).All(); n == 0 {
			t.Errorf("overview of %s has nothing", r)
		}
		rows, looked := 0, 0
		for i, sql := range trace.sql {
			if strings.Contains(sql, "ceremonies") {
				t.Errorf("overview of %s asks: %s", r, sql)
			}
			if !strings.Contains(sql, "FROM stats_") {
				continue
			}
			looked++
			err := store.ReadTenant(t.Context(), acme, func(tx *db.TenantTx) error {
				plan, err := tx.Pgx().Query(t.Context(), "EXPLAIN ANALYZE "+sql, trace.args[i]...)
				if err != nil {
					return err
				}
				lines, err := pgx.CollectRows(plan, pgx.RowTo[string])
				if err != nil {
					return err
				}
				if text := strings.Join(lines, "\n"); strings.Contains(text, "ceremonies") || strings.Contains(text, "Seq Scan") && strings.Contains(sql, "stats_counts") {
					t.Errorf("overview of %s is read by\n%s", r, text)
				}
				result, err := tx.Pgx().Query(t.Context(), sql, trace.args[i]...)
				if err != nil {
					return err
				}
				for result.Next() {
					rows++
				}
				return result.Err()
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("overview of %s: %d queries, %d rows", r, looked, rows)
		if looked < 4 || rows > 900 {
			t.Errorf("overview of %s reads %d rows by %d queries, want at most 900", r, rows, looked)
		}
	}
}

// BenchmarkMaintain counts five minutes of ten thousand sign-ins, with the facts of real ones.
func BenchmarkMaintain(b *testing.B) {
	store := dbtest.New(b)
	acme := store.Tenant(b)
	const facts = `{"origin":"https://login.bank.example","userVerified":true,"backupEligible":true,"backedUp":true,"signCount":0,"algorithm":-7,"attachment":"platform",` +
		`"aaguid":"fbfc3007-154e-4ecc-8c0b-6e020557d7bd","aal":2,"publishable":true,"purpose":"sign-in"}`
	if _, err := store.Superuser(b).Exec(b.Context(), `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, reason, policy_version, facts, latency_us)
		SELECT $1, $2::timestamptz + make_interval(secs => n * 0.029), gen_random_uuid(), 'AUTHENTICATION', CASE WHEN n % 50 = 0 THEN 'DENY' ELSE 'ALLOW' END,
		CASE WHEN n % 50 = 0 THEN 'USER_BLOCKED' ELSE '' END, 1, $3, 3000 + n % 9000 FROM generate_series(1, 10000) n`, acme.Tenant(), now.Truncate(5*time.Minute).Add(-5*time.Minute), facts); err != nil {
		b.Fatal(err)
	}
	svc := at(b, store, &clock{now.Truncate(5 * time.Minute).Add(time.Minute)}) // so it is counted again each time
	b.ResetTimer()
	for range b.N {
		maintain(b, svc, acme)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/10, "µs/1000")
}
