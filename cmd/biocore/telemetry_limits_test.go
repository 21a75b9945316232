package main

import (
	"io"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/ratelimit"
)

func TestLimitMetrics(t *testing.T) {
	quiet(t)
	tel := start(t, TelemetryConfig{LogOutput: io.Discard})
	if err := tel.ObserveLimits(func() ratelimit.Stats {
		return ratelimit.Stats{Refused: map[string]int64{"key": 7}, Counters: 3, Exchanges: 20, Failures: 2, Alone: true}
	}); err != nil {
		t.Fatal(err)
	}
	metrics := scrape(t, tel)
	for _, want := range []string{
		`biocore_limits_refused_total{limit="key"} 7`, "biocore_limits_counters 3", "biocore_limits_exchanges_total 20", "biocore_limits_failures_total 2", "biocore_limits_alone 1",
	} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("metrics lack %q", want)
		}
	}
}
