package user

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/biocore-id/biocore/tenancy/keys"
)

// A user is searched for by how the words of the names and the external id begin. Of each
// beginning the row keeps 16 bits of a keyed hash: so few that hundreds of users share one,
// and that who reads the table without the key learns little. What is found is opened and
// looked at, so that nobody is found by chance (ADR 0042).
const (
	nameTerms       keys.Purpose = "user name term"
	externalIDTerms keys.Purpose = "user external id term"
)

const (
	// headRunes is how much of a word is hashed: fewer would say less of people, and find
	// nobody among a million.
	headRunes = 3
	// maxNameTerms bounds the rows that one user makes. Names have two or three words.
	maxNameTerms = 12
)

// idHeads are the lengths at which external ids are cut. They are often a word and a number,
// which begin alike: cust_0048213.
var idHeads = [...]int{4, 8, 12}

// termsOf is what the user of p is found by.
func termsOf(ring *keys.Ring, p Profile) []int32 {
	var terms []int32
	for _, w := range slices.Concat(words(p.Name), words(p.DisplayName)) {
		t := term(ring, nameTerms, head(w))
		if len(terms) < maxNameTerms && !slices.Contains(terms, t) {
			terms = append(terms, t)
		}
	}
	id := []rune(fold(p.ExternalID))
	for _, n := range idHeads {
		if len(id) >= n {
			terms = append(terms, term(ring, externalIDTerms, string(id[:n])))
		}
	}
	if len(id) < idHeads[0] {
		terms = append(terms, term(ring, externalIDTerms, string(id)))
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

func term(ring *keys.Ring, p keys.Purpose, head string) int32 {
	sum := ring.MAC(p, []byte(head))
	return int32(binary.BigEndian.Uint16(sum[:]))
}

// head is the part of a word that is hashed. A character of Chinese, Japanese or Korean says
// as much as a syllable does elsewhere.
func head(word string) string {
	r := []rune(word)
	return string(r[:min(headLength(r), len(r))])
}

func headLength(word []rune) int {
	if unicode.In(word[0], unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) {
		return 1
	}
	return headRunes
}

// words are the words of a name as they are compared, each once.
func words(name string) []string {
	list := strings.FieldsFunc(fold(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	slices.Sort(list)
	return slices.Compact(list)
}

// fold makes alike what people who search take to be alike: case, width, accents.
func fold(s string) string {
	return norm.NFKC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(s)))
}

// wanted is what a search asks of users beside their facts. Empty parts ask nothing.
type wanted struct {
	name   []string // words that begin words of the names
	prefix string   // of the external id, folded
	either bool     // one of the two is enough
}

func (w wanted) some() bool { return len(w.name) > 0 || w.prefix != "" }

// matches looks at an opened profile.
func (w wanted) matches(p Profile) bool {
	name := len(w.name) > 0 && w.matchesName(p)
	id := w.prefix != "" && w.matchesID(p.ExternalID)
	if w.either {
		return name || id
	}
	return (name || len(w.name) == 0) && (id || w.prefix == "")
}

func (w wanted) matchesName(p Profile) bool {
	have := slices.Concat(words(p.Name), words(p.DisplayName))
	for _, q := range w.name {
		// A word shorter than what is hashed is found whole, since nothing else can be.
		whole := len([]rune(q)) < headLength([]rune(q))
		if !slices.ContainsFunc(have, func(h string) bool { return h == q || !whole && strings.HasPrefix(h, q) }) {
			return false
		}
	}
	return true
}

func (w wanted) matchesID(id string) bool {
	folded := fold(id)
	if len([]rune(w.prefix)) < idHeads[0] {
		return folded == w.prefix
	}
	return strings.HasPrefix(folded, w.prefix)
}

// terms are what the index is asked: users must have the first and all others, or the
// alternative.
func (w wanted) terms(ring *keys.Ring) (first *int32, others []int32, alternative *int32) {
	var name []int32
	for _, q := range w.name {
		name = append(name, term(ring, nameTerms, head(q)))
	}
	var id *int32
	if w.prefix != "" {
		r := []rune(w.prefix)
		cut := len(r)
		for _, n := range idHeads {
			if len(r) >= n {
				cut = n
			}
		}
		t := term(ring, externalIDTerms, string(r[:cut]))
		id = &t
	}
	switch {
	case w.either || len(name) == 0:
		alternative = id
	case id != nil:
		name = slices.Insert(name, 0, *id) // it narrows most
	}
	if len(name) > 0 {
		first, others = &name[0], name[1:]
	}
	return first, others, alternative
}
