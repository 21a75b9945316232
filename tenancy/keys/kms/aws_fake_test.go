package kms

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// fakeAWS is AWS KMS as far as its API reference goes. It computes the Signature
// Version 4 of each request by itself, and takes no other.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
type fakeAWS struct {
	fakeServer
	region string

	state   sync.Mutex
	keys    map[string]*fakeAWSKey // by ARN
	aliases map[string]string      // alias ARN to key ARN
	slow    int                    // how many requests for a new key's public half find nothing yet
}

type fakeAWSKey struct {
	secret  []byte // of a symmetric key
	private crypto.Signer
	spec    string
	state   string
	tags    map[string]string
}

const (
	fakeAWSID     = "AKIDMADEUP"
	fakeAWSSecret = "made-up/secret+of+nobody"
	fakeAWSToken  = "made-up-session-token"
	fakeAWSWhere  = "arn:aws:kms:eu-central-1:123456789012:"
)

func newFakeAWS(t *testing.T) *fakeAWS {
	t.Helper()
	f := &fakeAWS{region: "eu-central-1", keys: map[string]*fakeAWSKey{}, aliases: map[string]string{}}
	for _, id := range []string{"key/11111111-1111-1111-1111-111111111111", "key/22222222-2222-2222-2222-222222222222", "key/mrk-33333333333333333333333333333333"} {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret)
		f.keys[fakeAWSWhere+id] = &fakeAWSKey{secret: secret, spec: "SYMMETRIC_DEFAULT", state: "Enabled"}
	}
	f.aliases[fakeAWSWhere+"alias/biocore"] = fakeAWSWhere + "key/11111111-1111-1111-1111-111111111111"
	f.start(t, http.HandlerFunc(f.serve))
	return f
}

func awsRefuse(w http.ResponseWriter, code, message string) {
	w.Header().Set("X-Amzn-Errortype", code)
	writeJSON(w, http.StatusBadRequest, map[string]string{"__type": code, "message": message})
}

func (f *fakeAWS) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		awsRefuse(w, "SerializationException", "no request of JSON 1.1")
		return
	}
	if code := f.signature(r, body); code != "" {
		awsRefuse(w, code, "the request signature we calculated does not match the signature you provided")
		return
	}
	f.state.Lock()
	defer f.state.Unlock()
	action, ok := map[string]func(http.ResponseWriter, *http.Request){
		"TrentService.Encrypt": f.encrypt, "TrentService.Decrypt": f.decrypt,
		"TrentService.CreateKey": f.create, "TrentService.GetPublicKey": f.publicKey, "TrentService.Sign": f.sign,
		"TrentService.ScheduleKeyDeletion": f.schedule, "TrentService.DescribeKey": f.describe,
	}[r.Header.Get("X-Amz-Target")]
	if !ok {
		awsRefuse(w, "UnknownOperationException", "no such action")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json") // for readStrictly: it is JSON
	action(w, r)
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// signature returns the code of what is wrong with a request's signature.
func (f *fakeAWS) signature(r *http.Request, body []byte) string {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return "MissingAuthenticationTokenException"
	}
	fields := map[string]string{}
	for field := range strings.SplitSeq(rest, ", ") {
		name, value, _ := strings.Cut(field, "=")
		fields[name] = value
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	if err != nil || time.Since(at).Abs() > 15*time.Minute {
		return "InvalidSignatureException"
	}
	scope := date[:8] + "/" + f.region + "/kms/aws4_request"
	if fields["Credential"] != fakeAWSID+"/"+scope {
		return "UnrecognizedClientException"
	}
	if r.Header.Get("X-Amz-Security-Token") != fakeAWSToken {
		return "UnrecognizedClientException"
	}
	signed := strings.Split(fields["SignedHeaders"], ";")
	for _, must := range []string{"content-type", "host", "x-amz-date", "x-amz-security-token", "x-amz-target"} {
		if !slices.Contains(signed, must) {
			return "InvalidSignatureException"
		}
	}
	var headers strings.Builder
	for _, name := range signed {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(len(body))
		}
		headers.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	sum := sha256.Sum256(body)
	canonical := strings.Join([]string{r.Method, "/", "", headers.String(), fields["SignedHeaders"], hex.EncodeToString(sum[:])}, "\n")
	hashed := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + fakeAWSSecret)
	for _, part := range []string{date[:8], f.region, "kms", "aws4_request"} {
		key = hmacSHA256(key, part)
	}
	want := hex.EncodeToString(hmacSHA256(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hex.EncodeToString(hashed[:])))
	if fields["Signature"] != want {
		return "InvalidSignatureException"
	}
	return ""
}

// key finds an enabled key by its ARN, or by an alias's.
func (f *fakeAWS) key(w http.ResponseWriter, arn string) (string, *fakeAWSKey) {
	if target := f.aliases[arn]; target != "" {
		arn = target
	}
	if f.region != "eu-central-1" { // a replica has its own region in its name
		arn = strings.Replace(arn, f.region, "eu-central-1", 1)
	}
	k := f.keys[arn]
	switch {
	case k == nil:
		awsRefuse(w, "NotFoundException", "Key '"+arn+"' does not exist")
		return "", nil
	case k.state == "Disabled":
		awsRefuse(w, "DisabledException", arn+" is disabled.")
		return "", nil
	case k.state != "Enabled":
		awsRefuse(w, "KMSInvalidStateException", arn+" is pending deletion.")
		return "", nil
	}
	return arn, k
}

// fakeAD is an encryption context in the order of its names.
func fakeAD(entries map[string]string) []byte {
	var ad strings.Builder
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		fmt.Fprintf(&ad, "%q=%q;", name, entries[name])
	}
	return []byte(ad.String())
}

func gcmOf(secret []byte) cipher.AEAD {
	block, err := aes.NewCipher(secret)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func (f *fakeAWS) encrypt(w http.ResponseWriter, r *http.Request) {
	var in struct {
		KeyId             string
		Plaintext         []byte
		EncryptionContext map[string]string
	}
	if !readStrictly(r, &in) || len(in.Plaintext) == 0 || len(in.Plaintext) > 4096 {
		awsRefuse(w, "ValidationException", "plaintext has 1 to 4096 bytes")
		return
	}
	arn, k := f.key(w, in.KeyId)
	if k == nil {
		return
	}
	if k.secret == nil {
		awsRefuse(w, "InvalidKeyUsageException", "it does not encrypt")
		return
	}
	if context, ok := in.EncryptionContext["associatedData"]; !ok || len(in.EncryptionContext) != 1 || strings.ToLower(context) != context {
		awsRefuse(w, "ValidationException", "the tests want an encryption context as Tink has it")
		return
	}
	sealed := gcmOf(k.secret).Seal([]byte(arn+"\x00"), nil, in.Plaintext, fakeAD(in.EncryptionContext)) //nolint:gosec // this AEAD makes a random nonce
	writeJSON(w, http.StatusOK, map[string]any{"CiphertextBlob": sealed, "KeyId": arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
}

func (f *fakeAWS) decrypt(w http.ResponseWriter, r *http.Request) {
	var in struct {
		KeyId             string
		CiphertextBlob    []byte
		EncryptionContext map[string]string
	}
	if !readStrictly(r, &in) || in.KeyId == "" || len(in.CiphertextBlob) == 0 {
		awsRefuse(w, "ValidationException", "1 validation error detected")
		return
	}
	arn, k := f.key(w, in.KeyId)
	if k == nil {
		return
	}
	under, sealed, ok := bytes.Cut(in.CiphertextBlob, []byte{0})
	if !ok || f.keys[string(under)] == nil {
		awsRefuse(w, "InvalidCiphertextException", "")
		return
	}
	if string(under) != arn {
		awsRefuse(w, "IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
		return
	}
	plaintext, err := gcmOf(k.secret).Open(nil, nil, sealed, fakeAD(in.EncryptionContext))
	if err != nil {
		awsRefuse(w, "InvalidCiphertextException", "")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"Plaintext": plaintext, "KeyId": arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})
}

func (f *fakeAWS) create(w http.ResponseWriter, r *http.Request) {
	var in struct {
		KeySpec, KeyUsage, Description string
		Tags                           []struct{ TagKey, TagValue string }
	}
	if !readStrictly(r, &in) || in.KeyUsage != "SIGN_VERIFY" || !strings.HasPrefix(in.Description, "biocore ") {
		awsRefuse(w, "ValidationException", "1 validation error detected")
		return
	}
	// The IAM policy of docs/kms.md allows no other.
	if len(in.Tags) != 1 || in.Tags[0].TagKey != "biocore" || in.Tags[0].TagValue != "signing-key" {
		awsRefuse(w, "AccessDeniedException", "is not authorized to perform: kms:CreateKey")
		return
	}
	private := fakePrivate(map[string]string{"ECC_NIST_P256": es256, "RSA_3072": rs256, "ECC_NIST_EDWARDS25519": eddsa}[in.KeySpec])
	if private == nil {
		awsRefuse(w, "ValidationException", "no such key spec")
		return
	}
	arn := fakeAWSWhere + "key/" + uuid.NewString()
	f.keys[arn] = &fakeAWSKey{private: private, spec: in.KeySpec, state: "Enabled", tags: map[string]string{"biocore": "signing-key"}}
	writeJSON(w, http.StatusOK, map[string]any{"KeyMetadata": map[string]any{"KeyId": arn[len(fakeAWSWhere)+4:], "Arn": arn, "KeyState": "Enabled"}})
}

func (f *fakeAWS) publicKey(w http.ResponseWriter, r *http.Request) {
	var in struct{ KeyId string }
	if !readStrictly(r, &in) {
		awsRefuse(w, "ValidationException", "1 validation error detected")
		return
	}
	if f.slow > 0 {
		f.slow--
		awsRefuse(w, "NotFoundException", "Key '"+in.KeyId+"' does not exist")
		return
	}
	arn, k := f.key(w, in.KeyId)
	if k == nil {
		return
	}
	if k.private == nil {
		awsRefuse(w, "UnsupportedOperationException", "symmetric")
		return
	}
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		panic(err)
	}
	writeJSON(w, http.StatusOK, map[string]any{"KeyId": arn, "PublicKey": der, "KeySpec": k.spec, "KeyUsage": "SIGN_VERIFY"})
}

func (f *fakeAWS) sign(w http.ResponseWriter, r *http.Request) {
	var in struct {
		KeyId                         string
		Message                       []byte
		MessageType, SigningAlgorithm string
	}
	if !readStrictly(r, &in) || len(in.Message) == 0 || len(in.Message) > 4096 {
		awsRefuse(w, "ValidationException", "1 validation error detected")
		return
	}
	arn, k := f.key(w, in.KeyId)
	if k == nil {
		return
	}
	want := map[string][2]string{
		"ECC_NIST_P256": {"ECDSA_SHA_256", "DIGEST"}, "RSA_3072": {"RSASSA_PKCS1_V1_5_SHA_256", "DIGEST"}, "ECC_NIST_EDWARDS25519": {"ED25519_SHA_512", "RAW"},
	}[k.spec]
	if k.private == nil || in.SigningAlgorithm != want[0] {
		awsRefuse(w, "InvalidKeyUsageException", "the key spec is "+k.spec)
		return
	}
	if in.MessageType != want[1] || in.MessageType == "DIGEST" && len(in.Message) != 32 {
		awsRefuse(w, "ValidationException", "Digest is invalid length for algorithm")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"KeyId": arn, "Signature": fakeSign(k.private, in.Message), "SigningAlgorithm": in.SigningAlgorithm})
}

func (f *fakeAWS) schedule(w http.ResponseWriter, r *http.Request) {
	var in struct {
		KeyId               string
		PendingWindowInDays int
	}
	if !readStrictly(r, &in) || in.PendingWindowInDays < 7 || in.PendingWindowInDays > 30 {
		awsRefuse(w, "ValidationException", "PendingWindowInDays is 7 to 30")
		return
	}
	arn, k := f.key(w, in.KeyId)
	if k == nil {
		return
	}
	if k.tags["biocore"] != "signing-key" { // by the IAM policy of docs/kms.md
		awsRefuse(w, "AccessDeniedException", "is not authorized to perform: kms:ScheduleKeyDeletion")
		return
	}
	k.state = "PendingDeletion"
	writeJSON(w, http.StatusOK, map[string]any{"KeyId": arn, "KeyState": k.state, "PendingWindowInDays": in.PendingWindowInDays})
}

func (f *fakeAWS) describe(w http.ResponseWriter, r *http.Request) {
	var in struct{ KeyId string }
	if !readStrictly(r, &in) || f.keys[in.KeyId] == nil {
		awsRefuse(w, "NotFoundException", "no such key")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"KeyMetadata": map[string]any{"KeyId": in.KeyId, "Arn": in.KeyId, "KeyState": f.keys[in.KeyId].state}})
}

// fakeRSA are the RSA keys that fakes give out in turn: finding primes takes seconds.
var fakeRSA = sync.OnceValue(func() func() crypto.Signer {
	var made [3]crypto.Signer
	for i := range made {
		k, err := rsa.GenerateKey(rand.Reader, rsaBits)
		if err != nil {
			panic(err)
		}
		made[i] = k
	}
	var mu sync.Mutex
	next := 0
	return func() crypto.Signer {
		mu.Lock()
		defer mu.Unlock()
		next++
		return made[next%len(made)]
	}
})

// fakePrivate makes a private key for a JWS algorithm, or nil for no such one.
func fakePrivate(algorithm string) crypto.Signer {
	var private crypto.Signer
	var err error
	switch algorithm {
	case es256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case eddsa:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case rs256:
		private = fakeRSA()()
	}
	if err != nil {
		panic(err)
	}
	return private
}

// fakeSign signs as the clouds do: a digest, or a message for Ed25519; ECDSA in DER.
func fakeSign(private crypto.Signer, message []byte) []byte {
	opts := crypto.SHA256
	if _, ok := private.(ed25519.PrivateKey); ok {
		opts = 0
	}
	signature, err := private.Sign(rand.Reader, message, opts)
	if err != nil {
		panic(err)
	}
	return signature
}
