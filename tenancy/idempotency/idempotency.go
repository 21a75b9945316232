// Package idempotency is what the edge and the store share about a call that
// carries an Idempotency-Key. It is a leaf: the edge makes a Call and reads a
// ReplayedError, the store claims the key and keeps the answer in the very transaction
// that the call commits, so there is no moment at which one exists without the other.
package idempotency

import (
	"context"
	"errors"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Errors of calls that carry an Idempotency-Key.
var (
	ErrReused = fault.New(fault.Conflict, "IDEMPOTENCY_KEY_REUSED",
		"this Idempotency-Key was used with another request body")
	ErrNotReplayable = fault.New(fault.Conflict, "IDEMPOTENCY_NOT_REPLAYABLE",
		"this call was made before, and its answer is not kept because it holds a secret or a one-time challenge")
	ErrMalformed = fault.New(fault.Invalid, "IDEMPOTENCY_KEY_MALFORMED",
		"an Idempotency-Key has 1 to 255 printable ASCII characters")
)

// Life is how long a key is remembered, by (tenant, actor, method, key).
const Life = 24 * time.Hour

// Call is one mutating call that is to happen once. Its first read-write
// transaction claims the key; a call makes one such transaction.
type Call struct {
	Scope    scope.Scope
	Method   string   // the procedure
	Key      string   // 1 to 255 printable ASCII characters
	BodyHash [32]byte // of the request in a canonical form; equal for equal requests

	// Encode turns the result that the service handed to its transaction into the
	// bytes to keep. nil, or a nil answer, keeps none: the answer holds a secret.
	Encode func(result any) ([]byte, error)

	// Done is set by the store when the call's transaction has committed.
	Done bool
}

// ReplayedError is returned by the store instead of running the call again: Response
// is what Encode answered the first time.
type ReplayedError struct{ Response []byte }

// Error is for logs alone: the edge answers with Response.
func (r *ReplayedError) Error() string { return "answered before under this idempotency key" }

// AsReplayed returns the earlier answer in err's chain, if there is one.
func AsReplayed(err error) (*ReplayedError, bool) {
	var r *ReplayedError
	ok := errors.As(err, &r)
	return r, ok
}

type contextKey struct{}

// NewContext returns a context whose next read-write transaction is that of c.
func NewContext(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the call that ctx carries, or nil when it has no
// Idempotency-Key or its transaction has committed.
func FromContext(ctx context.Context) *Call {
	c, _ := ctx.Value(contextKey{}).(*Call)
	if c == nil || c.Done {
		return nil
	}
	return c
}
