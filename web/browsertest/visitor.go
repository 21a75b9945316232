package browsertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const (
	// sightTimeout is how long a page may take to show what was asked for, and axe to look
	// at it. Only a test that fails waits for so long, or one on a machine with much else to do.
	sightTimeout = time.Minute
	// lookInterval is how often a page is looked at meanwhile.
	lookInterval = 25 * time.Millisecond
)

// Visitor is a person with a browser profile and a tab of their own. Methods
// fail the test when the page does not do what was expected in time.
type Visitor struct {
	t    testing.TB
	ctx  context.Context //nolint:containedctx // chromedp keeps the tab in it
	name string          // tells visitors of one test apart

	mu       sync.Mutex
	problems []string // what the console said that it shouldn't
}

// Visitor opens a tab in a fresh profile. It closes with the test.
func (c *Chromium) Visitor(t testing.TB) *Visitor {
	t.Helper()
	ctx, cancel := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext())
	v := &Visitor{t: t, ctx: ctx, name: fmt.Sprintf("%s-%d", t.Name(), c.visitors.Add(1))}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	call(v, webauthn.Enable, webauthn.EnableParams{})
	// WebAuthn is for pages that have the focus, and of two visitors only one
	// window can (WebAuthn L3 #sctn-createCredential).
	call(v, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	call(v, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: countGets})
	var listening sync.WaitGroup
	console := chromedp.Console(ctx)
	listening.Go(func() {
		for message, err := range console {
			if err != nil {
				return
			}
			v.hear(message)
		}
	})
	t.Cleanup(func() {
		if t.Failed() {
			v.leavePicture()
		}
		cancel()
		listening.Wait()
		for _, problem := range v.problems {
			t.Errorf("the browser's console says: %s", problem)
		}
	})
	return v
}

// countGets counts how often a page has asked for a passkey: a request that waits for
// autofill shows nowhere.
const countGets = `if (navigator.credentials) {
  const get = navigator.credentials.get;
  navigator.credentials.get = function (options) {
    const result = get.call(this, options);
    window.passkeysAskedFor = (window.passkeysAskedFor ?? 0) + 1;
    return result;
  };
}`

// SeeAsked waits until the page has asked for a passkey: an authenticator whose owner
// comes later does not answer that request.
func (v *Visitor) SeeAsked() {
	v.t.Helper()
	v.await(func() bool {
		asked, err := eval[bool](v.ctx, `window.passkeysAskedFor > 0`)
		return err == nil && asked
	}, func() string { return "the page doesn't ask for a passkey" })
}

// hear keeps what a page must never cause. A refused request is logged as an
// error too, but it is often what a test is about.
func (v *Visitor) hear(m chromedp.ConsoleMessage) {
	if !m.IsException() && string(m.Type) != "error" {
		return
	}
	if strings.HasPrefix(m.Text, "Failed to load resource") {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.problems = append(v.problems, m.String())
}

// do runs steps that must succeed.
func (v *Visitor) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, sightTimeout)
	defer cancel()
	// A page that is being replaced takes the node that was found away before it is
	// used. Nothing has been done with it then, so the steps are taken again.
	err := chromedp.Do(ctx, steps...)
	for err != nil && strings.Contains(err.Error(), "Could not find node") && ctx.Err() == nil {
		err = chromedp.Do(ctx, steps...)
	}
	if err != nil {
		v.t.Fatalf("%s: %v", what, err)
	}
}

// Open goes to a URL and waits until it has loaded.
func (v *Visitor) Open(url string) {
	v.t.Helper()
	v.do("open "+url, chromedp.Navigate(url))
}

// Click clicks the first element that matches a CSS selector, once it is
// visible and not disabled. Where that leads to another page, Follow it.
func (v *Visitor) Click(selector string) {
	v.t.Helper()
	v.do("click "+selector,
		chromedp.WaitEnabled(chromedp.CSS(selector)),
		chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Follow clicks what leads to another page, a link or the button of a form, and waits until
// that page has loaded. What the next page shows the one before may show as well, and what
// is opened before the browser has gone on is overtaken by it.
func (v *Visitor) Follow(selector string) {
	v.t.Helper()
	v.turn("follow "+selector, func() { v.Click(selector) })
}

// Enter writes text into an input, sends its form by the Enter key, and waits until the
// page that answers has loaded.
func (v *Visitor) Enter(selector, text string) {
	v.t.Helper()
	v.Type(selector, text)
	v.turn("enter "+text, func() { v.Press(kb.Enter) })
}

// turn does what replaces the page by another one, and waits until that has loaded. A mark
// on the page's window goes with the page, even where both have one address.
func (v *Visitor) turn(what string, do func()) {
	v.t.Helper()
	Eval[bool](v, `(window.turned = true)`)
	do()
	v.await(func() bool {
		loaded, err := eval[bool](v.ctx, `window.turned === undefined && document.readyState === "complete"`)
		return err == nil && loaded
	}, func() string { return what + ": no other page comes" })
}

// Type writes text into an input, in place of what is there.
func (v *Visitor) Type(selector, text string) {
	v.t.Helper()
	v.do("type into "+selector, chromedp.WaitVisible(chromedp.CSS(selector)))
	Eval[string](v, "document.querySelector("+strconv.Quote(selector)+`).value = ""`) // chromedp.Clear fails on an empty textarea
	v.do("type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text, chromedp.NodeVisible))
}

// Press sends keys to whatever has the focus.
func (v *Visitor) Press(keys string) {
	v.t.Helper()
	v.do("press keys", chromedp.KeyEvent(keys))
}

// Download does what downloads one file, and returns its name and what is in it.
func (v *Visitor) Download(do func()) (name string, content []byte) {
	v.t.Helper()
	folder := v.t.TempDir()
	call(v, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: chromedp.FromContext(v.ctx).BrowserContextID, DownloadPath: folder,
	})
	do()
	v.await(func() bool {
		for _, file := range readFolder(v.t, folder) { // the browser gives a file its name when it is whole
			if !strings.HasSuffix(file, ".crdownload") && !strings.HasPrefix(file, ".") {
				name = file
			}
		}
		return name != ""
	}, func() string { return fmt.Sprintf("nothing is downloaded: %v", readFolder(v.t, folder)) })
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		v.t.Fatal(err)
	}
	return name, content
}

func readFolder(t testing.TB, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// See waits until a visible element that matches the selector contains text.
func (v *Visitor) See(selector, text string) {
	v.t.Helper()
	var seen string
	v.await(func() bool {
		seen = v.Read(selector)
		return strings.Contains(seen, text)
	}, func() string { return fmt.Sprintf("%s shows %q, want %q in it", selector, seen, text) })
}

// SeeNothing waits until no visible element matches the selector.
func (v *Visitor) SeeNothing(selector string) {
	v.t.Helper()
	v.await(func() bool { return !v.shows(selector) }, func() string { return selector + " is still to be seen" })
}

// SeeURL waits until the address ends in suffix.
func (v *Visitor) SeeURL(suffix string) {
	v.t.Helper()
	var at string
	v.await(func() bool {
		at, _ = chromedp.Run(v.ctx, chromedp.Location())
		return strings.HasSuffix(at, suffix)
	}, func() string { return fmt.Sprintf("the address is %s, want it to end in %s", at, suffix) })
}

// SeeFocus waits until an element that matches has the focus.
func (v *Visitor) SeeFocus(selector string) {
	v.t.Helper()
	v.await(func() bool { return v.HasFocus(selector) }, func() string { return selector + " doesn't get the focus" })
}

// HasFocus says whether an element that matches has the focus now.
func (v *Visitor) HasFocus(selector string) bool {
	has, err := eval[bool](v.ctx, fmt.Sprintf(`document.activeElement.matches(%q)`, selector))
	return err == nil && has
}

// visible is a function that finds the visible elements of a selector.
const visible = `(selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility({visibilityProperty: true}))`

// Read returns the text of the visible elements that match, joined by spaces;
// empty while a page is being replaced.
func (v *Visitor) Read(selector string) string {
	text, _ := eval[string](v.ctx, fmt.Sprintf(`(%s)(%q).map((e) => e.innerText).join(" ").replace(/\s+/g, " ").trim()`, visible, selector))
	return text
}

func (v *Visitor) shows(selector string) bool {
	shown, err := eval[bool](v.ctx, fmt.Sprintf(`(%s)(%q).length > 0`, visible, selector))
	return err != nil || shown
}

// Eval runs an expression in the page and returns what it gives, or what the
// promise that it gives resolves to.
func Eval[T any](v *Visitor, expression string) T {
	v.t.Helper()
	value, err := eval[T](v.ctx, expression)
	if err != nil {
		v.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return value
}

func eval[T any](ctx context.Context, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, sightTimeout)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// await looks until something holds. The page is a program that tells nobody
// when it is done, so looking again is all there is.
func (v *Visitor) await(holds func() bool, complaint func() string) {
	v.t.Helper()
	deadline, stop := context.WithTimeout(v.ctx, sightTimeout)
	defer stop()
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-deadline.Done():
			v.t.Fatalf("%s (after %s, at %s)", complaint(), sightTimeout, v.where())
		case <-ticker.C:
		}
	}
}

func (v *Visitor) where() string {
	at, err := chromedp.Run(v.ctx, chromedp.Location())
	if err != nil {
		return "no page: " + err.Error()
	}
	return at
}

// leavePicture keeps what was on the screen when the test failed.
func (v *Visitor) leavePicture() {
	picture, err := chromedp.Run(v.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		v.t.Logf("no picture of the failure: %v", err)
		return
	}
	folder := os.Getenv(shotsVariable)
	if folder == "" {
		folder = os.TempDir()
	}
	name := filepath.Join(folder, "failed-"+strings.NewReplacer("/", "-", " ", "_").Replace(v.name)+".png")
	if err := writePicture(name, picture); err != nil {
		v.t.Logf("no picture of the failure: %v", err)
		return
	}
	v.t.Logf("what the page looked like: %s", name)
}
