package rest

import (
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxQueryBytes bounds a query string. The longest we know, a page token and a
// filter, is under 4 KiB when encoded.
const maxQueryBytes = 8 << 10

// bindPath sets the fields that the template's variables name.
func bindPath(m protoreflect.Message, t template, values *pathValues) error {
	n := 0
	for _, s := range t.segments {
		if s.field == nil {
			continue
		}
		text, err := url.PathUnescape(values.raw[n])
		if err != nil {
			return malformed("the path has a broken percent-encoding")
		}
		n++
		if err := setText(m, s.field, text, false); err != nil {
			return err
		}
	}
	return nil
}

// bindQuery sets the fields that query parameters name: "pageSize",
// "user.name"; a repeated field by repeating the parameter. Names are those of
// JSON or of the .proto file. Parameters that name no field are ignored, as
// unknown JSON fields are. Fields that the body holds are not for the query.
func bindQuery(m protoreflect.Message, rt *route, raw string) error {
	if raw == "" {
		return nil
	}
	if len(raw) > maxQueryBytes {
		return malformed("the query is longer than " + strconv.Itoa(maxQueryBytes) + " bytes")
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return malformed("the query has a broken encoding")
	}
	for name, texts := range query {
		field := lookup(m.Descriptor(), name)
		if field == nil || field[0] == rt.body {
			continue
		}
		last := field[len(field)-1]
		if !last.IsList() && len(texts) > 1 {
			return badParameter(name, "stands more than once")
		}
		for _, text := range texts {
			if err := setText(m, field, text, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookup finds the field that a query parameter names, nil if there is none or
// it cannot be written as one text.
func lookup(md protoreflect.MessageDescriptor, name string) fieldPath {
	var path fieldPath
	for part := range strings.SplitSeq(name, ".") {
		if md == nil {
			return nil
		}
		f := md.Fields().ByJSONName(part)
		if f == nil {
			f = md.Fields().ByTextName(part)
		}
		if f == nil || f.IsMap() {
			return nil
		}
		path = append(path, f)
		if md = f.Message(); f.IsList() {
			md = nil
		}
	}
	if last := path[len(path)-1]; last.Message() != nil && !textual[last.Message().FullName()] {
		return nil
	}
	return path
}

// textual are the messages that JSON writes as a string.
var textual = map[protoreflect.FullName]bool{
	"google.protobuf.Timestamp": true,
	"google.protobuf.Duration":  true,
	"google.protobuf.FieldMask": true,
}

// setText parses text as the field's type and sets it, or appends to a list.
// Once refuses a field, or a oneof, that is set already.
func setText(m protoreflect.Message, path fieldPath, text string, once bool) error {
	for _, f := range path[:len(path)-1] {
		if once && taken(m, f) {
			return badParameter(f.JSONName(), "goes with no other of "+string(f.ContainingOneof().Name()))
		}
		m = m.Mutable(f).Message()
	}
	f := path[len(path)-1]
	if once && taken(m, f) {
		return badParameter(f.JSONName(), "goes with no other of "+string(f.ContainingOneof().Name()))
	}
	v, ok := parseText(m, f, text)
	if !ok {
		return badParameter(f.JSONName(), "is not "+typeName(f))
	}
	if f.IsList() {
		m.Mutable(f).List().Append(v)
		return nil
	}
	m.Set(f, v)
	return nil
}

// taken reports whether another field of f's oneof is set.
func taken(m protoreflect.Message, f protoreflect.FieldDescriptor) bool {
	o := f.ContainingOneof()
	if o == nil || o.IsSynthetic() {
		return false
	}
	other := m.WhichOneof(o)
	return other != nil && other != f
}

// parseText reads one value of f's type, as JSON would write it in a string.
func parseText(m protoreflect.Message, f protoreflect.FieldDescriptor, text string) (v protoreflect.Value, ok bool) {
	switch f.Kind() {
	case protoreflect.StringKind:
		ok = validText(text)
		return protoreflect.ValueOfString(text), ok
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(text == "true"), text == "true" || text == "false"
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		return protoreflect.ValueOfInt32(int32(n)), err == nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, err := strconv.ParseUint(text, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), err == nil
	case protoreflect.EnumKind:
		if ev := f.Enum().Values().ByName(protoreflect.Name(text)); ev != nil {
			return protoreflect.ValueOfEnum(ev.Number()), true
		}
		return v, false
	case protoreflect.MessageKind:
		if f.IsList() {
			v = m.Mutable(f).List().NewElement()
		} else {
			v = m.NewField(f)
		}
		if !validText(text) {
			return v, false
		}
		return v, protojson.Unmarshal(appendString(nil, text), v.Message().Interface()) == nil
	case protoreflect.DoubleKind: // counts past 32 bits: whole, and as exact as JSON's numbers are
		n, err := strconv.ParseInt(text, 10, 54)
		return protoreflect.ValueOfFloat64(float64(n)), err == nil
	default: // 64-bit, single and binary fields: the API has none
		return v, false
	}
}

// typeName says what a parameter should have been.
func typeName(f protoreflect.FieldDescriptor) string {
	switch f.Kind() {
	case protoreflect.EnumKind:
		return "one of its names"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.MessageKind:
		return "a " + strings.ToLower(string(f.Message().Name()))
	case protoreflect.StringKind:
		return "UTF-8"
	default:
		return "a whole number in range"
	}
}

// badParameter names the parameter in the metadata, where validation puts
// fields too, and not what was sent.
func badParameter(name, what string) error {
	return malformed("a parameter cannot be read").With(name, what)
}
