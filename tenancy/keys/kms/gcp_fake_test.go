package kms

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeGCP is Google's token endpoint and Cloud KMS as far as their references go. It
// verifies the assertion that a token is asked for with (RFC 7523), gives no answer
// without the token, and wants every CRC32C.
type fakeGCP struct {
	fakeServer
	account crypto.Signer // the service account's key

	state   sync.Mutex
	keys    map[string]*fakeGCPKey // by resource name of the version
	primary map[string]int         // of each symmetric key
	tokens  map[string]time.Time   // until when
	issued  int
	pending int    // how many questions for a new key find it pending
	garble  string // a field of the next answer that is changed on its way
}

type fakeGCPKey struct {
	secret    []byte
	private   crypto.Signer
	algorithm string
	state     string
}

const (
	fakeGCPRing    = "projects/biocore-tests/locations/europe-west3/keyRings/biocore"
	fakeGCPAccount = "kms@biocore-tests.iam.gserviceaccount.com"
)

func newFakeGCP(t *testing.T) *fakeGCP {
	t.Helper()
	f := &fakeGCP{
		account: fakePrivate(rs256), keys: map[string]*fakeGCPKey{}, primary: map[string]int{}, tokens: map[string]time.Time{},
	}
	f.rotate(fakeGCPRing + "/cryptoKeys/wrap")
	f.rotate(fakeGCPRing + "/cryptoKeys/other")
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", f.token)
	mux.HandleFunc("/v1/", f.serve)
	f.start(t, mux)
	return f
}

func (f *fakeGCP) rotate(name string) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	f.state.Lock()
	defer f.state.Unlock()
	f.primary[name]++
	f.keys[fmt.Sprintf("%s/cryptoKeyVersions/%d", name, f.primary[name])] = &fakeGCPKey{secret: secret, state: "ENABLED"}
}

// credentials writes the service account's file, as Google's console gives it out.
func (f *fakeGCP) credentials(t *testing.T, change func(map[string]string)) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(f.account)
	if err != nil {
		t.Fatal(err)
	}
	file := map[string]string{
		"type": "service_account", "project_id": "biocore-tests", "private_key_id": "k1",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": fakeGCPAccount, "token_uri": "http://" + f.addr + "/token",
	}
	if change != nil {
		change(file)
	}
	raw, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (f *fakeGCP) token(w http.ResponseWriter, r *http.Request) {
	refuse := func(why string) {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": why})
	}
	if r.ParseForm() != nil || r.PostForm.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		refuse("no assertion")
		return
	}
	part := strings.Split(r.PostForm.Get("assertion"), ".")
	if len(part) != 3 {
		refuse("no JWT")
		return
	}
	decode := func(text string) []byte {
		raw, _ := base64.RawURLEncoding.DecodeString(text)
		return raw
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss, Scope, Aud string
		Iat, Exp        int64
	}
	if json.Unmarshal(decode(part[0]), &header) != nil || json.Unmarshal(decode(part[1]), &claims) != nil || header.Alg != "RS256" || header.Kid != "k1" {
		refuse("no JWT of this account")
		return
	}
	sum := sha256.Sum256([]byte(part[0] + "." + part[1]))
	public, ok := f.account.Public().(*rsa.PublicKey)
	if !ok || rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], decode(part[2])) != nil {
		refuse("Invalid JWT Signature.")
		return
	}
	now := time.Now().Unix()
	if claims.Iss != fakeGCPAccount || claims.Aud != "http://"+f.addr+"/token" || claims.Scope != "https://www.googleapis.com/auth/cloudkms" ||
		claims.Iat > now+60 || claims.Exp < now || claims.Exp > claims.Iat+3600 {
		refuse("Invalid JWT.")
		return
	}
	f.state.Lock()
	defer f.state.Unlock()
	f.issued++
	token := fmt.Sprintf("ya29.made-up-%d", f.issued)
	f.tokens[token] = f.now().Add(time.Hour)
	writeJSON(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600})
}

func gcpRefuse(w http.ResponseWriter, code int, status, message string) {
	writeJSON(w, code, map[string]any{"error": map[string]any{"code": code, "status": status, "message": message}})
}

func (f *fakeGCP) serve(w http.ResponseWriter, r *http.Request) {
	f.state.Lock()
	defer f.state.Unlock()
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if until, ok := f.tokens[bearer]; !ok || !f.now().Before(until) {
		gcpRefuse(w, http.StatusUnauthorized, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
		return
	}
	name, verb, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), ":")
	switch r.Method + " " + verb {
	case "POST encrypt":
		f.encrypt(w, r, name)
	case "POST decrypt":
		f.decrypt(w, r, name)
	case "POST asymmetricSign":
		f.sign(w, r, name)
	case "POST destroy":
		f.destroy(w, r, name)
	case "POST ":
		f.create(w, r, name)
	case "GET ":
		if version, ok := strings.CutSuffix(name, "/publicKey"); ok {
			f.publicKey(w, version)
			return
		}
		if k := f.version(w, name); k != nil {
			writeJSON(w, http.StatusOK, map[string]any{"name": name, "state": k.state})
		}
	default:
		gcpRefuse(w, http.StatusNotFound, "NOT_FOUND", "no such method")
	}
}

func (f *fakeGCP) version(w http.ResponseWriter, name string) *fakeGCPKey {
	k := f.keys[name]
	if k == nil {
		gcpRefuse(w, http.StatusNotFound, "NOT_FOUND", name+" not found.")
	}
	return k
}

// checked reports whether sum is the CRC32C of b.
func checked(w http.ResponseWriter, b []byte, sum string) bool {
	if sum != strconv.FormatUint(uint64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))), 10) {
		gcpRefuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "the checksum does not match the data")
		return false
	}
	return true
}

// answer writes fields, of which one may be changed on its way.
func (f *fakeGCP) answer(w http.ResponseWriter, fields map[string]any) {
	switch v := fields[f.garble].(type) {
	case []byte:
		v[0] ^= 1
		f.garble = ""
	case bool:
		fields[f.garble], f.garble = false, ""
	case string:
		fields[f.garble], f.garble = v+"1", ""
	}
	writeJSON(w, http.StatusOK, fields)
}

func (f *fakeGCP) encrypt(w http.ResponseWriter, r *http.Request, name string) {
	var in struct {
		Plaintext, AdditionalAuthenticatedData             []byte
		PlaintextCrc32c, AdditionalAuthenticatedDataCrc32c string
	}
	primary := fmt.Sprintf("%s/cryptoKeyVersions/%d", name, f.primary[name])
	if !readStrictly(r, &in) || !checked(w, in.Plaintext, in.PlaintextCrc32c) || !checked(w, in.AdditionalAuthenticatedData, in.AdditionalAuthenticatedDataCrc32c) {
		return
	}
	k := f.version(w, primary)
	if k == nil {
		return
	}
	if k.state != "ENABLED" {
		gcpRefuse(w, http.StatusBadRequest, "FAILED_PRECONDITION", primary+" is not enabled, current state is: "+k.state)
		return
	}
	sealed := gcmOf(k.secret).Seal([]byte{0, 0, byte(f.primary[name])}, nil, in.Plaintext, in.AdditionalAuthenticatedData) //nolint:gosec // this AEAD makes a random nonce
	f.answer(w, map[string]any{
		"name": primary, "ciphertext": sealed, "ciphertextCrc32c": string(crcOf(sealed)),
		"verifiedPlaintextCrc32c": true, "verifiedAdditionalAuthenticatedDataCrc32c": true, "protectionLevel": "SOFTWARE",
	})
}

func (f *fakeGCP) decrypt(w http.ResponseWriter, r *http.Request, name string) {
	var in struct {
		Ciphertext, AdditionalAuthenticatedData             []byte
		CiphertextCrc32c, AdditionalAuthenticatedDataCrc32c string
	}
	if !readStrictly(r, &in) || !checked(w, in.Ciphertext, in.CiphertextCrc32c) || !checked(w, in.AdditionalAuthenticatedData, in.AdditionalAuthenticatedDataCrc32c) {
		return
	}
	refuse := func() {
		gcpRefuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "Decryption failed: verify that 'name' refers to the correct CryptoKey.")
	}
	if len(in.Ciphertext) < 3 || in.Ciphertext[0] != 0 || in.Ciphertext[1] != 0 {
		refuse()
		return
	}
	k := f.keys[fmt.Sprintf("%s/cryptoKeyVersions/%d", name, in.Ciphertext[2])]
	if k == nil || k.secret == nil {
		refuse()
		return
	}
	plaintext, err := gcmOf(k.secret).Open(nil, nil, in.Ciphertext[3:], in.AdditionalAuthenticatedData)
	if err != nil {
		refuse()
		return
	}
	f.answer(w, map[string]any{"plaintext": plaintext, "plaintextCrc32c": string(crcOf(plaintext)), "usedPrimary": true})
}

var gcpLabelValue = regexp.MustCompile(`^[a-z0-9_-]{0,63}$`)

func (f *fakeGCP) create(w http.ResponseWriter, r *http.Request, parent string) {
	var in struct {
		Purpose         string
		VersionTemplate struct{ Algorithm, ProtectionLevel string }
		Labels          map[string]string
	}
	id := r.URL.Query().Get("cryptoKeyId")
	if !readStrictly(r, &in) || parent != fakeGCPRing+"/cryptoKeys" || id == "" || in.Purpose != "ASYMMETRIC_SIGN" ||
		in.VersionTemplate.ProtectionLevel != "HSM" || !gcpLabelValue.MatchString(in.Labels["biocore"]) {
		gcpRefuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "Request contains an invalid argument.")
		return
	}
	name := fakeGCPRing + "/cryptoKeys/" + id
	if f.keys[name+"/cryptoKeyVersions/1"] != nil {
		gcpRefuse(w, http.StatusConflict, "ALREADY_EXISTS", name+" already exists.")
		return
	}
	algorithm := in.VersionTemplate.Algorithm
	private := fakePrivate(map[string]string{"EC_SIGN_P256_SHA256": es256, "EC_SIGN_ED25519": eddsa, "RSA_SIGN_PKCS1_3072_SHA256": rs256}[algorithm])
	if private == nil {
		gcpRefuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "no such algorithm")
		return
	}
	f.keys[name+"/cryptoKeyVersions/1"] = &fakeGCPKey{private: private, algorithm: algorithm, state: "ENABLED"}
	writeJSON(w, http.StatusOK, map[string]any{"name": name, "purpose": in.Purpose})
}

func (f *fakeGCP) publicKey(w http.ResponseWriter, version string) {
	k := f.version(w, version)
	if k == nil {
		return
	}
	if f.pending > 0 {
		f.pending--
		gcpRefuse(w, http.StatusBadRequest, "FAILED_PRECONDITION", version+" is not enabled, current state is: PENDING_GENERATION.")
		return
	}
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		panic(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	f.answer(w, map[string]any{"name": version, "algorithm": k.algorithm, "pem": text, "pemCrc32c": string(crcOf([]byte(text)))})
}

func (f *fakeGCP) sign(w http.ResponseWriter, r *http.Request, version string) {
	var in struct {
		Digest                   *struct{ SHA256 []byte }
		Data                     []byte
		DigestCrc32c, DataCrc32c string
	}
	k := f.version(w, version)
	if k == nil || !readStrictly(r, &in) {
		return
	}
	if k.state != "ENABLED" {
		gcpRefuse(w, http.StatusBadRequest, "FAILED_PRECONDITION", version+" is not enabled, current state is: "+k.state)
		return
	}
	message, sum := in.Data, in.DataCrc32c
	if in.Digest != nil {
		message, sum = in.Digest.SHA256, in.DigestCrc32c
	}
	if !checked(w, message, sum) {
		return
	}
	if (in.Digest == nil) != (k.algorithm == "EC_SIGN_ED25519") || in.Digest != nil && (len(message) != 32 || in.Data != nil) {
		gcpRefuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "the algorithm wants a digest, or data")
		return
	}
	signature := fakeSign(k.private, message)
	f.answer(w, map[string]any{
		"name": version, "signature": signature, "signatureCrc32c": string(crcOf(signature)),
		"verifiedDigestCrc32c": in.Digest != nil, "verifiedDataCrc32c": in.Digest == nil,
	})
}

func (f *fakeGCP) destroy(w http.ResponseWriter, r *http.Request, version string) {
	k := f.version(w, version)
	if k == nil || !readStrictly(r, &struct{}{}) {
		return
	}
	if k.state != "ENABLED" && k.state != "DISABLED" {
		gcpRefuse(w, http.StatusBadRequest, "FAILED_PRECONDITION", version+" cannot be destroyed, current state is: "+k.state)
		return
	}
	k.state = "DESTROY_SCHEDULED"
	writeJSON(w, http.StatusOK, map[string]any{"name": version, "state": k.state})
}
