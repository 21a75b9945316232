package db_test

import (
	"testing"
	"time"

	"github.com/biocore-id/biocore/db"
)

func TestFirstID(t *testing.T) {
	for at, want := range map[time.Time]string{
		time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC): "01a22499-f800-7000-8000-000000000000",
		time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC): "00000000-0000-7000-8000-000000000000",
	} {
		if got := db.FirstID(at).String(); got != want {
			t.Errorf("FirstID(%s) = %s, want %s", at, got, want)
		}
	}
}
