package rp_test

import (
	"fmt"

	"github.com/biocore-id/biocore/tenancy/rp"
)

func ExampleRelate() {
	related := []string{"https://acme.de"} // what https://acme.example/.well-known/webauthn lists
	for _, origin := range []string{"https://login.acme.example", "https://acme.de", "https://acme.shop"} {
		v := rp.Relate("acme.example", origin, related)
		fmt.Printf("%s %s %q\n", origin, v.Relation, v.Reason)
	}
	// Output:
	// https://login.acme.example OWN ""
	// https://acme.de RELATED ""
	// https://acme.shop NONE "ORIGIN_UNRELATED"
}
