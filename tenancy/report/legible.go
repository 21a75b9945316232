package report

import (
	"fmt"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font/sfnt"
)

// drawn knows which characters the fonts can draw.
var drawn = sync.OnceValues(func() ([2]*sfnt.Font, error) {
	r, err := sfnt.Parse(regular)
	if err != nil {
		return [2]*sfnt.Font{}, err
	}
	b, err := sfnt.Parse(bold)
	return [2]*sfnt.Font{r, b}, err
})

// legible is a text as it is printed: what has no glyph, and what would change how its neighbours are shown (controls,
// bidirectional marks, joiners), as its code point. Nothing that somebody has called themselves hides anything.
func legible(text string) string {
	fonts, err := drawn()
	var buffer sfnt.Buffer
	draws := func(r rune) bool {
		if err != nil || r > 0xffff { // the library writes UTF-16 of one unit
			return false
		}
		for _, f := range fonts {
			if g, err := f.GlyphIndex(&buffer, r); err != nil || g == 0 {
				return false
			}
		}
		return true
	}
	var out strings.Builder
	for _, r := range text {
		switch {
		case r == '\n', r == '\t', unicode.Is(unicode.Zs, r):
			out.WriteByte(' ')
		case unicode.In(r, unicode.C, unicode.Zl, unicode.Zp), !draws(r):
			fmt.Fprintf(&out, "‹U+%04X›", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
