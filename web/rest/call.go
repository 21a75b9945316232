package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// call is one request and its answer, as the connect.ServerStream of a unary
// method. Nothing is read from the client before Receive and nothing written
// before the handler has returned, so headers may be set until then.
type call struct {
	handler *Handler
	route   *route
	request *http.Request
	values  pathValues
	info    connect.CallInfo

	received bool
	sent     bool
	out      *buffer
	etag     string // of the answer; "" for none
}

func newCall(h *Handler, rt *route, r *http.Request, values pathValues) *call {
	c := &call{handler: h, route: rt, request: r, values: values, out: getBuffer()}
	c.info.Spec = rt.spec
	c.info.PeerAddr = r.RemoteAddr
	c.info.Protocol = Protocol
	c.info.Codec = connect.CodecNameJSON
	c.info.RequestEncoding = connect.CompressionNameIdentity
	c.info.ResponseEncoding = connect.CompressionNameIdentity
	header := c.info.RequestHeader()
	for key, values := range r.Header {
		header.SetValues(key, values)
	}
	return c
}

func (c *call) release() { putBuffer(c.out) }

// Receive decodes the request into msg, once. Its errors are faults: what the
// client sent cannot be read.
func (c *call) Receive(msg any) error {
	if c.received {
		return io.EOF
	}
	c.received = true
	m, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("rest: cannot decode into a %T", msg)
	}
	if c.route.wholeBody || c.route.body != nil {
		if err := c.receiveBody(m); err != nil {
			return err
		}
	}
	if !c.route.wholeBody {
		if err := bindQuery(m.ProtoReflect(), c.route, c.request.URL.RawQuery); err != nil {
			return err
		}
	}
	// The path has the last word: a body cannot name another resource than the
	// one that the URL, the access log and the audit entry name.
	return bindPath(m.ProtoReflect(), c.route.template, &c.values)
}

func (c *call) receiveBody(m proto.Message) error {
	in := getBuffer()
	defer putBuffer(in)
	if err := c.readBody(in); err != nil {
		return err
	}
	c.info.ReceiveStats.Size = len(in.bytes)
	if len(in.bytes) == 0 {
		return nil // as if it were {}
	}
	if err := checkMediaType(c.request.Header); err != nil {
		return err
	}
	if c.route.body != nil {
		return unmarshalField(in.bytes, m, c.route.body)
	}
	return unmarshal(in.bytes, m)
}

// readBody reads the whole body, up to the limit.
func (c *call) readBody(in *buffer) error {
	limit := c.handler.maxBodyBytes
	length := c.request.ContentLength
	if length > int64(limit) {
		return ErrTooLarge
	}
	if length == 0 || c.request.Body == nil {
		return nil
	}
	// One byte more than announced, so that the read that finds the end needs no
	// growth; and one more than allowed, so that it can be told apart.
	b := slices.Grow(in.bytes, int(max(length, 511))+1)
	for {
		n, err := c.request.Body.Read(b[len(b):min(cap(b), limit+1)])
		b = b[:len(b)+n]
		if len(b) > limit {
			return ErrTooLarge
		}
		if err == io.EOF {
			in.bytes = b
			return nil
		}
		if err != nil {
			return c.bodyError(err)
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b))
		}
	}
}

// bodyError says why a body did not arrive: the client hung up, it is larger
// than a limit set around us, or it broke off.
func (c *call) bodyError(err error) error {
	if cause := context.Cause(c.request.Context()); cause != nil {
		return fmt.Errorf("read body: %w", errors.Join(c.request.Context().Err(), err))
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return ErrTooLarge
	}
	return ErrMalformed.WithMessage("the request's body broke off").WithCause(err)
}

// SendHeaders does nothing: the answer leaves whole.
func (c *call) SendHeaders() error { return nil }

// Send encodes the answer, once. It leaves when the handler has returned.
func (c *call) Send(msg any) error {
	if c.sent {
		return errors.New("rest: a unary method sent a second answer")
	}
	m, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("rest: cannot encode a %T", msg)
	}
	var err error
	if c.out.bytes, err = appendMessage(c.out.bytes, m); err != nil {
		return err
	}
	if c.route.etag != nil {
		c.etag = m.ProtoReflect().Get(c.route.etag).String()
	}
	c.info.SendStats.Size = len(c.out.bytes)
	c.sent = true
	return nil
}

// checkMediaType refuses bodies that are not plain JSON. Forms and text are
// refused with the rest: a browser sends them across origins without asking.
func checkMediaType(header http.Header) error {
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return ErrMediaType
	}
	contentType := header.Get("Content-Type")
	if contentType == "application/json" { // nearly always
		return nil
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" {
		return ErrMediaType
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return ErrMediaType
	}
	return nil
}

// malformed is ErrMalformed with what is wrong.
func malformed(what string) *fault.Error {
	return ErrMalformed.WithMessage(ErrMalformed.Message + ": " + what)
}
