package cold_test

import (
	"testing"

	"github.com/biocore-id/biocore/db"
)

// What it costs that a month leaves: row by row, or with its partition.
func BenchmarkLeave(b *testing.B) {
	const entries = 200_000
	for _, rows := range []bool{true, false} {
		name := "with its month"
		if rows {
			name = "row by row"
		}
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, "")
			acme := w.tenant(b)
			w.grow(b, acme, 1)
			for b.Loop() {
				b.StopTimer()
				for _, sql := range []string{
					"DELETE FROM audit_archives", "DELETE FROM audit_entries", "SELECT make_partitions(now() - interval '200 days')",
					`INSERT INTO audit_entries (tenant_id, seq, sequenced_at, id, at, action, target, entry, leaf, private)
						SELECT l.tenant_id, n, now() - interval '200 days', gen_random_uuid(), now(), 'user.update', 'user/' || n, repeat(md5(n::text), 16), sha256(n::text::bytea), sha512(n::text::bytea)
						FROM audit_logs l, generate_series(0, 199999) n`,
					`INSERT INTO audit_archives SELECT tenant_id, 0, 200192, now(), now(), ARRAY[gen_random_uuid()], ARRAY[''], 1, sha256(''), now() - interval '8 days', NULL, 'x' FROM audit_logs`,
				} {
					if _, err := w.super.Exec(b.Context(), sql); err != nil {
						b.Fatal(err)
					}
				}
				jobs := w.As(b, db.RoleJobs)
				s := w.server()
				s.Bound(40, 8_000, 5_000)
				b.StartTimer()
				if rows {
					for more := true; more; {
						var err error
						if more, err = s.Remove(b.Context(), acme); err != nil {
							b.Fatal(err)
						}
					}
				} else if _, err := jobs.Exec(b.Context(), "SELECT drop_partitions(now())"); err != nil {
					b.Fatal(err)
				}
			}
			if _, n := w.first(b, acme); n > 10 {
				b.Errorf("%d are left", n)
			}
			b.ReportMetric(float64(entries)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
