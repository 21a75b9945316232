// Package rest serves the methods of a connect.Server as REST, by their
// google.api.http annotations.
//
// It is a transport like Connect's own: New compiles a routing table from
// Server.Specs, and each request becomes one Server.Call, so interceptors and
// handlers cannot tell REST from gRPC. They run before the body is read, and a
// caller they refuse costs no decoding. Where to look:
//
//	template.go, router.go   from annotations to routes, from paths to routes
//	call.go                  one request as a connect.ServerStream
//	bind.go                  path variables and query parameters into messages
//	codec.go                 JSON in and out, for Connect's JSON calls as well
//	scan.go                  the grammar, and what we refuse beyond it
//	hot_*.go                 the two calls of a sign-in, without reflection
//	errors.go                errors as API.md spells them, and HTTP statuses
//
// Server streams are not served yet: New refuses a streaming method that has an
// annotation. They will be a second connect.ServerStream beside call, chosen by
// the route.
package rest

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"connectrpc.com/connect/v2"
)

// DefaultMaxBodyBytes bounds a request body: 64 KiB. An attestation object with
// its certificates is some 6 KiB in base64url, the largest known some 20.
const DefaultMaxBodyBytes = 64 << 10

// Protocol is what CallInfo.Protocol says of a call that came by REST.
const Protocol = "rest"

// Options configures a Handler. The zero value is usable.
type Options struct {
	// MaxBodyBytes bounds a request body, in bytes; DefaultMaxBodyBytes if 0.
	MaxBodyBytes int
}

// Handler serves REST. It is safe for concurrent use.
type Handler struct {
	server       *connect.Server
	router       router
	routes       []Route
	maxBodyBytes int
}

// Route is one line of the routing table.
type Route struct {
	Method    string // HTTP method
	Path      string // template, as in the annotation
	Procedure string // "/package.Service/Method"
}

// New compiles the routes of server's methods. All services must have been
// registered before. Methods without an annotation have no route. An annotation
// that cannot be served, or two that claim the same calls, is an error.
func New(server *connect.Server, opts Options) (*Handler, error) {
	h := &Handler{server: server, maxBodyBytes: opts.MaxBodyBytes}
	if h.maxBodyBytes < 0 {
		return nil, fmt.Errorf("rest: Options.MaxBodyBytes is %d", opts.MaxBodyBytes)
	}
	if h.maxBodyBytes == 0 {
		h.maxBodyBytes = DefaultMaxBodyBytes
	}
	for spec := range server.Specs() {
		routes, err := compile(spec)
		if err != nil {
			return nil, fmt.Errorf("rest: %s: %w", spec.Procedure, err)
		}
		for _, r := range routes {
			if err := h.router.add(r); err != nil {
				return nil, fmt.Errorf("rest: %s: %w", spec.Procedure, err)
			}
			h.routes = append(h.routes, Route{Method: r.method, Path: r.template.String(), Procedure: spec.Procedure})
		}
	}
	return h, nil
}

// Routes returns the routing table in the order of registration.
func (h *Handler) Routes() []Route { return append([]Route(nil), h.routes...) }

// ServeHTTP answers one request: a JSON message with 200, or an error.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var values pathValues
	leaf := h.router.find(r.URL.EscapedPath(), &values)
	if leaf == nil {
		writeRefusal(w, r, refusal{status: http.StatusNotFound, code: connect.CodeNotFound, fault: errRouteUnknown})
		return
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http drops the body of the answer
	}
	rt := leaf.byMethod[method]
	if rt == nil {
		w.Header().Set("Allow", leaf.allow)
		writeRefusal(w, r, refusal{status: http.StatusMethodNotAllowed, code: connect.CodeUnimplemented, fault: ErrMethodNotAllowed})
		return
	}

	c := newCall(h, rt, r, values)
	defer c.release()
	err := h.server.Call(r.Context(), rt.spec.Procedure, &c.info, c)
	if err == nil && !c.sent {
		err = connect.NewError(connect.CodeInternal, "internal error")
	}
	maps.Insert(w.Header(), c.info.ResponseHeader().All())
	if err != nil {
		writeError(w, r, err)
		return
	}
	c.answer(w)
}

// answer writes the encoded message: one Write, whole.
func (c *call) answer(w http.ResponseWriter) {
	header := w.Header()
	if c.etag != "" {
		header.Set("ETag", strconv.Quote(c.etag))
		if c.route.method == http.MethodGet && noneMatch(c.request.Header.Get("If-None-Match"), c.etag) {
			noStore(header)
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	writeJSON(w, http.StatusOK, c.out.bytes)
}

// writeJSON sends body as it is.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header["Content-Type"] = jsonContentType
	noStore(header)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON with nosniff is no page; and a client that has gone cannot be told
}

// Values of headers that every answer carries, made once.
var (
	jsonContentType = []string{"application/json"}
	cacheNoStore    = []string{"no-store"}
)

// noStore keeps answers out of caches, since many hold tokens or personal data
// (RFC 9111 §5.2.2.5), unless a handler has said otherwise.
func noStore(header http.Header) {
	if _, ok := header["Cache-Control"]; !ok {
		header["Cache-Control"] = cacheNoStore
	}
}

// noneMatch reports whether an If-None-Match header names etag, so that the
// client has the resource already (RFC 9110 §13.1.2, weak comparison).
func noneMatch(header, etag string) bool {
	if header == "" {
		return false
	}
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || tag == strconv.Quote(etag) {
			return true
		}
	}
	return false
}
