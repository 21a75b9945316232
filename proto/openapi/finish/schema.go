package main

import (
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// message is a message of the plane, and where it occurs.
type message struct {
	protoreflect.MessageDescriptor
	answer     bool // in an answer
	dictionary bool // in WebAuthn options, where empty lists are left out
}

// messages finds all messages of a plane by their short names.
func messages(p plane) map[string]*message {
	found := map[string]*message{}
	var visit func(md protoreflect.MessageDescriptor, answer, dictionary bool)
	visit = func(md protoreflect.MessageDescriptor, answer, dictionary bool) {
		if strings.HasPrefix(string(md.FullName()), "google.") {
			return
		}
		name := short(string(md.FullName()))
		m := found[name]
		if m == nil {
			m = &message{MessageDescriptor: md}
			found[name] = m
		} else if m.answer || !answer {
			return
		}
		m.answer, m.dictionary = answer, dictionary
		for i := range md.Fields().Len() {
			if inner := md.Fields().Get(i).Message(); inner != nil {
				visit(inner, answer, dictionary || strings.HasSuffix(string(inner.Name()), "Options"))
			}
		}
	}
	for _, service := range p.services {
		for i := range service.Methods().Len() {
			visit(service.Methods().Get(i).Input(), false, false)
			visit(service.Methods().Get(i).Output(), true, false)
		}
	}
	return found
}

// describe says which members of a schema are required, and flattens the
// plugin's way with oneofs. md is a *message, or the descriptor of a request.
func describe(schema *yaml.Node, md protoreflect.MessageDescriptor) {
	flatten(schema, md)
	required := list()
	m, _ := md.(*message)
	properties := get(schema, "properties")
	for i := range md.Fields().Len() {
		f := md.Fields().Get(i)
		if get(properties, f.JSONName()) == nil {
			continue // in the path
		}
		if m != nil && m.answer && alwaysThere(f, m.dictionary) || (m == nil || !m.answer) && requiredInput(f) {
			required.Content = append(required.Content, str(f.JSONName()))
		}
	}
	remove(schema, "required")
	if len(required.Content) > 0 {
		set(schema, "required", required)
	}
}

// alwaysThere reports whether answers always hold a field: see rest.Codec.
func alwaysThere(f protoreflect.FieldDescriptor, dictionary bool) bool {
	if f.ContainingOneof() != nil { // a real one, or that of the optional keyword
		return false
	}
	return !dictionary || !f.IsList() || f.JSONName() == "pubKeyCredParams"
}

// requiredInput reports whether the rules refuse a request without the field.
func requiredInput(f protoreflect.FieldDescriptor) bool {
	if f.ContainingOneof() != nil {
		return false
	}
	rules, err := protovalidate.ResolveFieldRules(f)
	if err != nil || rules == nil {
		return false
	}
	if rules.GetRequired() {
		return true
	}
	switch r := rules.GetType().(type) {
	case *validate.FieldRules_String_:
		return r.String_.GetMinLen() > 0 || r.String_.GetConst() != ""
	case *validate.FieldRules_Repeated:
		return r.Repeated.GetMinItems() > 0
	case *validate.FieldRules_Enum:
		return len(r.Enum.GetNotIn()) > 0
	}
	return false
}

// flatten turns allOf of properties and oneOf of members into one list of
// properties and a rule about which exclude each other.
func flatten(schema *yaml.Node, md protoreflect.MessageDescriptor) {
	parts := get(schema, "allOf")
	oneOf := get(schema, "oneOf")
	if parts == nil && oneOf == nil {
		return
	}
	found := mapping()
	collect := func(n *yaml.Node) {
		walk(n, func(m *yaml.Node) {
			each(get(m, "properties"), func(name string, property *yaml.Node) { set(found, name, property) })
		})
	}
	if parts != nil {
		collect(parts)
	}
	if oneOf != nil {
		collect(oneOf)
	}
	collect(parseOrEmpty(get(schema, "properties")))
	properties := mapping()
	for i := range md.Fields().Len() {
		name := md.Fields().Get(i).JSONName()
		if property := get(found, name); property != nil {
			set(properties, name, property)
		}
	}
	remove(schema, "allOf")
	remove(schema, "oneOf")
	set(schema, "properties", properties)

	for i := range md.Oneofs().Len() {
		oneof := md.Oneofs().Get(i)
		if oneof.IsSynthetic() {
			continue
		}
		names := make([]string, 0, oneof.Fields().Len())
		for j := range oneof.Fields().Len() {
			names = append(names, oneof.Fields().Get(j).JSONName())
		}
		rules, err := protovalidate.ResolveOneofRules(oneof)
		if err == nil && rules.GetRequired() {
			set(schema, "oneOf", parse("[{required: [%s]}]", strings.Join(names, "]}, {required: [")))
		} else {
			set(schema, "not", parse("{properties: {%s: {}}, required: [%s]}", strings.Join(names, ": {}, "), strings.Join(names, ", ")))
		}
	}
}

// parseOrEmpty wraps properties so that walk finds them.
func parseOrEmpty(properties *yaml.Node) *yaml.Node {
	m := mapping()
	if properties != nil {
		set(m, "properties", properties)
	}
	return m
}

// needsBody reports whether the rules refuse a request without a body.
func needsBody(method protoreflect.MethodDescriptor, path string) bool {
	md := method.Input()
	for i := range md.Fields().Len() {
		f := md.Fields().Get(i)
		if requiredInput(f) && !strings.Contains(path, "{"+string(f.Name())+"}") {
			return true
		}
	}
	for i := range md.Oneofs().Len() {
		if rules, err := protovalidate.ResolveOneofRules(md.Oneofs().Get(i)); err == nil && rules.GetRequired() {
			return true
		}
	}
	return false
}
