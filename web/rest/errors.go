package rest

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// Errors of a request that reaches no handler, or only with what cannot be
// read. Each Reason is part of the public API.
var (
	ErrMalformed        = fault.New(fault.Invalid, "REQUEST_MALFORMED", "the request cannot be read")
	ErrTooLarge         = fault.New(fault.TooLarge, "REQUEST_TOO_LARGE", "the request is larger than 64 KiB")
	ErrMethodNotAllowed = fault.New(fault.MethodMismatch, "METHOD_NOT_ALLOWED", "this path does not take this HTTP method; see the Allow header")
	ErrMediaType        = fault.New(fault.MediaMismatch, "MEDIA_TYPE_UNSUPPORTED", "the body must be application/json in UTF-8, without a Content-Encoding")

	errRouteUnknown = fault.New(fault.NotFound, "ROUTE_UNKNOWN", "there is nothing at this path")
)

// ErrorDomain is the domain of every google.rpc.ErrorInfo that leaves.
const ErrorDomain = "biocore"

// errorInfoType is the type of the detail that every error carries.
const errorInfoType = "google.rpc.ErrorInfo"

// statusClientClosedRequest is nginx's status for a client that hung up; it is
// only ever seen in logs and metrics.
const statusClientClosedRequest = 499

// statuses maps a Connect code to HTTP.
var statuses = map[connect.Code]int{
	connect.CodeCanceled:           statusClientClosedRequest,
	connect.CodeUnknown:            http.StatusInternalServerError,
	connect.CodeInvalidArgument:    http.StatusBadRequest,
	connect.CodeDeadlineExceeded:   http.StatusGatewayTimeout,
	connect.CodeNotFound:           http.StatusNotFound,
	connect.CodeAlreadyExists:      http.StatusConflict,
	connect.CodePermissionDenied:   http.StatusForbidden,
	connect.CodeResourceExhausted:  http.StatusTooManyRequests,
	connect.CodeFailedPrecondition: http.StatusBadRequest,
	connect.CodeAborted:            http.StatusConflict,
	connect.CodeOutOfRange:         http.StatusBadRequest,
	connect.CodeUnimplemented:      http.StatusNotImplemented,
	connect.CodeInternal:           http.StatusInternalServerError,
	connect.CodeUnavailable:        http.StatusServiceUnavailable,
	connect.CodeDataLoss:           http.StatusInternalServerError,
	connect.CodeUnauthenticated:    http.StatusUnauthorized,
}

// statusesOfKinds are what HTTP tells apart and Connect does not.
var statusesOfKinds = map[fault.Kind]int{
	fault.TooLarge:       http.StatusRequestEntityTooLarge,
	fault.MethodMismatch: http.StatusMethodNotAllowed,
	fault.MediaMismatch:  http.StatusUnsupportedMediaType,
}

// statusOf returns the HTTP status of an error: by the kind of the fault that
// was mapped to the code where that says more, else by the code.
func statusOf(e *connect.Error) int {
	if f, ok := fault.As(e); ok {
		if status, ok := statusesOfKinds[f.Kind]; ok {
			return status
		}
	}
	if status, ok := statuses[e.Code()]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// WriteError answers err, which web/rpc has mapped, for what is at a path below REST's and is
// no method.
func WriteError(w http.ResponseWriter, r *http.Request, err error) { writeError(w, r, err) }

// writeError answers err. Only a local *connect.Error is believed: the mapping
// interceptor of web/rpc makes one of every error, so anything else has gone
// around it and says nothing to the client.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	var e *connect.Error
	if !errors.As(err, &e) || e.IsRemote() {
		e = connect.NewError(connect.CodeInternal, "internal error")
	}
	status := statusOf(e)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="biocore"`) // RFC 9110 §11.6.1 wants one
	}
	buf := getBuffer()
	defer putBuffer(buf)
	b := appendErrorStart(buf.bytes, e.Code(), e.Message())
	for i, detail := range e.Details() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendDetail(b, detail)
	}
	b = append(b, "]}"...)
	buf.bytes = b
	writeErrorBody(w, r, status, buf.bytes)
}

// refusal is an error that is answered without calling the server.
type refusal struct {
	status int
	code   connect.Code
	fault  *fault.Error
}

func writeRefusal(w http.ResponseWriter, r *http.Request, f refusal) {
	buf := getBuffer()
	defer putBuffer(buf)
	b := appendErrorStart(buf.bytes, f.code, f.fault.Message)
	b = appendErrorInfo(b, f.fault.Reason, ErrorDomain, f.fault.Metadata)
	b = append(b, "]}"...)
	buf.bytes = b
	writeErrorBody(w, r, f.status, buf.bytes)
}

// writeErrorBody sends an error. A client that still sends a body we do not
// want is told that the connection ends here, rather than read to its end.
func writeErrorBody(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	if status == http.StatusRequestEntityTooLarge && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	writeJSON(w, status, body)
}

func appendErrorStart(b []byte, code connect.Code, message string) []byte {
	b = append(b, `{"code":`...)
	b = appendString(b, code.String())
	b = append(b, `,"message":`...)
	b = appendString(b, message)
	return append(b, `,"details":[`...)
}

func appendErrorInfo(b []byte, reason, domain string, metadata map[string]string) []byte {
	b = append(b, `{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":`...)
	b = appendString(b, reason)
	b = append(b, `,"domain":`...)
	b = appendString(b, domain)
	b = append(b, `,"metadata":{`...)
	for i, key := range slices.Sorted(maps.Keys(metadata)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, key)
		b = append(b, ':')
		b = appendString(b, metadata[key])
	}
	return append(b, "}}"...)
}

// appendDetail appends one detail as JSON; one that nobody here knows is named
// by its type alone.
func appendDetail(b []byte, detail *connect.ErrorDetail) []byte {
	if detail.Type == errorInfoType {
		info := &errdetails.ErrorInfo{}
		if err := proto.Unmarshal(detail.Value, info); err == nil {
			return appendErrorInfo(b, info.GetReason(), info.GetDomain(), info.GetMetadata())
		}
	}
	packed := connectproto.ErrorDetailToAny(detail)
	if text, err := protojson.Marshal(packed); err == nil {
		return append(b, compact(text)...)
	}
	b = append(b, `{"@type":`...)
	b = appendString(b, packed.GetTypeUrl())
	return append(b, '}')
}
