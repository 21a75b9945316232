package main

import (
	"io"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/siem"
)

func TestLogStreamMetrics(t *testing.T) {
	quiet(t)
	tel := start(t, TelemetryConfig{LogOutput: io.Discard})
	if err := tel.ObserveStreams(func() siem.Stats {
		return siem.Stats{Sent: 11, Rejected: 12, Failed: 13, Active: 14, Failing: 15, Behind: 16, Blocked: 17}
	}); err != nil {
		t.Fatal(err)
	}
	metrics := scrape(t, tel)
	for _, want := range []string{
		"biocore_logstreams_sent_total 11", "biocore_logstreams_rejected_total 12", "biocore_logstreams_blocked_total 17", "biocore_logstreams_failures_total 13",
		"biocore_logstreams_active 14", "biocore_logstreams_failing 15", "biocore_logstreams_lag 16",
	} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("metrics lack %q", want)
		}
	}
}
