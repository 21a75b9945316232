package stats_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// now is when these tests run: in a month that has its partition, days into it, and three
// minutes into its five.
var now = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 1, 1-time.Now().UTC().Day()).Add(20*24*time.Hour + 11*time.Hour + 43*time.Minute)

// clock is a time that a test moves.
type clock struct{ time.Time }

// at is the service on a server whose clock is c.
func at(t testing.TB, store *dbtest.Store, c *clock) *stats.Service {
	t.Helper()
	o := store.Options()
	o.Now = func() time.Time { return c.Time }
	own, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	return stats.New(own)
}

var (
	cloud = uuid.MustParse("fbfc3007-154e-4ecc-8c0b-6e020557d7bd")
	usb   = uuid.MustParse("2fc0579f-8113-47ea-b116-bb5a8db9202a")
)

// happened is a ceremony.
type happened struct {
	at      time.Time
	kind    string // empty: a sign-in
	outcome string // empty: ALLOW
	reason  string
	model   uuid.UUID
	had     int
	latency time.Duration // 0: not measured
	repeats int32
}

// happen puts ceremonies into the tenant.
func happen(t testing.TB, store *dbtest.Store, sc scope.Scope, list ...happened) {
	t.Helper()
	err := store.InTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		for _, h := range list {
			if h.kind == "" {
				h.kind = "AUTHENTICATION"
			}
			if h.outcome == "" {
				h.outcome = "ALLOW"
			}
			facts := "{}"
			if h.model != uuid.Nil {
				facts = fmt.Sprintf(`{"origin":"https://a.example","aaguid":%q,"credentials":%d}`, h.model, h.had)
			}
			var latency, repeats *int32
			if h.latency > 0 {
				us := int32(h.latency.Microseconds())
				latency = &us
			}
			if h.repeats > 0 {
				repeats = &h.repeats
			}
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			if err := tx.InsertCeremony(t.Context(), tenantq.InsertCeremonyParams{
				At: h.at, ID: id, Kind: h.kind, Outcome: h.outcome, Reason: h.reason, PolicyVersion: 1, Facts: facts, LatencyUs: latency, Repeats: repeats,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func maintain(t testing.TB, s *stats.Service, sc scope.Scope) {
	t.Helper()
	if err := s.Maintain(t.Context(), sc); err != nil {
		t.Fatalf("Maintain = %v", err)
	}
}

func overview(t testing.TB, s *stats.Service, sc scope.Scope, r stats.Range) *stats.Overview {
	t.Helper()
	o, err := s.Overview(t.Context(), sc, r)
	if err != nil {
		t.Fatalf("Overview = %v", err)
	}
	return &o
}

// rows are all that is kept of a tenant, as text, to be compared.
func rows(t testing.TB, store *dbtest.Store, sc scope.Scope) string {
	t.Helper()
	var b strings.Builder
	err := store.ReadTenant(t.Context(), sc, func(tx *db.TenantTx) error {
		b.Reset()
		for _, step := range []int32{300, 3600, 86400} {
			list, err := tx.ListStatsCounts(context.Background(), tenantq.ListStatsCountsParams{Step: step, FromAt: time.Unix(0, 0), ToAt: now.AddDate(1, 0, 0)})
			if err != nil {
				return err
			}
			for _, row := range list {
				fmt.Fprintf(&b, "%d %s %s\n", step, row.At.Format(time.RFC3339), row.Counts)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
