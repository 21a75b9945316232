package archive_test

import (
	"context"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/archive"
)

// BenchmarkExport writes the archive of a tenant of 300,000 ceremonies, 100,000 passkeys and
// 2,000 users: rows a second, bytes in and out, and how much the heap grows at most. ADR 0046 says
// how it is run.
func BenchmarkExport(b *testing.B) {
	d := newDepot(b)
	acme := d.Tenant(b)
	for range 2_000 {
		d.User(b, acme)
	}
	d.exec(b, "ALTER TABLE credentials DISABLE TRIGGER USER") // which count a user's credentials anew for each
	super := d.Superuser(b)
	b.Cleanup(func() {
		_, _ = super.Exec(context.Background(), "ALTER TABLE credentials ENABLE TRIGGER USER")
	})
	d.exec(b, `INSERT INTO credentials (tenant_id, id, user_id, sign_count, backed_up, backup_eligible, public_key, algorithm, aaguid, attestation_format, attestation_type, registered_via, created_at, updated_at)
		SELECT $1, sha256(i::text::bytea), (SELECT id FROM users WHERE tenant_id = $1 LIMIT 1), 0, true, true, sha256(i::text::bytea) || sha256((-i)::text::bytea), -7, gen_random_uuid(), 'none', 'NONE', 'SERVER_KEY', now(), now()
		FROM generate_series(1, 100000) i`, acme.Tenant())
	d.exec(b, `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, policy_version, facts, request_id, browser)
		SELECT $1, now() - i * interval '1 microsecond', gen_random_uuid(), 'AUTHENTICATION', 'ALLOW', 1,
			'{"origin":"https://login.example.org","userVerified":true,"backedUp":true,"aaguid":"' || gen_random_uuid() || '","address":"192.0.2.1","user":"' || gen_random_uuid() || '","steps":["' || repeat('x', 300) || '"]}',
			gen_random_uuid()::text, 'Chrome 141 on Windows' FROM generate_series(1, 300000) i`, acme.Tenant())
	d.exec(b, "ANALYZE ceremonies, credentials")
	d.Tune(4<<20, archive.Longest)
	var peak uint64
	d.OnPage(func(string) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	})
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for range b.N {
		began := time.Now()
		e := d.start(b, acme)
		if err := d.Maintain(b.Context(), acme); err != nil {
			b.Fatal(err)
		}
		wrote := time.Since(began)
		e = d.state(b, acme, e.ID)
		if e.State != archive.Done {
			b.Fatalf("export = %+v", e)
		}
		b.ReportMetric(float64(e.Rows)/wrote.Seconds(), "rows/s")
		b.ReportMetric(float64(e.Size)/(1<<20), "MiB")
		b.ReportMetric(float64(peak-before.HeapAlloc)/(1<<20), "MiB-heap")
		down, err := d.Download(b.Context(), acme, acme.Tenant(), e.ID)
		if err != nil {
			b.Fatal(err)
		}
		if err := down.WriteTo(b.Context(), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
