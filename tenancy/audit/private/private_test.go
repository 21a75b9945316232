package private_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/audit/private"
)

func TestParts(t *testing.T) {
	for entry, want := range map[string]int{
		`{"v":1}`: 0, `{"v":2,"private":[]}`: 0,
		`{"private":[{"hash":"` + strings.Repeat("A", 43) + `"}]}`: 1,
		`{"private":[{"hash":"AAAA"}]}`:                            -1, `{"private":[{"hash":"?"}]}`: -1, `{"private":[{"subject":"x","hash":""}]}`: -1, `{"private":1}`: -1, ``: -1,
	} {
		parts, err := private.Parts(entry)
		if want < 0 && err == nil || want >= 0 && (err != nil || len(parts) != want) {
			t.Errorf("Parts(%s) = %v, %v", entry, parts, err)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 'x', 0, 0})
	f.Add([]byte{0})
	f.Add([]byte{0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, kept []byte) {
		parts, err := private.Split(kept)
		if errors.Is(err, private.ErrParts) {
			return
		}
		if err != nil || !bytes.Equal(private.Join(parts), kept) {
			t.Fatalf("Join(Split(%x)) = %x, %v", kept, private.Join(parts), err)
		}
	})
}
