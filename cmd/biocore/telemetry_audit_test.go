package main

import (
	"io"
	"strings"
	"testing"
	"time"

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
