package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// Place is where in a document's text something is wrong.
type Place struct {
	Field  string // name of the field; empty where none is named
	Line   int    // 1 is the first
	Column int    // in characters; 1 is the first
}

// Locate returns where in text lies what Parse refused with err: the field's name, or the
// place at which the text stops being JSON. The zero Place for any other error. A field that
// the text leaves out is at its first line.
func Locate(text []byte, err error) Place {
	f, ok := fault.As(err)
	if !ok || !errors.Is(err, ErrInvalid) {
		return Place{}
	}
	names, broken := topLevel(text)
	at := -1
	field := f.Metadata["field"]
	if cut, _, nested := strings.Cut(field, "."); nested {
		field = cut
	}
	seen := map[string]bool{}
	for _, n := range names {
		lower := strings.ToLower(n.name)
		wrong := n.name == field
		if field == "" { // of what parse refuses without naming it
			wrong = seen[lower] || n.null || n.name != schemaMember && !slices.Contains(Fields(), n.name)
		}
		if seen[lower] = true; wrong {
			at, field = n.offset, n.name
			break
		}
	}
	if at < 0 && broken >= 0 {
		at = broken
	}
	p := Place{Field: field, Line: 1, Column: 1}
	if at > 0 {
		before := text[:min(at, len(text))]
		p.Line = 1 + bytes.Count(before, []byte("\n"))
		p.Column = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	}
	return p
}

// member is a name in the document's object.
type member struct {
	name   string
	offset int // of its opening quote
	null   bool
}

// topLevel returns the names of the object, and where the text stops being one; -1 if it
// does not.
func topLevel(text []byte) (names []member, broken int) {
	dec := json.NewDecoder(bytes.NewReader(text))
	stop := func(err error) ([]member, int) {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at := max(int(syntax.Offset)-1, 0)
			rest := text[min(at, len(text)):]
			return names, at + len(rest) - len(bytes.TrimLeft(rest, " \t\r\n")) // the space before is fine
		}
		return names, len(text)
	}
	if t, err := dec.Token(); err != nil {
		return stop(err)
	} else if t != json.Delim('{') {
		return nil, 0
	}
	for dec.More() {
		from := int(dec.InputOffset())
		key, err := dec.Token()
		if err != nil {
			return stop(err)
		}
		name, ok := key.(string)
		if !ok {
			return names, from
		}
		quote := bytes.IndexByte(text[from:], '"')
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return stop(err)
		}
		names = append(names, member{name: name, offset: from + max(quote, 0), null: string(value) == "null"})
	}
	if _, err := dec.Token(); err != nil {
		return stop(err)
	}
	if rest := bytes.TrimLeft(text[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return names, len(text) - len(rest)
	}
	return names, -1
}
