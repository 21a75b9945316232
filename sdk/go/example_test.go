package biocore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	biocore "github.com/biocore-id/biocore/sdk/go"
)

// A service that lets signed-in users in, asks for a fresh sign-in where money moves, and
// for a session that still stands where it is the most.
func Example() {
	client, err := biocore.NewClient(biocore.ClientOptions{
		URL: "https://auth.example.com", APIKey: os.Getenv("BIOCORE_SECRET_KEY"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := biocore.NewVerifier(biocore.VerifierOptions{
		Issuer:   "https://auth.example.com/t/acme",
		Audience: "example.com",
		Sessions: client.Sessions, // for Live alone
		OnRefuse: func(r *http.Request, err error) { slog.InfoContext(r.Context(), "refused", "err", err) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	transfer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := biocore.ClaimsFromContext(r.Context())
		fmt.Fprintln(w, "transferred by", claims.Subject)
	})
	mux := http.NewServeMux()
	mux.Handle("POST /transfers", verifier.Require(biocore.Requirement{MinAAL: 2, MaxAge: 5 * time.Minute}, transfer))
	mux.Handle("POST /closures", verifier.Require(biocore.Requirement{MinAAL: 2, Live: true}, transfer))
	server := &http.Server{Handler: verifier.Middleware(mux), ReadHeaderTimeout: 5 * time.Second}
	fmt.Println(server.ListenAndServeTLS("tls.crt", "tls.key"))
	// Output: biocore: APIKey is no server key: bk_…
}

// Without net/http: a token from a message queue, say.
func ExampleVerifier_Verify() {
	verifier, err := biocore.NewVerifier(biocore.VerifierOptions{
		Issuer: "https://auth.example.com/t/acme", Audience: "example.com",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = verifier.Verify(context.Background(), "not a token")
	switch {
	case err == nil:
		fmt.Println("let in")
	case errors.Is(err, biocore.ErrStepUp):
		fmt.Println("sign in again")
	case errors.Is(err, biocore.ErrInvalidToken):
		fmt.Println("refused")
	case errors.Is(err, biocore.ErrUnavailable):
		fmt.Println("nobody can say now: come back")
	}
	// Output: refused
}

// The generated clients, with the key on each call.
func ExampleNewClient() {
	client, err := biocore.NewClient(biocore.ClientOptions{URL: "https://auth.example.com", APIKey: "bk_live_from_the_environment"})
	if err != nil {
		fmt.Println(err)
		return
	}
	exchange := func(ctx context.Context, code string) (*authv1.ExchangeCodeResponse, error) {
		return client.Authentications.ExchangeCode(ctx, &authv1.ExchangeCodeRequest{Code: code})
	}
	_ = exchange // in the handler of your page's code
	// Output:
}
