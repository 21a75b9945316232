package token

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// Refresh is what a refresh token says: it stands for one generation of one session.
type Refresh struct {
	Session    uuid.UUID
	Generation uint32 // counts refreshes from 0
}

const refreshMAC keys.Purpose = "refresh token"

// A refresh token is rt_ and base64url of tenant ‖ session ‖ generation ‖ MAC. The
// prefix is for secret scanners. The tenant stands in it so that a token says at
// sight whose it is; the MAC's key is that tenant's.
const (
	refreshPrefix = "rt_"
	refreshBody   = 16 + 16 + 4
	refreshBytes  = refreshBody + 32
)

// IsRefresh reports whether a token means to be a refresh token: no JWT begins as one.
func IsRefresh(token string) bool { return strings.HasPrefix(token, refreshPrefix) }

// AppendRefresh appends the ring's tenant's refresh token for r to dst: 94 characters.
func AppendRefresh(dst []byte, ring *keys.Ring, r Refresh) []byte {
	var raw [refreshBytes]byte
	tenant := ring.Tenant()
	copy(raw[:], tenant[:])
	copy(raw[16:], r.Session[:])
	binary.BigEndian.PutUint32(raw[32:], r.Generation)
	mac := ring.MAC(refreshMAC, raw[:refreshBody])
	copy(raw[refreshBody:], mac[:])
	dst = append(dst, refreshPrefix...)
	return base64.RawURLEncoding.AppendEncode(dst, raw[:])
}

// ParseRefresh reads a refresh token of the ring's tenant. Everything else is
// ErrInvalid; what only looks like one, another tenant's token among it, is ErrForged
// as well. A token has one spelling.
func ParseRefresh(ring *keys.Ring, token string) (Refresh, error) {
	text, ok := strings.CutPrefix(token, refreshPrefix)
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(refreshBytes) {
		return Refresh{}, ErrInvalid
	}
	var raw [refreshBytes + 2]byte // Decode wants room for whole groups
	n, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(text))
	if err != nil || n != refreshBytes { // n is less when the decoder has skipped a line break
		return Refresh{}, ErrInvalid
	}
	// The MAC comes first, under our own key: a foreign tenant's token takes as long as
	// a forged one.
	mac := ring.MAC(refreshMAC, raw[:refreshBody])
	if !hmac.Equal(mac[:], raw[refreshBody:refreshBytes]) {
		return Refresh{}, ErrForged
	}
	if uuid.UUID(raw[:16]) != ring.Tenant() {
		return Refresh{}, ErrForged
	}
	return Refresh{Session: uuid.UUID(raw[16:32]), Generation: binary.BigEndian.Uint32(raw[32:refreshBody])}, nil
}
