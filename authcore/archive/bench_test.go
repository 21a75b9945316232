package archive_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/archive"
)

// BenchmarkExport writes the archives of a tenant and of one of ten times as many rows: rows and
// megabytes of their files a second, CPU time of this process (Postgres has its own), and how much
// of the heap was in use at most, which must be alike in both. ADR 0046 has the figures.
func BenchmarkExport(b *testing.B) {
	d := newDepot(b)
	d.exec(b, "ALTER TABLE credentials DISABLE TRIGGER USER") // which count a user's credentials anew for each
	super := d.Superuser(b)
	b.Cleanup(func() { _, _ = super.Exec(context.Background(), "ALTER TABLE credentials ENABLE TRIGGER USER") })
	d.Tune(4<<20, archive.Longest)
	for _, ceremonies := range []int{10_000, 100_000} {
		acme := d.Tenant(b)
		for range 100 {
			d.User(b, acme)
		}
		d.exec(b, `INSERT INTO credentials (tenant_id, id, user_id, sign_count, backed_up, backup_eligible, public_key, algorithm, aaguid, attestation_format, attestation_type, registered_via, created_at, updated_at)
			SELECT $1, sha256(i::text::bytea), (SELECT id FROM users WHERE tenant_id = $1 LIMIT 1), 0, true, true, sha256(i::text::bytea) || sha256((-i)::text::bytea), -7, gen_random_uuid(), 'none', 'NONE', 'SERVER_KEY', now(), now()
			FROM generate_series(1, $2) i`, acme.Tenant(), ceremonies/5)
		d.exec(b, `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, policy_version, facts, request_id, browser)
			SELECT $1, now() - i * interval '1 microsecond', gen_random_uuid(), 'AUTHENTICATION', 'ALLOW', 1,
				'{"origin":"https://login.example.org","userVerified":true,"backedUp":true,"aaguid":"' || gen_random_uuid() || '","address":"192.0.2.1","user":"' || gen_random_uuid() || '","steps":["' || repeat('x', 300) || '"]}',
				gen_random_uuid()::text, 'Chrome 141 on Windows' FROM generate_series(1, $2) i`, acme.Tenant(), ceremonies)
		d.exec(b, "ANALYZE ceremonies, credentials")
		b.Run(fmt.Sprintf("ceremonies=%d", ceremonies), func(b *testing.B) {
			var peak uint64
			d.OnPage(func(string) { peak = max(peak, heap()) })
			for b.Loop() {
				began, before := time.Now(), cpu(b)
				e := d.start(b, acme)
				if err := d.Maintain(b.Context(), acme); err != nil {
					b.Fatal(err)
				}
				wrote, worked := time.Since(began).Seconds(), cpu(b)-before
				if e = d.state(b, acme, e.ID); e.State != archive.Done {
					b.Fatalf("export = %+v", e)
				}
				unpacked := unpacked(b, download(b, d.Service, acme, e.ID))
				b.ReportMetric(float64(e.Rows), "rows")
				b.ReportMetric(float64(e.Rows)/wrote, "rows/s")
				b.ReportMetric(float64(unpacked)/1e6/wrote, "MB/s")
				b.ReportMetric(float64(unpacked)/1e6, "MB")
				b.ReportMetric(float64(e.Size)/1e6, "MB-zip")
				b.ReportMetric(float64(worked.Microseconds())/float64(e.Rows), "cpu-µs/row")
			}
			b.ReportMetric(float64(peak)/(1<<20), "MiB-heap")
		})
	}
}

// heap is how many bytes of it are in use, what is not yet collected included.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// cpu is how long this process has worked.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// unpacked is how many bytes the files of an archive have.
func unpacked(b *testing.B, raw []byte) (n uint64) {
	b.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range z.File {
		n += f.UncompressedSize64
	}
	return n
}
