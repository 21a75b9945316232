package ceremony

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// authentication is what a sign-in promised when it began. Nothing of it is stored:
// it is sealed in the id that the client brings back, so a sign-in can be begun
// without limit and survives the loss of Redis. The tenant is bound by the seal.
type authentication struct {
	challenge     [challengeBytes]byte
	issuedAt      time.Time
	expiresAt     time.Time
	policyVersion int
	purpose       string // the tenant's word for it

	// identified: the sign-in was begun for somebody. With fake set, that is nobody or
	// somebody without credentials, the options held fakes, and user is their root.
	identified, fake bool
	user             user.ID

	requireUV bool
	steppedUp bool // continues a sign-in that was decided StepUp
}

// sealAuthentication separates the sealed state of sign-ins from all other tokens.
const sealAuthentication keys.Purpose = "authentication"

// WebAuthn L3 #sctn-cryptographic-challenges asks for at least 16 bytes.
const challengeBytes = 32

const (
	flagIdentified = 1 << iota
	flagRequireUV
	flagSteppedUp
	flagFake
)

// authenticationForm is the first byte of the plaintext: another form has another.
const authenticationForm = 1

// The plaintext: form, flags, issued at in microseconds, life in seconds, policy
// version, user, challenge, purpose. All but the purpose are of fixed length, so that
// the length of an id says nothing of whom it is for.
const authenticationBytes = 1 + 1 + 8 + 4 + 4 + 16 + challengeBytes

// seal returns the id under which a sign-in is finished.
func (a *authentication) seal(ring *keys.Ring) string {
	var buf [authenticationBytes + maxPurposeBytes]byte
	plain := append(buf[:0], authenticationForm, 0)
	for _, f := range [...]struct {
		bit byte
		set bool
	}{{flagIdentified, a.identified}, {flagRequireUV, a.requireUV}, {flagSteppedUp, a.steppedUp}, {flagFake, a.fake}} {
		if f.set {
			plain[1] |= f.bit
		}
	}
	plain = binary.BigEndian.AppendUint64(plain, uint64(a.issuedAt.UnixMicro()))
	plain = binary.BigEndian.AppendUint32(plain, uint32(a.expiresAt.Sub(a.issuedAt)/time.Second)) //nolint:gosec // an hour at most
	plain = binary.BigEndian.AppendUint32(plain, uint32(a.policyVersion))                         //nolint:gosec // an integer column
	plain = append(plain, a.user[:]...)
	plain = append(plain, a.challenge[:]...)
	plain = append(plain, a.purpose...)
	var sealed [keys.Overhead + len(buf)]byte
	return base64.RawURLEncoding.EncodeToString(ring.SealToken(sealAuthentication, sealed[:0], plain))
}

// openAuthentication reads an id. ErrChallengeUnknown for everything that this
// tenant did not seal; it does not judge the expiry.
func openAuthentication(ring *keys.Ring, id string) (authentication, error) {
	var buf [512]byte // no id is longer; longer input is refused before it is decoded
	if base64.RawURLEncoding.DecodedLen(len(id)) > len(buf) {
		return authentication{}, ErrChallengeUnknown
	}
	n, err := base64.RawURLEncoding.Strict().Decode(buf[:], []byte(id))
	if err != nil {
		return authentication{}, ErrChallengeUnknown
	}
	plain, err := ring.OpenToken(sealAuthentication, buf[:n])
	if err != nil || len(plain) < authenticationBytes || plain[0] != authenticationForm {
		return authentication{}, ErrChallengeUnknown
	}
	flags := plain[1]
	a := authentication{
		issuedAt:      time.UnixMicro(int64(binary.BigEndian.Uint64(plain[2:]))).UTC(), //nolint:gosec // as it was sealed
		policyVersion: int(binary.BigEndian.Uint32(plain[14:])),
		identified:    flags&flagIdentified != 0,
		requireUV:     flags&flagRequireUV != 0,
		steppedUp:     flags&flagSteppedUp != 0,
		fake:          flags&flagFake != 0,
		user:          user.ID(plain[18:34]),
		challenge:     [challengeBytes]byte(plain[34:66]),
		purpose:       string(plain[authenticationBytes:]),
	}
	a.expiresAt = a.issuedAt.Add(time.Duration(binary.BigEndian.Uint32(plain[10:])) * time.Second)
	return a, nil
}

// hash is what is kept of a spent challenge.
func (a *authentication) hash() [32]byte { return sha256.Sum256(a.challenge[:]) }

// newChallenge draws a challenge.
func (s *Service) newChallenge() (c [challengeBytes]byte, err error) {
	if _, err := io.ReadFull(s.rand, c[:]); err != nil {
		return c, fmt.Errorf("draw a challenge: %w", err)
	}
	return c, nil
}

// mint makes the id of a ceremony, and of everything that comes of it: a UUIDv7 of the time at which it happens, by which its row is found.
func mint(at time.Time) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("mint id: %w", err)
	}
	of := db.FirstID(at)
	copy(id[:6], of[:6]) // the milliseconds (RFC 9562, 5.7)
	return id, nil
}

const maxPurposeBytes = 64

// checkPurpose takes [A-Za-z0-9._-]{0,64}: it stands in records as it is.
func checkPurpose(p string) error {
	if len(p) > maxPurposeBytes {
		return ErrPurpose
	}
	for i := range len(p) {
		if c := p[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return ErrPurpose
		}
	}
	return nil
}

// The preferences in their order: a request may ask for a later one than the policy.
var (
	requirements = []string{webauthn.Discouraged, webauthn.Preferred, webauthn.Required}
	conveyances  = []string{webauthn.ConveyanceNone, webauthn.ConveyanceIndirect, webauthn.ConveyanceDirect, webauthn.ConveyanceEnterprise}
)
