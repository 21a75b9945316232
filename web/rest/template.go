package rest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxPathValues bounds the variables of one template, so that matching a path
// needs no allocation.
const maxPathValues = 4

// route is one binding of a method: what it is called by, and how a request
// becomes its message.
type route struct {
	spec     connect.Spec
	method   string
	template template
	// body is the field that the body holds; nil with wholeBody for all fields
	// that the path does not bind, nil without for none.
	body      protoreflect.FieldDescriptor
	wholeBody bool
	input     protoreflect.MessageDescriptor
	// etag is the answer's field of that name, nil if it has none.
	etag protoreflect.FieldDescriptor
}

// template is a path template of google.api.http, such as
// "/v1/users/{user_id}:block". Served are literals and variables of one
// segment; "**" and variables that span segments are not.
type template struct {
	source   string
	segments []segment
	verb     string
}

// segment is a literal or, with a field path, a variable.
type segment struct {
	literal string
	field   fieldPath
}

// fieldPath leads from a message to a field in it or in its messages.
type fieldPath []protoreflect.FieldDescriptor

func (t template) String() string { return t.source }

// compile reads the annotation of a method into its routes: none without one.
func compile(spec connect.Spec) ([]*route, error) {
	md, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, nil
	}
	rule, ok := proto.GetExtension(md.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil || rule.GetPattern() == nil {
		return nil, nil
	}
	if spec.StreamType != connect.StreamTypeUnary {
		return nil, fmt.Errorf("%s streams are not served by REST", spec.StreamType)
	}
	rules := append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...)
	routes := make([]*route, 0, len(rules))
	for _, rule := range rules {
		r, err := compileRule(spec, md, rule)
		if err != nil {
			return nil, err
		}
		routes = append(routes, r)
	}
	return routes, nil
}

func compileRule(spec connect.Spec, md protoreflect.MethodDescriptor, rule *annotations.HttpRule) (*route, error) {
	r := &route{spec: spec, input: md.Input()}
	var path string
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		r.method, path = http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		r.method, path = http.MethodPost, p.Post
	case *annotations.HttpRule_Put:
		r.method, path = http.MethodPut, p.Put
	case *annotations.HttpRule_Patch:
		r.method, path = http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		r.method, path = http.MethodDelete, p.Delete
	default:
		return nil, errors.New("custom HTTP methods are not served")
	}
	if rule.GetResponseBody() != "" {
		return nil, errors.New("response_body is not served")
	}
	switch body := rule.GetBody(); body {
	case "":
	case "*":
		r.wholeBody = true
	default:
		if r.body = md.Input().Fields().ByName(protoreflect.Name(body)); r.body == nil {
			return nil, fmt.Errorf("body: no field %q in %s", body, md.Input().FullName())
		}
	}
	if (r.wholeBody || r.body != nil) && (r.method == http.MethodGet || r.method == http.MethodDelete) {
		return nil, fmt.Errorf("%s with a body", r.method) // RFC 9110 §9.3.1: proxies may drop it
	}
	var err error
	if r.template, err = parseTemplate(path, md.Input()); err != nil {
		return nil, fmt.Errorf("path %q: %w", path, err)
	}
	if f := md.Output().Fields().ByName("etag"); f != nil && f.Kind() == protoreflect.StringKind && !f.IsList() {
		r.etag = f
	}
	return r, nil
}

// parseTemplate reads "/" segment {"/" segment} [":" verb].
func parseTemplate(path string, input protoreflect.MessageDescriptor) (template, error) {
	t := template{source: path}
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return t, errors.New("does not begin with a slash")
	}
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') && i > strings.LastIndexByte(rest, '}') {
		rest, t.verb = rest[:i], rest[i+1:]
		if t.verb == "" {
			return t, errors.New("empty verb")
		}
	}
	variables := 0
	for part := range strings.SplitSeq(rest, "/") {
		s, err := parseSegment(part, input)
		if err != nil {
			return t, err
		}
		if s.field != nil {
			variables++
		}
		t.segments = append(t.segments, s)
	}
	if variables > maxPathValues {
		return t, fmt.Errorf("more than %d variables", maxPathValues)
	}
	return t, nil
}

func parseSegment(part string, input protoreflect.MessageDescriptor) (segment, error) {
	if name, ok := strings.CutPrefix(part, "{"); ok {
		name, ok = strings.CutSuffix(name, "}")
		if !ok {
			return segment{}, fmt.Errorf("segment %q: variables that span segments are not served", part)
		}
		name = strings.TrimSuffix(name, "=*")
		field, err := resolve(input, name)
		if err != nil {
			return segment{}, err
		}
		if last := field[len(field)-1]; last.IsList() || last.IsMap() || last.Message() != nil {
			return segment{}, fmt.Errorf("variable %q is not a scalar", name)
		}
		return segment{field: field}, nil
	}
	if part == "" || strings.ContainsAny(part, "{}*=:%?") {
		return segment{}, fmt.Errorf("segment %q is not served", part)
	}
	return segment{literal: part}, nil
}

// resolve finds "field.field", by names of the .proto file, from md down.
func resolve(md protoreflect.MessageDescriptor, name string) (fieldPath, error) {
	var path fieldPath
	for part := range strings.SplitSeq(name, ".") {
		if md == nil {
			return nil, fmt.Errorf("%q: %q is in no message", name, part)
		}
		f := md.Fields().ByName(protoreflect.Name(part))
		if f == nil {
			return nil, fmt.Errorf("%q: no field %q in %s", name, part, md.FullName())
		}
		path = append(path, f)
		if md = f.Message(); f.IsList() || f.IsMap() {
			md = nil
		}
	}
	return path, nil
}
