package flag

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
)

// setOf is flags of one variant each, which has the name of the second.
func setOf(t *testing.T, variants map[string]string) *Set {
	t.Helper()
	var flags []Flag
	for key, variant := range variants {
		flags = append(flags, Flag{Key: key, Type: Boolean, OffVariant: variant, DefaultVariant: variant, Salt: "s", Variants: map[string]json.RawMessage{variant: json.RawMessage("true")}})
	}
	set, err := Compile(flags, nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A set that was read before a flag came, and is attached after the one that has it, does not take the flag's number away: what is
// evaluated is counted.
func TestALateSetTakesNoNumber(t *testing.T) {
	all, tenant, now := tallies{all: map[uuid.UUID]*tally{}}, uuid.New(), time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	early, late := setOf(t, map[string]string{"f": "on", "new": "on"}), setOf(t, map[string]string{"f": "on"})
	all.attach(tenant, "production", early, now)
	all.attach(tenant, "production", late, now)
	all.sweep(now)
	early.Evaluate("new", &Subject{})
	if n := all.all[tenant].counts[tallyKey{"production", "new", "on"}]; n == nil || n.Load() != 1 {
		t.Errorf("counted %v", n)
	}
}

// Numbers of what is gone are let go of when no set can have them any more, and not before they are written: variants may have another
// name each minute, and tenants come and go.
func TestNumbersAreLetGo(t *testing.T) {
	all, tenant, quiet, now := tallies{all: map[uuid.UUID]*tally{}}, uuid.New(), uuid.New(), time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	all.attach(quiet, "production", setOf(t, map[string]string{"f": "on"}), now)
	unwritten := setOf(t, map[string]string{"gone": "on"})
	all.attach(tenant, "production", unwritten, now)
	unwritten.Evaluate("gone", &Subject{})
	for i := range 1000 {
		all.attach(tenant, "production", setOf(t, map[string]string{"f": fmt.Sprint("v", i)}), now)
		now = now.Add(time.Minute)
		all.sweep(now)
	}
	counts := all.all[tenant].counts
	if n := counts[tallyKey{"production", "gone", "on"}]; n == nil || n.Load() != 1 || len(counts) > 30 {
		t.Errorf("%d numbers are kept, and of what is not written yet %v", len(counts), n)
	}
	if _, there := all.all[quiet]; there || len(all.all) != 1 {
		t.Error("a tenant that nobody asks for is kept")
	}
}
