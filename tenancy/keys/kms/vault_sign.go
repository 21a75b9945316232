package kms

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/biocore-id/biocore/tenancy/keys"
)

var vaultKeyTypes = map[string]string{es256: "ecdsa-p256", eddsa: "ed25519", rs256: "rsa-3072"}

// CreateSigningKey makes a Transit key named label, which cannot be exported.
func (v *vault) CreateSigningKey(ctx context.Context, algorithm, label string) (keys.RemoteKey, error) {
	kind, ok := vaultKeyTypes[algorithm]
	if !ok {
		return keys.RemoteKey{}, noAlgorithm(algorithm)
	}
	if err := checkLabel(label); err != nil {
		return keys.RemoteKey{}, err
	}
	path := v.mount + "/keys/" + label
	// Vault answers a second creation of a name with success, and two tenants would
	// share a key.
	if _, err := v.readKey(ctx, path); !refusedWith(err, http.StatusNotFound) {
		if err == nil {
			err = errors.New("it exists already")
		}
		return keys.RemoteKey{}, fmt.Errorf("create signing key %s: %w", label, err)
	}
	_, err := callOnce(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, v.post(ctx, path, map[string]any{"type": kind, "exportable": false, "allow_plaintext_backup": false}, nil)
	})
	if _, refused := errors.AsType[*vaultError](err); refused {
		return keys.RemoteKey{}, fmt.Errorf("create signing key %s: %w", label, err)
	}
	// From here on there may be a key, whose answer was lost perhaps: labels are unique,
	// and there was none of this one.
	name := v.where + label
	destroy := func(ctx context.Context) error { return v.DestroySigningKey(ctx, name) }
	if err != nil {
		return keys.RemoteKey{}, fmt.Errorf("create signing key %s: %w", label, abandon(ctx, err, destroy))
	}
	made, err := v.readKey(ctx, path)
	var public crypto.PublicKey
	if err == nil {
		public, err = made.public(algorithm, kind)
	}
	if err != nil {
		return keys.RemoteKey{}, fmt.Errorf("read signing key %s: %w", label, abandon(ctx, err, destroy))
	}
	return keys.RemoteKey{Name: name, Public: public}, nil
}

// vaultKey is what Vault tells of an asymmetric key.
type vaultKey struct {
	Type string
	Keys map[string]struct { // by version
		PublicKey string `json:"public_key"`
	}
}

func (v *vault) readKey(ctx context.Context, path string) (vaultKey, error) {
	return call(ctx, func(ctx context.Context) (vaultKey, error) {
		var k vaultKey
		return k, v.ask(ctx, http.MethodGet, path, nil, &k)
	})
}

// public returns the first version's public key. Later ones are not used: a signing
// key is replaced here, never rotated there.
func (k vaultKey) public(algorithm, kind string) (crypto.PublicKey, error) {
	if k.Type != kind {
		return nil, fmt.Errorf("made a key of type %s, not %s", printable(k.Type), kind)
	}
	text := k.Keys["1"].PublicKey
	if algorithm != eddsa {
		return publicPEM(algorithm, text)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("the public key from Vault is no base64")
	}
	return publicKey(algorithm, ed25519.PublicKey(raw))
}

// Sign signs with the first version of a key that CreateSigningKey made.
func (v *vault) Sign(ctx context.Context, keyName, algorithm string, input []byte) ([]byte, error) {
	if _, ok := vaultKeyTypes[algorithm]; !ok {
		return nil, noAlgorithm(algorithm)
	}
	label, ok := strings.CutPrefix(keyName, v.where)
	if !ok || checkLabel(label) != nil {
		return nil, unknownSigner(keyName, v.name)
	}
	in := map[string]any{
		"input":                base64.StdEncoding.EncodeToString(digest(algorithm, input)),
		"key_version":          1,
		"marshaling_algorithm": "jws", // r ‖ s, and base64url for all
	}
	if algorithm != eddsa {
		in["prehashed"], in["hash_algorithm"] = true, "sha2-256"
	}
	if algorithm == rs256 {
		in["signature_algorithm"] = "pkcs1v15"
	}
	return call(ctx, func(ctx context.Context) ([]byte, error) {
		var out struct{ Signature string }
		if err := v.post(ctx, v.mount+"/sign/"+label, in, &out); err != nil {
			return nil, err
		}
		text, ok := strings.CutPrefix(out.Signature, "vault:v1:")
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if !ok || err != nil {
			return nil, errors.New("what Vault signed is no signature of the key's first version")
		}
		return signatureOf(algorithm, raw)
	})
}

// DestroySigningKey deletes a key for ever, at once.
func (v *vault) DestroySigningKey(ctx context.Context, keyName string) error {
	label, ok := strings.CutPrefix(keyName, v.where)
	if !ok || checkLabel(label) != nil || label == v.key {
		return unknownSigner(keyName, v.name)
	}
	path := v.mount + "/keys/" + label
	_, err := call(ctx, func(ctx context.Context) (struct{}, error) {
		err := v.post(ctx, path+"/config", map[string]any{"deletion_allowed": true}, nil)
		if err == nil {
			err = v.ask(ctx, http.MethodDelete, path, nil, nil)
		}
		return struct{}{}, err
	})
	if err == nil || errors.Is(err, keys.ErrKMSUnavailable) {
		return err
	}
	// Vault says "bad request" of a key that is gone; asking for it is clearer.
	if _, gone := v.readKey(ctx, path); refusedWith(gone, http.StatusNotFound) {
		return nil
	}
	return fmt.Errorf("destroy signing key: %w", err)
}

// signs reports whether keyName is in this Vault's engine.
func (v *vault) signs(keyName string) bool {
	label, ok := strings.CutPrefix(keyName, v.where)
	return ok && checkLabel(label) == nil
}
