package main

import (
	"encoding/json"
	"testing"

	"buf.build/go/protovalidate"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// What the reference shows can be sent and read: each example fits its message
// without unknown fields, and requests keep the rules.
func TestExamples(t *testing.T) {
	methods := map[string]protoreflect.MethodDescriptor{}
	for _, p := range planes() {
		for _, service := range p.services {
			for i := range service.Methods().Len() {
				methods[string(service.Methods().Get(i).Name())] = service.Methods().Get(i)
			}
		}
	}
	var all map[string]map[string]any
	if err := yaml.Unmarshal(examples, &all); err != nil {
		t.Fatal(err)
	}
	for name, example := range all {
		md := methods[name]
		if md == nil {
			t.Errorf("no method %s", name)
			continue
		}
		for part, content := range example {
			var of protoreflect.MessageDescriptor
			switch part {
			case "request":
				of = md.Input()
			case "response":
				of = md.Output()
			default:
				t.Errorf("%s: unknown part %q", name, part)
				continue
			}
			m := decode(t, of, content)
			if _, path := verbAndPath(md); part == "request" && !variable.MatchString(path) {
				if err := protovalidate.Validate(m); err != nil {
					t.Errorf("%s: request: %v", name, err)
				}
			}
		}
	}
}

func decode(t *testing.T, md protoreflect.MessageDescriptor, content any) proto.Message {
	t.Helper()
	mt, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	m := mt.New().Interface()
	if err := protojson.Unmarshal(text, m); err != nil {
		t.Errorf("%s: %v", md.FullName(), err)
	}
	return m
}
