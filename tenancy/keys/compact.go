package keys

import (
	"context"
	"encoding/base64"
	"strings"
)

// SignCompact signs payload with the ring's active key: a JWS in compact form (RFC 7515 §7.1) that brings its payload.
// typ says what it is, so that it passes for nothing else.
func SignCompact(ctx context.Context, ring *Ring, typ string, payload []byte) (string, error) {
	jws, _, err := SignDetached(ctx, ring, typ, payload)
	if err != nil {
		return "", err
	}
	protected, signature, _ := strings.Cut(jws, "..")
	return protected + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + signature, nil
}

// VerifyCompact returns the payload of a JWS that one of the keys in jwks has signed as typ, and that key's kid; any other
// outcome is ErrSignature. It needs neither network nor database.
func VerifyCompact(jwks []byte, typ, jws string) (payload []byte, kid string, err error) {
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return nil, "", ErrSignature
	}
	if payload, err = base64.RawURLEncoding.Strict().DecodeString(parts[1]); err != nil {
		return nil, "", ErrSignature
	}
	if kid, err = VerifyDetached(jwks, typ, payload, parts[0]+".."+parts[2]); err != nil {
		return nil, "", err
	}
	return payload, kid, nil
}
