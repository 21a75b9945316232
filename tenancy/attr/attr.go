// Package attr is named values on their way into JSON text that is hashed, signed
// or written on the hot path: audit entries, events. The text is built by append,
// in the order given and without reflection, so that the same values always give
// the same bytes.
//
// Text is sanitised on the way: it becomes valid UTF-8 without NUL, which neither
// Postgres nor a verifier would take, and is cut at MaxBytes.
package attr

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// MaxBytes bounds one text value: what is longer is cut at a character's end. It
// keeps what a caller sends from filling the log; nothing that we name comes near it.
const MaxBytes = 2048

type kind uint8

const (
	kindText kind = iota
	kindInt
	kindBool
	kindBytes
	kindTexts
	kindUUID
)

// Attr is one named value. Keys are lowerCamel constants of the calling package.
type Attr struct {
	Key string

	kind  kind
	num   int64
	text  string
	bytes []byte
	texts []string
	id    uuid.UUID
}

// Text is a string.
func Text(key, value string) Attr { return Attr{Key: key, kind: kindText, text: value} }

// Int is an integer. It must fit a double exactly: readers of JSON use those.
func Int(key string, value int64) Attr { return Attr{Key: key, kind: kindInt, num: value} }

// Bool is true or false.
func Bool(key string, value bool) Attr {
	a := Attr{Key: key, kind: kindBool}
	if value {
		a.num = 1
	}
	return a
}

// Bytes are written in base64url without padding: credential ids, sealed values.
func Bytes(key string, value []byte) Attr { return Attr{Key: key, kind: kindBytes, bytes: value} }

// Texts is a list of strings.
func Texts(key string, values []string) Attr { return Attr{Key: key, kind: kindTexts, texts: values} }

// UUID is an id.
func UUID(key string, value uuid.UUID) Attr { return Attr{Key: key, kind: kindUUID, id: value} }

// AppendObject appends attrs as a JSON object, in the order given.
func AppendObject(dst []byte, attrs []Attr) []byte {
	dst = append(dst, '{')
	for i := range attrs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendMember(dst, attrs[i])
	}
	return append(dst, '}')
}

// AppendMember appends a as one member of a JSON object: "key":value.
func AppendMember(dst []byte, a Attr) []byte {
	dst = AppendText(dst, a.Key)
	dst = append(dst, ':')
	switch a.kind {
	case kindInt:
		return strconv.AppendInt(dst, a.num, 10)
	case kindBool:
		return strconv.AppendBool(dst, a.num == 1)
	case kindBytes:
		dst = append(dst, '"')
		dst = base64.RawURLEncoding.AppendEncode(dst, a.bytes)
		return append(dst, '"')
	case kindTexts:
		dst = append(dst, '[')
		for i, s := range a.texts {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendText(dst, s)
		}
		return append(dst, ']')
	case kindUUID:
		return AppendUUID(dst, a.id)
	default:
		return AppendText(dst, a.text)
	}
}

const hexDigits = "0123456789abcdef"

// AppendText appends s as a JSON string. Only what JSON requires is escaped, in the
// shortest form (as RFC 8785 §3.2.2.2 does). What is not UTF-8, and NUL, becomes
// U+FFFD.
func AppendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	s = cut(s)
	plain := 0 // start of what is copied as it is
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		r, size := rune(c), 1
		if c >= utf8.RuneSelf {
			if r, size = utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[plain:i]...)
		dst = appendEscaped(dst, r)
		i += size
		plain = i
	}
	dst = append(dst, s[plain:]...)
	return append(dst, '"')
}

func appendEscaped(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case 0, utf8.RuneError:
		return append(dst, "\uFFFD"...)
	default: // the other control characters
		return append(dst, '\\', 'u', '0', '0', hexDigits[r>>4&0xF], hexDigits[r&0xF])
	}
}

// cut shortens s to MaxBytes at the end of a character.
func cut(s string) string {
	if len(s) <= MaxBytes {
		return s
	}
	end := MaxBytes
	for end > MaxBytes-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// AppendTime appends t as a JSON string: RFC 3339 in UTC with six digits, which is
// Postgres's grain, so that equal instants are equal text.
func AppendTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, `"2006-01-02T15:04:05.000000Z"`)
}

// AppendUUID appends id as a JSON string.
func AppendUUID(dst []byte, id uuid.UUID) []byte {
	dst = append(dst, '"')
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hexDigits[b>>4], hexDigits[b&0xF])
	}
	return append(dst, '"')
}
