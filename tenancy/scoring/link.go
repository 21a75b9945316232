package scoring

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/fetch"
)

// maxAnswer is how much of an answer is read. ThreatMetrix answers with all it knows of a device, in some ten kilobytes.
const maxAnswer = 256 << 10

// link is https to one service.
type link struct {
	http *http.Client
	base string
}

// request is one question.
type request struct {
	path   string
	header http.Header
	body   []byte
}

// newLink follows no redirect, asks no proxy, and looks at the address whenever it dials (threat model: SSRF).
func newLink(o *Options) *link {
	pool := o.Roots
	if o.Config.CACertificates != "" {
		pool = roots(o.Config.CACertificates)
	}
	return &link{base: strings.TrimRight(o.Config.Address, "/"), http: &http.Client{
		Transport: &http.Transport{
			DialContext: fetch.NewDialer(o.Allowed, o.Resolver, o.Config.Timeout()).DialContext, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: 16 << 10, MaxConnsPerHost: maxAtOnce, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second,
			DisableCompression: true, // a small answer must not become a large one
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// post asks, and returns the body of 200 or 201. Its errors are ScoreErrors.
func (l *link) post(ctx context.Context, q request) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.base+q.path, bytes.NewReader(q.body))
	if err != nil {
		return nil, &ScoreError{Unexpected, "the risk provider's address cannot be asked"}
	}
	req.Header = q.header
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "biocore")
	res, err := l.http.Do(req)
	if err != nil {
		return nil, explain(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden:
		return nil, &ScoreError{Refused, "the risk provider does not take the credential: it answers " + strconv.Itoa(res.StatusCode)}
	case res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated:
		return nil, &ScoreError{Unexpected, "the risk provider answers with status " + strconv.Itoa(res.StatusCode)}
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil {
		// Hanging up makes the other side end its answer, and that end may still be read: it says nothing.
		err = ctx.Err()
	}
	switch {
	case err != nil:
		return nil, explain(ctx, err)
	case len(body) > maxAnswer:
		return nil, &ScoreError{Malformed, "the risk provider's answer is larger than 256 KiB"}
	}
	return body, nil
}

// explain says in our own words what went wrong on the way: the library's may hold addresses of the network that this server stands
// in.
func explain(ctx context.Context, err error) error {
	var dns *net.DNSError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var slow net.Error
	switch {
	case errors.Is(err, fetch.ErrForbiddenAddress):
		return &ScoreError{Forbidden, "the risk provider's address is not of the public Internet, and of no network that this installation allows"}
	case errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert):
		return &ScoreError{Untrusted, "the risk provider's certificate does not come from whom it should, or is not for this name"}
	case ctx.Err() != nil, errors.As(err, &slow) && slow.Timeout():
		return &ScoreError{TimedOut, "the risk provider did not answer in time"}
	case errors.As(err, &dns):
		return &ScoreError{Unreachable, "the name of the risk provider does not resolve"}
	}
	return &ScoreError{Unreachable, "the connection to the risk provider broke or was refused"}
}
