package biocore_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	biocore "github.com/biocore-id/biocore/sdk/go"
)

var update = flag.Bool("update", false, "write testdata anew")

// vectors are tokens that go-jose encrypted, for every verifier of ours: sdk/js reads
// the same file. The keys in it are nobody's.
type vectors struct {
	Issuer         string             `json:"issuer"`
	Audience       string             `json:"audience"`
	At             int64              `json:"at"`
	JWKS           jose.JSONWebKeySet `json:"jwks"`
	DecryptionKeys []jose.JSONWebKey  `json:"decryptionKeys"`
	Claims         map[string]any     `json:"claims"`
	Tokens         []vector           `json:"tokens"`
}

type vector struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

const vectorsFile = "testdata/vectors.json"

func TestVectors(t *testing.T) {
	if *update {
		text, err := json.MarshalIndent(newVectors(t), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorsFile, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var all vectors
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	v := newVerifier(t, newKeyServerOf(t, all.JWKS), func(o *biocore.VerifierOptions) {
		at(now)(o)
		for _, jwk := range all.DecryptionKeys {
			text, err := json.Marshal(jwk)
			if err != nil {
				t.Fatal(err)
			}
			key, err := biocore.ParseDecryptionKey(bytes.TrimSpace(text))
			if err != nil {
				t.Fatal(err)
			}
			o.DecryptionKeys = append(o.DecryptionKeys, key)
		}
	})
	var names []string
	for _, tt := range all.Tokens {
		names = append(names, tt.Name)
		t.Run(tt.Name, func(t *testing.T) {
			if got := mustVerify(t, v, tt.Token); got.Subject != all.Claims["sub"] || got.ID != all.Claims["jti"] {
				t.Errorf("claims = %+v", got)
			}
		})
	}
	if diff := cmp.Diff(vectorNames(newVectors(t).Tokens), names); diff != "" {
		t.Errorf("%s is not what -update writes (-want +got):\n%s", vectorsFile, diff)
	}
}

func newVectors(t testing.TB) vectors {
	t.Helper()
	ec, rsaKey := newDecryption(t)
	all := vectors{
		Issuer: issuer, Audience: audience, At: now.Unix(), Claims: claimsAt(now),
		DecryptionKeys: []jose.JSONWebKey{{Key: ec, KeyID: "ec"}, {Key: rsaKey, KeyID: "rsa"}},
	}
	for _, alg := range algorithms {
		k := newKey(t, "sig-"+alg, alg)
		all.JWKS.Keys = append(all.JWKS.Keys, k.jwk())
		tok := k.sign(t, all.Claims)
		all.Tokens = append(all.Tokens,
			vector{alg, tok},
			vector{alg + " in RSA-OAEP-256", encrypt(t, tok, jose.RSA_OAEP_256, "rsa", rsaKey.Public(), nil)},
			vector{alg + " in ECDH-ES", encrypt(t, tok, jose.ECDH_ES, "ec", ec.Public(), nil)},
			vector{alg + " in ECDH-ES+A256KW", encrypt(t, tok, jose.ECDH_ES_A256KW, "ec", ec.Public(), nil)},
		)
	}
	return all
}

func newKeyServerOf(t testing.TB, set jose.JSONWebKeySet) *keyServer {
	t.Helper()
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	s := newKeyServer()
	s.body = string(text)
	return s
}

func vectorNames(all []vector) []string {
	names := make([]string, 0, len(all))
	for _, v := range all {
		names = append(names, v.Name)
	}
	return names
}
