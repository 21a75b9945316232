package user_test

import (
	"errors"
	"fmt"

	"github.com/biocore-id/biocore/authcore/user"
)

func ExampleProfile_Clean() {
	clean, err := user.Profile{ExternalID: "customer-4711", Name: " ada@example.com", DisplayName: "Ada  Lovelace"}.Clean()
	fmt.Printf("%+v %v\n", clean, err)

	_, err = user.Profile{ExternalID: "customer-4711", Name: "Ada\u202egnp.exe"}.Clean()
	fmt.Println(errors.Is(err, user.ErrName))
	// Output:
	// {ExternalID:customer-4711 Name:ada@example.com DisplayName:Ada Lovelace} <nil>
	// true
}
