package kms

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// gcpAlgorithms are Google's names of the JWS algorithms.
// https://cloud.google.com/kms/docs/algorithms
var gcpAlgorithms = map[string]string{
	es256: "EC_SIGN_P256_SHA256", eddsa: "EC_SIGN_ED25519", rs256: "RSA_SIGN_PKCS1_3072_SHA256",
}

// CreateSigningKey makes a CryptoKey named label in the key ring of the wrapping key.
// It cannot be deleted again, only its one version can: the name stays taken for ever.
func (g *google) CreateSigningKey(ctx context.Context, algorithm, label string) (keys.RemoteKey, error) {
	theirs, ok := gcpAlgorithms[algorithm]
	if !ok {
		return keys.RemoteKey{}, noAlgorithm(algorithm)
	}
	if err := checkLabel(label); err != nil {
		return keys.RemoteKey{}, err
	}
	_, err := callOnce(ctx, func(ctx context.Context) (struct{}, error) {
		var out struct{ Name string }
		return struct{}{}, g.ask(ctx, http.MethodPost, g.ring+"/cryptoKeys?cryptoKeyId="+url.QueryEscape(label), map[string]any{
			"purpose":         "ASYMMETRIC_SIGN",
			"versionTemplate": map[string]any{"algorithm": theirs, "protectionLevel": g.level},
			"labels":          map[string]any{"biocore": "signing-key"},
		}, &out)
	})
	if _, refused := errors.AsType[*gcpError](err); refused {
		return keys.RemoteKey{}, fmt.Errorf("create signing key %s: %w", label, err)
	}
	version := g.ring + "/cryptoKeys/" + label + "/cryptoKeyVersions/1"
	made := keys.RemoteKey{Name: "gcpkms:" + version}
	destroy := func(ctx context.Context) error { return g.DestroySigningKey(ctx, made.Name) }
	if err != nil { // it may be there all the same: the answer was lost
		return keys.RemoteKey{}, fmt.Errorf("create signing key %s: %w", label, abandon(ctx, err, destroy))
	}
	made.Public, err = await(ctx, func(ctx context.Context) (crypto.PublicKey, error) {
		var out struct {
			Name, Pem, Algorithm string
			PemCrc32c            crc
		}
		err := g.ask(ctx, http.MethodGet, version+"/publicKey", nil, &out)
		switch {
		case gcpStatus(err) == "FAILED_PRECONDITION": // PENDING_GENERATION
			return nil, errNotYet
		case err != nil:
			return nil, err
		case out.PemCrc32c != crcOf([]byte(out.Pem)):
			return nil, errCorrupt
		case out.Name != version || out.Algorithm != theirs:
			return nil, fmt.Errorf("it is %s for %s", printable(out.Name), printable(out.Algorithm))
		}
		return publicPEM(algorithm, out.Pem)
	})
	if err != nil {
		return keys.RemoteKey{}, fmt.Errorf("read signing key %s: %w", version, abandon(ctx, err, destroy))
	}
	return made, nil
}

// Sign signs with a key that CreateSigningKey made.
func (g *google) Sign(ctx context.Context, keyName, algorithm string, input []byte) ([]byte, error) {
	if gcpAlgorithms[algorithm] == "" {
		return nil, noAlgorithm(algorithm)
	}
	if !g.signs(keyName) {
		return nil, unknownSigner(keyName, g.name)
	}
	version := strings.TrimPrefix(keyName, "gcpkms:")
	message := digest(algorithm, input)
	in := map[string]any{"digest": map[string]any{"sha256": message}, "digestCrc32c": crcOf(message)}
	if algorithm == eddsa {
		in = map[string]any{"data": message, "dataCrc32c": crcOf(message)}
	}
	return call(ctx, func(ctx context.Context) ([]byte, error) {
		var out struct {
			Name            string
			Signature       []byte
			SignatureCrc32c crc
			VerifiedDigest  bool `json:"verifiedDigestCrc32c"`
			VerifiedData    bool `json:"verifiedDataCrc32c"`
		}
		err := g.ask(ctx, http.MethodPost, version+":asymmetricSign", in, &out)
		switch {
		case err != nil:
			return nil, err
		case out.Name != version:
			return nil, errors.New("GCP KMS signed with another key")
		case out.VerifiedDigest == out.VerifiedData || out.VerifiedData != (algorithm == eddsa) || out.SignatureCrc32c != crcOf(out.Signature):
			return nil, errCorrupt
		case algorithm == es256:
			return rawECDSA(out.Signature)
		}
		return signatureOf(algorithm, out.Signature)
	})
}

// DestroySigningKey has Google destroy the key's version after the waiting time that
// the KMS is set to (30 days, if nothing was said). Until then it signs nothing.
func (g *google) DestroySigningKey(ctx context.Context, keyName string) error {
	if !g.signs(keyName) {
		return unknownSigner(keyName, g.name)
	}
	version := strings.TrimPrefix(keyName, "gcpkms:")
	_, err := call(ctx, func(ctx context.Context) (struct{}, error) {
		var out struct{ State string }
		err := g.ask(ctx, http.MethodPost, version+":destroy", map[string]any{}, &out)
		if gcpStatus(err) == "FAILED_PRECONDITION" {
			if look := g.ask(ctx, http.MethodGet, version, nil, &out); look == nil && (out.State == "DESTROYED" || out.State == "DESTROY_SCHEDULED") {
				return struct{}{}, nil
			}
		}
		if gcpStatus(err) == "NOT_FOUND" {
			err = nil
		}
		return struct{}{}, err
	})
	if err != nil {
		return fmt.Errorf("destroy signing key: %w", err)
	}
	return nil
}

// signs reports whether keyName is a version of a key in this key ring, and not of
// the one that wraps.
func (g *google) signs(keyName string) bool {
	rest, ok := strings.CutPrefix(keyName, "gcpkms:"+g.ring)
	return ok && gcpVersion.MatchString(rest) && !strings.HasPrefix(keyName, g.name+"/")
}
