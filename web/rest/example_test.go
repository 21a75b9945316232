package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"connectrpc.com/connect/v2"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/web/rest"
)

// greeter answers every id with a user.
type greeter struct {
	authv1connect.UnimplementedUserServiceHandler
}

func (greeter) GetUser(_ context.Context, req *authv1.GetUserRequest) (*authv1.User, error) {
	return &authv1.User{Id: req.GetUserId(), Name: "Ana", State: authv1.User_ACTIVE, Etag: "3f2a"}, nil
}

// Register the services first: New compiles the routes of those it finds.
func ExampleNew() {
	server := connect.NewServer()
	authv1connect.RegisterUserServiceHandler(server, greeter{})
	handler, err := rest.New(server, rest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/v1/users/u-1", nil))
	fmt.Println(rec.Code, rec.Header().Get("ETag"))
	fmt.Println(rec.Body)
	// Output:
	// 200 "3f2a"
	// {"id":"u-1","externalId":"","name":"Ana","state":"ACTIVE","etag":"3f2a"}
}
