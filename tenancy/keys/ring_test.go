package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

var (
	profile = Field{Table: "users", Column: "profile"}
	now     = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
)

// testKey is a data key that is version n of a tenant's.
func testKey(n uint32) dataKey {
	return dataKey{version: n, secret: bytes.Repeat([]byte{byte(n)}, keyBytes), created: now.Add(-time.Hour)}
}

func testRing(t testing.TB, tenant uuid.UUID, keys ...dataKey) *Ring {
	t.Helper()
	r, err := newRing(tenant, keys, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Leaving any part out of the associated data turns its case red (SECURITY 42).
func TestSealedFieldOpensInItsPlaceOnly(t *testing.T) {
	acme, globex := uuid.New(), uuid.New()
	ring, other := testRing(t, acme, testKey(1)), testRing(t, globex, testKey(1)) // the same key: the tenant alone tells them apart
	row := []byte("row one")
	plain := []byte(`{"externalId":"alice"}`)
	sealed, err := ring.Seal(profile, row, plain)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ring.Open(profile, row, sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Open = %q, %v", got, err)
	}
	if bytes.Contains(sealed, []byte("alice")) {
		t.Error("the sealed value shows its plaintext")
	}
	token := ring.SealToken("profile", nil, plain)
	again, err := ring.Seal(profile, row, plain)
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealing twice gave the same bytes (err %v)", err)
	}
	for _, tt := range []struct {
		name   string
		ring   *Ring
		field  Field
		row    string
		sealed []byte
	}{
		{"another tenant", other, profile, "row one", sealed},
		{"another table", ring, Field{"operators", "profile"}, "row one", sealed},
		{"another column", ring, Field{"users", "phone"}, "row one", sealed},
		{"table and column divided elsewhere", ring, Field{"user", "sprofile"}, "row one", sealed},
		{"column and row divided elsewhere", ring, Field{"users", "profil"}, "erow one", sealed},
		{"another row", ring, profile, "row two", sealed},
		{"no row", ring, profile, "", sealed},
		{"a token", ring, profile, "row one", token},
		{"another format", ring, profile, "row one", append([]byte{2}, sealed[1:]...)},
		{"an unknown key version", ring, profile, "row one", append([]byte{1, 0, 0, 0, 9}, sealed[5:]...)},
		{"empty", ring, profile, "row one", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := tt.ring.Open(tt.field, []byte(tt.row), tt.sealed); !errors.Is(err, ErrSealed) {
				t.Errorf("Open = %q, %v, want ErrSealed", got, err)
			}
		})
	}
	for i := range sealed {
		for _, bit := range []byte{0x01, 0x80} {
			changed := bytes.Clone(sealed)
			changed[i] ^= bit
			if _, err := ring.Open(profile, row, changed); !errors.Is(err, ErrSealed) {
				t.Fatalf("byte %d flipped: %v, want ErrSealed", i, err)
			}
		}
		if _, err := ring.Open(profile, row, sealed[:i]); !errors.Is(err, ErrSealed) {
			t.Fatalf("cut to %d bytes: %v, want ErrSealed", i, err)
		}
	}
	if _, err := ring.Open(profile, row, append(bytes.Clone(sealed), 0)); !errors.Is(err, ErrSealed) {
		t.Error("a byte more: opened")
	}
}

// Each place has its own key and its own associated data: either would do alone,
// so each is looked at alone.
func TestPlacesDoNotRunTogether(t *testing.T) {
	ring := testRing(t, uuid.New(), testKey(1))
	places := []struct {
		field Field
		row   string
	}{
		{Field{"users", "profile"}, "row"}, {Field{"user", "sprofile"}, "row"}, {Field{"usersprofile", ""}, "row"},
		{Field{"users", "profil"}, "erow"}, {Field{"users", ""}, "profilerow"}, {Field{"users", "profilerow"}, ""},
	}
	seen := map[string]int{}
	for i, p := range places {
		ad := string(ring.fieldAD(p.field, []byte(p.row)))
		if j, ok := seen[ad]; ok {
			t.Errorf("%v and %v have the same associated data", p, places[j])
		}
		seen[ad] = i
	}
	derived := map[[keyBytes]byte]info{}
	for _, i := range []info{
		fieldInfo("seal", Field{"a", "b"}), fieldInfo("index", Field{"a", "b"}), fieldInfo("seal", Field{"ab", ""}), fieldInfo("seal", Field{"a", ""}),
		purposeInfo("token", "a"), purposeInfo("mac", "a"), purposeInfo("mac", "ab"),
	} {
		key := *ring.root.derive(i)
		if j, ok := derived[key]; ok {
			t.Errorf("%v and %v have the same key", i, j)
		}
		derived[key] = i
	}
}

// The version in the header is authenticated, and not only what picks the key.
func TestHeaderIsAuthenticated(t *testing.T) {
	one, two := testKey(1), testKey(1)
	two.version = 2 // the same secret
	ring := testRing(t, uuid.New(), one, two)
	sealed := ring.SealToken("p", nil, []byte("x"))
	if sealed[4] != 2 {
		t.Fatalf("sealed by version %d, want 2", sealed[4])
	}
	sealed[4] = 1
	if _, err := ring.OpenToken("p", sealed); !errors.Is(err, ErrToken) {
		t.Errorf("OpenToken = %v, want ErrToken", err)
	}
}

func TestSealRefusesAnUnnamedPlace(t *testing.T) {
	ring := testRing(t, uuid.New(), testKey(1))
	for _, f := range []Field{{}, {Table: "users"}, {Column: "profile"}} {
		if _, err := ring.Seal(f, []byte("row"), nil); err == nil {
			t.Errorf("Seal in %+v succeeded", f)
		}
	}
	if _, err := ring.Seal(profile, nil, nil); err == nil {
		t.Error("Seal without a row succeeded")
	}
}

func TestTokenOpensForItsPurposeOnly(t *testing.T) {
	acme := uuid.New()
	ring, other := testRing(t, acme, testKey(1)), testRing(t, uuid.New(), testKey(1))
	sealed := ring.SealToken("challenge", []byte("prefix "), []byte("plain"))
	sealed, ok := bytes.CutPrefix(sealed, []byte("prefix "))
	if !ok {
		t.Fatal("SealToken did not append")
	}
	if got, err := ring.OpenToken("challenge", sealed); err != nil || string(got) != "plain" {
		t.Fatalf("OpenToken = %q, %v", got, err)
	}
	if _, err := ring.OpenToken("page", sealed); !errors.Is(err, ErrToken) {
		t.Errorf("another purpose: %v, want ErrToken", err)
	}
	if _, err := other.OpenToken("challenge", sealed); !errors.Is(err, ErrToken) {
		t.Errorf("another tenant: %v, want ErrToken", err)
	}
	field, err := ring.Seal(Field{Table: "challenge", Column: "c"}, []byte("row"), []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.OpenToken("challenge", field); !errors.Is(err, ErrToken) {
		t.Errorf("a sealed field: %v, want ErrToken", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 0x40
		if _, err := ring.OpenToken("challenge", changed); !errors.Is(err, ErrToken) {
			t.Fatalf("byte %d flipped: %v, want ErrToken", i, err)
		}
		if _, err := ring.OpenToken("challenge", sealed[:i]); !errors.Is(err, ErrToken) {
			t.Fatalf("cut to %d bytes: %v, want ErrToken", i, err)
		}
	}
}

func TestIndexAndMACAreSeparate(t *testing.T) {
	acme := uuid.New()
	ring := testRing(t, acme, testKey(1))
	external := Field{Table: "users", Column: "external"}
	if !bytes.Equal(ring.Index(external, "alice"), ring.Index(external, "alice")) {
		t.Error("an index is not stable")
	}
	seen := map[string]string{}
	note := func(name string, sum []byte) {
		t.Helper()
		if was, ok := seen[string(sum)]; ok {
			t.Errorf("%s equals %s", name, was)
		}
		seen[string(sum)] = name
	}
	note("index", ring.Index(external, "alice"))
	note("index of another value", ring.Index(external, "bob"))
	note("index of another column", ring.Index(Field{"users", "phone"}, "alice"))
	note("another tenant's index", testRing(t, uuid.New(), testKey(2)).Index(external, "alice"))
	for _, p := range []Purpose{"refresh", "fake", "users"} {
		sum := ring.MAC(p, []byte("alice"))
		note("MAC "+string(p), sum[:])
	}
	// Indexes and MACs are stored and handed out: a newer data key must not change them.
	rotated := testRing(t, acme, testKey(1), testKey(2))
	if !bytes.Equal(rotated.Index(external, "alice"), ring.Index(external, "alice")) {
		t.Error("a second data key changed the index")
	}
	if rotated.MAC("refresh", []byte("a")) != ring.MAC("refresh", []byte("a")) {
		t.Error("a second data key changed the MAC")
	}
}

// A server that has not heard of a new data key must be able to open whatever one
// that has heard of it seals meanwhile.
func TestNewDataKeySealsOnlyWhenAllServersHaveIt(t *testing.T) {
	acme := uuid.New()
	before := testRing(t, acme, testKey(1))
	fresh := testKey(2)
	fresh.created = now.Add(-sealAfter + time.Millisecond)
	during := testRing(t, acme, testKey(1), fresh)
	if _, err := before.OpenToken("p", during.SealToken("p", nil, []byte("x"))); err != nil {
		t.Errorf("a fresh key seals already: %v", err)
	}
	fresh.created = now.Add(-sealAfter)
	after := testRing(t, acme, testKey(1), fresh)
	sealed := after.SealToken("p", nil, []byte("x"))
	if _, err := before.OpenToken("p", sealed); !errors.Is(err, ErrToken) {
		t.Errorf("the old key still seals: %v", err)
	}
	if _, err := during.OpenToken("p", sealed); err != nil {
		t.Errorf("a ring that knows the key does not open it: %v", err)
	}
	if _, err := after.OpenToken("p", before.SealToken("p", nil, []byte("x"))); err != nil {
		t.Errorf("what the old key sealed does not open: %v", err)
	}
}

// The root seals nothing, and opens what a server of the release before has sealed under
// it, which takes it for a young tenant's data key.
func TestRootOpensAndSealsNothing(t *testing.T) {
	acme := uuid.New()
	root := testKey(0)
	ring := testRing(t, acme, root, testKey(1))
	if ring.SealingVersion() != 1 {
		t.Errorf("version %d seals", ring.SealingVersion())
	}
	older := &Ring{tenant: acme, sealing: &version{number: 0, secret: root.secret}}
	if _, err := ring.OpenToken("p", older.SealToken("p", nil, []byte("x"))); err != nil {
		t.Errorf("what was sealed under the root: %v", err)
	}
	young := testKey(1)
	young.created = now
	if r := testRing(t, acme, root, young); r.SealingVersion() != 1 {
		t.Errorf("of a new tenant version %d seals", r.SealingVersion())
	}
}

// signingRing is a ring with one signing key.
func signingRing(t testing.TB) *Ring {
	t.Helper()
	ring := testRing(t, uuid.New(), testKey(1))
	row, err := mintSigningKey(ring, rand.Reader, ES256)
	if err != nil {
		t.Fatal(err)
	}
	addKeys(t, ring, asRow(row, string(Active)))
	return ring
}

func TestSignAndVerify(t *testing.T) {
	ring, stranger := signingRing(t), signingRing(t)
	signer := ring.Signer()
	for range 64 { // short integers in DER come up once in 128
		input := []byte(`eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiI` + uuid.NewString())
		token, err := signer.Sign(t.Context(), bytes.Clone(input), input)
		if err != nil {
			t.Fatal(err)
		}
		signature, ok := bytes.CutPrefix(token, input)
		if !ok {
			t.Fatal("Sign did not append")
		}
		if err := ring.Verify(signer.KID, ES256, input, signature); err != nil {
			t.Fatalf("Verify: %v", err)
		}
		if err := verifyByJWKS(t, ring.JWKS(), signer.KID, input, string(signature)); err != nil {
			t.Fatal(err)
		}
	}
	input := []byte("header.payload")
	good, err := signer.Sign(t.Context(), nil, input)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(i int) []byte {
		b, _ := base64.RawURLEncoding.DecodeString(string(good))
		b[i] ^= 1
		return base64.RawURLEncoding.AppendEncode(nil, b)
	}
	// The last character of 86 holds four bits that mean nothing: a lax decoder takes 16 spellings.
	malleable := bytes.Clone(good)
	malleable[85]++
	for _, tt := range []struct {
		name      string
		kid       string
		input     string
		signature []byte
	}{
		{"other input", signer.KID, "header.payloae", good},
		{"unknown kid", "nobody", "header.payload", good},
		{"another tenant's kid", stranger.Signer().KID, "header.payload", good},
		{"no kid", "", "header.payload", good},
		{"r changed", signer.KID, "header.payload", flip(3)},
		{"s changed", signer.KID, "header.payload", flip(60)},
		{"another spelling", signer.KID, "header.payload", malleable},
		{"cut", signer.KID, "header.payload", good[:85]},
		{"longer", signer.KID, "header.payload", append(bytes.Clone(good), 'A')},
		{"zero", signer.KID, "header.payload", bytes.Repeat([]byte("A"), 86)},
		{"empty", signer.KID, "header.payload", nil},
		{"not base64", signer.KID, "header.payload", bytes.Repeat([]byte("!"), 86)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := ring.Verify(tt.kid, ES256, []byte(tt.input), tt.signature); !errors.Is(err, ErrSignature) {
				t.Errorf("Verify = %v, want ErrSignature", err)
			}
		})
	}
	if err := stranger.Verify(stranger.Signer().KID, ES256, input, good); !errors.Is(err, ErrSignature) {
		t.Errorf("another tenant verified it: %v", err)
	}
}

// verifyByJWKS checks as a relying party would: by the published JSON and the
// standard library, through none of our code.
func verifyByJWKS(t *testing.T, jwks []byte, kid string, input []byte, signature string) error {
	t.Helper()
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return err
	}
	b64 := base64.RawURLEncoding
	for _, k := range set.Keys {
		if k["kid"] != kid {
			continue
		}
		if k["kty"] != "EC" || k["crv"] != "P-256" || k["alg"] != "ES256" || k["use"] != "sig" || len(k) != 7 {
			return errors.New("unexpected members of the JWK")
		}
		x, errX := b64.DecodeString(k["x"])
		y, errY := b64.DecodeString(k["y"])
		raw, errS := b64.DecodeString(signature)
		if err := errors.Join(errX, errY, errS); err != nil {
			return err
		}
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, append(x, y...)...))
		if err != nil {
			return err
		}
		digest := sha256.Sum256(input)
		if !ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])) {
			return errors.New("the published key does not verify")
		}
		return nil
	}
	return errors.New("kid not published")
}

func TestDER(t *testing.T) {
	for _, tt := range []struct {
		name, r, s string
	}{
		{"plain", strings.Repeat("7f", 32), strings.Repeat("01", 32)},
		{"high bits set", strings.Repeat("ff", 32), strings.Repeat("80", 32)},
		{"short", strings.Repeat("00", 31) + "01", strings.Repeat("00", 30) + "80ff"},
		{"zero", strings.Repeat("00", 32), strings.Repeat("00", 32)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := append(unhex(t, tt.r), unhex(t, tt.s)...)
			der := toDER(nil, raw)
			if len(der) > derMax {
				t.Errorf("%d bytes, more than derMax", len(der))
			}
			var back [signatureBytes]byte
			if !fromDER(&back, der) || !bytes.Equal(back[:], raw) {
				t.Errorf("%x came back as %x", raw, back)
			}
		})
	}
	for _, bad := range []string{"", "30", "3006020101", "30060201010201", "3106020101020101", "300602010102010101", "3006030101020101"} {
		if fromDER(new([signatureBytes]byte), unhex(t, bad)) {
			t.Errorf("%s was taken", bad)
		}
	}
}
