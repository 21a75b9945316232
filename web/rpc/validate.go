package rpc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
	"github.com/biocore-id/biocore/tenancy/fault"
)

// maxViolations bounds how many broken rules one answer lists: a body of 64 KiB
// can break thousands.
const maxViolations = 16

// Validate returns the interceptor that checks each request message against the
// buf.validate rules of its .proto file, after decoding and before the handler.
// A message that breaks them is refused with ErrInvalid, whose metadata maps the
// path of each broken field (lowerCamel, as in JSON) to what is wrong with it.
//
// All rules are compiled here, so a rule that cannot be is an error at start and
// not at the first request. The two calls of a sign-in are checked by
// hand-written code: see validate_hot.go.
func Validate() (connect.ServerInterceptor, error) {
	validator, err := protovalidate.New(
		protovalidate.WithMessageDescriptors(requestMessages()...),
		protovalidate.WithDisableLazy(),
	)
	if err != nil {
		return nil, fmt.Errorf("compile validation rules: %w", err)
	}
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			return next(ctx, spec, &validatedStream{ServerStream: stream, validator: validator})
		}
	}, nil
}

// requestMessages finds the request message of every method of ours.
func requestMessages() []protoreflect.MessageDescriptor {
	var inputs []protoreflect.MessageDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "biocore.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				inputs = append(inputs, methods.Get(j).Input())
			}
		}
		return true
	})
	return inputs
}

// validatedStream checks what is received.
type validatedStream struct {
	connect.ServerStream
	validator protovalidate.Validator
}

// Receive receives a message and refuses one that breaks its rules.
func (s *validatedStream) Receive(msg any) error {
	if err := s.ServerStream.Receive(msg); err != nil {
		return err
	}
	switch m := msg.(type) {
	case *authv1.BeginAuthenticationRequest:
		if !validBeginAuthentication(m) {
			return explain(s.validator, m)
		}
		return nil
	case *authv1.FinishAuthenticationRequest:
		if !validFinishAuthentication(m) {
			return explain(s.validator, m)
		}
		return nil
	case proto.Message:
		return check(s.validator, m)
	}
	return fmt.Errorf("validate: %T is not a proto.Message", msg)
}

// check applies the compiled rules to msg.
func check(validator protovalidate.Validator, msg proto.Message) error {
	err := validator.Validate(msg)
	if err == nil {
		return nil
	}
	var broken *protovalidate.ValidationError
	if !errors.As(err, &broken) {
		return fmt.Errorf("validate %s: %w", msg.ProtoReflect().Descriptor().FullName(), err)
	}
	return invalid(msg.ProtoReflect().Descriptor(), broken.Violations)
}

// explain says what is wrong with a message that the hand-written checks
// refused. They decide: if the compiled rules find nothing, it is refused all
// the same.
func explain(validator protovalidate.Validator, msg proto.Message) error {
	if err := check(validator, msg); err != nil {
		return err
	}
	return ErrInvalid
}

// invalid lists the broken rules of a message by field path.
func invalid(md protoreflect.MessageDescriptor, violations []*protovalidate.Violation) *fault.Error {
	f := ErrInvalid
	for _, v := range violations[:min(len(violations), maxViolations)] {
		f = f.With(jsonPath(md, v.Proto.GetField().GetElements()), v.Proto.GetMessage())
	}
	return f
}

// jsonPath names a field as a client wrote it: "credential.response.clientDataJSON",
// "origins[2]". A broken rule of a oneof has the oneof's name, one of the whole
// message "request".
func jsonPath(md protoreflect.MessageDescriptor, path []*validate.FieldPathElement) string {
	if len(path) == 0 {
		return "request"
	}
	var b strings.Builder
	for i, element := range path {
		if i > 0 {
			b.WriteByte('.')
		}
		var field protoreflect.FieldDescriptor
		if md != nil {
			field = md.Fields().ByName(protoreflect.Name(element.GetFieldName()))
		}
		if field == nil {
			b.WriteString(element.GetFieldName()) // a oneof
			md = nil
			continue
		}
		b.WriteString(field.JSONName())
		if element.HasIndex() {
			b.WriteString("[" + strconv.FormatUint(element.GetIndex(), 10) + "]")
		}
		md = field.Message()
	}
	return b.String()
}
