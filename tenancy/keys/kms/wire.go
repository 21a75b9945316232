package kms

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// maxAnswer bounds what is read of an answer: a wrapped key or a public key fits a
// hundred times.
const maxAnswer = 1 << 20

// newClient returns a client for one KMS. roots nil means the system's. It follows no
// redirect: the header with the token would go along, whoever is on the other side.
func newClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: firstTime, KeepAlive: 30 * time.Second}).DialContext,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout: firstTime,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 8,
			IdleConnTimeout:     90 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is what a KMS said by HTTP.
type answer struct {
	status int
	body   []byte
}

// read decodes the answer. One that cannot be read is no answer: a proxy's page, say.
func (a answer) read(into any) error {
	if err := json.Unmarshal(a.body, into); err != nil {
		return unavailable(fmt.Errorf("an answer of %d bytes, status %d, that is no JSON", len(a.body), a.status))
	}
	return nil
}

// exchange sends in as JSON (nil for no body) and reads the answer, whatever its
// status. No answer, and those statuses that speak of the server and not of the
// request (5xx, 408, 429), are keys.ErrKMSUnavailable.
func exchange(ctx context.Context, client *http.Client, method, url string, header http.Header, in any) (answer, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return answer{}, fmt.Errorf("write KMS request: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return answer{}, fmt.Errorf("make KMS request: %w", err)
	}
	if header != nil {
		req.Header = header.Clone()
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, noAnswer(ctx, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, noAnswer(ctx, err)
	}
	a := answer{status: resp.StatusCode, body: raw}
	switch {
	case a.status >= 500 || a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout:
		return a, unavailable(fmt.Errorf("status %d: %s", a.status, raw))
	case a.status >= 300 && a.status < 400:
		return a, fmt.Errorf("the KMS answers with a redirect (status %d), which is not followed: name the server itself", a.status)
	}
	return a, nil
}

// noAnswer tells a caller who has gone from a KMS that is.
func noAnswer(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("ask the KMS: %w", context.Canceled)
	}
	return unavailable(err)
}

// endpoint parses the address of a KMS: https, or http to this machine (a Vault
// agent, a proxy), without credentials.
func endpoint(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Fragment != "" {
		return nil, errors.New("the KMS's address is not https://host[:port]")
	}
	if u.User != nil {
		return nil, errors.New("a KMS's address holds no credentials")
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, errors.New("the KMS's address is not https:// (http:// to this machine alone)")
	}
	return u, nil
}

// options reads the part of a KMS URL after "?": those known, each once.
func options(query string, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("the options of the KMS URL cannot be read")
	}
	out := make(map[string]string, len(values))
	for name, given := range values {
		ok := false
		for _, k := range known {
			ok = ok || k == name
		}
		if !ok || len(given) != 1 {
			return nil, fmt.Errorf("the KMS URL has an option %q that is unknown or given twice; known: %s",
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
	text := strings.TrimRight(string(raw), " \t\r\n")
	if text == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

// rootsFrom reads PEM certificates; path "" means the system's.
func rootsFrom(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // nil is how crypto/tls spells the system's
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the KMS's CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s holds no PEM certificate", path)
	}
	return pool, nil
}
