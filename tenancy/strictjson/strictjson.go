// Package strictjson refuses JSON that two readers may read differently. encoding/json takes the last of members that are given twice,
// takes names that differ in case as one, and passes null over. It is a leaf.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	maxDepth = 8  // of nesting
	maxName  = 64 // bytes of a name that an error repeats
)

// Error says what is wrong, and where.
type Error struct {
	Path string // as rules[2].when; empty: the document. UTF-8 if the document is
	Text string // for people
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Text
	}
	return e.Path + ": " + e.Text
}

// Check reads a document: one JSON value, nested at most eight deep, without null, and without an object that has a member twice, in any
// case. It does not look at what members there are. Its error is an *Error, or nil.
func Check(document []byte) error {
	dec := json.NewDecoder(bytes.NewReader(document))
	if err := value(dec, "", 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return &Error{"", "text follows the document"}
	}
	return nil
}

func notJSON() error { return &Error{"", "not JSON"} }

func value(dec *json.Decoder, at string, depth int) error {
	token, err := dec.Token()
	if err != nil || depth > maxDepth {
		return notJSON()
	}
	switch token {
	case nil:
		return &Error{at, "null stands there"}
	case json.Delim('['):
		for i := 0; dec.More(); i++ {
			if err := value(dec, fmt.Sprintf("%s[%d]", at, i), depth+1); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		seen := map[string]bool{}
		for dec.More() {
			key, err := dec.Token()
			name, ok := key.(string)
			if err != nil || !ok {
				return notJSON()
			}
			path := strings.TrimPrefix(at+"."+strings.ToValidUTF8(name[:min(len(name), maxName)], ""), ".")
			if seen[strings.ToLower(name)] {
				return &Error{path, "a member is given twice"}
			}
			seen[strings.ToLower(name)] = true
			if err := value(dec, path, depth+1); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	if _, err := dec.Token(); err != nil {
		return notJSON()
	}
	return nil
}
