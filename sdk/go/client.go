package biocore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
)

// callTimeout bounds a call whose context has no deadline.
const callTimeout = 15 * time.Second

// ClientOptions is how to reach the API. URL and APIKey are required.
type ClientOptions struct {
	// URL is the installation's, https://auth.example.com. Plain HTTP is for loopback alone.
	URL string

	// APIKey is a server key, bk_…: a secret from the environment.
	APIKey string

	// HTTPClient sends the calls; one that gives up after 15 s if nil.
	HTTPClient *http.Client
}

// Client is the auth plane of the API with a tenant's server key. It is safe for
// concurrent use. Errors are *connect.Error, whose details hold the reason.
type Client struct {
	Authentications authv1connect.AuthenticationServiceClient
	Credentials     authv1connect.CredentialServiceClient
	Registrations   authv1connect.RegistrationServiceClient
	Sessions        authv1connect.SessionServiceClient
	Users           authv1connect.UserServiceClient

	conn *connect.Client
}

// NewClient returns a client, or an error that names the option it cannot use. It sends
// nothing yet.
func NewClient(o ClientOptions) (*Client, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || !isHTTP(u):
		return nil, fmt.Errorf("biocore: URL %q is no https URL", o.URL)
	case u.Scheme != "https" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("biocore: URL %q is not https, and the key goes there", o.URL)
	case !strings.HasPrefix(o.APIKey, "bk_") && !strings.HasPrefix(o.APIKey, "pf_"):
		return nil, errors.New("biocore: APIKey is no server key: bk_…") // not what it is instead: that may be a secret
	}
	own := http.Client{Timeout: callTimeout}
	if o.HTTPClient != nil {
		own = *o.HTTPClient
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error {
		return errors.New("the API does not redirect") // the key would go along
	}
	conn := connect.NewClient(connecthttp.NewTransport(&own, strings.TrimSuffix(o.URL, "/")), withKey(o.APIKey))
	return &Client{
		Authentications: authv1connect.NewAuthenticationServiceClient(conn),
		Credentials:     authv1connect.NewCredentialServiceClient(conn),
		Registrations:   authv1connect.NewRegistrationServiceClient(conn),
		Sessions:        authv1connect.NewSessionServiceClient(conn),
		Users:           authv1connect.NewUserServiceClient(conn),
		conn:            conn,
	}, nil
}

// Conn is for the generated clients that are no field here, such as the admin plane's:
// adminv1connect.NewTenantServiceClient(client.Conn()).
func (c *Client) Conn() *connect.Client { return c.conn }

// withKey authenticates every call.
func withKey(key string) connect.ClientInterceptor {
	return func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			info, ok := connect.CallInfoForClientContext(ctx)
			if !ok {
				ctx, info = connect.NewClientContext(ctx)
			}
			info.RequestHeader().Set("Authorization", "Bearer "+key)
			return next(ctx, spec)
		}
	}
}
