package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/db"
)

type storeInTrouble struct{}

func (storeInTrouble) SignInStats() db.SignInStats {
	return db.SignInStats{Batches: 3, Rows: 40, Failed: 2, Waiting: 5}
}
func (storeInTrouble) AdmissionStats() db.AdmissionStats {
	return db.AdmissionStats{Admitted: 90, Waited: 12, WaitTime: 2 * time.Second, Full: 4, Late: 1, Running: 16, Waiting: [3]int{1, 2, 8}}
}
func (storeInTrouble) PlatformCalls() int64 { return 7 }
func (storeInTrouble) Skew() time.Duration  { return 1500 * time.Millisecond }
func (storeInTrouble) Fresh() bool          { return false }

func TestStoreMetrics(t *testing.T) {
	quiet(t)
	tel := start(t, TelemetryConfig{LogOutput: io.Discard})
	if err := tel.ObserveStore(storeInTrouble{}); err != nil {
		t.Fatal(err)
	}
	metrics := scrape(t, tel)
	for _, want := range []string{
		"biocore_sign_in_batches_total 3", "biocore_sign_in_rows_total 40", "biocore_sign_in_failures_total 2", "biocore_sign_in_waiting 5",
		"biocore_store_admitted_total 90", "biocore_store_waited_total 12", "biocore_store_wait_time_seconds_total 2", `biocore_store_shed_total{why="full"} 4`,
		`biocore_store_shed_total{why="late"} 1`, "biocore_store_running 16", `biocore_store_queued{priority="patient"} 8`,
		"biocore_store_platform_calls_total 7", "biocore_store_clock_skew_seconds 1.5", "biocore_store_feed_stale 1",
	} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("metrics lack %q", want)
		}
	}
}
