package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/session"
)

// A handler that panics is logged with the value and the stack. The stack has arguments
// as numbers; the value is whatever somebody panicked with.
func TestAPanicShowsNoSecret(t *testing.T) {
	cfg := goodConfig()
	key := "bk_test_" + strings.Repeat("0aA", 28)
	for name, value := range map[string]any{
		"a configuration": cfg, "its URL": cfg.DatabaseURL, "tokens": session.Tokens{Access: hunter, Refresh: hunter},
		"an error": fmt.Errorf("connect %v: %w", cfg.RedisURL, errors.New("refused")),
		"a URL":    "postgres://bc_app:" + hunter + "@h/x", "an API key": key,
	} {
		t.Run(name, func(t *testing.T) {
			log := new(notes)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) }))
			// As web/edge does, through the log that startTelemetry makes.
			s.Config.ErrorLog = slog.NewLogLogger(newLogger(TelemetryConfig{LogOutput: log, LogLevel: slog.LevelDebug}).Handler(), slog.LevelDebug)
			s.Start()
			if res, err := http.Get(s.URL); err == nil {
				_ = res.Body.Close()
				t.Errorf("answered %d", res.StatusCode)
			}
			s.Close()
			if said := log.String(); !strings.Contains(said, "panic serving") || strings.Contains(said, hunter) || strings.Contains(said, key) {
				t.Errorf("the log says %s", said)
			}
		})
	}
}
