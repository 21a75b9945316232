package main

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Each operation of both planes is shown with an example of what is sent, where it has a body,
// and of what is answered. Each fits its message without unknown fields, and what is sent,
// with what stands in path and query, keeps the rules.
func TestExamples(t *testing.T) {
	for _, p := range planes() {
		for _, service := range p.services {
			shown, err := shownOf(service)
			if err != nil {
				t.Errorf("%s: %v", service.FullName(), err)
				continue
			}
			for i := range service.Methods().Len() {
				method := service.Methods().Get(i)
				t.Run(string(method.FullName()), func(t *testing.T) { checkExample(t, method, get(shown, string(method.Name()))) })
			}
		}
	}
}

func checkExample(t *testing.T, method protoreflect.MethodDescriptor, shown *yaml.Node) {
	t.Helper()
	each(shown, func(part string, _ *yaml.Node) {
		if !slices.Contains([]string{"request", "response", "query"}, part) {
			t.Errorf("unknown part %q", part)
		}
	})
	if _, err := decode(method.Output(), get(shown, "response")); err != nil {
		t.Errorf("response: %v", err)
	}
	verb, at := verbAndPath(method)
	sent := mapping()
	request := get(shown, "request")
	switch hasBody := verb != "get" && verb != "delete"; {
	case hasBody && request == nil:
		t.Errorf("request: %v", errNoExample)
	case !hasBody && request != nil:
		t.Errorf("it has no body, and an example of one")
	}
	each(request, func(name string, value *yaml.Node) { set(sent, name, value) })
	each(get(shown, "query"), func(name string, value *yaml.Node) { set(sent, name, value) })
	for _, v := range variable.FindAllStringSubmatch(at, -1) {
		name := method.Input().Fields().ByName(protoreflect.Name(v[1])).JSONName()
		if get(request, name) != nil {
			t.Errorf("request: %s stands in the path", name)
		}
		set(sent, name, get(pathExamples(), name))
	}
	m, err := decode(method.Input(), sent)
	if err != nil {
		t.Errorf("request: %v", err)
		return
	}
	if err := protovalidate.Validate(m); err != nil {
		t.Errorf("request: %v", err)
	}
}

// An operation without an example stops the generator, and so does one whose field was renamed.
func TestExampleMissing(t *testing.T) {
	method := planes()[1].services[0].Methods().ByName("CreateTenant")
	if _, err := decode(method.Input(), nil); !errors.Is(err, errNoExample) {
		t.Errorf("decode(nil) = %v", err)
	}
	if _, err := decode(method.Input(), parse("{slug: acme, nickname: Acme}")); err == nil || !strings.Contains(err.Error(), "nickname") {
		t.Errorf("decode of an unknown field = %v", err)
	}
}

var (
	uuidv7  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	base64u = regexp.MustCompile(`^[A-Za-z0-9_-]{16,}$`)
	actor   = regexp.MustCompile(`^(api_key|platform|operator|user|system):[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]+$`)
	apiKey  = regexp.MustCompile(`^(number-matching|beta-testers)$|^(bk|pk|pf)_(live|test)_(…[0-9A-Za-z]{6}|EXAMPLE_shown_this_once)$`)
	token   = regexp.MustCompile(`^(example|EXAMPLE|rt_example)`)
)

// shapes are what the values of members look like, by their names. No key or token in an
// example looks like one that works: scanners would find it, and people would try it.
var shapes = map[string]*regexp.Regexp{
	"tenantId": uuidv7, "userId": uuidv7, "sessionId": uuidv7, "recoveryId": uuidv7, "invitationId": uuidv7, "memberId": uuidv7,
	"apiKeyId": uuidv7, "importId": uuidv7, "evidenceId": uuidv7, "dispositionId": uuidv7, "attestationRootId": uuidv7,
	"dashboardId": uuidv7, "logStreamId": uuidv7, "reportId": uuidv7, "supportGrantId": uuidv7, "ceremonyId": uuidv7, "exportId": uuidv7, "personId": uuidv7,
	"replacedBy": uuidv7, "requestId": uuidv7, "credentialId": base64u,
	"createdBy": actor, "updatedBy": actor, "requestedBy": actor, "invitedBy": actor, "askedBy": actor, "decidedBy": actor, "endedBy": actor,
	"secretKey": apiKey, "publishableKey": apiKey, "key": apiKey, "prefix": apiKey,
	"accessToken": token, "refreshToken": token, "registrationToken": token, "token": token, "nextPageToken": token,
}

// otherIDs are members by the name of another's, which mean something else.
var otherIDs = map[string]bool{"GetSignals": true} // WebAuthn's user handle

func TestExampleShapes(t *testing.T) {
	seen := map[string]bool{}
	visit := func(at string, root *yaml.Node) {
		walk(root, func(m *yaml.Node) {
			each(m, func(name string, value *yaml.Node) {
				if shape := shapes[name]; shape != nil && value.Kind == yaml.ScalarNode {
					seen[name] = true
					if !shape.MatchString(value.Value) {
						t.Errorf("%s: %s: %s has not the shape %s", at, name, value.Value, shape)
					}
				}
			})
		})
	}
	visit("path.yaml", pathExamples())
	for _, p := range planes() {
		for _, service := range p.services {
			shown, err := shownOf(service)
			if err != nil {
				t.Fatal(err)
			}
			each(shown, func(method string, example *yaml.Node) {
				if method == sharedKey || otherIDs[method] {
					return
				}
				visit(method, example)
			})
		}
	}
	if unseen := slices.DeleteFunc(slices.Sorted(maps.Keys(shapes)), func(name string) bool { return seen[name] }); len(unseen) > 0 {
		t.Errorf("no example has %v: the list is stale", unseen)
	}
}

// Merge keys and aliases leave no trace: what a map says itself wins.
func TestPlain(t *testing.T) {
	out, err := yaml.Marshal(parse("shared: &s {a: 1, b: 2}\none: {<<: *s, b: 3, c: *s}"))
	if err != nil {
		t.Fatal(err)
	}
	want := "shared:\n    a: 1\n    b: 2\none:\n    a: 1\n    b: 3\n    c:\n        a: 1\n        b: 2\n"
	if string(out) != want {
		t.Errorf("plain = %s, want %s", out, want)
	}
}
