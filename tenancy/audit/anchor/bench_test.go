package anchor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A minute of 10,000 logs: all of them have grown, or none.
func BenchmarkAnchor(b *testing.B) {
	for _, grow := range []bool{true, false} {
		b.Run(fmt.Sprintf("grown=%v", grow), func(b *testing.B) {
			w := newWorld(b, folder(b))
			s := w.server(b)
			const logs = 10_000
			rows := make([][]any, logs)
			for i := range rows {
				id := uuid.New()
				rows[i] = []any{id, time.Now(), unsigned(id, 1), time.Now()}
			}
			if _, err := w.super.CopyFrom(b.Context(), pgx.Identifier{"audit_logs"}, []string{"tenant_id", "sequenced_at", "checkpoint", "signed_at"}, pgx.CopyFromRows(rows)); err != nil {
				b.Fatal(err)
			}
			if _, err := w.super.Exec(b.Context(), "UPDATE audit_logs SET size = 1, signed_size = 1, edge = decode(repeat('00', 32), 'hex')"); err != nil {
				b.Fatal(err)
			}
			must(b, s, true)
			bytes := 0
			for size := 2; b.Loop(); size++ {
				if grow {
					b.StopTimer()
					if _, err := w.super.Exec(b.Context(), `UPDATE audit_logs SET size = $1, signed_size = $1, edge = decode(repeat(repeat('00', 32), length(replace($1::bigint::bit(64)::text, '0', ''))), 'hex'),
						checkpoint = regexp_replace(checkpoint, E'\n[0-9]+\n', E'\n' || $1::text || E'\n')`, size); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				w.pass(time.Minute)
				must(b, s, true)
				st, err := s.Status(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				bytes = st.Bytes
			}
			b.ReportMetric(float64(bytes), "bytes/minute")
		})
	}
}

// unsigned is the text of a checkpoint, signed by nobody.
func unsigned(id uuid.UUID, size int64) string {
	return fmt.Sprintf("id.bank.example/audit/%s\n%d\n%s\n\n— x y\n", id, size, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
}
