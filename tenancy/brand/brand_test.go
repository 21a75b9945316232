package brand_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/brand"
)

func parse(t *testing.T, text string) brand.Color {
	t.Helper()
	c, err := brand.ParseColor(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Ratios as WCAG's own examples and WebAIM's checker have them.
func TestContrast(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want float64
	}{
		{"#000000", "#ffffff", 21}, {"#ffffff", "#ffffff", 1}, {"#777777", "#ffffff", 4.48}, {"#767676", "#FFFFFF", 4.54}, {"#0000ff", "#ffffff", 8.59}, {"#ff0000", "#ffffff", 4.00},
	} {
		if got := brand.Contrast(parse(t, tt.a), parse(t, tt.b)); math.Abs(got-tt.want) > 0.005 {
			t.Errorf("%s on %s = %.3f, want %.2f", tt.a, tt.b, got, tt.want)
		}
	}
}

// Whatever the colour, its ink can be read on it, and what is proposed on its surface.
func TestInkAndLegible(t *testing.T) {
	for r := 0; r < 256; r += 15 {
		for g := 0; g < 256; g += 15 {
			for b := 0; b < 256; b += 15 {
				c := brand.Color{R: uint8(r), G: uint8(g), B: uint8(b)}
				if got := brand.Contrast(c, c.Ink()); got < brand.MinContrast {
					t.Fatalf("ink on %s has %.2f", c, got)
				}
				for _, surface := range []brand.Color{brand.OnLight, brand.OnDark} {
					if got := brand.Contrast(c.Legible(surface), surface); got < brand.MinContrast {
						t.Fatalf("%s for %s has %.2f", c.Legible(surface), surface, got)
					}
				}
			}
		}
	}
}

func TestNewPalette(t *testing.T) {
	p, err := brand.NewPalette("#1A5FB4", "")
	if err != nil || p.Light != "#1a5fb4" || brand.Contrast(parse(t, p.Dark), brand.OnDark) < 4.5 {
		t.Errorf("NewPalette = %+v, %v", p, err)
	}
	if p, err := brand.NewPalette("", ""); err != nil || p != (brand.Palette{}) {
		t.Errorf("none = %+v, %v", p, err)
	}
	for _, tt := range []struct{ light, dark, field string }{
		{"#ffcc00", "", "accentColor"}, {"#777777", "", "accentColor"}, {"red", "", "accentColor"}, {"#12345", "", "accentColor"}, {"#1a5fb4;}", "", "accentColor"},
		{"#1a5fb4", "#1a5fb4", "accentColorDark"}, {"#1a5fb4", "url(x)", "accentColorDark"}, {"", "#8ab4f8", "accentColorDark"},
	} {
		_, err := brand.NewPalette(tt.light, tt.dark)
		wrong, ok := errors.AsType[*brand.FieldError](err)
		if !ok || wrong.Field != tt.field {
			t.Errorf("NewPalette(%q, %q) = %v, want %s to be wrong", tt.light, tt.dark, err, tt.field)
		}
	}
	_, err = brand.NewPalette("#ffcc00", "")
	if !strings.Contains(err.Error(), "contrast of 1.3 on light pages") {
		t.Errorf("why = %v", err)
	}
}

func picture(side int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, side, side))
	for i := range side {
		m.SetNRGBA(i, i, color.NRGBA{200, 10, 10, 128})
	}
	return m
}

func encoded(t *testing.T, m image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, m); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// chunk is a PNG chunk.
func chunk(name, data string) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	out = append(append(out, name...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// What is kept is the picture, with its transparency, and nothing else of the file.
func TestNewLogo(t *testing.T) {
	file := encoded(t, picture(64))
	const head = 8 + 25 // the signature and IHDR
	hostile := append(bytes.Clone(file[:head]), chunk("tEXt", "Comment\x00<script>alert(1)</script>")...)
	hostile = append(append(hostile, file[head:]...), "<html><script>alert(2)</script>"...)
	logo, err := brand.NewLogo(hostile)
	if err != nil || logo.Width != 64 || logo.Height != 64 || len(logo.SHA256) != 64 || bytes.Contains(logo.PNG, []byte("script")) {
		t.Fatalf("NewLogo = %+v, %v", logo, err)
	}
	back, err := png.Decode(bytes.NewReader(logo.PNG))
	if err != nil {
		t.Fatal(err)
	}
	if r, _, _, a := back.At(3, 3).RGBA(); a>>8 != 128 || r == 0 {
		t.Errorf("a pixel is %v", back.At(3, 3))
	}
	if same, err := brand.NewLogo(file); err != nil || same.SHA256 != logo.SHA256 {
		t.Errorf("the same picture has another digest: %v", err)
	}
}

func TestNewLogoRefuses(t *testing.T) {
	file := encoded(t, picture(64))
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, picture(64), nil); err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(file)
	binary.BigEndian.PutUint32(huge[16:], 100_000) // says that it is as wide
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	for name, bad := range map[string][]byte{
		"nothing": nil, "SVG": []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), "JPEG": photo.Bytes(), "cut off": file[:len(file)/2],
		"a bomb": huge, "too small": encoded(t, picture(15)), "too large": encoded(t, picture(513)), "too long": append(bytes.Clone(file), make([]byte, brand.MaxLogoBytes)...),
	} {
		_, err := brand.NewLogo(bad)
		if wrong, ok := errors.AsType[*brand.FieldError](err); !ok || wrong.Field != "logo" {
			t.Errorf("%s = %v, want a refusal", name, err)
		}
	}
}
