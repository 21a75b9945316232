package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// errNoExample says that the reference would show an operation without an example.
var errNoExample = errors.New("there is no example of it in proto/openapi/finish/examples")

// shownOf reads the examples of a service, by method: `request`, `response` and, of what stands
// in the URL, `query`.
func shownOf(service protoreflect.ServiceDescriptor) (*yaml.Node, error) {
	file := service.ParentFile().Path() // biocore/admin/v1/tenant.proto
	plane := path.Base(path.Dir(path.Dir(file)))
	name := path.Join("examples", plane, strings.TrimSuffix(path.Base(file), ".proto")+".yaml")
	raw, err := examples.ReadFile(name)
	if err != nil {
		return nil, err
	}
	shown := parse("%s", raw)
	each(shown, func(method string, _ *yaml.Node) {
		if method != sharedKey && service.Methods().ByName(protoreflect.Name(method)) == nil {
			err = fmt.Errorf("%s: %s has no method %s", name, service.FullName(), method)
		}
	})
	return shown, err
}

// sharedKey is the member of a file that holds what its examples have in common.
const sharedKey = "shared"

// pathExamples are values of the variables of paths, by their names.
func pathExamples() *yaml.Node {
	raw, err := examples.ReadFile("examples/path.yaml")
	if err != nil {
		panic(err) // it is embedded
	}
	return parse("%s", raw)
}

func showParameter(param, example *yaml.Node, method protoreflect.MethodDescriptor) error {
	if example == nil {
		return fmt.Errorf("%s: {%s}: %w", method.Name(), get(param, "name").Value, errNoExample)
	}
	set(param, "example", example)
	return nil
}

// decode reads an example into a message: a member that the message has not is an error.
func decode(md protoreflect.MessageDescriptor, example *yaml.Node) (proto.Message, error) {
	if example == nil {
		return nil, errNoExample
	}
	var value any
	if err := example.Decode(&value); err != nil {
		return nil, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	mt, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName())
	if err != nil {
		return nil, err
	}
	m := mt.New().Interface()
	return m, protojson.Unmarshal(text, m)
}

// complete is an answer as the server writes it: with the members that are always there, in
// the order of the message (rest.Codec).
func complete(md protoreflect.MessageDescriptor, example *yaml.Node) (*yaml.Node, error) {
	m, err := decode(md, example)
	if err != nil {
		return nil, err
	}
	text, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&doc); err != nil {
		return nil, err
	}
	out := plain(doc.Content[0])
	inDictionaries(out, md, false)
	unquote(out)
	return out, nil
}

// inDictionaries removes the empty lists inside WebAuthn's options, where an empty member may
// mean something else than an absent one.
func inDictionaries(n *yaml.Node, md protoreflect.MessageDescriptor, dictionary bool) {
	for i := range md.Fields().Len() {
		f := md.Fields().Get(i)
		value := get(n, f.JSONName())
		switch {
		case value == nil:
		case !alwaysThere(f, dictionary) && f.IsList() && len(value.Content) == 0:
			remove(n, f.JSONName())
		case f.Message() == nil || f.IsMap() || strings.HasPrefix(string(f.Message().FullName()), "google."):
		case f.IsList():
			for _, one := range value.Content {
				inDictionaries(one, f.Message(), dictionary)
			}
		default:
			inDictionaries(value, f.Message(), dictionary || strings.HasSuffix(string(f.Message().Name()), "Options"))
		}
	}
}

// unquote leaves quotes to those strings that need them.
func unquote(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		*n = *str(n.Value)
	}
	for _, child := range n.Content {
		unquote(child)
	}
}
