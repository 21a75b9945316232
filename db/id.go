package db

import (
	"time"

	"github.com/google/uuid"
)

// FirstID is the least UUIDv7 (RFC 9562, 5.7) of an instant: rows whose ids are such are
// found by time through their key. Times before 1970 are 1970.
func FirstID(t time.Time) uuid.UUID {
	ms := max(t.UnixMilli(), 0)
	return uuid.UUID{byte(ms >> 40), byte(ms >> 32), byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms), 0x70, 0, 0x80} //nolint:gosec // its bytes
}
