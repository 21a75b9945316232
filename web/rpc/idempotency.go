package rpc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/biocore-id/biocore/tenancy/idempotency"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// claimer claims the key of a call that has no transaction of its own kind to
// claim it in.
type claimer func(ctx context.Context, call *idempotency.Call) error

// Idempotency gives a mutating call with an Idempotency-Key its meaning: the store
// claims the key in the call's own transaction, and a repeat is answered as the
// first time or refused, as the method's row in the permission table says.
func Idempotency(claim claimer) connect.ServerInterceptor {
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
			key := header.Get("Idempotency-Key")
			if !wellFormedKey(key) {
				return idempotency.ErrMalformed
			}
			sc, err := scope.FromContext(ctx)
			if err != nil {
				return err
			}
			s := &onceStream{ServerStream: stream, ctx: ctx, call: &idempotency.Call{Scope: sc, Method: spec.Procedure, Key: key}}
			if methods[spec.Procedure].repeat == claimedFirst {
				s.claim = claim
			} else {
				ctx = idempotency.NewContext(ctx, s.call)
			}
			err = next(ctx, spec, s)
			if replayed, ok := idempotency.AsReplayed(err); ok {
				return sendAgain(spec, stream, replayed)
			}
			return err
		}
	}
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

// onceStream learns the request's hash when the handler receives it, which is
// before any transaction.
type onceStream struct {
	connect.ServerStream
	ctx   context.Context //nolint:containedctx // of this one call: Receive has no context of its own
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
	s.call.BodyHash = sha256.Sum256(body)
	if s.claim != nil {
		return s.claim(s.ctx, s.call)
	}
	return nil
}

func sendAgain(spec connect.Spec, stream connect.ServerStream, r *idempotency.ReplayedError) error {
	md, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return errors.New("idempotency: the method has no schema")
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByName(md.Output().FullName())
	if err != nil {
		return fmt.Errorf("idempotency: find answer's type: %w", err)
	}
	answer := mt.New().Interface()
	if err := proto.Unmarshal(r.Response, answer); err != nil {
		return fmt.Errorf("idempotency: read kept answer: %w", err)
	}
	return stream.Send(answer)
}

// answers tells a call with an Idempotency-Key how the service's result becomes
// the answer to keep. T is what the service gives to its transaction's Result.
func answers[T any](ctx context.Context, toProto func(T) proto.Message) {
	call := idempotency.FromContext(ctx)
	if call == nil {
		return
	}
	call.Encode = func(result any) ([]byte, error) {
		v, ok := result.(T)
		if !ok {
			return nil, fmt.Errorf("idempotency: the service's result is a %T", result)
		}
		return proto.Marshal(toProto(v))
	}
}
