package rpc

import (
	"errors"
	"fmt"

	"connectrpc.com/connect/v2"
	"connectrpc.com/grpcreflect/v2"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// RegisterReflection serves gRPC's server reflection on server, so that grpcurl and
// its like can call the services of `of` without their .proto files. It tells the
// contract of those services and no other type that happens to be linked in; the
// contract is public, as /openapi is.
func RegisterReflection(server, of *connect.Server) error {
	files, err := filesOf(of)
	if err != nil {
		return err
	}
	names := servicesOf(of)
	grpcreflect.Register(
		server,
		grpcreflect.WithNamer(grpcreflect.NamerFunc(func() []string { return names })),
		grpcreflect.WithDescriptorResolver(files),
		grpcreflect.WithExtensionResolver(new(protoregistry.Types)), // options of ours; none that extend a message
	)
	return nil
}

// filesOf returns the .proto files that declare a server's services, with all that
// they import.
func filesOf(server *connect.Server) (*protoregistry.Files, error) {
	files := new(protoregistry.Files)
	var add func(file protoreflect.FileDescriptor) error
	add = func(file protoreflect.FileDescriptor) error {
		switch _, err := files.FindFileByPath(file.Path()); {
		case err == nil:
			return nil
		case !errors.Is(err, protoregistry.NotFound):
			return fmt.Errorf("reflection: %w", err)
		}
		if err := files.RegisterFile(file); err != nil {
			return fmt.Errorf("reflection: %w", err)
		}
		for i := range file.Imports().Len() {
			if err := add(file.Imports().Get(i).FileDescriptor); err != nil {
				return err
			}
		}
		return nil
	}
	for spec := range server.Specs() {
		method, ok := spec.Schema.(protoreflect.MethodDescriptor)
		if !ok {
			return nil, fmt.Errorf("reflection: %s has no schema", spec.Procedure)
		}
		if err := add(method.ParentFile()); err != nil {
			return nil, err
		}
	}
	return files, nil
}
