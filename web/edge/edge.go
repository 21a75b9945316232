// Package edge is where requests arrive: listeners, limits, addresses, headers,
// the request log, and all routes on one screen (routes.go).
//
// It knows nothing of tenants. What it learns of a request (address, user agent,
// request id) travels as a scope.Origin, and who is behind the request is the
// business of web/rpc.
package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits on a connection, chosen against slow and greedy clients. A request is at
// most 64 KiB, so 10 s of reading is generous on any real network; a handler that
// needs longer than 15 s to write is stuck or streams (streams lift it themselves).
const (
	maxBodyBytes      = 64 << 10
	maxFileBytes      = 5 << 20 // that a form of the console has, with the form around it
	frameBytes        = 5       // gRPC's around a message, which may itself have maxBodyBytes
	maxHeaderBytes    = 32 << 10
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = 120 * time.Second
	// maxConcurrentStreams bounds one HTTP/2 connection; rapid resets are bounded by
	// the runtime's own count (CVE-2023-44487).
	maxConcurrentStreams = 250
	// requestTimeout bounds every call that is not a stream: what has not been done
	// by then has been given up by the client.
	requestTimeout = 10 * time.Second
)

// Server is one listener. Listen, then Serve; Shutdown drains.
type Server struct {
	http *http.Server
	ln   net.Listener
	tls  bool
}

// ServerOptions configures a Server.
type ServerOptions struct {
	TLS *tls.Config // nil: plain HTTP with h2c, for use behind a proxy
	Log *slog.Logger
}

// Listen opens address ("host:port"; port 0 picks a free one) and answers nothing
// until Serve.
func Listen(ctx context.Context, address string, o ServerOptions) (*Server, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(o.TLS != nil)
	protocols.SetUnencryptedHTTP2(o.TLS == nil) // gRPC without TLS
	return &Server{
		ln:  ln,
		tls: o.TLS != nil,
		http: &http.Server{
			TLSConfig: o.TLS, Protocols: protocols,
			ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
			MaxHeaderBytes: maxHeaderBytes,
			HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: maxConcurrentStreams},
			ErrorLog:       slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug), // TLS handshakes that scanners break off
		},
	}, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() *net.TCPAddr {
	a, _ := s.ln.Addr().(*net.TCPAddr)
	return a
}

// Serve answers requests with h until Shutdown; it then returns nil. Connections
// that came since Listen have waited.
func (s *Server) Serve(h http.Handler) error {
	s.http.Handler = h
	var err error
	if s.tls {
		err = s.http.ServeTLS(s.ln, "", "")
	} else {
		err = s.http.Serve(s.ln)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown refuses new connections and waits for the requests in flight, at most
// until ctx ends; what is left then is cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}
