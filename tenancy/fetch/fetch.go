// Package fetch reads small documents at addresses that customers name, and nothing of
// the network that this server stands in (threat model: SSRF).
//
// It speaks https to one port, checks certificates, follows no redirect, sends no cookie
// and nothing of ours, reads a bounded answer in bounded time, and looks at the address
// when it dials: after DNS, so that a name which resolves otherwise the second time gains
// nothing. Addresses that are not of the public Internet are refused unless the operator
// allows them.
package fetch

import (
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
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Bounds of one document.
const (
	// MaxBytes is how much of a document is read. Lists of related origins and of apps
	// have a few kilobytes; browsers stop at 128.
	MaxBytes = 128 << 10
	// timeout is for the whole of it: somebody waits at a page.
	timeout = 8 * time.Second
	// maxAtOnce bounds what one server fetches at a time, for all tenants together, and
	// maxOfDomain of it from one registrable domain: whoever answers slowly, or under many
	// names, holds nobody else up.
	maxAtOnce   = 32
	maxOfDomain = 4
)

// What goes wrong, for people: each text is whole, and holds nothing that the far side sent.
var (
	ErrForbiddenAddress = errors.New("the domain resolves to an address that is not of the public Internet")
	ErrNoAddress        = errors.New("the domain does not resolve")
	ErrCertificate      = errors.New("the certificate is not one that browsers would take")
	ErrTooLarge         = errors.New("the document is larger than 128 KiB")
	ErrTimeout          = errors.New("there was no answer within 8 seconds")
	ErrUnreachable      = errors.New("nobody answers over https on port 443")
	ErrBusy             = errors.New("this server is fetching as much as it may: ask again in a moment")
)

// Options configures a Client.
type Options struct {
	// Allowed are networks that may be asked although they are not of the public Internet.
	Allowed []netip.Prefix
	// Resolver finds addresses; nil means the system's.
	Resolver *net.Resolver
	// Roots are who certificates must come from; nil means the system's.
	Roots *x509.CertPool
	// Port is where https is asked; 0 means 443. Tests have another.
	Port uint16
}

// Client fetches. It is safe for concurrent use.
type Client struct {
	http  *http.Client
	port  uint16
	slots chan struct{}

	mu   sync.Mutex
	busy map[string]int // by registrable domain
}

// New returns a Client.
func New(o Options) *Client {
	if o.Port == 0 {
		o.Port = 443
	}
	dialer := newDialer(o.Allowed, o.Resolver, timeout, o.Port)
	return &Client{
		port: o.Port, slots: make(chan struct{}, maxAtOnce), busy: map[string]int{},
		http: &http.Client{
			Timeout: timeout,
			// No Proxy: the environment's would be asked by name, past the look at the address.
			Transport: &http.Transport{
				DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
				DisableKeepAlives: true, TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: 16 << 10,
				DisableCompression: true, // a small answer must not become a large one
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// NewDialer returns what dials servers that customers name, on any port of the public Internet and of
// the allowed networks, and nothing else: what is dialed otherwise fails with ErrForbiddenAddress.
func NewDialer(allowed []netip.Prefix, resolver *net.Resolver, timeout time.Duration) *net.Dialer {
	return newDialer(allowed, resolver, timeout, 0)
}

// newDialer looks at each address when it dials, after DNS. port 0: any.
func newDialer(allowed []netip.Prefix, resolver *net.Resolver, timeout time.Duration, port uint16) *net.Dialer {
	return &net.Dialer{
		Timeout: timeout, Resolver: resolver, KeepAlive: -1,
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || !strings.HasPrefix(network, "tcp") || port != 0 && at.Port() != port || !MayAsk(at.Addr(), allowed) {
				return ErrForbiddenAddress
			}
			return nil
		},
	}
}

// take takes a place for host, if there is one.
func (c *Client) take(host string) (done func(), ok bool) {
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		domain = host
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[domain] >= maxOfDomain {
		return nil, false
	}
	select {
	case c.slots <- struct{}{}:
	default:
		return nil, false
	}
	c.busy[domain]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.busy[domain]--; c.busy[domain] == 0 {
			delete(c.busy, domain)
		}
		<-c.slots
	}, true
}

// Document is what an address answered.
type Document struct {
	Status      int
	ContentType string // as it was sent
	Location    string // where a redirect points; it is not followed
	Body        []byte // at most MaxBytes
}

// Get asks https://host<path>. host is a domain as rp.CheckDomain takes it, path begins with
// a slash. An answer of any status is one. The errors of this package; the context's.
func (c *Client) Get(ctx context.Context, host, path string) (Document, error) {
	done, ok := c.take(host)
	if !ok {
		return Document{}, ErrBusy
	}
	defer done()
	at := host
	if c.port != 443 {
		at = net.JoinHostPort(host, strconv.Itoa(int(c.port)))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+at+path, nil)
	if err != nil {
		return Document{}, fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("User-Agent", "biocore")
	req.Header.Set("Accept", "*/*")
	res, err := c.http.Do(req)
	if err != nil {
		return Document{}, explain(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	doc := Document{Status: res.StatusCode, ContentType: res.Header.Get("Content-Type"), Location: res.Header.Get("Location")}
	if doc.Body, err = io.ReadAll(io.LimitReader(res.Body, MaxBytes+1)); err != nil {
		return Document{}, explain(ctx, err)
	}
	if len(doc.Body) > MaxBytes {
		return Document{}, ErrTooLarge
	}
	return doc, nil
}

// explain says in one of our own texts what went wrong: the library's may hold addresses of
// the network that this server stands in.
func explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var broken x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var slow net.Error
	switch {
	case errors.Is(err, ErrForbiddenAddress):
		return ErrForbiddenAddress
	case errors.As(err, &dns) && !dns.IsTimeout:
		return ErrNoAddress
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &broken), errors.As(err, &verify):
		return ErrCertificate
	case errors.As(err, &slow) && slow.Timeout():
		return ErrTimeout
	}
	return ErrUnreachable
}
