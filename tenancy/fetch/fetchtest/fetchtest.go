// Package fetchtest is an Internet for tests, on this machine: a name server and a web
// server for https with certificates of its own authority.
package fetchtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/biocore-id/biocore/tenancy/fetch"
)

// Internet answers for names that a test gives it. All others do not exist. It is safe for
// concurrent use.
type Internet struct {
	DNS  string // host:port of the name server, over UDP
	Port uint16 // of the web server, on 127.0.0.1

	ca    *x509.Certificate
	key   *ecdsa.PrivateKey
	mu    sync.Mutex
	txt   map[string][]string
	hosts map[string]netip.Addr
	pages map[string]http.HandlerFunc
	down  bool
}

// New starts one, until the test ends.
func New(t testing.TB) *Internet {
	t.Helper()
	i := &Internet{txt: map[string][]string{}, hosts: map[string]netip.Addr{}, pages: map[string]http.HandlerFunc{}}
	i.authority(t)
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("fetchtest: %v", err)
	}
	i.DNS = conn.LocalAddr().String()
	var done sync.WaitGroup
	done.Go(func() { i.serveDNS(conn) })
	server := httptest.NewUnstartedServer(http.HandlerFunc(i.page))
	server.TLS = &tls.Config{GetCertificate: i.certificate}
	server.Config.ErrorLog = nil
	server.StartTLS()
	if at, ok := server.Listener.Addr().(*net.TCPAddr); ok {
		i.Port = at.AddrPort().Port()
	}
	t.Cleanup(func() {
		server.Close()
		_ = conn.Close()
		done.Wait()
	})
	return i
}

// TXT gives a name these TXT records and no others; none: the name does not exist.
func (i *Internet) TXT(name string, records ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.txt[name] = records
}

// Page answers https://host<path> by fn, and gives the host the web server's address.
func (i *Internet) Page(host, path string, fn http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hosts[host] = netip.MustParseAddr("127.0.0.1")
	i.pages[host+path] = fn
}

// Host gives a host an address.
func (i *Internet) Host(host, address string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hosts[host] = netip.MustParseAddr(address)
}

// Down makes the name server answer that it has failed, or work again.
func (i *Internet) Down(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Text is a page of plain text.
func Text(body string) http.HandlerFunc { return As("text/plain", body) }

// As is a page of a content type.
func As(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(body))
	}
}

// Resolver asks this Internet's name server.
func (i *Internet) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", i.DNS)
	}}
}

// Options fetch from this Internet, of which nothing is public: Allowed has its address.
func (i *Internet) Options() fetch.Options {
	roots := x509.NewCertPool()
	roots.AddCert(i.ca)
	return fetch.Options{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Resolver: i.Resolver(), Roots: roots, Port: i.Port}
}

// CA is the certificate of this Internet's authority, in PEM.
func (i *Internet) CA() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.ca.Raw}))
}

// TLS is what other servers of this Internet speak TLS with.
func (i *Internet) TLS() *tls.Config {
	return &tls.Config{GetCertificate: i.certificate, MinVersion: tls.VersionTLS12}
}

func (i *Internet) page(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.Host)
	i.mu.Lock()
	fn := i.pages[host+r.URL.Path]
	i.mu.Unlock()
	if fn == nil {
		http.NotFound(w, r)
		return
	}
	fn(w, r)
}

func (i *Internet) serveDNS(conn net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var q dnsmessage.Message
		if q.Unpack(buf[:n]) != nil || len(q.Questions) != 1 {
			continue
		}
		q.Response, q.Authoritative, q.Additionals = true, true, nil
		i.answer(&q)
		if out, err := q.Pack(); err == nil {
			_, _ = conn.WriteTo(out, from)
		}
	}
}

func (i *Internet) answer(m *dnsmessage.Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	q := m.Questions[0]
	name := strings.TrimSuffix(q.Name.String(), ".")
	address, isHost := i.hosts[name]
	records := i.txt[name]
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
	switch {
	case i.down:
		m.RCode = dnsmessage.RCodeServerFailure
	case !isHost && len(records) == 0:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeTXT:
		for _, r := range records {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.TXTResource{TXT: []string{r}}})
		}
	case q.Type == dnsmessage.TypeA && isHost && address.Is4():
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: address.As4()}})
	case q.Type == dnsmessage.TypeAAAA && isHost && address.Is6():
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}})
	}
}

func (i *Internet) authority(t testing.TB) {
	t.Helper()
	var err error
	if i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatalf("fetchtest: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fetchtest"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, i.key.Public(), i.key)
	if err != nil {
		t.Fatalf("fetchtest: %v", err)
	}
	if i.ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatalf("fetchtest: %v", err)
	}
}

// certificate signs one for whichever name is asked: but for those that begin with
// "untrusted.", which get another's.
func (i *Internet) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hello.ServerName
	if strings.HasPrefix(name, "untrusted.") {
		name = "elsewhere.example"
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.ca, i.key.Public(), i.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: i.key}, nil
}
