package biocore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	biocore "github.com/biocore-id/biocore/sdk/go"
)

var update = flag.Bool("update", false, "write testdata anew")

// vectors are tokens that go-jose encrypted, for every verifier of ours: sdk/js reads
// the same file. Refused are signed by the tenant and malformed; refusedKeys are no set
// of keys. The keys in it are nobody's.
type vectors struct {
	Issuer         string             `json:"issuer"`
	Audience       string             `json:"audience"`
	At             int64              `json:"at"`
	JWKS           jose.JSONWebKeySet `json:"jwks"`
	DecryptionKeys []jose.JSONWebKey  `json:"decryptionKeys"`
	Claims         map[string]any     `json:"claims"`
	Tokens         []vector           `json:"tokens"`
	Refused        []vector           `json:"refused"`
	RefusedKeys    []keysVector       `json:"refusedKeys"`
}

type vector struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

type keysVector struct {
	Name string `json:"name"`
	JWKS string `json:"jwks"` // as text: it is not what a reader would write
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
	for _, tt := range all.Refused {
		names = append(names, tt.Name)
		t.Run(tt.Name, func(t *testing.T) {
			if got, err := v.Verify(t.Context(), tt.Token); !errors.Is(err, biocore.ErrMalformed) {
				t.Errorf("Verify = %+v, %v, want %v", got, err, biocore.ErrMalformed)
			}
		})
	}
	for _, tt := range all.RefusedKeys {
		names = append(names, tt.Name)
		t.Run(tt.Name, func(t *testing.T) {
			server := newKeyServer()
			server.body = tt.JWKS
			if got, err := newVerifier(t, server, at(now)).Verify(t.Context(), all.Tokens[0].Token); !errors.Is(err, biocore.ErrUnavailable) {
				t.Errorf("Verify = %+v, %v, want %v", got, err, biocore.ErrUnavailable)
			}
		})
	}
	if diff := cmp.Diff(vectorNames(newVectors(t)), names); diff != "" {
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
		if alg == "ES256" {
			all.addRefused(t, k)
		}
	}
	return all
}

// addRefused adds what two readers would read in two ways (RFC 7519 §4, RFC 8259 §4).
// Who takes the last of two, or no notice of case, finds each of them good.
func (all *vectors) addRefused(t testing.TB, k key) {
	t.Helper()
	text, err := json.Marshal(all.Claims)
	if err != nil {
		t.Fatal(err)
	}
	payload := string(text)
	before := func(members string) string { return "{" + members + "," + payload[1:] }
	after := func(members string) string { return payload[:len(payload)-1] + "," + members + "}" }
	for _, tt := range []struct{ name, payload string }{
		{"aud twice", before(`"aud":"other.example"`)},
		{"aud twice, the same", after(`"aud":"example.com"`)},
		{"exp twice", before(`"exp":1`)},
		{"sub twice, once escaped", before(`"\u0073ub":"user-2"`)},
		{"sub twice, behind what looks like its end", before(`"a":"}\"","sub":"user-2","b":{"c":["]"]}`)},
		{"AUD beside aud", after(`"AUD":"example.com"`)},
		{"NBF without nbf", after(`"NBF":1`)},
		{"sub with a long s beside sub", after(`"ſub":"user-1"`)},
		{"a claim that nobody knows twice", after(`"x":1,"x":1`)},
	} {
		all.Refused = append(all.Refused, vector{tt.name, k.signAs(t, k.header(), tt.payload)})
	}
	for _, claim := range slices.Sorted(maps.Keys(all.Claims)) {
		upper := strings.ToUpper(claim)
		all.Refused = append(all.Refused, vector{
			upper + " in the place of " + claim,
			k.signAs(t, k.header(), strings.Replace(payload, `"`+claim+`":`, `"`+upper+`":`, 1)),
		})
	}
	jwk, err := json.Marshal(k.jwk())
	if err != nil {
		t.Fatal(err)
	}
	set := `"keys":[` + string(jwk) + `]`
	all.RefusedKeys = []keysVector{
		{"keys twice", `{"keys":[],` + set + `}`},
		{"keys twice, once escaped", `{"\u006beys":[],` + set + `}`},
		{"KEYS beside keys", `{"KEYS":[],` + set + `}`},
		{"KEYS in the place of keys", `{"KEYS":[` + string(jwk) + `]}`},
	}
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

func vectorNames(all vectors) (names []string) {
	for _, v := range slices.Concat(all.Tokens, all.Refused) {
		names = append(names, v.Name)
	}
	for _, v := range all.RefusedKeys {
		names = append(names, v.Name)
	}
	return names
}
