package token_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/token"
)

// maxAllocs of AppendAccess beside the signature's, which are crypto/ecdsa's.
const maxAllocs = 6

// Building an access token costs little beside signing it. Reflection, or a buffer
// that leaves the stack for each part, turns it red.
func TestAccessAllocations(t *testing.T) {
	acme, _ := rings(t)
	c, dst, signer := claimsOf(acme), make([]byte, 0, 1024), acme.Signer()
	input := make([]byte, 600)
	signing := testing.AllocsPerRun(200, func() {
		if _, err := signer.Sign(t.Context(), dst, input); err != nil {
			t.Fatal(err)
		}
	})
	all := testing.AllocsPerRun(200, func() {
		if _, err := token.AppendAccess(t.Context(), dst, acme, c); err != nil {
			t.Fatal(err)
		}
	})
	if all > signing+maxAllocs {
		t.Errorf("allocations = %v, of which the signature has %v; want at most %d more", all, signing, maxAllocs)
	}
	// The race detector makes the MAC's pool forget at random, so it is counted apart.
	mac := testing.AllocsPerRun(200, func() { acme.MAC("test", input[:36]) })
	if n := testing.AllocsPerRun(200, func() { token.AppendRefresh(dst, acme, token.Refresh{Session: c.Session}) }); n > mac+3 {
		t.Errorf("allocations of a refresh token = %v, of which the MAC has %v; want at most 3 more", n, mac)
	}
}

func BenchmarkAppendAccess(b *testing.B) {
	acme, _ := rings(b)
	c, dst := claimsOf(acme), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := token.AppendAccess(b.Context(), dst, acme, c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendClaims(b *testing.B) {
	acme, _ := rings(b)
	c, dst := claimsOf(acme), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		token.AppendClaims(dst, c)
	}
}

func BenchmarkVerifyAccess(b *testing.B) {
	acme, _ := rings(b)
	tok := access(b, acme, claimsOf(acme))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := token.VerifyAccess(acme, tok, want); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendRefresh(b *testing.B) {
	acme, _ := rings(b)
	r, dst := token.Refresh{Session: uuid.New()}, make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		token.AppendRefresh(dst, acme, r)
	}
}
