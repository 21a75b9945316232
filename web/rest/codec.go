package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	authv1 "github.com/biocore-id/biocore/proto/gen/biocore/auth/v1"
)

// Codec is the JSON of both transports: give it to connecthttp.WithCodecs, and
// Connect's JSON calls are read and answered byte for byte like REST's.
//
// Reading: unknown fields are ignored; a key that stands twice, nesting beyond
// 16 levels and text that is not UTF-8 are refused with ErrMalformed. Writing:
// lowerCamelCase, empty fields included unless they are optional or messages;
// inside WebAuthn options empty lists are left out as well, since there an empty
// member may mean something else than an absent one.
type Codec struct{}

var _ connect.Codec = Codec{}

// Name returns "json".
func (Codec) Name() string { return connect.CodecNameJSON }

// MarshalWrite writes msg, a proto.Message, to dst in one Write.
func (Codec) MarshalWrite(_ context.Context, dst io.Writer, msg any) error {
	m, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("rest: cannot encode a %T", msg)
	}
	buf := getBuffer()
	defer putBuffer(buf)
	var err error
	if buf.bytes, err = appendMessage(buf.bytes, m); err != nil {
		return err
	}
	_, err = dst.Write(buf.bytes)
	return err
}

// UnmarshalRead reads all of src into msg, a proto.Message. The caller bounds
// src.
func (Codec) UnmarshalRead(_ context.Context, src io.Reader, msg any) error {
	m, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("rest: cannot decode into a %T", msg)
	}
	body, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	return unmarshal(body, m)
}

// unmarshal reads a body into m, which must be empty. Errors are ErrMalformed.
func unmarshal(body []byte, m proto.Message) error {
	switch m := m.(type) {
	case *authv1.BeginAuthenticationRequest:
		return decodeBeginAuthenticationRequest(string(body), m)
	case *authv1.FinishAuthenticationRequest:
		return decodeFinishAuthenticationRequest(string(body), m)
	}
	if err := check(string(body)); err != nil {
		return err
	}
	return unmarshalChecked(body, m)
}

// unmarshalField reads a body into one field of m.
func unmarshalField(body []byte, m proto.Message, field protoreflect.FieldDescriptor) error {
	if err := checkValue(string(body)); err != nil {
		return err
	}
	// Wrapped in an object, every kind of field is decoded in the one way. The
	// check before makes sure that the body is one value and closes nothing.
	wrapped := append([]byte{'{'}, appendString(nil, field.JSONName())...)
	wrapped = append(append(append(wrapped, ':'), body...), '}')
	return unmarshalChecked(wrapped, m)
}

func unmarshalChecked(body []byte, m proto.Message) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, m); err != nil {
		return malformed("a value has the wrong type" + position(err)).WithCause(errors.New("protojson refused it"))
	}
	return nil
}

// protojsonPosition finds where protojson stumbled. The rest of its text
// repeats the value, which may be a secret.
var protojsonPosition = regexp.MustCompile(`\(line (\d+):(\d+)\)`)

func position(err error) string {
	at := protojsonPosition.FindStringSubmatch(err.Error())
	if at == nil {
		return ""
	}
	return " at line " + at[1] + ", column " + at[2]
}

// appendMessage appends m as JSON without spaces.
func appendMessage(b []byte, m proto.Message) ([]byte, error) {
	switch m := m.(type) {
	case *authv1.BeginAuthenticationResponse:
		return appendBeginAuthenticationResponse(b, m)
	case *authv1.FinishAuthenticationResponse:
		return appendFinishAuthenticationResponse(b, m)
	}
	return appendGeneric(b, m)
}

// dictionaries are WebAuthn's: see writer.dictionary.
var dictionaries = map[protoreflect.FullName]bool{
	(&authv1.PublicKeyCredentialCreationOptions{}).ProtoReflect().Descriptor().FullName(): true,
	(&authv1.PublicKeyCredentialRequestOptions{}).ProtoReflect().Descriptor().FullName():  true,
}

// appendGeneric is appendMessage by reflection.
func appendGeneric(b []byte, m proto.Message) ([]byte, error) {
	options := dictionaryField(m.ProtoReflect())
	if options == nil {
		return appendJSON(b, m)
	}
	// The message without its options, then the options by themselves.
	rest := m.ProtoReflect().New()
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f != options {
			rest.Set(f, v)
		}
		return true
	})
	start := len(b)
	b, err := appendJSON(b, rest.Interface())
	if err != nil {
		return b, err
	}
	w := writer{b: b[:len(b)-1]} // without the closing brace
	w.name(options.JSONName())
	w.dictionary(m.ProtoReflect().Get(options).Message())
	w.close()
	return w.done(start, m)
}

// appendJSON appends m as protojson writes it, empty fields included, without
// spaces.
func appendJSON(b []byte, m proto.Message) ([]byte, error) {
	start := len(b)
	text, err := protojson.MarshalOptions{EmitDefaultValues: true}.MarshalAppend(b, m)
	if err != nil {
		return b, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return append(b, compact(text[start:])...), nil
}

// dictionaryField returns the field of m that holds WebAuthn options, nil if there
// is none or it is not set. A message has at most one.
func dictionaryField(m protoreflect.Message) protoreflect.FieldDescriptor {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Message() != nil && !f.IsList() && !f.IsMap() && dictionaries[f.Message().FullName()] && m.Has(f) {
			return f
		}
	}
	return nil
}

// dictionary appends a WebAuthn dictionary: what the specification requires
// (fields without presence) also when it is empty, since parseCreationOptionsFromJSON
// throws without a displayName; what it calls optional, lists among them, only
// when it is there.
func (w *writer) dictionary(m protoreflect.Message) {
	if m.Descriptor().FullName() == structName {
		b, err := appendJSON(w.b, m.Interface())
		if w.b = b; err != nil {
			w.fail(err)
		}
		return
	}
	w.open()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if (f.HasPresence() || f.IsList()) && !m.Has(f) {
			continue
		}
		w.name(f.JSONName())
		if !f.IsList() {
			w.member(f, m.Get(f))
			continue
		}
		w.b = append(w.b, '[')
		for list, i := m.Get(f).List(), 0; i < list.Len(); i++ {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.member(f, list.Get(i))
		}
		w.b = append(w.b, ']')
	}
	w.close()
}

// member appends one value of a dictionary. Kinds that none of them has are an
// error.
func (w *writer) member(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.StringKind:
		w.text(v.String())
	case protoreflect.Sint32Kind, protoreflect.Int32Kind:
		w.b = strconv.AppendInt(w.b, v.Int(), 10)
	case protoreflect.Uint32Kind:
		w.b = strconv.AppendUint(w.b, v.Uint(), 10)
	case protoreflect.BoolKind:
		w.b = strconv.AppendBool(w.b, v.Bool())
	case protoreflect.MessageKind:
		w.dictionary(v.Message())
	default:
		w.fail(fmt.Errorf("%s: a %s in a dictionary", f.FullName(), f.Kind()))
	}
}

const structName = protoreflect.FullName("google.protobuf.Struct")

// compact removes the spaces between the tokens of valid JSON, in place:
// protojson adds some at random, so that nobody relies on its bytes.
func compact(b []byte) []byte {
	out := b[:0]
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			out = append(out, c, b[i+1])
			i++
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\n' || c == '\t' || c == '\r'):
			continue
		}
		out = append(out, b[i])
	}
	return out
}
