package ceremony

import (
	"strconv"
	"time"

	"github.com/biocore-id/biocore/db"
)

// laps is where the time of a finish goes, by the monotonic clock. What it tells is what
// was measured: nothing is estimated, and what no lap ends at is in no lap.
type laps struct {
	began, last time.Time
	us          [lapCount]int32
}

// The laps of a finish, in their order; see docs/ceremonies.md. A sign-in finds its
// credential and decides, a registration judges its attestation and stores.
const (
	lapOpen   = iota // the tenant, its keys, and what the ceremony promised when it began
	lapFind          // of a sign-in: the credential
	lapVerify        // §7.1, §7.2
	lapDecide        // of a sign-in: policy
	lapCount
)

// Those of a registration share numbers with a sign-in's.
const (
	lapAttest = lapFind   // of a registration: whom its attestation is trusted by
	lapStore  = lapDecide // of a registration: its transaction, until the ceremony's row
)

func start() laps {
	now := time.Now()
	return laps{began: now, last: now}
}

// end ends a lap. A lap that ends twice, as in a transaction that is run again, has both times.
func (l *laps) end(lap int) {
	now := time.Now()
	l.us[lap] += db.Micros(now.Sub(l.last))
	l.last = now
}

// append adds the laps to facts, a JSON object with members, as its last one.
func (l *laps) append(facts []byte) []byte {
	facts = append(facts[:len(facts)-1], `,"tookUs":[`...)
	for i, us := range l.us {
		if i > 0 {
			facts = append(facts, ',')
		}
		facts = strconv.AppendInt(facts, int64(us), 10)
	}
	return append(facts, ']', '}')
}

// latency is the time since the finish began, as its row has it.
func (l *laps) latency() *int32 {
	us := db.Micros(time.Since(l.began))
	return &us
}
