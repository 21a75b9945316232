// Package secret keeps what nobody may read out of what anybody may: a text that does
// not print, a mark for types that must not, and files that are open to no others.
//
// It is the first line of defence. The second is the log's redaction, which knows
// secrets by their looks alone and misses a password that looks like a word.
package secret

import (
	"fmt"
	"io"
	"log/slog"
	"unique"
)

// Shown is what stands where a secret is printed.
const Shown = "[secret]"

// Text is a secret text: a URL with a password, a key in text form. It prints as Shown
// by every verb of fmt, in slog, JSON, YAML and text; Reveal alone tells it. Texts are
// equal by == when what they hide is. The zero Text is empty, and prints as nothing.
//
// A string type with the same methods would not do: fmt calls no methods of what is
// below an unexported field, and would print the string. Below a handle it finds an
// address.
type Text struct{ hidden unique.Handle[string] }

// New hides s.
func New(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{unique.Make(s)}
}

// Reveal returns the secret itself. Every call is a place to look at: what is revealed
// must go to whom it is for and nowhere else.
func (t Text) Reveal() string {
	if t == (Text{}) {
		return ""
	}
	return t.hidden.Value()
}

// String returns Shown, or nothing for an empty text.
func (t Text) String() string {
	if t == (Text{}) {
		return ""
	}
	return Shown
}

// Format implements fmt.Formatter: no verb and no flag reaches the secret.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// GoString implements fmt.GoStringer.
func (t Text) GoString() string { return t.String() }

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON, XML and text.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalYAML is MarshalText for YAML.
func (t Text) MarshalYAML() (any, error) { return t.String(), nil }

// UnmarshalYAML reads a plain value: configuration files hold secrets as they are.
func (t *Text) UnmarshalYAML(unmarshal func(any) error) error {
	var s string
	if err := unmarshal(&s); err != nil {
		return err
	}
	*t = New(s)
	return nil
}

// Hidden marks a struct that holds secrets in fields of its own: embedded, it makes the
// whole print as Shown. It has no size and nothing to set. It is weaker than Text: below
// another struct's unexported field fmt calls nobody's methods, and %p never does.
type Hidden struct{}

// String returns Shown.
func (Hidden) String() string { return Shown }

// Format implements fmt.Formatter.
func (Hidden) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Shown) }

// GoString implements fmt.GoStringer.
func (Hidden) GoString() string { return Shown }

// LogValue implements slog.LogValuer.
func (Hidden) LogValue() slog.Value { return slog.StringValue(Shown) }

// MarshalText implements encoding.TextMarshaler.
func (Hidden) MarshalText() ([]byte, error) { return []byte(Shown), nil }

// MarshalYAML is MarshalText for YAML.
func (Hidden) MarshalYAML() (any, error) { return Shown, nil }
