package browsertest

import (
	"bytes"
	"compress/gzip"
	_ "embed" // for axe
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// shotsVariable names the folder that pictures go to; without it none is taken.
const shotsVariable = "BIOCORE_SHOTS"

// axeGzip is axe-core, the accessibility checker, as npm has it (MPL-2.0).
//
//go:embed testdata/axe/axe.min.js.gz
var axeGzip []byte

// Appearance is how a page is looked at.
type Appearance struct {
	Theme string // "light" or "dark"
	Width int64  // CSS pixels
}

// appearances are a desk and a phone, by day and by night.
var appearances = []Appearance{{"light", 1440}, {"dark", 1440}, {"light", 390}, {"dark", 390}}

// Inspect looks at the page as it is now in every appearance: no rule of axe
// may be broken, nothing may stick out sideways, and where BIOCORE_SHOTS names
// a folder a picture is left there.
func (v *Visitor) Inspect(name string) {
	v.t.Helper()
	for _, a := range appearances {
		v.dress(a)
		for _, violation := range v.axe() {
			v.t.Errorf("%s, %s, %d px: %s", name, a.Theme, a.Width, violation)
		}
		if over := Eval[int](v, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
			v.t.Errorf("%s, %s, %d px: the page is %d px too wide", name, a.Theme, a.Width, over)
		}
		v.shoot(fmt.Sprintf("%s-%s-%d", name, a.Theme, a.Width))
	}
	v.dress(appearances[0])
}

// Shots is the folder that pictures go to; empty where none is wanted.
func Shots() string { return os.Getenv(shotsVariable) }

// Pictures are the names of those that Inspect leaves of a page.
func Pictures(name string) []string {
	var all []string
	for _, a := range appearances {
		all = append(all, fmt.Sprintf("%s-%s-%d.png", name, a.Theme, a.Width))
	}
	return all
}

// Shoot leaves a picture of the page as it stands, where one is wanted.
func (v *Visitor) Shoot(name string) {
	v.t.Helper()
	v.shoot(name)
}

// OnPhone does something with the page as a phone shows it, by day.
func (v *Visitor) OnPhone(do func()) {
	v.t.Helper()
	v.dress(Appearance{"light", 390})
	do()
	v.dress(appearances[0])
}

// dress sets theme and size. Motion is reduced, so that nothing is caught
// half-way: what matters is where things end up.
func (v *Visitor) dress(a Appearance) {
	v.t.Helper()
	scale, height := 1.0, int64(900)
	if a.Width < 600 {
		scale, height = 2, 844
	}
	call(v, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: a.Theme},
		{Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	v.do("set the size", chromedp.EmulateViewport(a.Width, height, chromedp.EmulateScale(scale)))
	Eval[bool](v, `document.fonts.ready.then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true)))))`)
}

// axe returns what breaks a rule, one line each.
func (v *Visitor) axe() []string {
	v.t.Helper()
	if !Eval[bool](v, `typeof axe !== "undefined"`) {
		unzipped, err := gzip.NewReader(bytes.NewReader(axeGzip))
		if err != nil {
			v.t.Fatal(err)
		}
		source, err := io.ReadAll(unzipped)
		if err != nil {
			v.t.Fatal(err)
		}
		Eval[bool](v, string(source)+"; true")
	}
	return Eval[[]string](v, `axe.run(document, {resultTypes: ["violations"]}).then(({violations}) =>
		violations.flatMap(({id, help, nodes}) => nodes.map((n) => id + ": " + help + ": " + n.target.join(" ") + " " + n.failureSummary.replace(/\s+/g, " "))))`)
}

func (v *Visitor) shoot(name string) {
	v.t.Helper()
	folder := os.Getenv(shotsVariable)
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(v.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		v.t.Fatalf("picture of %s: %v", name, err)
	}
	if err := writePicture(filepath.Join(folder, name+".png"), picture); err != nil {
		v.t.Fatal(err)
	}
}

func writePicture(name string, picture []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	return os.WriteFile(name, picture, 0o600)
}
