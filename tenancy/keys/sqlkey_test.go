package keys

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

var address = Field{Table: "contacts", Column: "email"}

// The key that seals is the newest of all; each of them is another, for each field,
// use, version and tenant. Leaving any of those out of the derivation turns it red.
func TestSQLKeys(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	old := dataKey{version: 1, secret: bytes.Repeat([]byte{1}, keyBytes), created: now.Add(-time.Hour)}
	next := dataKey{version: 2, secret: bytes.Repeat([]byte{2}, keyBytes), created: now.Add(-time.Minute)}
	fresh := dataKey{version: 3, secret: bytes.Repeat([]byte{3}, keyBytes), created: now}
	before, err := newRing(uuid.New(), []dataKey{old}, now)
	if err != nil {
		t.Fatal(err)
	}
	after, err := newRing(before.Tenant(), []dataKey{old, next, fresh}, now)
	if err != nil {
		t.Fatal(err)
	}
	if got := after.SQLKey(address); got.Version() != 2 || after.SealingVersion() != 2 {
		t.Errorf("SQLKey is of version %d, want the one that seals, 2", got.Version())
	}
	var versions []uint32
	for _, k := range after.SQLKeys(address) {
		versions = append(versions, k.Version())
	}
	if !slices.Equal(versions, []uint32{3, 2, 1}) {
		t.Errorf("SQLKeys are of versions %v, want all, the newest first", versions)
	}
	if !bytes.Equal(after.SQLKeys(address)[2].Reveal(), before.SQLKey(address).Reveal()) {
		t.Error("what was sealed before a rotation does not open after it")
	}
	if !bytes.Equal(before.SQLIndexKey(address).Reveal(), after.SQLIndexKey(address).Reveal()) {
		t.Error("the index's key changes with the data key")
	}

	other := Field{Table: "contacts", Column: "phone"}
	all := append(after.SQLKeys(address), after.SQLKeys(other)...)
	all = append(all, after.SQLIndexKey(address), after.SQLIndexKey(other))
	seen := map[string]bool{}
	for _, k := range all {
		seen[string(k.Reveal())] = true
	}
	seen[string(after.root.derive(fieldInfo("seal", address))[:])] = true
	seen[string(after.root.derive(fieldInfo("index", address))[:])] = true
	if len(seen) != len(all)+2 {
		t.Errorf("%d different keys of %d", len(seen), len(all)+2)
	}
	for _, k := range all {
		if len(k.Reveal()) != 32 {
			t.Errorf("a key of %d bytes", len(k.Reveal()))
		}
	}
}

// However it is printed, logged or encoded. Removing Format turns %x red.
func TestSQLKeyIsNotPrinted(t *testing.T) {
	r := testRing(t, uuid.New(), testKey(1))
	k := r.SQLKey(address)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", k, &k, []SQLKey{k})
	}
	fmt.Fprintf(&out, "%v %+v %#v\n", struct{ k SQLKey }{k}, struct{ k *SQLKey }{&k}, struct{ k SQLKey }{k})
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("k", "key", k, "held", struct{ K SQLKey }{k})
	if err := json.NewEncoder(&out).Encode(map[string]any{"k": k, "in": struct{ K SQLKey }{k}}); err != nil {
		t.Fatal(err)
	}
	text := strings.ToLower(out.String())
	digits := strings.Trim(fmt.Sprintf("%d", k.Reveal()), "[]")
	for _, form := range []string{hex.EncodeToString(k.Reveal()), digits, digits[:20], strings.ReplaceAll(digits, " ", ",")[:20]} {
		if strings.Contains(text, form) {
			t.Errorf("the key is printed:\n%s", text)
		}
	}
	if !strings.Contains(text, "[key]") {
		t.Error("nothing was printed: it proves nothing")
	}
}
