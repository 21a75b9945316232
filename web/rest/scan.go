package rest

import (
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep a body may nest arrays and objects. An answer of a
// browser is 4 deep; extension results may add a few.
const maxDepth = 16

// linearKeys is how many keys of one object are compared one by one before a
// map is made. Every object we define has fewer.
const linearKeys = 24

// scanner reads JSON (RFC 8259) from a string. It is stricter than the RFC
// where a second reader might see something else: a key may stand once in an
// object, strings are UTF-8 without lone surrogates. The first error stays.
type scanner struct {
	in    string
	pos   int
	depth int
	err   error
}

// check reports whether body is one JSON object that we accept. Everything that
// is decoded goes through it, or through a decoder built on the same scanner.
func check(body string) error {
	s := scanner{in: body}
	s.space()
	if s.peek() == '{' {
		s.skip()
	} else {
		s.fail("not a JSON object")
	}
	return s.end()
}

// checkValue is check for a body that may be any JSON value.
func checkValue(body string) error {
	s := scanner{in: body}
	s.space()
	s.skip()
	return s.end()
}

// fail keeps the first error.
func (s *scanner) fail(what string) {
	if s.err == nil {
		s.err = malformed(what + " at byte " + strconv.Itoa(s.pos))
	}
}

// end expects nothing more than space and returns the first error.
func (s *scanner) end() error {
	if s.pos < len(s.in) {
		s.fail("unexpected text")
	}
	return s.err
}

// peek returns the next byte, or 0 at the end and after an error.
func (s *scanner) peek() byte {
	if s.err != nil || s.pos >= len(s.in) {
		return 0
	}
	return s.in[s.pos]
}

func (s *scanner) space() {
	for s.pos < len(s.in) {
		switch s.in[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// expect consumes b and the space after it.
func (s *scanner) expect(b byte) bool {
	if s.peek() != b {
		s.fail("expected " + strconv.QuoteRune(rune(b)))
		return false
	}
	s.pos++
	s.space()
	return true
}

// open enters an object or array.
func (s *scanner) open(b byte) bool {
	if s.depth >= maxDepth {
		s.fail("nested deeper than " + strconv.Itoa(maxDepth) + " levels")
		return false
	}
	s.depth++
	return s.expect(b)
}

// next reports whether an object or array goes on, consuming the comma or the
// closing byte. first is true before its first member.
func (s *scanner) next(first bool, closing byte) bool {
	switch {
	case s.peek() == closing:
		s.pos++
		s.space()
		s.depth--
		return false
	case first:
		return s.err == nil
	default:
		return s.expect(',')
	}
}

// key reads a member's name and the colon. seen holds the names before it.
func (s *scanner) key(seen *keySet) string {
	at := s.pos
	name := s.str()
	if s.err == nil && !seen.add(name) {
		s.pos = at
		s.fail("duplicate key")
	}
	s.expect(':')
	return name
}

// object reads an object, calling member for each: it must consume the value.
func (s *scanner) object(member func(name string)) {
	var seen keySet
	if !s.open('{') {
		return
	}
	for first := true; s.next(first, '}'); first = false {
		name := s.key(&seen)
		if s.err != nil {
			return
		}
		member(name)
	}
}

// skip reads one value of any kind.
func (s *scanner) skip() {
	switch b := s.peek(); {
	case b == '{':
		s.object(func(string) { s.skip() })
	case b == '[':
		if !s.open('[') {
			return
		}
		for first := true; s.next(first, ']'); first = false {
			s.skip()
			if s.err != nil {
				return
			}
		}
	case b == '"':
		s.skipString()
	case b == '-' || '0' <= b && b <= '9':
		s.number()
	case b == 't':
		s.word("true")
	case b == 'f':
		s.word("false")
	case b == 'n':
		s.word("null")
	default:
		s.fail("expected a value")
	}
}

// null consumes the word null if it is next.
func (s *scanner) null() bool {
	if s.peek() != 'n' {
		return false
	}
	s.word("null")
	return s.err == nil
}

func (s *scanner) word(word string) {
	if len(s.in)-s.pos < len(word) || s.in[s.pos:s.pos+len(word)] != word {
		s.fail("expected a value")
		return
	}
	s.pos += len(word)
	s.delimited()
}

// delimited expects that the word or number before has ended.
func (s *scanner) delimited() {
	if s.pos < len(s.in) {
		switch b := s.in[s.pos]; {
		case '0' <= b && b <= '9', 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', b == '-', b == '+', b == '.', b == '_':
			s.fail("malformed value")
			return
		}
	}
	s.space()
}

func (s *scanner) number() {
	if s.peek() == '-' {
		s.pos++
	}
	switch b := s.peek(); {
	case b == '0':
		s.pos++
	case '1' <= b && b <= '9':
		s.digits()
	default:
		s.fail("malformed number")
		return
	}
	if s.peek() == '.' {
		s.pos++
		s.digits()
	}
	if b := s.peek(); b == 'e' || b == 'E' {
		s.pos++
		if b := s.peek(); b == '+' || b == '-' {
			s.pos++
		}
		s.digits()
	}
	if s.err == nil {
		s.delimited()
	}
}

// digits expects one or more.
func (s *scanner) digits() {
	start := s.pos
	for b := s.peek(); '0' <= b && b <= '9'; b = s.peek() {
		s.pos++
	}
	if s.pos == start {
		s.fail("malformed number")
	}
}

// plain are the bytes that stand for themselves in a string: ASCII without
// controls, quote and backslash.
var plain = func() (set [256]bool) {
	for b := 0x20; b < 0x80; b++ {
		set[b] = b != '"' && b != '\\'
	}
	return set
}()

// plainEnd returns where the run of plain bytes from pos on ends.
func (s *scanner) plainEnd() int {
	i := s.pos
	for i < len(s.in) && plain[s.in[i]] {
		i++
	}
	return i
}

// str reads a string. One without escapes is a part of the input, not a copy.
func (s *scanner) str() string {
	if s.peek() != '"' {
		s.fail("expected a string")
		return ""
	}
	s.pos++
	start := s.pos
	if s.pos = s.plainEnd(); s.peek() == '"' {
		text := s.in[start:s.pos]
		s.pos++
		s.space()
		return text
	}
	out := append(make([]byte, 0, 2*(s.pos-start)+32), s.in[start:s.pos]...)
	out, ok := s.unescape(out)
	if !ok {
		return ""
	}
	return string(out)
}

// skipString is str without keeping the text.
func (s *scanner) skipString() {
	s.pos++
	if s.pos = s.plainEnd(); s.peek() == '"' {
		s.pos++
		s.space()
		return
	}
	var scratch [64]byte
	s.unescape(scratch[:0])
}

// unescape reads the rest of a string and the space after it, appending its
// text to out.
func (s *scanner) unescape(out []byte) ([]byte, bool) {
	for s.err == nil {
		end := s.plainEnd()
		out = append(out, s.in[s.pos:end]...)
		s.pos = end
		switch b := s.peek(); {
		case b == '"':
			s.pos++
			s.space()
			return out, true
		case b == '\\':
			out = s.escape(out)
		case b < 0x20: // the end, too
			s.fail("malformed string")
		default:
			r, n := utf8.DecodeRuneInString(s.in[s.pos:])
			if r == utf8.RuneError && n == 1 {
				s.fail("invalid UTF-8")
				break
			}
			out = append(out, s.in[s.pos:s.pos+n]...)
			s.pos += n
		}
	}
	return out, false
}

// escape reads one backslash and what it escapes.
func (s *scanner) escape(out []byte) []byte {
	s.pos++
	b := s.peek()
	switch b {
	case '"', '\\', '/':
	case 'b':
		b = '\b'
	case 'f':
		b = '\f'
	case 'n':
		b = '\n'
	case 'r':
		b = '\r'
	case 't':
		b = '\t'
	case 'u':
		s.pos++
		r := s.hex4()
		if utf16.IsSurrogate(r) {
			if s.peek() == '\\' && s.pos+1 < len(s.in) && s.in[s.pos+1] == 'u' {
				s.pos += 2
				r = utf16.DecodeRune(r, s.hex4())
			} else {
				r = utf8.RuneError
			}
			if r == utf8.RuneError {
				s.fail("lone surrogate")
			}
		}
		return utf8.AppendRune(out, r)
	default:
		s.fail("malformed escape")
		return out
	}
	s.pos++
	return append(out, b)
}

// hex4 reads four hexadecimal digits.
func (s *scanner) hex4() rune {
	if len(s.in)-s.pos < 4 {
		s.fail("malformed escape")
		return 0
	}
	var r rune
	for _, b := range []byte(s.in[s.pos : s.pos+4]) {
		switch {
		case '0' <= b && b <= '9':
			b -= '0'
		case 'a' <= b && b <= 'f':
			b -= 'a' - 10
		case 'A' <= b && b <= 'F':
			b -= 'A' - 10
		default:
			s.fail("malformed escape")
			return 0
		}
		r = r<<4 | rune(b)
	}
	s.pos += 4
	return r
}

// keySet are the names in one object.
type keySet struct {
	few  [linearKeys]string
	n    int
	many map[string]struct{}
}

// add reports whether name is new.
func (k *keySet) add(name string) bool {
	if k.n < linearKeys {
		if slices.Contains(k.few[:k.n], name) {
			return false
		}
		k.few[k.n] = name
		k.n++
		return true
	}
	if k.many == nil {
		k.many = make(map[string]struct{}, 2*linearKeys)
		for _, other := range k.few {
			k.many[other] = struct{}{}
		}
	}
	if _, ok := k.many[name]; ok {
		return false
	}
	k.many[name] = struct{}{}
	return true
}
