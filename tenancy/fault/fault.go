// Package fault is what a caller may be told when something is refused.
//
// A *fault.Error has two powers: its Reason and Message reach the client as
// they are, and its Kind chooses the status code at the edge. Both are lost the
// moment an error is turned into text, so wrap with %w and never format a fault
// into a new message. Everything that is not a fault leaves the server as
// "internal error" with a request id; the rest of the text stays in the log.
//
// Faults are package variables at the top of the noun's file. A Reason is API:
// UPPER_SNAKE (AIP-193), never renamed, listed in docs/errors.md.
package fault

import (
	"errors"
	"maps"
	"time"
)

// Kind says in which way a request was refused. The edge maps it to a Connect
// code and an HTTP status; the domain knows neither.
type Kind uint8

// The kinds. The zero Kind is no kind: the edge answers "internal error" for it.
const (
	_               Kind = iota
	Invalid              // the request can never succeed as it is: 400
	Unauthenticated      // who calls is not known: 401
	Forbidden            // the caller is known and may not: 403
	NotFound             // absent, or not to be known about: 404
	Conflict             // exists already, or is already decided: 409
	Precondition         // the state does not allow it now: 400, failed_precondition
	Aborted              // lost against a concurrent change: 409, aborted
	TooLarge             // the request is over a size limit: 413
	Exhausted            // over a rate or quota: 429
	Unavailable          // a dependency is gone: 503
	Damaged              // what is stored is not what it must be: 500, data_loss
	Unimplemented        // this server cannot do it: 501
	MethodMismatch       // the path exists under another HTTP method: 405
	MediaMismatch        // the media type is not understood: 415
)

// Error is a refusal that a caller may read. It is immutable once declared;
// the With methods return copies that still match the original with errors.Is.
type Error struct {
	Kind    Kind
	Reason  string // stable, UPPER_SNAKE: part of the API
	Message string // for people: lower case, no secret, nothing of another tenant

	// Metadata goes out beside the reason: field paths, limits. nil for none.
	Metadata map[string]string
	// RetryAfter is sent as Retry-After, rounded up to whole seconds; 0 for none.
	RetryAfter time.Duration

	cause error
}

// New declares a fault. Call it once per reason, in a package variable.
func New(kind Kind, reason, message string) *Error {
	return &Error{Kind: kind, Reason: reason, Message: message}
}

// Error returns the message and the cause: it is for logs. Clients get Message.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Is makes copies made by the With methods match their original: two faults are
// the same when their reasons are.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason && t.Kind == e.Kind
}

// Unwrap returns the cause, which is logged and never sent.
func (e *Error) Unwrap() error { return e.cause }

// WithCause returns a copy of e that logs why it happened.
func (e *Error) WithCause(err error) *Error {
	c := *e
	c.cause = err
	return &c
}

// WithMessage returns a copy of e with a more exact message for this case.
func (e *Error) WithMessage(message string) *Error {
	c := *e
	c.Message = message
	return &c
}

// With returns a copy of e with one more metadata entry.
func (e *Error) With(key, value string) *Error {
	c := *e
	c.Metadata = maps.Clone(e.Metadata)
	if c.Metadata == nil {
		c.Metadata = make(map[string]string, 1)
	}
	c.Metadata[key] = value
	return &c
}

// WithRetryAfter returns a copy of e that asks the client to wait for d.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// As returns the fault in err's chain, if there is one.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}
