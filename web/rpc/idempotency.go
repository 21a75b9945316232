package rpc

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/idempotency"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrPublishableRepeat keeps whoever reads a key off a tenant's page from writing rows
// at will: each Idempotency-Key is one, for a day. A publishable key's calls need none:
// their challenges are for once.
var ErrPublishableRepeat = fault.New(fault.Forbidden, "IDEMPOTENCY_KEY_NOT_ALLOWED",
	"a call with a publishable key carries no Idempotency-Key")

// claimer claims the key of a call that has no transaction of its own kind to
// claim it in.
type claimer func(ctx context.Context, call *idempotency.Call) error

// rings opens tenants' keys.
type rings interface {
	Ring(ctx context.Context, sc scope.Scope) (*keys.Ring, error)
}

// Idempotency gives a mutating call with an Idempotency-Key its meaning: the store
// claims the key in the call's own transaction, and a repeat is answered as the
// first time or refused, as the method's row in the permission table says. What is
// kept for a day may be somebody's name: answers are sealed under the tenant's keys,
// and of the request only a MAC is kept, which cannot be tried without them.
func Idempotency(claim claimer, k rings) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			info, ok := connect.CallInfoForServerContext(ctx)
			if !ok {
				return next(ctx, spec, stream)
			}
			header := info.RequestHeader()
			if !header.Has("Idempotency-Key") || methods[spec.Procedure].repeat == reads {
				return next(ctx, spec, stream)
			}
			if c, ok := ctx.Value(callerKey{}).(apikey.Caller); ok && c.Kind == apikey.Publishable {
				return ErrPublishableRepeat
			}
			key := header.Get("Idempotency-Key")
			if !wellFormedKey(key) {
				return idempotency.ErrMalformed
			}
			sc, err := scope.FromContext(ctx)
			if err != nil {
				return err
			}
			ring, err := k.Ring(ctx, sc)
			if err != nil {
				return fmt.Errorf("keys: %w", err)
			}
			s := &onceStream{ServerStream: stream, ctx: ctx, ring: ring, call: &idempotency.Call{Scope: sc, Method: spec.Procedure, Key: key}}
			if methods[spec.Procedure].repeat == claimedFirst {
				s.claim = claim
			} else {
				ctx = context.WithValue(idempotency.NewContext(ctx, s.call), ringKey{}, ring)
			}
			err = next(ctx, spec, s)
			if replayed, ok := idempotency.AsReplayed(err); ok {
				return sendAgain(spec, stream, ring, s.call, replayed)
			}
			return err
		}
	}
}

// ringKey is where answers finds the keys of a call whose answer is to be kept.
type ringKey struct{}

var keptAnswer = keys.Field{Table: "idempotency_keys", Column: "response"}

// keptBody separates the MACs of requests from all other MACs.
const keptBody keys.Purpose = "idempotency body"

// keptRow names the row of a kept answer. None of the parts holds a NUL.
func keptRow(c *idempotency.Call) []byte {
	actor := c.Scope.Actor()
	return []byte(string(actor.Kind) + "\x00" + actor.ID + "\x00" + c.Method + "\x00" + c.Key)
}

func wellFormedKey(key string) bool {
	if len(key) == 0 || len(key) > 255 {
		return false
	}
	for _, c := range []byte(key) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// onceStream learns the request's MAC when the handler receives it, which is
// before any transaction.
type onceStream struct {
	connect.ServerStream
	ctx   context.Context //nolint:containedctx // of this one call: Receive has no context of its own
	ring  *keys.Ring
	call  *idempotency.Call
	claim claimer
}

// Receive implements connect.ServerStream.
func (s *onceStream) Receive(msg any) error {
	if err := s.ServerStream.Receive(msg); err != nil {
		return err
	}
	m, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("idempotency: %T is not a proto.Message", msg)
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("hash request: %w", err)
	}
	s.call.BodyHash = s.ring.MAC(keptBody, body)
	if s.claim != nil {
		return s.claim(s.ctx, s.call)
	}
	return nil
}

func sendAgain(
	spec connect.Spec, stream connect.ServerStream, ring *keys.Ring, call *idempotency.Call, r *idempotency.ReplayedError,
) error {
	md, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return errors.New("idempotency: the method has no schema")
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByName(md.Output().FullName())
	if err != nil {
		return fmt.Errorf("idempotency: find answer's type: %w", err)
	}
	answer := mt.New().Interface()
	plain, err := ring.Open(keptAnswer, keptRow(call), r.Response)
	if err != nil {
		return fmt.Errorf("idempotency: open kept answer: %w", err)
	}
	if err := proto.Unmarshal(plain, answer); err != nil {
		return fmt.Errorf("idempotency: read kept answer: %w", err)
	}
	return stream.Send(answer)
}

// answers tells a call with an Idempotency-Key how the service's result becomes
// the answer to keep. T is what the service gives to its transaction's Result.
func answers[T any](ctx context.Context, toProto func(T) proto.Message) {
	call := idempotency.FromContext(ctx)
	ring, ok := ctx.Value(ringKey{}).(*keys.Ring)
	if call == nil || !ok {
		return
	}
	call.Encode = func(result any) ([]byte, error) {
		v, ok := result.(T)
		if !ok {
			return nil, fmt.Errorf("idempotency: the service's result is a %T", result)
		}
		plain, err := proto.Marshal(toProto(v))
		if err != nil {
			return nil, err
		}
		return ring.Seal(keptAnswer, keptRow(call), plain)
	}
}
