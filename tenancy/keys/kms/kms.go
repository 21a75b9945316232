// Package kms opens key management services by URL, one file for each provider.
// Only this package knows their SDKs and protocols.
//
// Every call is bounded: 3 seconds with at most one more attempt (20 seconds to make a
// signing key, once), and as long as ctx allows; to destroy a key whose making failed
// takes 6 seconds more, whatever ctx says. No answer in that time is
// keys.ErrKMSUnavailable; the KMS's own refusal is another error, which carries the
// provider's code for the log.
package kms

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// openTime bounds Open: a login and the three calls of its trial.
const openTime = 10 * time.Second

// Open returns the KMS that url names. docs/kms.md says more about each form:
//
//	local:/path/to/key                            a 32-byte key file on this machine
//	awskms:arn:aws:kms:region:account:key/id      AWS KMS
//	gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k   Google Cloud KMS
//	vault:https://host:8200/transit/keys/name     HashiCorp Vault or OpenBao, Transit
//	pkcs11:token=…;object=…?module-path=…&pin-source=…   an HSM, in binaries made with the tag pkcs11
//
// Except for local, the KMS is asked to wrap and unwrap a trial key, so that an
// unknown key or a missing permission is found now and not by the first tenant.
// keys.ErrKMSUnavailable when it cannot be reached. ctx bounds Open alone.
func Open(ctx context.Context, url string) (keys.KMS, error) {
	scheme, rest, ok := strings.Cut(url, ":")
	if !ok {
		return nil, errors.New("a KMS URL has the form provider:key, as local:/etc/biocore/kms.key")
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	var opened keys.KMS
	var err error
	switch scheme {
	case "local":
		return OpenLocal(rest)
	case "awskms":
		opened, err = openAWS(ctx, rest)
	case "gcpkms":
		opened, err = openGCP(ctx, rest)
	case "pkcs11":
		opened, err = openPKCS11(ctx, rest)
	case "vault":
		opened, err = openVault(ctx, rest)
	default:
		return nil, errors.New("unknown KMS provider " + scheme + "; known: local, awskms, gcpkms, pkcs11, vault")
	}
	if err != nil {
		return nil, err
	}
	if err := try(ctx, opened); err != nil {
		return nil, fmt.Errorf("try %s: %w", opened.KeyName(), err)
	}
	return opened, nil
}

// Run keeps k's access alive while nobody calls it (a Vault token is renewed before
// it expires), until ctx ends. It returns nil: what it cannot keep alive, the next
// call reports. A KMS that needs nothing of the kind waits for ctx alone.
func Run(ctx context.Context, k keys.KMS) error {
	if r, ok := k.(interface{ run(ctx context.Context) }); ok {
		r.run(ctx)
	}
	<-ctx.Done()
	return nil
}

// try has k wrap and unwrap a key that belongs to nobody. An old Vault ignores
// associated data without a word, so one that opens it with the wrong data is refused.
func try(ctx context.Context, k keys.KMS) error {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	wrapped, err := k.Wrap(ctx, key, []byte("biocore trial"))
	if err != nil {
		return fmt.Errorf("wrap: %w", err)
	}
	got, err := k.Unwrap(ctx, k.KeyName(), wrapped, []byte("biocore trial"))
	if err != nil {
		return fmt.Errorf("unwrap: %w", err)
	}
	if !bytes.Equal(got, key) {
		return errors.New("what it unwraps is not what it wrapped")
	}
	_, err = k.Unwrap(ctx, k.KeyName(), wrapped, []byte("biocore trial of its binding"))
	switch {
	case errors.Is(err, keys.ErrKMSUnavailable):
		return fmt.Errorf("unwrap: %w", err)
	case err == nil:
		return errors.New("it ignores associated data: a wrapped key would open for another tenant")
	}
	return nil
}

// unknownKey is the error for a key name that this KMS does not know.
func unknownKey(asked, have string) error {
	return fmt.Errorf("wrapped by KMS key %s, but this server has %s", asked, have)
}

// unknownSigner is the error for a signing key that is not in this KMS.
func unknownSigner(asked, have string) error {
	return fmt.Errorf("signing key %s is not in the KMS of %s", asked, have)
}
