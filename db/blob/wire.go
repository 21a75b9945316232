package blob

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// newClient follows no redirect: what authorises the request would go along, whoever is
// on the other side.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: 3 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 8,
			IdleConnTimeout:     90 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// maxRefusal bounds what is read of an error's text.
const maxRefusal = 4 << 10

// answer is what a service said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// refusal is a service's own answer that it will not.
func (a answer) refusal() error {
	return fmt.Errorf("object storage refuses (status %d): %s", a.status, a.body)
}

// exchange sends req with body (nil for none) and reads the first most bytes of the answer.
func exchange(client *http.Client, req *http.Request, body []byte, most int64) (answer, error) {
	if len(body) > 0 { // with none, no body at all: only then the client says that its length is 0
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	resp, err := client.Do(req)
	if err != nil {
		// A *url.Error tells the whole address, and with it a signature in its query.
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err
		}
		return answer{}, fmt.Errorf("%w: %w", errSilent, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		most = maxRefusal
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errSilent, err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: raw}
	switch {
	case a.status >= 500 || a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout:
		return a, fmt.Errorf("%w: status %d: %s", errSilent, a.status, raw)
	case a.status >= 300 && a.status < 400:
		return a, fmt.Errorf("object storage answers with a redirect (status %d), which is not followed: is the region or the endpoint right?", a.status)
	}
	return a, nil
}

func newRequest(ctx context.Context, method, address string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, http.NoBody) //nolint:gosec // the operator's own endpoint
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	return req, nil
}

// endpoint parses the address of a service: https, or http to this machine.
func endpoint(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the endpoint of object storage is not https://host[:port]")
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, errors.New("the endpoint of object storage is not https:// (http:// to this machine alone)")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

// options reads the part of a URL after "?": those known, each once.
func options(u *url.URL, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the options of the object storage URL cannot be read")
	}
	out := make(map[string]string, len(values))
	for name, given := range values {
		if !slices.Contains(known, name) || len(given) != 1 {
			return nil, fmt.Errorf("the object storage URL has an option %q that is unknown or given twice; known: %s",
				printable(name), strings.Join(known, ", "))
		}
		out[name] = given[0]
	}
	return out, nil
}

// secretFile reads a file that holds a secret, without the white space at its end.
func secretFile(path string) (string, error) {
	raw, err := secret.ReadFile(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}
