package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/web/rest"
)

// Errors that belong to the call itself and not to any noun. Each Reason is
// part of the public API.
var (
	ErrMalformed     = rest.ErrMalformed
	ErrTooLarge      = rest.ErrTooLarge
	ErrInvalid       = fault.New(fault.Invalid, "REQUEST_INVALID", "the request breaks a rule of its fields")
	ErrUnimplemented = fault.New(fault.Unimplemented, "METHOD_UNIMPLEMENTED", "this server does not have the method")
)

// Reasons of answers that are no fault: nothing the caller did wrong, or
// nothing the caller may know.
const (
	ReasonInternal         = "INTERNAL"          // an error that is no refusal: the log tells it by the request id
	ReasonCanceled         = "REQUEST_CANCELED"  // the client went away
	ReasonDeadlineExceeded = "DEADLINE_EXCEEDED" // the call took longer than its deadline
)

// minRetryAfter goes out where a fault asks to wait but does not say how long:
// the shortest Retry-After there is, since it counts in whole seconds.
const minRetryAfter = time.Second

// codes maps what went wrong to Connect's word for it. A kind that is missing
// here is answered as an internal error.
var codes = map[fault.Kind]connect.Code{
	fault.Invalid:         connect.CodeInvalidArgument,
	fault.Unauthenticated: connect.CodeUnauthenticated,
	fault.Forbidden:       connect.CodePermissionDenied,
	fault.NotFound:        connect.CodeNotFound,
	fault.Conflict:        connect.CodeAlreadyExists,
	fault.Precondition:    connect.CodeFailedPrecondition,
	fault.Aborted:         connect.CodeAborted,
	fault.TooLarge:        connect.CodeResourceExhausted,
	fault.Exhausted:       connect.CodeResourceExhausted,
	fault.Unavailable:     connect.CodeUnavailable,
	fault.Damaged:         connect.CodeDataLoss,
	fault.Unimplemented:   connect.CodeUnimplemented,
	fault.MethodMismatch:  connect.CodeUnimplemented,
	fault.MediaMismatch:   connect.CodeInvalidArgument,
}

// MapErrors is the outermost interceptor. It has the last word on what a client
// reads of an error: see toConnect. A panic is logged with its stack and
// answered like any error that is no fault; only net/http's own abort passes.
// Errors that ask the client to wait set the response header Retry-After.
func MapErrors(log *slog.Logger) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) (err error) {
			defer func() {
				if p := recover(); p != nil {
					//nolint:errorlint // the documented way to recognise it: it is never wrapped
					if p == http.ErrAbortHandler {
						panic(p)
					}
					err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				}
				if err != nil {
					err = toConnect(ctx, log, err)
				}
			}()
			return next(ctx, spec, stream)
		}
	}
}

// ToConnect is toConnect for what is no RPC and answers as one: web/download.
func ToConnect(ctx context.Context, log *slog.Logger, err error) error {
	return toConnect(ctx, log, err)
}

// toConnect is the only place where a domain error becomes a wire error. Only
// a fault's Message goes out; anything else is logged in full and answered as
// "internal error". The fault stays attached as the cause, which is never sent:
// web/rest reads its kind where HTTP tells apart what Connect does not.
func toConnect(ctx context.Context, log *slog.Logger, err error) error {
	f, isFault := asFault(err)
	switch {
	case isFault:
		// Nobody else logs why: the caller only reads 503 or 500.
		switch f.Kind {
		case fault.Unavailable:
			log.WarnContext(ctx, "dependency unavailable", "err", err)
		case fault.Damaged:
			log.ErrorContext(ctx, "stored data is damaged", "err", err)
		default:
		}
		setRetryAfter(ctx, f)
		return connect.NewError(codes[f.Kind], f.Message).WithDetail(errorInfo(f.Reason, f.Metadata)).WithCause(f)
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, "canceled").WithDetail(errorInfo(ReasonCanceled, nil)).WithCause(err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, "deadline exceeded").
			WithDetail(errorInfo(ReasonDeadlineExceeded, nil)).WithCause(err)
	}
	log.ErrorContext(ctx, "request failed", "err", err)
	return connect.NewError(connect.CodeInternal, "internal error").WithDetail(errorInfo(ReasonInternal, nil)).WithCause(err)
}

// asFault is what err is as a fault with a code; false where it is none, and so an internal error.
func asFault(err error) (*fault.Error, bool) {
	f, isFault := fault.As(err)
	if !isFault {
		f, isFault = fromTransport(err)
	}
	return f, isFault && codes[f.Kind] != 0
}

// fromTransport reads the errors that Connect itself raises: no code of ours
// makes one, so a local *connect.Error tells of a request that could not be
// decoded, or of a method that nobody registered. Its text may repeat what the
// client sent or name our types, so only its code is believed.
func fromTransport(err error) (*fault.Error, bool) {
	var e *connect.Error
	if !errors.As(err, &e) || e.IsRemote() {
		return nil, false
	}
	switch e.Code() {
	case connect.CodeInvalidArgument:
		return ErrMalformed.WithCause(err), true
	case connect.CodeResourceExhausted:
		return ErrTooLarge.WithCause(err), true
	case connect.CodeUnimplemented:
		return ErrUnimplemented.WithCause(err), true
	default:
		return nil, false
	}
}

// setRetryAfter tells the client when to come back, rounded up to whole seconds
// (RFC 9110 §10.2.3). Every answer of these two kinds carries it.
func setRetryAfter(ctx context.Context, f *fault.Error) {
	if f.Kind != fault.Exhausted && f.Kind != fault.Unavailable && f.RetryAfter <= 0 {
		return
	}
	if info, ok := connect.CallInfoForServerContext(ctx); ok {
		wait := max(f.RetryAfter, minRetryAfter)
		info.ResponseHeader().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
}

// errorInfo packs a reason as google.rpc.ErrorInfo (AIP-193).
func errorInfo(reason string, metadata map[string]string) *connect.ErrorDetail {
	detail, err := connectproto.NewErrorDetail(&errdetails.ErrorInfo{Reason: reason, Domain: rest.ErrorDomain, Metadata: metadata})
	if err != nil {
		return nil // text that is not UTF-8 in the metadata: the error goes out without its detail
	}
	return detail
}
