package webauthn

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits on JSON that a client signed or sent. encoding/json is not used for
// it: it lets duplicate names and invalid UTF-8 pass, matches names without
// regard to case, and costs more than the rest of the parsing together.
const (
	maxJSONDepth   = 16
	maxJSONMembers = 64 // in one object; also bounds the search for duplicates
)

// jsonMembers reads data, which must be one JSON object and nothing else, and
// calls visit with each member's name and the text of its value. Names are
// unique in every object, at any depth; text is valid UTF-8 without unpaired
// surrogates.
func jsonMembers(data string, visit func(name, value string) error) error {
	if !utf8.ValidString(data) {
		return errors.New("json: invalid UTF-8")
	}
	r := jsonReader{text: data}
	r.space()
	if err := r.object(1, visit); err != nil {
		return fmt.Errorf("json at byte %d: %w", r.pos, err)
	}
	r.space()
	if r.pos != len(r.text) {
		return fmt.Errorf("json at byte %d: text after the object", r.pos)
	}
	return nil
}

// jsonString returns the string that value, the text of one JSON value, is.
func jsonString(value string) (string, error) {
	if value == "" || value[0] != '"' {
		return "", errors.New("json: not a string")
	}
	r := jsonReader{text: value}
	return r.str()
}

// jsonBool returns the boolean that value, the text of one JSON value, is.
func jsonBool(value string) (bool, error) {
	switch value {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("json: not a boolean")
}

// jsonReader walks over JSON text. It is RFC 8259 and not a byte more lenient.
type jsonReader struct {
	text string
	pos  int
}

var errJSONEnd = errors.New("unexpected end")

func (r *jsonReader) space() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

// next skips white space and consumes the byte after it.
func (r *jsonReader) next() (byte, error) {
	r.space()
	if r.pos == len(r.text) {
		return 0, errJSONEnd
	}
	r.pos++
	return r.text[r.pos-1], nil
}

func (r *jsonReader) object(depth int, visit func(name, value string) error) error {
	if depth > maxJSONDepth {
		return errors.New("nested too deep")
	}
	if c, err := r.next(); err != nil || c != '{' {
		return errors.New("not an object")
	}
	r.space()
	if r.pos < len(r.text) && r.text[r.pos] == '}' {
		r.pos++
		return nil
	}
	var few [8]string // client data has four to six members: no allocation
	seen := few[:0]
	for {
		r.space()
		name, err := r.str()
		if err != nil {
			return err
		}
		if slices.Contains(seen, name) {
			return errors.New("duplicate name")
		}
		if len(seen) == maxJSONMembers {
			return errors.New("too many members")
		}
		seen = append(seen, name)
		if c, err := r.next(); err != nil || c != ':' {
			return errors.New("no colon after a name")
		}
		r.space()
		start := r.pos
		if err := r.value(depth); err != nil {
			return err
		}
		if visit != nil {
			if err := visit(name, r.text[start:r.pos]); err != nil {
				return err
			}
		}
		switch c, err := r.next(); {
		case err != nil:
			return err
		case c == '}':
			return nil
		case c != ',':
			return errors.New("no comma after a member")
		}
	}
}

func (r *jsonReader) array(depth int) error {
	if depth > maxJSONDepth {
		return errors.New("nested too deep")
	}
	r.pos++ // '['
	r.space()
	if r.pos < len(r.text) && r.text[r.pos] == ']' {
		r.pos++
		return nil
	}
	for {
		r.space()
		if err := r.value(depth); err != nil {
			return err
		}
		switch c, err := r.next(); {
		case err != nil:
			return err
		case c == ']':
			return nil
		case c != ',':
			return errors.New("no comma after an element")
		}
	}
}

// value consumes one value; depth is that of the object or array around it.
func (r *jsonReader) value(depth int) error {
	if r.pos == len(r.text) {
		return errJSONEnd
	}
	switch c := r.text[r.pos]; {
	case c == '{':
		return r.object(depth+1, nil)
	case c == '[':
		return r.array(depth + 1)
	case c == '"':
		_, err := r.str()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	}
	for _, literal := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(r.text[r.pos:], literal) {
			r.pos += len(literal)
			return nil
		}
	}
	return errors.New("not a value")
}

func (r *jsonReader) number() error {
	if r.text[r.pos] == '-' {
		r.pos++
	}
	switch whole := r.digits(); {
	case whole == 0:
		return errors.New("number without digits")
	case whole > 1 && r.text[r.pos-whole] == '0':
		return errors.New("number with a leading zero")
	}
	if r.pos < len(r.text) && r.text[r.pos] == '.' {
		r.pos++
		if r.digits() == 0 {
			return errors.New("number without digits after the point")
		}
	}
	if r.pos < len(r.text) && (r.text[r.pos] == 'e' || r.text[r.pos] == 'E') {
		r.pos++
		if r.pos < len(r.text) && (r.text[r.pos] == '+' || r.text[r.pos] == '-') {
			r.pos++
		}
		if r.digits() == 0 {
			return errors.New("number without an exponent")
		}
	}
	return nil
}

// digits consumes decimal digits and returns how many.
func (r *jsonReader) digits() int {
	start := r.pos
	for r.pos < len(r.text) && r.text[r.pos] >= '0' && r.text[r.pos] <= '9' {
		r.pos++
	}
	return r.pos - start
}

// str consumes a string and returns what it says. Without escapes, which no
// client needs for origins and challenges, that is a slice of the text.
func (r *jsonReader) str() (string, error) {
	if r.pos == len(r.text) || r.text[r.pos] != '"' {
		return "", errors.New("not a string")
	}
	r.pos++
	start := r.pos
	for ; r.pos < len(r.text); r.pos++ {
		switch c := r.text[r.pos]; {
		case c == '"':
			r.pos++
			return r.text[start : r.pos-1], nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", errors.New("control character in a string")
		}
	}
	return "", errJSONEnd
}

// escaped goes on with a string that began at start and whose first escape is
// at r.pos.
func (r *jsonReader) escaped(start int) (string, error) {
	out := []byte(r.text[start:r.pos])
	for r.pos < len(r.text) {
		c := r.text[r.pos]
		r.pos++
		switch {
		case c == '"':
			return string(out), nil
		case c < ' ':
			return "", errors.New("control character in a string")
		case c != '\\':
			out = append(out, c)
			continue
		}
		char, err := r.escape()
		if err != nil {
			return "", err
		}
		out = utf8.AppendRune(out, char)
	}
	return "", errJSONEnd
}

// escape consumes what follows a backslash.
func (r *jsonReader) escape() (rune, error) {
	if r.pos == len(r.text) {
		return 0, errJSONEnd
	}
	c := r.text[r.pos]
	r.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
	default:
		return 0, errors.New("unknown escape")
	}
	char, err := r.hex4()
	if err != nil || !utf16.IsSurrogate(char) {
		return char, err
	}
	if !strings.HasPrefix(r.text[r.pos:], `\u`) {
		return 0, errors.New("unpaired surrogate")
	}
	r.pos += 2
	low, err := r.hex4()
	if err != nil {
		return 0, err
	}
	if char = utf16.DecodeRune(char, low); char == utf8.RuneError {
		return 0, errors.New("unpaired surrogate")
	}
	return char, nil
}

func (r *jsonReader) hex4() (rune, error) {
	if len(r.text)-r.pos < 4 {
		return 0, errJSONEnd
	}
	n, err := strconv.ParseUint(r.text[r.pos:r.pos+4], 16, 16)
	if err != nil {
		return 0, errors.New("bad unicode escape")
	}
	r.pos += 4
	return rune(n), nil
}
