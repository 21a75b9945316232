package etag_test

import (
	"errors"
	"testing"

	"github.com/biocore-id/biocore/tenancy/etag"
)

func TestOf(t *testing.T) {
	seen := map[string]string{}
	for _, tt := range []struct {
		name    string
		noun    string
		id      string
		version int32
	}{
		{"first version", "user", "a", 1},
		{"next version", "user", "a", 2},
		{"another resource", "user", "b", 1},
		{"another noun", "credential", "a", 1},
		{"the last version that fits", "user", "a", -1},
	} {
		got := etag.Of(tt.noun, []byte(tt.id), tt.version)
		if len(got) != 11 {
			t.Errorf("%s: Of = %q, want 11 characters", tt.name, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%s: same etag as %s", tt.name, other)
		}
		seen[got] = tt.name
		if again := etag.Of(tt.noun, []byte(tt.id), tt.version); again != got {
			t.Errorf("%s: Of = %q the second time, want %q", tt.name, again, got)
		}
	}
}

func TestMatch(t *testing.T) {
	current := etag.Of("user", []byte("a"), 1)
	if err := etag.Match("", current); err != nil {
		t.Errorf("Match without a wanted etag = %v, want nil", err)
	}
	if err := etag.Match(current, current); err != nil {
		t.Errorf("Match of the current etag = %v, want nil", err)
	}
	if err := etag.Match("stale", current); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("Match of a stale etag = %v, want %v", err, etag.ErrMismatch)
	}
}
