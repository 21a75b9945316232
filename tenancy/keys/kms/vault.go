package kms

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// vault is a key of HashiCorp Vault's or OpenBao's Transit engine. Wrapped keys are
// Transit's ciphertexts as they are (vault:v1:…, bound by associated_data), so the
// key's rotation in Vault needs nothing here.
type vault struct {
	name   string // of the KMS key: vault:https://host:8200/transit/keys/biocore
	where  string // what the names of all keys of this engine begin with
	api    string // https://host:8200/v1/
	mount  string // transit
	key    string
	header http.Header // namespace
	http   *http.Client
	token  *vaultToken
}

// openVault reads rest, what follows "vault:", and logs in:
//
//	https://host:8200/<mount>/keys/<name>[?options]
//
// Options: namespace, name (stands for the address in the names of keys, so that
// Vault may move), ca (PEM file), token-file, or auth=kubernetes with role, mount and
// jwt-file, or auth=approle with role-id, secret-id-file and mount. Vault's own
// variables count where an option is missing: VAULT_TOKEN, VAULT_TOKEN_FILE,
// VAULT_NAMESPACE, VAULT_CACERT.
func openVault(ctx context.Context, rest string) (*vault, error) {
	v, err := newVault(rest, time.Now)
	if err != nil {
		return nil, err
	}
	if _, err := call(ctx, v.token.get); err != nil {
		return nil, fmt.Errorf("log in to Vault: %w", err)
	}
	return v, nil
}

func newVault(rest string, now func() time.Time) (*vault, error) {
	u, err := endpoint(rest)
	if err != nil {
		return nil, err
	}
	given, err := options(u.RawQuery, append([]string{"namespace", "name", "ca"}, vaultAuthOptions...)...)
	if err != nil {
		return nil, err
	}
	mount, key, ok := cutLast(strings.TrimPrefix(u.EscapedPath(), "/"), "/keys/")
	if !ok || mount == "" || key == "" || strings.Contains(key, "/") || strings.Contains(u.EscapedPath(), "%") {
		return nil, errors.New("a Vault KMS URL has the form vault:https://host:8200/transit/keys/name")
	}
	roots, err := rootsFrom(cmp.Or(given["ca"], os.Getenv("VAULT_CACERT")))
	if err != nil {
		return nil, err
	}
	address := u.Scheme + "://" + u.Host
	v := &vault{api: address + "/v1/", mount: mount, key: key, header: http.Header{}, http: newClient(roots)}
	v.where = "vault:" + cmp.Or(given["name"], address) + "/"
	if ns := strings.Trim(cmp.Or(given["namespace"], os.Getenv("VAULT_NAMESPACE")), "/"); ns != "" {
		v.header.Set("X-Vault-Namespace", ns)
		v.where += ns + "/"
	}
	v.where += mount + "/keys/"
	if v.name = v.where + key; len(v.name) > 512 {
		return nil, errors.New("the name of the Vault key is over 512 bytes")
	}
	v.token, err = newVaultToken(v, given, now)
	return v, err
}

// KeyName names Vault, the engine and the key.
func (v *vault) KeyName() string { return v.name }

// Wrap encrypts key under the newest version of Vault's key, bound to ad.
func (v *vault) Wrap(ctx context.Context, key, ad []byte) ([]byte, error) {
	return call(ctx, func(ctx context.Context) ([]byte, error) {
		var out struct{ Ciphertext string }
		err := v.post(ctx, v.mount+"/encrypt/"+v.key, map[string]any{
			"plaintext":       base64.StdEncoding.EncodeToString(key),
			"associated_data": base64.StdEncoding.EncodeToString(ad),
		}, &out)
		if err == nil && !strings.HasPrefix(out.Ciphertext, "vault:v") {
			err = errors.New("what Vault wrapped is no Transit ciphertext")
		}
		return []byte(out.Ciphertext), err
	})
}

// Unwrap opens what Wrap made, under whichever version of Vault's key.
func (v *vault) Unwrap(ctx context.Context, keyName string, wrapped, ad []byte) ([]byte, error) {
	if keyName != v.name {
		return nil, unknownKey(keyName, v.name)
	}
	return call(ctx, func(ctx context.Context) ([]byte, error) {
		var out struct{ Plaintext []byte } // base64, as encoding/json has it
		err := v.post(ctx, v.mount+"/decrypt/"+v.key, map[string]any{
			"ciphertext":      string(wrapped),
			"associated_data": base64.StdEncoding.EncodeToString(ad),
		}, &out)
		if err == nil && len(out.Plaintext) == 0 {
			err = errors.New("what Vault unwrapped is empty")
		}
		return out.Plaintext, err
	})
}

// run renews the token whenever it is due.
func (v *vault) run(ctx context.Context) { v.token.run(ctx) }

// vaultError is Vault's own answer that it will not.
type vaultError struct {
	status int
	text   string
}

func (r *vaultError) Error() string {
	return fmt.Sprintf("Vault refuses (status %d): %s", r.status, r.text)
}

func refusedWith(err error, status int) bool {
	var r *vaultError
	return errors.As(err, &r) && r.status == status
}

func (v *vault) post(ctx context.Context, path string, in, data any) error {
	return v.ask(ctx, http.MethodPost, path, in, data)
}

// ask calls Vault with its token, and fills data from the answer's. A refusal is
// taken to be about the token once, if another one can be had: somebody may have
// revoked it, or its file was written anew.
func (v *vault) ask(ctx context.Context, method, path string, in, data any) error {
	token, err := v.token.get(ctx)
	if err != nil {
		return err
	}
	wrap := struct{ Data any }{data}
	err = v.send(ctx, method, path, token, in, &wrap)
	if refusedWith(err, http.StatusForbidden) && v.token.forget(token) {
		if token, err = v.token.get(ctx); err != nil {
			return err
		}
		err = v.send(ctx, method, path, token, in, &wrap)
	}
	return err
}

// send is one request to Vault; token may be empty, to log in.
func (v *vault) send(ctx context.Context, method, path, token string, in, out any) error {
	header := v.header.Clone()
	header.Set("X-Vault-Request", "true") // what Vault agents ask for
	if token != "" {
		header.Set("X-Vault-Token", token)
	}
	a, err := exchange(ctx, v.http, method, v.api+path, header, in)
	if err != nil {
		return err
	}
	switch {
	case a.status == http.StatusNoContent:
		return nil
	case a.status == http.StatusPreconditionFailed: // this node has not yet seen what another has
		return unavailable(&vaultError{a.status, "not yet consistent"})
	case a.status != http.StatusOK:
		var said struct {
			Errors []string `json:"errors"`
		}
		_ = json.Unmarshal(a.body, &said) // a refusal without words is one, too
		return &vaultError{a.status, printable(strings.Join(said.Errors, "; "))}
	}
	return a.read(out)
}

// cutLast is strings.Cut at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
