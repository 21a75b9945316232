package credential_test

import (
	"fmt"

	"github.com/biocore-id/biocore/authcore/credential"
)

func ExampleCleanNickname() {
	nickname, err := credential.CleanNickname("  My\tphone\u202e ")
	fmt.Printf("%q %v\n", nickname, err)
	// Output: "My phone" <nil>
}

// What a credential is called whose user has said nothing.
func ExampleDefaultNickname() {
	fmt.Println(credential.DefaultNickname("YubiKey 5 Series with NFC"))
	// Output: YubiKey 5 Series with NFC
}
