package kms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeVault is Vault as far as its API's documentation goes: tokens that expire, are
// renewed up to their longest life and can be revoked, logins, and a Transit engine
// whose ciphertexts are bound to associated_data. It refuses what Vault refuses.
type fakeVault struct {
	fakeServer
	namespace string
	forgetful bool // ignores associated_data, as Vault did before 1.13

	state   sync.Mutex
	tokens  map[string]*fakeToken
	keys    map[string]*fakeTransitKey
	logins  int
	lacking string        // a path that the policy of all tokens lacks
	renewed chan struct{} // one element for each renewal, while there is room
}

type fakeToken struct {
	ttl       time.Duration // 0: never expires
	expires   time.Time
	longest   time.Time // zero: no end
	renewable bool
}

type fakeTransitKey struct {
	kind    string
	secrets [][]byte      // the versions of an aes256-gcm96 key
	private crypto.Signer // or the only one of another
	deletes bool
}

const fakeVaultToken = "hvs.made-up"

func newFakeVault(t *testing.T) *fakeVault {
	t.Helper()
	f := &fakeVault{
		tokens:  map[string]*fakeToken{fakeVaultToken: {}},
		keys:    map[string]*fakeTransitKey{},
		renewed: make(chan struct{}, 16),
	}
	for _, name := range []string{"biocore", "other"} {
		f.keys[name] = &fakeTransitKey{kind: "aes256-gcm96"}
		f.rotate(name)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/auth/kubernetes/login", f.loginKubernetes)
	mux.HandleFunc("POST /v1/auth/approle/login", f.loginAppRole)
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request, *fakeToken){
		"GET /v1/auth/token/lookup-self": f.lookupSelf,
		"POST /v1/auth/token/renew-self": f.renewSelf,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if token := f.authenticate(w, r); token != nil {
				h(w, r, token)
			}
		})
	}
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request, string){
		"POST /v1/transit/encrypt/{name}":     f.encrypt,
		"POST /v1/transit/decrypt/{name}":     f.decrypt,
		"POST /v1/transit/keys/{name}":        f.create,
		"GET /v1/transit/keys/{name}":         f.read,
		"POST /v1/transit/keys/{name}/config": f.configure,
		"DELETE /v1/transit/keys/{name}":      f.remove,
		"POST /v1/transit/sign/{name}":        f.sign,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if f.authenticate(w, r) != nil {
				f.state.Lock()
				defer f.state.Unlock()
				h(w, r, r.PathValue("name"))
			}
		})
	}
	f.start(t, mux)
	return f
}

func (f *fakeVault) rotate(name string) {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	f.state.Lock()
	defer f.state.Unlock()
	f.keys[name].secrets = append(f.keys[name].secrets, key)
}

// mint gives out a token with a time to live and a longest life.
func (f *fakeVault) mint(value string, ttl, longest time.Duration) {
	f.state.Lock()
	defer f.state.Unlock()
	f.mintLocked(value, ttl, longest)
}

func (f *fakeVault) mintLocked(value string, ttl, longest time.Duration) {
	now := f.now()
	f.tokens[value] = &fakeToken{ttl: ttl, expires: now.Add(ttl), longest: now.Add(longest), renewable: true}
}

func (f *fakeVault) revoke(value string) {
	f.state.Lock()
	defer f.state.Unlock()
	delete(f.tokens, value)
}

func vaultErrors(w http.ResponseWriter, status int, errs ...string) {
	writeJSON(w, status, map[string]any{"errors": append([]string{}, errs...)})
}

func vaultData(w http.ResponseWriter, data any) {
	writeJSON(w, http.StatusOK, map[string]any{"request_id": "0", "lease_duration": 0, "data": data})
}

func (f *fakeVault) inNamespace(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("X-Vault-Namespace") != f.namespace {
		vaultErrors(w, http.StatusForbidden, "permission denied")
		return false
	}
	return true
}

func (f *fakeVault) authenticate(w http.ResponseWriter, r *http.Request) *fakeToken {
	if !f.inNamespace(w, r) {
		return nil
	}
	f.state.Lock()
	defer f.state.Unlock()
	token := f.tokens[r.Header.Get("X-Vault-Token")]
	if token == nil || r.URL.Path == f.lacking || token.ttl != 0 && !f.now().Before(token.expires) {
		vaultErrors(w, http.StatusForbidden, "permission denied")
		return nil
	}
	return token
}

func (f *fakeVault) loginKubernetes(w http.ResponseWriter, r *http.Request) {
	var in struct{ Role, JWT string }
	if !f.inNamespace(w, r) {
		return
	}
	if !readStrictly(r, &in) || in.Role != "biocore" || in.JWT != "pod's own" {
		vaultErrors(w, http.StatusForbidden, "permission denied")
		return
	}
	f.login(w)
}

func (f *fakeVault) loginAppRole(w http.ResponseWriter, r *http.Request) {
	var in struct {
		RoleID   string `json:"role_id"`
		SecretID string `json:"secret_id"`
	}
	if !f.inNamespace(w, r) {
		return
	}
	if !readStrictly(r, &in) || in.RoleID != "role-1" || in.SecretID != "secret-1" {
		vaultErrors(w, http.StatusBadRequest, "invalid role or secret ID")
		return
	}
	f.login(w)
}

func (f *fakeVault) login(w http.ResponseWriter) {
	f.state.Lock()
	defer f.state.Unlock()
	f.logins++
	value := fmt.Sprintf("hvs.login-%d", f.logins)
	f.mintLocked(value, time.Hour, 3*time.Hour)
	writeJSON(w, http.StatusOK, map[string]any{"auth": map[string]any{"client_token": value, "lease_duration": 3600, "renewable": true}})
}

func (f *fakeVault) lookupSelf(w http.ResponseWriter, _ *http.Request, token *fakeToken) {
	ttl := 0
	if token.ttl != 0 {
		ttl = int(token.expires.Sub(f.now()).Seconds())
	}
	vaultData(w, map[string]any{"ttl": ttl, "renewable": token.renewable})
}

func (f *fakeVault) renewSelf(w http.ResponseWriter, r *http.Request, token *fakeToken) {
	f.state.Lock()
	defer f.state.Unlock()
	if !readStrictly(r, &struct{}{}) || !token.renewable {
		vaultErrors(w, http.StatusBadRequest, "lease is not renewable")
		return
	}
	token.expires = f.now().Add(token.ttl)
	if token.expires.After(token.longest) {
		token.expires = token.longest
	}
	select {
	case f.renewed <- struct{}{}:
	default:
	}
	writeJSON(w, http.StatusOK, map[string]any{"auth": map[string]any{
		"client_token": r.Header.Get("X-Vault-Token"), "lease_duration": int(token.expires.Sub(f.now()).Seconds()), "renewable": true,
	}})
}

func (f *fakeVault) aead(key []byte, ad string) (cipher.AEAD, []byte, error) {
	raw, err := base64.StdEncoding.DecodeString(ad)
	if err != nil {
		return nil, nil, err
	}
	if f.forgetful {
		raw = nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return aead, raw, err
}

func (f *fakeVault) encrypt(w http.ResponseWriter, r *http.Request, name string) {
	var in struct {
		Plaintext      *string
		AssociatedData string `json:"associated_data"`
	}
	key := f.keys[name]
	if !readStrictly(r, &in) || in.Plaintext == nil || key == nil || key.kind != "aes256-gcm96" {
		vaultErrors(w, http.StatusBadRequest, "invalid request")
		return
	}
	plaintext, err := base64.StdEncoding.DecodeString(*in.Plaintext)
	if err != nil {
		vaultErrors(w, http.StatusBadRequest, "failed to base64-decode plaintext")
		return
	}
	newest := len(key.secrets)
	aead, ad, err := f.aead(key.secrets[newest-1], in.AssociatedData)
	if err != nil {
		vaultErrors(w, http.StatusBadRequest, "failed to base64-decode associated_data")
		return
	}
	sealed := base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, plaintext, ad)) //nolint:gosec // this AEAD makes a random nonce
	vaultData(w, map[string]any{"ciphertext": fmt.Sprintf("vault:v%d:%s", newest, sealed), "key_version": newest})
}

func (f *fakeVault) decrypt(w http.ResponseWriter, r *http.Request, name string) {
	var in struct {
		Ciphertext     string
		AssociatedData string `json:"associated_data"`
	}
	key := f.keys[name]
	if !readStrictly(r, &in) || key == nil {
		vaultErrors(w, http.StatusBadRequest, "encryption key not found")
		return
	}
	var number int
	var text string
	if n, err := fmt.Sscanf(strings.Replace(in.Ciphertext, ":", " ", 2), "vault v%d %s", &number, &text); n != 2 || err != nil ||
		number < 1 || number > len(key.secrets) {
		vaultErrors(w, http.StatusBadRequest, "invalid ciphertext: no prefix")
		return
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		vaultErrors(w, http.StatusBadRequest, "invalid ciphertext: could not decode base64")
		return
	}
	aead, ad, err := f.aead(key.secrets[number-1], in.AssociatedData)
	if err != nil {
		vaultErrors(w, http.StatusBadRequest, "failed to base64-decode associated_data")
		return
	}
	plaintext, err := aead.Open(nil, nil, sealed, ad)
	if err != nil {
		vaultErrors(w, http.StatusBadRequest, "cipher: message authentication failed")
		return
	}
	vaultData(w, map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plaintext)})
}

func (f *fakeVault) create(w http.ResponseWriter, r *http.Request, name string) {
	var in struct {
		Type                 string
		Exportable           bool
		AllowPlaintextBackup bool `json:"allow_plaintext_backup"`
	}
	if !readStrictly(r, &in) || in.Exportable || in.AllowPlaintextBackup {
		vaultErrors(w, http.StatusBadRequest, "invalid request")
		return
	}
	if f.keys[name] != nil { // as Vault: no error, and nothing done
		vaultData(w, nil)
		return
	}
	private := fakePrivate(map[string]string{"ecdsa-p256": es256, "ed25519": eddsa, "rsa-3072": rs256}[in.Type])
	if private == nil {
		vaultErrors(w, http.StatusBadRequest, "unknown key type "+in.Type)
		return
	}
	f.keys[name] = &fakeTransitKey{kind: in.Type, private: private}
	vaultData(w, map[string]any{"name": name, "type": in.Type})
}

func (f *fakeVault) read(w http.ResponseWriter, _ *http.Request, name string) {
	key := f.keys[name]
	if key == nil {
		vaultErrors(w, http.StatusNotFound)
		return
	}
	versions := map[string]any{}
	for i := range key.secrets {
		versions[fmt.Sprint(i+1)] = time.Now().Unix() // symmetric keys show when they were made
	}
	switch private := key.private.(type) {
	case nil:
	case ed25519.PrivateKey: // its seed, then its public half
		versions["1"] = map[string]any{"public_key": base64.StdEncoding.EncodeToString(private[32:])}
	default:
		der, err := x509.MarshalPKIXPublicKey(private.Public())
		if err != nil {
			panic(err)
		}
		versions["1"] = map[string]any{"public_key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	}
	vaultData(w, map[string]any{"name": name, "type": key.kind, "keys": versions, "latest_version": len(versions)})
}

func (f *fakeVault) configure(w http.ResponseWriter, r *http.Request, name string) {
	var in struct {
		DeletionAllowed bool `json:"deletion_allowed"`
	}
	key := f.keys[name]
	if !readStrictly(r, &in) || key == nil {
		vaultErrors(w, http.StatusBadRequest, "no existing key named "+name+" could be found")
		return
	}
	key.deletes = in.DeletionAllowed
	vaultData(w, nil)
}

func (f *fakeVault) remove(w http.ResponseWriter, _ *http.Request, name string) {
	if key := f.keys[name]; key == nil || !key.deletes {
		vaultErrors(w, http.StatusBadRequest, "error deleting policy "+name+": deletion is not allowed for this key")
		return
	}
	delete(f.keys, name)
	w.WriteHeader(http.StatusNoContent)
}

func (f *fakeVault) sign(w http.ResponseWriter, r *http.Request, name string) {
	var in struct {
		Input               string
		KeyVersion          int    `json:"key_version"`
		MarshalingAlgorithm string `json:"marshaling_algorithm"`
		SignatureAlgorithm  string `json:"signature_algorithm"`
		HashAlgorithm       string `json:"hash_algorithm"`
		Prehashed           bool
	}
	key := f.keys[name]
	if !readStrictly(r, &in) || key == nil || in.KeyVersion != 1 || in.MarshalingAlgorithm != "jws" {
		vaultErrors(w, http.StatusBadRequest, "signing key not found")
		return
	}
	input, err := base64.StdEncoding.DecodeString(in.Input)
	hashed := in.Prehashed && in.HashAlgorithm == "sha2-256" && len(input) == 32
	var signature []byte
	switch private := key.private.(type) {
	case *ecdsa.PrivateKey:
		if err != nil || !hashed || in.SignatureAlgorithm != "" {
			vaultErrors(w, http.StatusBadRequest, "cannot sign this with ECDSA")
			return
		}
		a, b, err := ecdsa.Sign(rand.Reader, private, input)
		if err != nil {
			panic(err)
		}
		signature = append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...)
	case ed25519.PrivateKey:
		if err != nil || in.Prehashed || in.HashAlgorithm != "" || in.SignatureAlgorithm != "" {
			vaultErrors(w, http.StatusBadRequest, "only Pure Ed25519 signatures supported")
			return
		}
		signature = ed25519.Sign(private, input)
	case *rsa.PrivateKey:
		if err != nil || !hashed || in.SignatureAlgorithm != "pkcs1v15" {
			vaultErrors(w, http.StatusBadRequest, "unsupported rsa signature algorithm")
			return
		}
		if signature, err = rsa.SignPKCS1v15(nil, private, crypto.SHA256, input); err != nil {
			panic(err)
		}
	default:
		vaultErrors(w, http.StatusBadRequest, "key type "+key.kind+" does not support signing")
		return
	}
	vaultData(w, map[string]any{"signature": "vault:v1:" + base64.RawURLEncoding.EncodeToString(signature)})
}
