package credential

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const maxNicknameCharacters = 64 // of the API; a line of a list

// CleanNickname returns s as a nickname: form NFC, spaces trimmed and collapsed,
// without control and format characters, which is what turns text around, hides in
// it or ends a line. People type nicknames on phones, so what does not belong is
// dropped rather than refused. ErrNickname when more than 64 characters remain, or
// when s is not UTF-8.
func CleanNickname(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", ErrNickname.With("field", "nickname")
	}
	if s = cleanLine(s); utf8.RuneCountInString(s) > maxNicknameCharacters {
		return "", ErrNickname.With("field", "nickname")
	}
	return s, nil
}

// DefaultNickname returns the nickname of a credential whose user gave none: the name of
// its authenticator's model, cut to what a nickname may be. It is empty where nobody knows
// the model, or its name is no text: a later look at the metadata may find a better one
// than what could be stored here.
func DefaultNickname(model string) string {
	if !utf8.ValidString(model) {
		return ""
	}
	s := []rune(cleanLine(model))
	return cleanLine(string(s[:min(len(s), maxNicknameCharacters)]))
}

func cleanLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r): // tabs and line ends too
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Noncharacter_Code_Point):
			return -1
		}
		return r
	}, s)
	return norm.NFC.String(strings.Join(strings.Fields(s), " "))
}
