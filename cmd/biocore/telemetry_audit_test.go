package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/audit/anchor"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/audit/sequencer"
)

func TestAuditMetrics(t *testing.T) {
	quiet(t)
	tel := start(t, TelemetryConfig{LogOutput: io.Discard})
	if err := tel.ObserveAudit(func() sequencer.Stats { return sequencer.Stats{Moved: 41, Lag: 250 * time.Millisecond} }); err != nil {
		t.Fatal(err)
	}
	metrics := scrape(t, tel)
	for _, want := range []string{"biocore_audit_sequenced_total 41", "biocore_audit_lag_seconds 0.25"} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("metrics lack %q", want)
		}
	}
}

func TestAnchorMetrics(t *testing.T) {
	quiet(t)
	tel := start(t, TelemetryConfig{LogOutput: io.Discard})
	if err := tel.ObserveAnchors(func() anchor.Stats {
		return anchor.Stats{Age: 90 * time.Second, Locked: true, Refused: 2, Failures: 3}
	}); err != nil {
		t.Fatal(err)
	}
	metrics := scrape(t, tel)
	for _, want := range []string{"biocore_audit_anchor_age_seconds 90", "biocore_audit_anchor_locked 1", "biocore_audit_anchor_contradictions 2", "biocore_audit_anchor_failures_total 3"} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("metrics lack %q", want)
		}
	}
}

func TestArchiveMetrics(t *testing.T) {
	quiet(t)
	tel := start(t, TelemetryConfig{LogOutput: io.Discard})
	if err := tel.ObserveArchives(func() cold.Stats {
		return cold.Stats{Entries: 10_040, Bytes: 12_000_000, Failures: 2, Behind: time.Hour}
	}); err != nil {
		t.Fatal(err)
	}
	metrics := scrape(t, tel)
	for _, want := range []string{"biocore_audit_archive_entries_total 10040", "biocore_audit_archive_bytes_total 1.2e+07", "biocore_audit_archive_failures_total 2", "biocore_audit_archive_behind_seconds 3600"} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("metrics lack %q", want)
		}
	}
}
