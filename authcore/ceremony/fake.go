package ceremony

import (
	"context"
	"crypto/hmac"
	"errors"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Whoever begins a sign-in for somebody is shown credential IDs. If only people with
// passkeys had any, the answer would say who is a customer (WebAuthn L3
// #sctn-username-enumeration). So everybody has some: for those without, they are
// derived from the name that was asked for and the tenant's keys. They stay the
// same for a name, look like real ones, and are recognised by a MAC in them, so that
// a finish with one fails as a finish with a real one and a wrong signature does.
//
// What still differs: a sign-in that began for one person and names another's
// credential is refused, real or not; and the list changes when somebody enrolls.

const (
	fakeRoot keys.Purpose = "fake credentials"   // of a name: what its fakes are derived from
	fakePart keys.Purpose = "fake credential"    // of a root and a number: the fake's bytes
	fakeTag  keys.Purpose = "fake credential ID" // of those bytes: the MAC that recognises it
)

// A fake ID is: bound ‖ filler ‖ tag (12 bytes). bound, its first 8 bytes or the 4 that
// a short ID has room for, ties it to its root.
const (
	fakeBoundBytes = 8
	fakeTagBytes   = 12
	maxFakesShown  = 3
)

// fakeShapes are what real credentials look like: lengths of the IDs that the
// common authenticators make, with the transports that they report.
func fakeShape(choice byte) (idBytes int, transports []string) {
	switch {
	case choice < 80: // iCloud Keychain
		return 20, []string{"hybrid", "internal"}
	case choice < 150: // Google Password Manager
		return 16, []string{"hybrid", "internal"}
	case choice < 215: // Windows Hello and most password managers
		return 32, []string{"internal"}
	case choice < 240:
		return 32, []string{"hybrid", "internal"}
	default: // a security key
		return 64, []string{"nfc", "usb"}
	}
}

// fakesOf returns the fake credentials of a name, and their root. kind keeps a user's id
// and an external id of the same text apart.
func fakesOf(ring *keys.Ring, kind, name string) ([]webauthn.Descriptor, user.ID) {
	sum := ring.MAC(fakeRoot, []byte(kind+"\x00"+name))
	root := user.ID(sum[:16])
	count := 1
	switch choice := sum[16]; { // most people have one, few have three
	case choice >= 236:
		count = 3
	case choice >= 166:
		count = 2
	}
	out := make([]webauthn.Descriptor, count)
	for i := range out {
		part := ring.MAC(fakePart, append(root[:len(root):len(root)], byte(i)))
		more := ring.MAC(fakePart, part[:])
		idBytes, transports := fakeShape(more[31])
		id := append(make([]byte, 0, 64+32), part[:]...)
		id = append(id, more[:]...)[:idBytes-fakeTagBytes]
		tag := ring.MAC(fakeTag, id)
		out[i] = webauthn.Descriptor{ID: append(id, tag[:fakeTagBytes]...), Transports: transports}
	}
	return out, root
}

// isFake reports whether the tenant made up this credential ID.
func isFake(ring *keys.Ring, id []byte) bool {
	if len(id) != 16 && len(id) != 20 && len(id) != 32 && len(id) != 64 {
		return false
	}
	body := id[:len(id)-fakeTagBytes]
	tag := ring.MAC(fakeTag, body)
	return hmac.Equal(tag[:fakeTagBytes], id[len(body):])
}

// isFakeOf reports whether a fake was made up for the name of this root. Of what is no
// fake it says nothing.
func isFakeOf(ring *keys.Ring, id []byte, root user.ID) bool {
	found, bound := false, max(0, min(fakeBoundBytes, len(id)-fakeTagBytes))
	for i := range byte(maxFakesShown) {
		part := ring.MAC(fakePart, append(root[:len(root):len(root)], i))
		found = hmac.Equal(part[:bound], id[:bound]) || found
	}
	return found
}

// missFake looks for a fake credential in Postgres, in vain: the first finish with a
// real ID has its credential loaded, later ones find it cached, and these two times
// must not tell fakes apart.
func (s *Service) missFake(ctx context.Context, sc scope.Scope, ring *keys.Ring, resp *webauthn.AssertionResponse) error {
	_, err := s.fakes.Get(ctx, sc.Tenant(), resp.ID, func(ctx context.Context) (*known, error) {
		k, err := s.load(ctx, sc, ring, resp.RawID)
		if errors.Is(err, credential.ErrNotFound) {
			return nil, nil //nolint:nilnil // that it is not there is what is cached
		}
		return k, err
	})
	return err
}
