package keys_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// A certificate is verified with any of our algorithms, and with no other key's.
func TestCertificate(t *testing.T) {
	l := newLine(t, localKMS(t))
	other := published(t, ring(t, l.svc, l.tenant(t)))
	for _, algorithm := range []string{keys.ES256, keys.EdDSA, keys.RS256} {
		t.Run(algorithm, func(t *testing.T) {
			platform := l.tenant(t)
			if _, err := l.svc.Rotate(t.Context(), platform, keys.RotateRequest{Algorithm: algorithm, Now: true}); err != nil {
				t.Fatal(err)
			}
			r := ring(t, l.svc, platform)
			want := keys.Certificate{
				Issuer: "https://auth.example/t/platform", Subject: uuid.New(), ID: uuid.New(), IssuedAt: 1900000000, Slug: "acme",
				Inventory: keys.Inventory{DataKeys: []keys.DestroyedDataKey{{Version: 1, KMSKey: "local:1", WrappedSHA256: "x"}}},
			}
			text, err := keys.SignCertificate(t.Context(), r, want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := keys.VerifyCertificate(r.JWKS(), text)
			want.Statement = got.Statement
			if diff := cmp.Diff(want, got); err != nil || diff != "" || got.Statement == "" {
				t.Fatalf("VerifyCertificate = %v (-want +got):\n%s", err, diff)
			}
			if !verifies(text, published(t, r)) {
				t.Error("another library refuses it")
			}
			header, payload, signature := parts(text)
			access := sign(t, r) // a JWS of another type under the same key
			set, err := json.Marshal(jose.JSONWebKeySet{Keys: slices.Collect(maps.Values(other))})
			if err != nil {
				t.Fatal(err)
			}
			for name, tt := range map[string]struct {
				jwks []byte
				text string
			}{
				"an access token":      {r.JWKS(), access},
				"another key":          {set, text},
				"no keys":              {[]byte(`{"keys":[]}`), text},
				"cut":                  {r.JWKS(), text[:len(text)-1]},
				"another payload":      {r.JWKS(), header + "." + payload[:len(payload)-4] + "." + signature},
				"no signature":         {r.JWKS(), header + "." + payload + "."},
				"alg none":             {r.JWKS(), encoded(`{"alg":"none","kid":"`+r.Signer().KID+`","typ":"deletion-certificate+jwt"}`) + "." + payload + "."},
				"a key of its kid":     {bytes.ReplaceAll(set, []byte(slices.Collect(maps.Keys(other))[0]), []byte(r.Signer().KID)), text},
				"nothing":              {r.JWKS(), ""},
				"a line break in it":   {r.JWKS(), header + ".\n" + payload + "." + signature},
				"a key set of no JSON": {[]byte("x"), text},
			} {
				if _, err := keys.VerifyCertificate(tt.jwks, tt.text); err == nil {
					t.Errorf("%s is taken", name)
				}
			}
		})
	}
}
