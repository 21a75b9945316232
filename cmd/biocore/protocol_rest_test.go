package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// restTransport lets generated clients speak REST, so that one story can be told over
// every protocol. It knows the contract alone: each method's google.api.http.
type restTransport struct{ url string }

func (r restTransport) NewClientStream(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
	method, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s has no schema", spec.Procedure)
	}
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	return &restStream{ctx: ctx, url: r.url, rule: rule}, nil
}

// restStream is one call.
type restStream struct {
	ctx    context.Context
	url    string
	rule   *annotations.HttpRule
	answer []byte
	read   bool
}

func (s *restStream) SendHeaders() error { return nil }
func (s *restStream) CloseSend() error   { return nil }
func (s *restStream) Close() error       { return nil }

func (s *restStream) Send(msg any) error {
	m, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("a %T is no message", msg)
	}
	req, err := s.request(proto.Clone(m))
	if err != nil {
		return err
	}
	info, _ := connect.CallInfoForClientContext(s.ctx)
	maps.Insert(req.Header, info.RequestHeader().All())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for name, values := range res.Header {
		info.ResponseHeader().SetValues(name, values)
	}
	if s.answer, err = io.ReadAll(res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return restError(s.answer)
	}
	return nil
}

func (s *restStream) Receive(msg any) error {
	m, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("a %T is no message", msg)
	}
	if s.read {
		return io.EOF
	}
	s.read = true
	return protojson.Unmarshal(s.answer, m)
}

// request takes out of m what belongs in the path, and sends the rest as the body or,
// where there is none, as the query.
func (s *restStream) request(m proto.Message) (*http.Request, error) {
	var verb, path string
	switch p := s.rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		verb, path = http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		verb, path = http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		verb, path = http.MethodPatch, p.Patch
	case *annotations.HttpRule_Delete:
		verb, path = http.MethodDelete, p.Delete
	default:
		return nil, errors.New("the method has no path")
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	for _, v := range pathVariable.FindAllStringSubmatch(path, -1) {
		f := fields.ByName(protoreflect.Name(v[1]))
		path = strings.ReplaceAll(path, v[0], url.PathEscape(m.ProtoReflect().Get(f).String()))
		m.ProtoReflect().Clear(f)
	}
	if s.rule.GetBody() == "" {
		query := url.Values{}
		m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			query.Set(f.JSONName(), v.String())
			return true
		})
		if len(query) > 0 {
			path += "?" + query.Encode()
		}
		return http.NewRequestWithContext(s.ctx, verb, s.url+path, nil)
	}
	body, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(s.ctx, verb, s.url+path, bytes.NewReader(body))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

// restError reads {"code","message","details"}, so that the test asks one question of
// all protocols.
func restError(body []byte) error {
	var read struct {
		Code    connect.Code
		Message string
		Details []json.RawMessage
	}
	if err := json.Unmarshal(body, &read); err != nil {
		return fmt.Errorf("the error is not of the documented form: %s", body)
	}
	out := connect.NewError(read.Code, read.Message).WithRemote()
	for _, raw := range read.Details {
		var d struct {
			Type           string `json:"@type"`
			Reason, Domain string
			Metadata       map[string]string
		}
		if err := json.Unmarshal(raw, &d); err != nil || d.Type != "type.googleapis.com/google.rpc.ErrorInfo" {
			return fmt.Errorf("a detail is not of the documented form: %s", raw)
		}
		detail, err := connectproto.NewErrorDetail(&errdetails.ErrorInfo{Reason: d.Reason, Domain: d.Domain, Metadata: d.Metadata})
		if err != nil {
			return err
		}
		out = out.WithDetail(detail)
	}
	return out
}
