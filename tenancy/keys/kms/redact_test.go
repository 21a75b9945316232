package kms

import (
	"fmt"
	"strings"
	"testing"
)

// Access to a KMS is as good as its key.
func TestTokensDoNotPrint(t *testing.T) {
	const token = "hvs.made-up-for-this"
	held := &vaultToken{value: token}
	for _, v := range []any{held, &vault{token: held}, []any{held}, struct{ KMS *vault }{&vault{token: held}}} {
		for verb := range strings.FieldsSeq("%v %+v %#v %s %q %x %d %t") {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, token) || strings.Contains(got, fmt.Sprintf("%x", token)) {
				t.Errorf("%s of a %T prints %s", verb, v, got)
			}
		}
	}
}
