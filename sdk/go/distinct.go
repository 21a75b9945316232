package biocore

import (
	"bytes"
	"slices"
)

// distinct reports whether no member of a JSON object stands twice, and none of the known
// ones is spelled in another case: of two, one reader takes the first and another the
// last (RFC 7519 §4, RFC 8259 §4), and encoding/json takes no notice of case. Names that
// differ in case alone count as one, and an escaped name as twice, since it may be any.
// Only the object's own members count, not those of what is in it.
//
// text is valid JSON, and an object. It allocates nothing for as many members as we write.
func distinct(text []byte, known []string) bool {
	var names [16][]byte // we write 11
	seen, depth, name := names[:0], 0, false
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
			name = depth == 1
		case '}', ']':
			depth--
		case ',':
			name = depth == 1
		case '"':
			start := i + 1
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					if name {
						return false
					}
					i++ // whatever is escaped ends nothing
				}
			}
			if !name {
				continue
			}
			this := text[start:i]
			if slices.ContainsFunc(seen, func(s []byte) bool { return bytes.EqualFold(s, this) }) ||
				slices.ContainsFunc(known, func(k string) bool { return k != string(this) && bytes.EqualFold([]byte(k), this) }) {
				return false
			}
			seen, name = append(seen, this), false
		}
	}
	return true
}
