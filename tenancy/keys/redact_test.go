package keys

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// What holds a key shows it to nobody, however it is printed. The key's bytes are
// looked for as numbers, as hex and as text.
func TestKeysDoNotPrint(t *testing.T) {
	key := bytes.Repeat([]byte("quokka--"), 4)
	held := dataKey{version: 1, secret: key}
	ring, err := newRing(uuid.New(), []dataKey{held}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	derived := ring.sealing.derive(info{use: "test"})
	x := newXAES(derived)
	ring.seal(nil, info{use: "test"}, nil, nil) // so that the ring holds derived keys as well
	ring.root.mac(info{use: "test"}, nil)
	var secrets []string
	for _, b := range [][]byte{key, derived[:], x.k1[:]} {
		numbers := strings.Trim(fmt.Sprintf("%d", b), "[]")
		secrets = append(secrets, numbers[:30], strings.ReplaceAll(numbers, " ", ", ")[:30], hex.EncodeToString(b)[:16], fmt.Sprintf("% x", b)[:20],
			fmt.Sprintf("%#v", b)[10:40], string(b[:8]))
	}
	for name, v := range map[string]any{
		"a data key": held, "its address": &held, "a list": []dataKey{held}, "a version": ring.sealing, "a ring": ring, "a field": struct{ R *Ring }{ring},
		"what the KMS opened": unwrapped{secret: key}, "all that it opened": &unwrapper{known: map[[32]byte]unwrapped{{}: {secret: key}}},
		"a service": &Service{}, "a cipher": x, "a signer": &Signer{KID: "k"}, "first keys": &Minted{},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
			slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
			printed := []string{log.String()}
			if asJSON, err := json.Marshal(v); err == nil {
				printed = append(printed, string(asJSON))
			}
			for verb := range strings.FieldsSeq("%v %+v %#v %s %q %x %X %d %t %c %U %b %o") {
				printed = append(printed, fmt.Sprintf(verb, v))
			}
			for _, text := range printed {
				for _, s := range secrets {
					if strings.Contains(strings.ToLower(text), strings.ToLower(s)) {
						t.Fatalf("printed %q", text)
					}
				}
			}
		})
	}
}
