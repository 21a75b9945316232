//go:build !pkcs11 || !cgo

package kms

import (
	"strings"
	"testing"
)

func TestPKCS11IsAnotherBuild(t *testing.T) {
	_, err := Open(t.Context(), "pkcs11:token=t;object=kek?module-path=/lib/p11.so&pin-source=/run/pin")
	if err == nil || !strings.Contains(err.Error(), "make build-pkcs11") {
		t.Errorf("Open error = %v, want it to say how to get one", err)
	}
}
