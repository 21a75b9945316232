package token_test

import (
	"fmt"

	"github.com/biocore-id/biocore/authcore/token"
)

func ExampleIssuer() {
	issuer := token.Issuer("https://auth.example/", "acme")
	fmt.Println(issuer)
	fmt.Println(issuer + "/.well-known/jwks.json")
	// Output:
	// https://auth.example/t/acme
	// https://auth.example/t/acme/.well-known/jwks.json
}
