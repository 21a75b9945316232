package listing_test

import (
	"fmt"

	"github.com/biocore-id/biocore/tenancy/listing"
)

// A list goes through the terms of its filter and says what each field takes.
func ExampleParse() {
	terms, err := listing.Parse(`state = ACTIVE AND createdAt >= "2030-01-02T00:00:00Z"`)
	if err != nil {
		fmt.Println(err)
		return
	}
	states := listing.NewChoice("ACTIVE", "BLOCKED")
	var created listing.Span
	for _, t := range terms {
		switch t.Field {
		case "state":
			err = states.Narrow(t)
		case "createdAt":
			err = created.Narrow(t)
		default:
			err = t.Refuse("expected one of state, createdAt")
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(states.Left(), created.From, created.Before)
	// Output: [ACTIVE] 2030-01-02 00:00:00 +0000 UTC <nil>
}
