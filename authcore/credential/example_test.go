package credential_test

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
)

// A user interface falls back from the nickname to the model, and describes the rest.
func ExampleAuthenticatorName() {
	name := credential.AuthenticatorName(uuid.MustParse("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"))
	unknown := credential.AuthenticatorName(uuid.Nil)
	fmt.Printf("%q %q\n", name, unknown)
	// Output: "iCloud Keychain" ""
}

func ExampleCleanNickname() {
	nickname, err := credential.CleanNickname("  My\tphone\u202e ")
	fmt.Printf("%q %v\n", nickname, err)
	// Output: "My phone" <nil>
}
