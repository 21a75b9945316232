package siem

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/fetch"
)

// Bounds of what is sent at once, and of what is read of an answer.
const (
	maxBatch      = 500
	maxBatchBytes = 1 << 20
	maxAnswer     = 64 << 10
	maxBulkAnswer = 4 << 20 // an item of _bulk tells some hundred bytes
)

// SinkError is why a sink has not taken what was sent, in our own words: what the library says may hold
// addresses of the network that this server stands in.
type SinkError struct {
	Text string

	retryAfter time.Duration // the sink asks for; 0: does not say
	tooLarge   bool          // fewer at once may be taken
}

func (f *SinkError) Error() string { return f.Text }

func failure(format string, args ...any) *SinkError {
	return &SinkError{Text: fmt.Sprintf(format, args...)}
}

// target is a sink as it is spoken to.
type target struct {
	Config

	id         uuid.UUID
	tenant     uuid.UUID
	version    int32
	credential string
}

// sender speaks to one sink. send answers for the whole batch, or which of it the sink will never take,
// by its place in the batch; after an error nothing is known, and the batch is sent again.
type sender interface {
	send(ctx context.Context, batch []message) (rejects map[int]string, err error)
	close()
}

// wire makes senders.
type wire struct {
	allowed  []netip.Prefix
	resolver *net.Resolver
	roots    *x509.CertPool
	host     string
	now      func() time.Time
	timing   *timing
}

func (w *wire) open(t *target) sender {
	switch t.Kind {
	case Splunk:
		return &splunkSender{link: w.link(t, maxAnswer)}
	case Elasticsearch:
		return &elasticSender{link: w.link(t, maxBulkAnswer)}
	case Syslog:
		return &syslogSender{wire: w, target: t}
	case HTTPS:
	}
	return &httpsSender{link: w.link(t, maxAnswer)}
}

func (w *wire) tlsConfig(t *target) *tls.Config {
	roots := w.roots
	if t.CACertificates != "" {
		roots = x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(t.CACertificates))
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// link is https to one server.
type link struct {
	*wire
	*target

	http *http.Client
	most int64 // bytes of an answer
}

// link follows no redirect, asks no proxy, and looks at the address whenever it dials.
func (w *wire) link(t *target, most int64) *link {
	return &link{wire: w, target: t, most: most, http: &http.Client{
		Transport: &http.Transport{
			DialContext: fetch.NewDialer(w.allowed, w.resolver, w.timing.dial).DialContext, TLSClientConfig: w.tlsConfig(t),
			TLSHandshakeTimeout: w.timing.dial, MaxResponseHeaderBytes: 16 << 10, MaxConnsPerHost: 1, IdleConnTimeout: w.timing.turn,
			DisableCompression: true, // a small answer must not become a large one
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (l *link) close() { l.http.CloseIdleConnections() }

// answer is what a server said.
type answer struct {
	status int
	body   []byte
}

// post sends a body and reads the answer, of 2xx alone: anything else is a SinkError.
func (l *link) post(outer context.Context, url string, body []byte, header http.Header) (answer, error) {
	ctx, cancel := context.WithTimeout(outer, l.timing.dial+l.timing.answer)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("make a request: %w", err)
	}
	req.Header = header
	req.Header.Set("User-Agent", "biocore")
	res, err := l.http.Do(req)
	if err != nil {
		return answer{}, explain(outer, err)
	}
	defer func() { _ = res.Body.Close() }()
	a := answer{status: res.StatusCode}
	a.body, err = io.ReadAll(io.LimitReader(res.Body, l.most+1))
	if err == nil {
		// Hanging up makes the other side end its answer, and that end may still be read: it says nothing.
		err = ctx.Err()
	}
	if err != nil {
		return answer{}, explain(outer, err)
	}
	switch {
	case int64(len(a.body)) > l.most:
		return answer{}, failure("the sink's answer is larger than %d KiB", l.most>>10)
	case a.status >= 300 && a.status < 400:
		return answer{}, failure("the sink answered %s: redirects are not followed, so name the address that it points to", statusText(a.status))
	case a.status < 200 || a.status >= 300:
		f := failure("the sink answered %s", statusText(a.status))
		f.tooLarge = a.status == http.StatusRequestEntityTooLarge
		if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
			f.retryAfter = time.Duration(min(s, 3600)) * time.Second
		}
		return a, f
	}
	return a, nil
}

func statusText(code int) string {
	if text := http.StatusText(code); text != "" {
		return strconv.Itoa(code) + " " + text
	}
	return strconv.Itoa(code)
}

// zipped is a body under gzip.
func zipped(body []byte) ([]byte, error) {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(body); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return buf.Bytes(), nil
}

// explain says in our own words what went wrong on the way.
func explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if said, ok := errors.AsType[*SinkError](err); ok {
		return said
	}
	var dns *net.DNSError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var slow net.Error
	switch {
	case errors.Is(err, fetch.ErrForbiddenAddress):
		return failure("the address is not of the public Internet, and of no network that this installation allows")
	case errors.As(err, &dns) && !dns.IsTimeout:
		return failure("the name of the sink does not resolve")
	case errors.As(err, &verify):
		return failure("the sink's certificate does not come from whom the stream trusts, or is not for this name")
	case errors.As(err, &record), errors.As(err, &alert):
		return failure("the sink does not speak TLS as we do")
	case errors.As(err, &slow) && slow.Timeout(): // the context's deadline is one too
		return failure("the sink did not answer in time")
	}
	return failure("the connection to the sink broke or was refused")
}
