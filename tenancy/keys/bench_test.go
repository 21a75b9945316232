package keys

import (
	"testing"

	"github.com/google/uuid"
)

// The work of one sign-in: seal and open the challenge, one MAC, one signature.

func BenchmarkSealToken(b *testing.B) {
	ring := testRing(b, uuid.New(), testKey(1))
	plain, dst := make([]byte, 96), make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		ring.SealToken("challenge", dst, plain)
	}
}

func BenchmarkOpenToken(b *testing.B) {
	ring := testRing(b, uuid.New(), testKey(1))
	sealed := ring.SealToken("challenge", nil, make([]byte, 96))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.OpenToken("challenge", sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenField(b *testing.B) {
	ring := testRing(b, uuid.New(), testKey(1))
	id := uuid.New()
	sealed, err := ring.Seal(profile, id[:], make([]byte, 128))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Open(profile, id[:], sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMAC(b *testing.B) {
	ring := testRing(b, uuid.New(), testKey(1))
	data := make([]byte, 48)
	b.ReportAllocs()
	for b.Loop() {
		ring.MAC("refresh", data)
	}
}

func BenchmarkSign(b *testing.B) {
	signer := signingRing(b).Signer()
	input, dst := make([]byte, 400), make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signer.Sign(b.Context(), dst, input); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	ring := signingRing(b)
	input := make([]byte, 400)
	signature, err := ring.Signer().Sign(b.Context(), nil, input)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := ring.Verify(ring.Signer().KID, ES256, input, signature); err != nil {
			b.Fatal(err)
		}
	}
}
