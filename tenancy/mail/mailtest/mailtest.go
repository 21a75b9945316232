// Package mailtest is a mail server for tests, over loopback.
package mailtest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mail is what a client handed over.
type Mail struct {
	From, To string // of the envelope
	Data     string // as it came, with its dots undone
	TLS      bool
	User     string
}

// Server is one. It is safe for concurrent use.
type Server struct {
	Host  string // host:port
	Roots *x509.CertPool
	Mails chan Mail // takes a hundred

	cert     tls.Certificate
	implicit bool

	mu      sync.Mutex
	refuse  int  // the answer to RCPT; 0: take it
	noTLS   bool // offer no STARTTLS
	refused int
}

// New starts a server that offers STARTTLS, until the test ends.
func New(t testing.TB) *Server {
	t.Helper()
	return start(t, false)
}

// NewImplicit is New for one that speaks TLS at once.
func NewImplicit(t testing.TB) *Server {
	t.Helper()
	return start(t, true)
}

func start(t testing.TB, implicit bool) *Server {
	t.Helper()
	s := &Server{Mails: make(chan Mail, 100), implicit: implicit, Roots: x509.NewCertPool()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailtest"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s.Roots.AddCert(leaf)
	s.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Host = l.Addr().String()
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		done.Wait()
	})
	return s
}

// Refuse makes the server answer RCPT with a code, 0 with a welcome.
func (s *Server) Refuse(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = code
}

// Refused is how often it did.
func (s *Server) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// OfferNoTLS makes it one that does not know STARTTLS.
func (s *Server) OfferNoTLS() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noTLS = true
}

// Receive returns the next mail.
func (s *Server) Receive(t testing.TB) Mail {
	t.Helper()
	select {
	case m := <-s.Mails:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("no mail came")
		panic("unreachable")
	}
}

func (s *Server) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	m := Mail{}
	if s.implicit {
		conn, m.TLS = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12}), true
	}
	in := bufio.NewReader(conn)
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 mailtest")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-mailtest")
			s.mu.Lock()
			if !s.noTLS && !m.TLS {
				say("250-STARTTLS")
			}
			s.mu.Unlock()
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go on")
			conn, m.TLS = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12}), true
			in = bufio.NewReader(conn)
		case "AUTH":
			_, token, _ := strings.Cut(rest, " ")
			raw, _ := base64.StdEncoding.DecodeString(token)
			m.User = strings.ReplaceAll(strings.TrimPrefix(string(raw), "\x00"), "\x00", "/")
			if strings.HasSuffix(m.User, "/wrong") {
				say("535 no")
				continue
			}
			say("235 welcome")
		case "MAIL":
			m.From = rest
			say("250 ok")
		case "RCPT":
			s.mu.Lock()
			code := s.refuse
			if code != 0 {
				s.refused++
			}
			s.mu.Unlock()
			if code != 0 {
				say("%d %s: not here", code, rest)
				continue
			}
			m.To = rest
			say("250 ok")
		case "DATA":
			say("354 go on")
			var data strings.Builder
			for {
				part, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if part == ".\r\n" {
					break
				}
				data.WriteString(strings.TrimPrefix(part, "."))
			}
			m.Data = data.String()
			s.Mails <- m
			say("250 taken")
		case "NOOP":
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("502 what")
		}
	}
}
