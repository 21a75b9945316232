package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// finish makes a plane's description of the plugin's.
func finish(p plane, raw []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	from := doc.Content[0]
	tidy(from)

	common := parse("%s", base)
	out := mapping()
	set(out, "openapi", str("3.1.0"))
	info := mapping()
	set(info, "title", str(p.title))
	set(info, "description", str(p.description))
	set(info, "version", str("v1"))
	set(info, "license", parse("{name: Apache-2.0, identifier: Apache-2.0}"))
	set(out, "info", info)
	set(out, "servers", get(common, "servers"))
	set(out, "security", get(common, "security"))
	set(out, "tags", tags(p, from))

	paths := mapping()
	for _, service := range p.services {
		shown, err := shownOf(service)
		if err != nil {
			return nil, err
		}
		for i := range service.Methods().Len() {
			if err := operation(paths, get(from, "paths"), service.Methods().Get(i), get(shown, string(service.Methods().Get(i).Name()))); err != nil {
				return nil, err
			}
		}
	}
	set(out, "paths", paths)

	components := get(common, "components")
	schemas := get(components, "schemas")
	all := messages(p)
	each(get(get(from, "components"), "schemas"), func(name string, schema *yaml.Node) {
		if get(schemas, name) != nil || strings.HasPrefix(name, "google.") {
			return // ours say it in fewer words
		}
		if m := all[name]; m != nil {
			describe(schema, m)
		}
		set(schemas, name, schema)
	})
	plainRoutes(p, out, components)
	set(out, "components", components)
	prune(out)
	return out, nil
}

// prune drops the schemas that nothing refers to: requests whose fields are
// partly in the path are written out where they are used.
func prune(doc *yaml.Node) {
	schemas := get(get(doc, "components"), "schemas")
	for {
		used := map[string]bool{}
		walk(doc, func(m *yaml.Node) {
			if ref := get(m, "$ref"); ref != nil {
				used[strings.TrimPrefix(ref.Value, "#/components/schemas/")] = true
			}
		})
		var unused []string
		each(schemas, func(name string, _ *yaml.Node) {
			if !used[name] {
				unused = append(unused, name)
			}
		})
		if len(unused) == 0 {
			return
		}
		for _, name := range unused {
			remove(schemas, name)
		}
	}
}

// unspecified are enum values that never leave.
var unspecified = regexp.MustCompile(`_UNSPECIFIED$`)

// tidy removes from the plugin's description what it takes from proto and JSON
// has not: titles that repeat names, nulls for absent members, packages in
// names. It unwraps comments into paragraphs.
func tidy(doc *yaml.Node) {
	walk(doc, func(m *yaml.Node) {
		if title := get(m, "title"); title != nil && title.Kind == yaml.ScalarNode {
			remove(m, "title")
		}
		if extra := get(m, "additionalProperties"); extra != nil && extra.Value == "false" {
			remove(m, "additionalProperties") // unknown fields are ignored
		}
		if types := get(m, "type"); types != nil && types.Kind == yaml.SequenceNode && len(types.Content) == 2 && types.Content[1].Value == "null" {
			set(m, "type", types.Content[0])
		}
		if of := get(m, "oneOf"); of != nil && len(of.Content) == 2 && get(of.Content[0], "$ref") != nil && get(of.Content[1], "type") != nil {
			remove(m, "oneOf")
			set(m, "$ref", get(of.Content[0], "$ref"))
		}
		if ref := get(m, "$ref"); ref != nil {
			ref.Value = "#/components/schemas/" + short(strings.TrimPrefix(ref.Value, "#/components/schemas/"))
		}
		if text := get(m, "description"); text != nil && text.Kind == yaml.ScalarNode {
			set(m, "description", str(unwrap(text.Value)))
		}
		if values := get(m, "enum"); values != nil {
			kept := list()
			for _, v := range values.Content {
				if !unspecified.MatchString(v.Value) {
					kept.Content = append(kept.Content, v)
				}
			}
			set(m, "enum", kept)
		}
		if not := get(m, "not"); not != nil && get(not, "enum") != nil && len(get(not, "enum").Content) == 0 {
			remove(m, "not") // it excluded the value that never leaves
		}
	})
	if schemas := get(get(doc, "components"), "schemas"); schemas != nil {
		for i := 0; i < len(schemas.Content); i += 2 {
			schemas.Content[i] = str(short(schemas.Content[i].Value))
		}
	}
}

// short is a type's name without its package: "User.State". A well-known type
// that base.yaml describes has no package either.
func short(name string) string {
	for _, prefix := range []string{"biocore.auth.v1.", "biocore.admin.v1."} {
		name = strings.TrimPrefix(name, prefix)
	}
	switch name {
	case "google.protobuf.Timestamp", "google.protobuf.Struct", "google.protobuf.ListValue", "google.protobuf.Value":
		return strings.TrimPrefix(name, "google.protobuf.")
	}
	return name
}

// unwrap joins the lines of a comment into paragraphs.
func unwrap(comment string) string {
	var paragraphs []string
	for paragraph := range strings.SplitSeq(comment, "\n\n") {
		paragraphs = append(paragraphs, strings.Join(strings.Fields(paragraph), " "))
	}
	return strings.Join(paragraphs, "\n\n")
}

// tags describes the services, in the order of the reference.
func tags(p plane, from *yaml.Node) *yaml.Node {
	texts := map[string]*yaml.Node{}
	for _, tag := range get(from, "tags").Content {
		texts[get(tag, "name").Value] = get(tag, "description")
	}
	out := list()
	for _, service := range p.services {
		tag := mapping()
		set(tag, "name", str(string(service.Name())))
		set(tag, "description", texts[string(service.Name())])
		out.Content = append(out.Content, tag)
	}
	return out
}

// variable is a path variable by its proto name.
var variable = regexp.MustCompile(`\{([a-z_]+)\}`)

// operation moves one method's operation into paths, finished.
func operation(paths, from *yaml.Node, method protoreflect.MethodDescriptor, shown *yaml.Node) error {
	verb, path := verbAndPath(method)
	op := get(get(from, path), verb)
	if op == nil {
		return fmt.Errorf("%s: no operation for %s %s", method.FullName(), verb, path)
	}
	camel := func(name string) string { return method.Input().Fields().ByName(protoreflect.Name(name)).JSONName() }
	at := variable.ReplaceAllStringFunc(path, func(v string) string { return "{" + camel(v[1:len(v)-1]) + "}" })

	set(op, "summary", str(words(string(method.Name()))))
	set(op, "operationId", str(string(method.Name())))
	parameters := get(op, "parameters")
	if parameters == nil {
		parameters = list()
	}
	for _, param := range parameters.Content {
		name := get(param, "name")
		if get(param, "in").Value == "path" {
			name.Value = camel(name.Value)
			if err := showParameter(param, get(pathExamples(), name.Value), method); err != nil {
				return err
			}
			continue
		}
		if example := get(get(shown, "query"), name.Value); example != nil {
			set(param, "example", example)
		}
		if f := method.Input().Fields().ByJSONName(name.Value); f != nil && requiredInput(f) {
			set(param, "required", parse("true"))
		}
	}
	add := func(name string) {
		parameters.Content = append(parameters.Content, parse("{$ref: '#/components/parameters/%s'}", name))
	}
	etag := method.Output().Fields().ByName("etag") != nil
	switch {
	case verb == "get" && etag:
		add("IfNoneMatch")
	case verb == "patch" || verb == "delete":
		add("IfMatch")
	}
	if !readOnly(method) {
		add("IdempotencyKey")
	}
	if len(parameters.Content) > 0 {
		set(op, "parameters", parameters)
	}

	if body := get(op, "requestBody"); body != nil {
		content := get(get(body, "content"), "application/json")
		if schema := get(content, "schema"); get(schema, "$ref") == nil {
			describe(schema, method.Input()) // inlined, because the path holds some of its fields
		}
		example := get(shown, "request")
		if _, err := decode(method.Input(), example); err != nil {
			return fmt.Errorf("%s: request: %w", method.Name(), err)
		}
		set(content, "example", example)
		set(body, "required", parse("%t", needsBody(method, path)))
	}
	answers, err := responses(op, method, verb, path, etag, shown)
	if err != nil {
		return err
	}
	set(op, "responses", answers)
	order(op, "tags", "summary", "description", "operationId", "parameters", "requestBody", "responses")

	item := get(paths, at)
	if item == nil {
		item = mapping()
		set(paths, at, item)
	}
	set(item, verb, op)
	return nil
}

// responses completes what the plugin knows, the answer, by errors and headers.
func responses(op *yaml.Node, method protoreflect.MethodDescriptor, verb, path string, etag bool, shown *yaml.Node) (*yaml.Node, error) {
	ok := get(get(op, "responses"), "200")
	set(ok, "description", str("Done."))
	if verb == "get" {
		set(ok, "description", str("Found."))
	}
	headers := parse("{X-Request-Id: {$ref: '#/components/headers/XRequestId'}}")
	if etag {
		set(headers, "ETag", parse("{$ref: '#/components/headers/ETag'}"))
	}
	set(ok, "headers", headers)
	example, err := complete(method.Output(), get(shown, "response"))
	if err != nil {
		return nil, fmt.Errorf("%s: response: %w", method.Name(), err)
	}
	set(get(get(ok, "content"), "application/json"), "example", example)

	out := mapping()
	set(out, "200", ok)
	add := func(status, name string) { set(out, status, parse("{$ref: '#/components/responses/%s'}", name)) }
	if verb == "get" && etag {
		add("304", "NotModified")
	}
	add("400", "BadRequest")
	add("401", "Unauthenticated")
	add("403", "Forbidden")
	if strings.Contains(path, "{") || strings.HasSuffix(path, ":lookup") {
		add("404", "NotFound")
	}
	if !readOnly(method) {
		add("409", "Conflict")
	}
	if verb != "get" && verb != "delete" {
		add("413", "TooLarge")
		add("415", "MediaType")
	}
	add("429", "RateLimited")
	add("503", "Unavailable")
	add("default", "Error")
	return out, nil
}

func verbAndPath(method protoreflect.MethodDescriptor) (verb, path string) {
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "get", p.Get
	case *annotations.HttpRule_Post:
		return "post", p.Post
	case *annotations.HttpRule_Put:
		return "put", p.Put
	case *annotations.HttpRule_Patch:
		return "patch", p.Patch
	case *annotations.HttpRule_Delete:
		return "delete", p.Delete
	}
	return "", ""
}

// readOnly reports whether a method changes nothing. VerifySession does not, but
// is not declared so: Connect would then take its token in a URL.
func readOnly(method protoreflect.MethodDescriptor) bool {
	opts, _ := method.Options().(*descriptorpb.MethodOptions)
	return opts.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS || method.Name() == "VerifySession"
}

// words spells a method's name: "Begin registration".
func words(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return strings.ReplaceAll(b.String(), "api key", "API key")
}
