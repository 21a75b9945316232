package dbtest

import (
	"testing"
	"time"
)

// seenWithin is how soon every server knows of a change: db.Cache.
const seenWithin = time.Second

// Seen asks until ask has nothing to say against it. Call it when the change is committed: it fails the test where what was asked later
// than a second after still does not know of it. What was asked before and answered late says nothing, however slow the machine is.
func Seen(t testing.TB, what string, ask func() (against string)) {
	t.Helper()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for committed := time.Now(); ; <-pause.C {
		late := time.Since(committed) > seenWithin
		against := ask()
		if against == "" {
			return
		}
		if late {
			t.Fatalf("%s: asked more than %s after the change, and %s", what, seenWithin, against)
		}
	}
}
