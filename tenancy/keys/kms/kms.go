// Package kms opens key management services by URL, one file for each provider.
// Only this package knows their SDKs.
package kms

import (
	"context"
	"errors"
	"strings"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// Open returns the KMS that url names:
//
//	local:/path/to/key   a 32-byte key file on this machine (see OpenLocal)
func Open(_ context.Context, url string) (keys.KMS, error) {
	scheme, rest, ok := strings.Cut(url, ":")
	if !ok {
		return nil, errors.New("a KMS URL has the form provider:key, as local:/etc/biocore/kms.key")
	}
	switch scheme {
	case "local":
		return OpenLocal(rest)
	default:
		return nil, errors.New("unknown KMS provider " + scheme + "; known: local")
	}
}
