package demo_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/biocore-id/biocore/web/demo"
	"github.com/biocore-id/biocore/web/static"
)

// The demo needs a tenant's two keys, and its place beside the static files,
// whose paths are not stripped.
func ExampleNew() {
	files := static.New()
	bank, err := demo.New(demo.Options{
		APIURL:         "http://localhost:8080",
		SecretKey:      "bk_test_from_your_environment",
		PublishableKey: "pk_test_of_the_same_tenant",
		Static:         files,
	})
	if err != nil {
		fmt.Println(err) // it names the option that is missing
		return
	}
	mux := http.NewServeMux()
	mux.Handle(static.Prefix, files)
	mux.Handle(demo.Path, bank)
	mux.Handle(demo.Path+"/", bank)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/demo/enroll", nil))
	fmt.Println(w.Code)
	// Output: 200
}
