// Package brand is how a tenant looks to its users: an accent colour that can be read, and
// a logo that is nothing but an image.
package brand

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"math"
	"regexp"
	"strconv"
)

// Color is an sRGB colour without transparency.
type Color struct{ R, G, B uint8 }

var colorForm = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// ParseColor reads #rrggbb.
func ParseColor(text string) (Color, error) {
	if !colorForm.MatchString(text) {
		return Color{}, errors.New("is a colour as #1a5fb4")
	}
	n, err := strconv.ParseUint(text[1:], 16, 32)
	return Color{uint8(n >> 16), uint8(n >> 8), uint8(n)}, err //nolint:gosec // its bytes
}

// String is c as #rrggbb, in lower case.
func (c Color) String() string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// luminance is relative luminance (WCAG 2.2 #dfn-relative-luminance).
func (c Color) luminance() float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// Contrast is the contrast ratio of two colours, 1 to 21 (WCAG 2.2 #dfn-contrast-ratio).
func Contrast(a, b Color) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// MinContrast is what text needs (WCAG 2.2 #contrast-minimum).
const MinContrast = 4.5

// The surfaces that an accent stands on: of pages in light the darkest, of pages in dark the
// lightest.
var (
	OnLight = Color{0xf4, 0xf4, 0xf6}
	OnDark  = Color{0x1f, 0x22, 0x29}

	white, black = Color{255, 255, 255}, Color{}
)

// Ink is the colour, white or black, of text on c. One of the two always has MinContrast.
func (c Color) Ink() Color {
	if Contrast(c, white) >= Contrast(c, black) {
		return white
	}
	return black
}

// Legible is the colour nearest to c, towards black or white, that has MinContrast on a surface.
func (c Color) Legible(surface Color) Color {
	to := white
	if surface.luminance() > 0.18 {
		to = black
	}
	mix := func(a, b uint8, part int) uint8 { return uint8((int(a)*(100-part) + int(b)*part) / 100) } //nolint:gosec // between the two
	for part := range 101 {
		m := Color{mix(c.R, to.R, part), mix(c.G, to.G, part), mix(c.B, to.B, part)}
		if Contrast(m, surface) >= MinContrast {
			return m
		}
	}
	return to
}

// Palette is a tenant's accent on both kinds of pages. Empty texts: none is settled.
type Palette struct{ Light, Dark string }

// NewPalette takes an accent for pages in light, and one for those in dark: empty, it is made
// from the other. Each has MinContrast on its surface. The error says what is wrong of which:
// *FieldError.
func NewPalette(light, dark string) (Palette, error) {
	if light == "" {
		if dark != "" {
			return Palette{}, &FieldError{Field: "accentColorDark", Why: "takes accentColor"}
		}
		return Palette{}, nil
	}
	l, err := ParseColor(light)
	if err != nil {
		return Palette{}, &FieldError{Field: "accentColor", Why: err.Error()}
	}
	if err := legible(l, OnLight, "light"); err != nil {
		return Palette{}, &FieldError{Field: "accentColor", Why: err.Error()}
	}
	d := l.Legible(OnDark)
	if dark != "" {
		if d, err = ParseColor(dark); err == nil {
			err = legible(d, OnDark, "dark")
		}
		if err != nil {
			return Palette{}, &FieldError{Field: "accentColorDark", Why: err.Error()}
		}
	}
	return Palette{l.String(), d.String()}, nil
}

func legible(c, surface Color, theme string) error {
	if ratio := Contrast(c, surface); ratio < MinContrast {
		return fmt.Errorf("has a contrast of %.1f on %s pages, and text takes 4.5: %s would do", math.Floor(ratio*10)/10, theme, c.Legible(surface))
	}
	return nil
}

// FieldError is what is wrong of a field.
type FieldError struct{ Field, Why string }

// Error implements error.
func (w *FieldError) Error() string { return w.Field + " " + w.Why }

// Bounds of a logo. A call may have 64 KiB, in which it is base64; bombs of pixels are
// refused by their head.
const (
	MaxLogoBytes = 40 << 10
	minLogoSide  = 16
	maxLogoSide  = 512
)

// Logo is one, ready to be served.
type Logo struct {
	PNG           []byte
	Width, Height int
	SHA256        string // of PNG, hex
}

// NewLogo takes a PNG of at most 40 KiB and 16 to 512 pixels a side. It is drawn anew: what
// else was in the file, such as a place and a time, or a page behind the image, is left out. Nothing
// else than PNG is taken, SVG least of all, which can hold script. *FieldError.
func NewLogo(file []byte) (Logo, error) {
	wrong := func(why string) (Logo, error) { return Logo{}, &FieldError{Field: "logo", Why: why} }
	if len(file) > MaxLogoBytes {
		return wrong("has at most 40 KiB")
	}
	head, err := png.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return wrong("is no PNG that can be read")
	}
	if min(head.Width, head.Height) < minLogoSide || max(head.Width, head.Height) > maxLogoSide {
		return wrong("has 16 to 512 pixels a side")
	}
	read, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return wrong("is no PNG that can be read")
	}
	pixels := image.NewNRGBA(image.Rect(0, 0, head.Width, head.Height))
	draw.Draw(pixels, pixels.Bounds(), read, read.Bounds().Min, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, pixels); err != nil {
		return Logo{}, fmt.Errorf("encode logo: %w", err)
	}
	if out.Len() > 2*MaxLogoBytes {
		return wrong("is too large once it is drawn anew: use fewer colours or pixels")
	}
	sum := sha256.Sum256(out.Bytes())
	return Logo{PNG: out.Bytes(), Width: head.Width, Height: head.Height, SHA256: hex.EncodeToString(sum[:])}, nil
}
