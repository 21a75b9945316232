package biocore_test

import (
	"testing"

	"github.com/go-jose/go-jose/v4"

	biocore "github.com/biocore-id/biocore/sdk/go"
)

func BenchmarkVerify(b *testing.B) {
	ec, rsaKey := newDecryption(b)
	keys := []biocore.DecryptionKey{decryptionKey(b, "ec", ec), decryptionKey(b, "rsa", rsaKey)}
	es := newKey(b, "k1", "ES256")
	tok := es.sign(b, claimsAt(now))
	for _, tt := range []struct {
		name, token string
		key         key
	}{
		{"ES256", tok, es},
		benchmarkOf(b, "EdDSA"),
		benchmarkOf(b, "RS256"),
		{"ES256 in ECDH-ES+A256KW", encrypt(b, tok, jose.ECDH_ES_A256KW, "ec", ec.Public(), nil), es},
		{"ES256 in RSA-OAEP-256", encrypt(b, tok, jose.RSA_OAEP_256, "rsa", rsaKey.Public(), nil), es},
	} {
		b.Run(tt.name, func(b *testing.B) {
			v := newVerifier(b, newKeyServer(tt.key), func(o *biocore.VerifierOptions) {
				at(now)(o)
				o.DecryptionKeys = keys
			})
			mustVerify(b, v, tt.token)
			b.ReportAllocs()
			for b.Loop() {
				mustVerify(b, v, tt.token)
			}
		})
	}
}

func benchmarkOf(b *testing.B, alg string) struct {
	name, token string
	key         key
} {
	b.Helper()
	k := newKey(b, "k1", alg)
	return struct {
		name, token string
		key         key
	}{alg, k.sign(b, claimsAt(now)), k}
}
