package load

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
)

// What the made-up tenants are like.
const (
	rpID   = "localhost"
	origin = "http://localhost:8080"
)

// api speaks REST to the server, as a customer's backend does.
type api struct {
	base   string
	client *http.Client
	pages  *http.Transport
}

func newAPI(base string, connections int) *api {
	transport := &http.Transport{MaxIdleConns: connections + 8, MaxIdleConnsPerHost: connections + 8, DisableCompression: true}
	return &api{
		base: strings.TrimSuffix(base, "/"), pages: transport,
		client: &http.Client{
			Transport: transport, Timeout: 30 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

func (a *api) close() { a.pages.CloseIdleConnections() }

// refusal is an answer of the server that is no success.
type refusal struct {
	status int
	reason string
}

func (r refusal) Error() string { return fmt.Sprintf("the server answers %d %s", r.status, r.reason) }

// call posts body and decodes the answer into out, which may be nil. It returns how
// long the exchange took, to the last byte.
func (a *api) call(ctx context.Context, path, key string, body []byte, out any) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	took := time.Since(began)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return took, err
	}
	if resp.StatusCode != http.StatusOK {
		return took, refusalOf(resp.StatusCode, text)
	}
	if out == nil {
		return took, nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return took, fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return took, nil
}

func refusalOf(status int, text []byte) refusal {
	var body struct {
		Details []struct {
			Reason string `json:"reason"`
		} `json:"details"`
	}
	r := refusal{status: status, reason: strconv.Itoa(status)}
	if json.Unmarshal(text, &body) == nil && len(body.Details) > 0 {
		r.reason = body.Details[0].Reason
	}
	return r
}

// tenant is one that the load test made.
type tenant struct {
	id, key string
}

func (a *api) makeTenants(ctx context.Context, platformKey string, n int) ([]tenant, error) {
	run := strings.ToLower(rand.Text()[:10])
	tenants := make([]tenant, 0, n)
	for i := range n {
		body, err := json.Marshal(map[string]any{
			"slug": fmt.Sprintf("load-%s-%d", run, i), "name": fmt.Sprintf("Load test %d", i),
			"mode": "TEST", "rpId": rpID, "origins": []string{origin},
		})
		if err != nil {
			return tenants, err
		}
		var made struct {
			Tenant struct {
				ID string `json:"id"`
			} `json:"tenant"`
			SecretKey string `json:"secretKey"`
		}
		if _, err := a.call(ctx, "/admin/v1/tenants", platformKey, body, &made); err != nil {
			return tenants, fmt.Errorf("make a tenant: %w", err)
		}
		tenants = append(tenants, tenant{made.Tenant.ID, made.SecretKey})
	}
	return tenants, nil
}

// suspendTenants leaves no keys behind that work.
func (a *api) suspendTenants(ctx context.Context, platformKey string, tenants []tenant) error {
	for _, t := range tenants {
		if _, err := a.call(ctx, "/admin/v1/tenants/"+t.id+":suspend", platformKey, []byte(`{"reason":"load test is over"}`), nil); err != nil {
			return fmt.Errorf("suspend a tenant: %w", err)
		}
	}
	return nil
}

// enrolling is how many registrations run at once.
const enrolling = 8

func (a *api) enroll(ctx context.Context, tenants []tenant, n int) ([]person, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	people := make([]person, n)
	var next atomic.Int64
	var working sync.WaitGroup
	for range enrolling {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				var err error
				if people[i], err = a.register(ctx, tenants[i%len(tenants)].key, i); err != nil {
					cancel(fmt.Errorf("enroll user %d: %w", i, err))
				}
			}
		})
	}
	working.Wait()
	return people, context.Cause(ctx)
}

func (a *api) register(ctx context.Context, key string, i int) (person, error) {
	authenticator, err := authenticatortest.New(authenticatortest.Options{})
	if err != nil {
		return person{}, err
	}
	name := "user" + strconv.Itoa(i)
	var begun struct {
		RegistrationID string          `json:"registrationId"`
		Options        json.RawMessage `json:"options"`
	}
	body := []byte(`{"user":{"externalId":"` + name + `","name":"` + name + `"}}`)
	if _, err := a.call(ctx, "/v1/registrations:begin", key, body, &begun); err != nil {
		return person{}, err
	}
	credential, err := authenticator.Create(begun.Options, origin)
	if err != nil {
		return person{}, err
	}
	body, err = json.Marshal(map[string]any{"registrationId": begun.RegistrationID, "credential": credential})
	if err != nil {
		return person{}, err
	}
	_, err = a.call(ctx, "/v1/registrations:finish", key, body, nil)
	return person{key: key, authenticator: authenticator}, err
}

// signIn is one discoverable sign-in.
func (a *api) signIn(ctx context.Context, p person) (sample, error) {
	var begun struct {
		AuthenticationID string          `json:"authenticationId"`
		Options          json.RawMessage `json:"options"`
	}
	begin, err := a.call(ctx, "/v1/authentications:begin", p.key, []byte(`{}`), &begun)
	if err != nil {
		return sample{}, err
	}
	credential, err := p.authenticator.Get(begun.Options, origin)
	if err != nil {
		return sample{}, err
	}
	signed, err := credential.MarshalJSON()
	if err != nil {
		return sample{}, err
	}
	body := append(make([]byte, 0, 64+len(begun.AuthenticationID)+len(signed)), `{"authenticationId":"`...)
	body = append(body, begun.AuthenticationID...)
	body = append(body, `","credential":`...)
	body = append(append(body, signed...), '}')
	var done struct {
		Decision string `json:"decision"`
		Session  struct {
			AccessToken string `json:"accessToken"`
		} `json:"session"`
	}
	finish, err := a.call(ctx, "/v1/authentications:finish", p.key, body, &done)
	if err != nil {
		return sample{}, err
	}
	if done.Decision != "ALLOW" || done.Session.AccessToken == "" {
		return sample{}, refusal{http.StatusOK, "decision " + done.Decision}
	}
	return sample{micros(begin), micros(finish)}, nil
}

func micros(d time.Duration) uint32 {
	return uint32(min(d.Microseconds(), math.MaxUint32)) //nolint:gosec // bounded on this line
}
