package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// members reads one JSON object, and refuses what two parsers could read in two ways:
// a name twice, bytes that are not UTF-8, anything after it. encoding/json alone takes
// the last of two and names in any case, by which a key could hide behind another.
func members(raw []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("a name that is no string")
		}
		if _, twice := out[name]; twice {
			return nil, errors.New("a name twice")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		out[name] = value
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something after the object")
	}
	return out, nil
}

// reader takes the members of one object by name, and collects what is wrong.
type reader struct {
	prefix   string // of the names in reports: "credentials[0]."
	left     map[string]json.RawMessage
	problems *[]Problem
}

func (r *reader) refuse(field string, reason Reason, detail string) {
	if len(*r.problems) < maxProblemsPerLine {
		*r.problems = append(*r.problems, Problem{Field: r.prefix + field, Reason: reason, Detail: detail})
	}
}

func (r *reader) refuseBy(field string, otherwise Reason, err error) {
	p := problem(field, otherwise, err)
	r.refuse(p.Field, p.Reason, p.Detail)
}

// take decodes the member into to and reports whether it is there; null is as absent.
func (r *reader) take(name string, to any, kind string) bool {
	raw, ok := r.left[name]
	delete(r.left, name)
	if !ok || string(raw) == "null" {
		return false
	}
	if err := json.Unmarshal(raw, to); err != nil {
		r.refuse(name, FieldInvalid, "is "+kind)
		return false
	}
	return true
}

// text takes a string. U+FFFD is refused: it is what decoders put in the place of what
// they could not read, half a surrogate pair for one.
func (r *reader) text(name string, maxBytes int) string {
	var s string
	if !r.take(name, &s, "a string") {
		return ""
	}
	if len(s) > maxBytes || strings.ContainsRune(s, utf8.RuneError) {
		r.refuse(name, FieldInvalid, "is too long, or has characters that could not be read")
		return ""
	}
	return s
}

// choice takes one of some words; absent is the first.
func (r *reader) choice(name string, words ...string) string {
	s := r.text(name, maxWordBytes)
	if s == "" {
		return words[0]
	}
	if !slices.Contains(words, s) {
		r.refuse(name, FieldInvalid, "is one of "+strings.Join(words, ", "))
		return words[0]
	}
	return s
}

// end refuses what nobody has taken, in a stable order.
func (r *reader) end() {
	unknown := make([]string, 0, len(r.left))
	for name := range r.left {
		unknown = append(unknown, name)
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		r.refuse(printable(name), FieldUnknown, "")
	}
}

// printable is a foreign name for a report: short, and nothing that acts on a terminal.
func printable(name string) string {
	name = strings.Map(func(c rune) rune {
		if c > ' ' && c <= '~' {
			return c
		}
		return '?'
	}, name)
	if len(name) > maxWordBytes {
		name = name[:maxWordBytes]
	}
	return name
}

const (
	maxWordBytes       = 64
	maxProblemsPerLine = 8
)
