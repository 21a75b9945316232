//go:build !pkcs11 || !cgo

package kms

import (
	"context"
	"errors"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// openPKCS11 says that this binary cannot: PKCS#11 libraries are C, and the release
// binary is made without it.
func openPKCS11(_ context.Context, rest string) (keys.KMS, error) {
	if _, err := parsePKCS11(rest); err != nil {
		return nil, err
	}
	return nil, errors.New("this binary was made without PKCS#11: use one made by `make build-pkcs11` (see docs/kms.md)")
}
