// Package detect finds personal data and secrets in text: e-mail addresses, account and card numbers, national ids,
// tokens, keys. It knows no tenant and keeps nothing.
//
// What has a check digit counts only with the right one, so that ids, times and hashes are not taken for numbers of
// people. What has none counts only in a form that little else has: a US social security number with its hyphens.
//
//	detect.go  what is found; redaction
//	scan.go    the pass over a text
//	number.go  cards, IBANs; national.go: national ids
//	secret.go  tokens, keys, e-mail addresses
package detect

import (
	"slices"
	"strings"
)

// Kind is what was found.
type Kind string

// The kinds.
const (
	Email      Kind = "EMAIL"
	IBAN       Kind = "IBAN"
	Card       Kind = "CARD"        // of payment, by issuer range, length and Luhn's digit
	NationalID Kind = "NATIONAL_ID" // of DE, ES, FR, GB, IT, NL, PL, SE, US
	Token      Kind = "TOKEN"       // JWTs, and what follows "Bearer"
	PrivateKey Kind = "PRIVATE_KEY" // in PEM
	OwnKey     Kind = "BIOCORE_KEY" // this server's API keys, refresh tokens and signing secrets
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{Email, IBAN, Card, NationalID, Token, PrivateKey, OwnKey} }

// Finding is a part of a text: the bytes from Start on and before End.
type Finding struct {
	Kind       Kind
	Start, End int
}

// Find returns what is in text, in its order and without overlaps. Its time is linear in the text; it allocates only
// for findings. Each Start and End lies between characters of a text in UTF-8.
func Find(text string) []Finding {
	s := scanner{text: text}
	s.run()
	return s.found
}

// Mark stands in a redacted text where something was.
func Mark(k Kind) string { return "[redacted:" + string(k) + "]" }

// Redact returns text with a mark in place of everything of the kinds, or of any kind where none is named, and what
// was taken out: kinds by their first places. Afterwards Find finds nothing of the kinds in it, and redacting it again
// changes nothing.
func Redact(text string, kinds ...Kind) (clean string, taken []Kind) {
	// What a mark takes the place of may have hidden that something else begins or ends there. Each pass takes some of
	// the text that is no mark, and no finding reaches over or into a mark, so this ends.
	for {
		found := Find(text)
		if len(kinds) > 0 {
			found = slices.DeleteFunc(found, func(f Finding) bool { return !slices.Contains(kinds, f.Kind) })
		}
		if len(found) == 0 {
			return text, taken
		}
		var b strings.Builder
		last := 0
		for _, f := range found {
			b.WriteString(text[last:f.Start])
			b.WriteString(Mark(f.Kind))
			last = f.End
			taken = append(taken, f.Kind)
		}
		b.WriteString(text[last:])
		text = b.String()
	}
}

// maxShape bounds a shape.
const maxShape = 48

// Shape is how a value is built, without any of its letters and digits: xxx.xxx@xxxxxxx.xx. What is longer than 48
// characters is cut.
func Shape(value string) string {
	var b strings.Builder
	n := 0
	for _, r := range value {
		if n++; n > maxShape {
			b.WriteRune('…')
			break
		}
		switch {
		case r >= '0' && r <= '9':
			r = '9'
		case r >= 'A' && r <= 'Z':
			r = 'X'
		case r >= 'a' && r <= 'z', r > '~':
			r = 'x'
		case r < ' ':
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}
