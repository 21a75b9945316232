package simulation_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/simulation"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/policy"
)

// cpu is what this process has used so far, Postgres left out.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkSimulate tries a draft on 10,000 sign-ins of 1,000 users. cpu-ms/op is what the
// server computes; the rest of the time it waits for Postgres.
func BenchmarkSimulate(b *testing.B) {
	store := dbtest.New(b)
	sc := store.Tenant(b)
	if _, err := store.Superuser(b).Exec(b.Context(), `INSERT INTO ceremonies (tenant_id, at, id, kind, outcome, reason, user_id, credential_id, policy_version, facts)
		SELECT $1, now() - n * interval '1 second', gen_random_uuid(), 'AUTHENTICATION', 'ALLOW', '', md5((n % 1000)::text)::uuid, decode(md5((n % 1000)::text), 'hex'), 1, $2
		FROM generate_series(1, 10000) n`, sc.Tenant(), signedIn(func(f *policy.AuthenticationFacts) {
		f.BackupEligible, f.BackedUp, f.Trust, f.Certification, f.AAL, f.Attachment, f.Identified = true, true, "NONE", "", 2, "platform", true
	})); err != nil {
		b.Fatal(err)
	}
	svc := simulation.New(simulation.Options{Store: store.Store})
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		got, err := svc.Simulate(b.Context(), sc, simulation.Request{Document: []byte(`{"minimumAal":3}`), Days: 2})
		if err != nil || got.Ceremonies != 10_000 || !got.All || len(got.Users) != 20 {
			b.Fatalf("Simulate = %+v, %v", got, err)
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
}
