package rest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/biocore-id/biocore/proto/gen/biocore/admin/v1/adminv1connect"
	"github.com/biocore-id/biocore/proto/gen/biocore/auth/v1/authv1connect"
	"github.com/biocore-id/biocore/web/rest"
	"github.com/biocore-id/biocore/web/rpc"
)

// world is a served API, every method of which answers what respond says;
// an empty answer where it says nothing. It
// keeps the last request. It is for one test at a time.
type world struct {
	handler *rest.Handler
	server  *connect.Server
	log     *bytes.Buffer

	respond func(ctx context.Context, procedure string, request proto.Message) (proto.Message, error)
	got     proto.Message // the request that reached the handler, nil if none did
	called  string        // its procedure
}

// newWorld serves both planes behind the interceptors that run in production.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	planes := connect.NewServer()
	authv1connect.RegisterRegistrationServiceHandler(planes, authv1connect.UnimplementedRegistrationServiceHandler{})
	authv1connect.RegisterAuthenticationServiceHandler(planes, authv1connect.UnimplementedAuthenticationServiceHandler{})
	authv1connect.RegisterUserServiceHandler(planes, authv1connect.UnimplementedUserServiceHandler{})
	authv1connect.RegisterCredentialServiceHandler(planes, authv1connect.UnimplementedCredentialServiceHandler{})
	authv1connect.RegisterSessionServiceHandler(planes, authv1connect.UnimplementedSessionServiceHandler{})
	adminv1connect.RegisterTenantServiceHandler(planes, adminv1connect.UnimplementedTenantServiceHandler{})
	adminv1connect.RegisterApiKeyServiceHandler(planes, adminv1connect.UnimplementedApiKeyServiceHandler{})
	validate, err := rpc.Validate()
	if err != nil {
		tb.Fatal(err)
	}
	return serve(tb, slices.Collect(planes.Specs()), validate)
}

// newShapes serves the test's own service.
func newShapes(tb testing.TB) *world {
	tb.Helper()
	return serve(tb, shapeSpecs(tb))
}

func serve(tb testing.TB, specs []connect.Spec, interceptors ...connect.ServerInterceptor) *world {
	tb.Helper()
	w := &world{log: &bytes.Buffer{}}
	mapErrors := rpc.MapErrors(slog.New(slog.NewTextHandler(w.log, nil)))
	w.server = connect.NewServer(append([]connect.ServerInterceptor{mapErrors}, interceptors...)...)
	for _, spec := range specs {
		w.server.Register(connect.Method{Spec: spec, Handler: w.serve})
	}
	h, err := rest.New(w.server, rest.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	w.handler = h
	return w
}

func (w *world) serve(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
	md, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return fmt.Errorf("%s has no schema", spec.Procedure)
	}
	req := newMessage(md.Input())
	if err := stream.Receive(req); err != nil {
		return err
	}
	w.got, w.called = req, spec.Procedure
	res := newMessage(md.Output())
	if w.respond != nil {
		given, err := w.respond(ctx, spec.Procedure, req)
		if err != nil {
			return err
		}
		if given != nil {
			res = given
		}
	}
	return stream.Send(res)
}

// newMessage returns an empty message of the generated type, or a dynamic one.
func newMessage(md protoreflect.MessageDescriptor) proto.Message {
	if mt, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName()); err == nil {
		return mt.New().Interface()
	}
	return dynamicpb.NewMessage(md)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request and returns the answer. Lines of headers are "Name: value".
func (w *world) do(tb testing.TB, method, target, body string, headers ...string) answer {
	tb.Helper()
	w.got, w.called = nil, ""
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, reader).WithContext(tb.Context())
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if r.Header.Set(name, value); value == "" {
			r.Header.Del(name)
		}
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return answer{status: rec.Code, header: rec.Header(), body: rec.Body.String()}
}

// send is do over a real connection.
func send(tb testing.TB, method, url string, body io.Reader) answer {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, url, body)
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(text)}
}

// shapeSpecs describes a service with the shapes of annotations that the API
// does not have yet: a body that is one field, nested and repeated query
// parameters, a second binding.
func shapeSpecs(tb testing.TB) []connect.Spec {
	tb.Helper()
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, typeName string) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &number, Type: &kind, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if typeName != "" {
			f.TypeName = &typeName
		}
		return f
	}
	repeated := func(f *descriptorpb.FieldDescriptorProto) *descriptorpb.FieldDescriptorProto {
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		return f
	}
	oneof := func(f *descriptorpb.FieldDescriptorProto) *descriptorpb.FieldDescriptorProto {
		f.OneofIndex = proto.Int32(0)
		return f
	}
	const (
		str  = descriptorpb.FieldDescriptorProto_TYPE_STRING
		i32  = descriptorpb.FieldDescriptorProto_TYPE_INT32
		u32  = descriptorpb.FieldDescriptorProto_TYPE_UINT32
		flag = descriptorpb.FieldDescriptorProto_TYPE_BOOL
		enum = descriptorpb.FieldDescriptorProto_TYPE_ENUM
		msg  = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	)
	rule := func(r *annotations.HttpRule) *descriptorpb.MethodOptions {
		opts := &descriptorpb.MethodOptions{}
		proto.SetExtension(opts, annotations.E_Http, r)
		return opts
	}
	method := func(name string, r *annotations.HttpRule) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: new(name), InputType: new(".shape.v1.Shape"), OutputType: new(".shape.v1.Shape"), Options: rule(r),
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("shape/v1/shape.proto"), Package: new("shape.v1"), Syntax: new("proto3"),
		Dependency: []string{"google/protobuf/timestamp.proto"},
		MessageType: []*descriptorpb.DescriptorProto{
			{
				Name: new("Shape"),
				Field: []*descriptorpb.FieldDescriptorProto{
					field("id", 1, str, ""), field("inner", 2, msg, ".shape.v1.Inner"), repeated(field("tags", 3, str, "")),
					field("count", 4, i32, ""), field("big_count", 5, u32, ""), field("flag", 6, flag, ""),
					field("color", 7, enum, ".shape.v1.Shape.Color"), repeated(field("colors", 8, enum, ".shape.v1.Shape.Color")),
					field("at", 9, msg, ".google.protobuf.Timestamp"), oneof(field("left", 10, str, "")), oneof(field("right", 11, str, "")),
				},
				OneofDecl: []*descriptorpb.OneofDescriptorProto{{Name: new("side")}},
				EnumType: []*descriptorpb.EnumDescriptorProto{{Name: new("Color"), Value: []*descriptorpb.EnumValueDescriptorProto{
					{Name: new("COLOR_UNSPECIFIED"), Number: proto.Int32(0)}, {Name: new("RED"), Number: proto.Int32(1)},
				}}},
			},
			{Name: new("Inner"), Field: []*descriptorpb.FieldDescriptorProto{
				field("first_name", 1, str, ""), field("age", 2, i32, ""), field("inner", 3, msg, ".shape.v1.Inner"),
			}},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("ShapeService"), Method: []*descriptorpb.MethodDescriptorProto{
			method("Query", &annotations.HttpRule{
				Pattern:            &annotations.HttpRule_Get{Get: "/shape/v1/shapes"},
				AdditionalBindings: []*annotations.HttpRule{{Pattern: &annotations.HttpRule_Get{Get: "/shape/v1/{inner.first_name}/shapes/{count}"}}},
			}),
			method("PutInner", &annotations.HttpRule{Pattern: &annotations.HttpRule_Put{Put: "/shape/v1/shapes/{id}/inner"}, Body: "inner"}),
			method("PutTags", &annotations.HttpRule{Pattern: &annotations.HttpRule_Put{Put: "/shape/v1/shapes/{id}/tags"}, Body: "tags"}),
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		tb.Fatal(err)
	}
	var specs []connect.Spec
	methods := file.Services().Get(0).Methods()
	for i := range methods.Len() {
		md := methods.Get(i)
		specs = append(specs, connect.Spec{Schema: md, Procedure: "/shape.v1.ShapeService/" + string(md.Name())})
	}
	return specs
}
