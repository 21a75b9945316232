// Package browsertest lets a test be a person at a browser: a real headless
// Chromium with virtual authenticators (WebAuthn L3 #sctn-automation), against
// a real Biocore started as a newcomer starts it.
//
// StartBiocore and StartChromium take seconds, so a test starts them once and
// gives each of its parts a Visitor of its own: a fresh profile and tab, with
// no cookie and no authenticator of anybody else's. A Visitor fails its test on
// every uncaught exception and every breach of the content security policy.
package browsertest

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"os/exec"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
)

// chromiumNames are the browsers that will do, the first found first.
var chromiumNames = []string{
	"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
	"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	"/Applications/Chromium.app/Contents/MacOS/Chromium",
}

// Chromium is one browser process.
type Chromium struct {
	ctx      context.Context //nolint:containedctx // chromedp keeps the browser in it
	visitors atomic.Int32    // so far
}

// StartChromium starts a browser that ends with the test. It fails the test
// when there is none, with the line that installs one.
func StartChromium(t testing.TB) *Chromium {
	t.Helper()
	return startChromium(t)
}

// StartChromiumAt starts a browser to which every name below .example is the server at an
// address of this machine, on whatever port, and no other name is anything; it takes that
// server's certificate for good. Its pages have domains of their own, without a network.
func StartChromiumAt(t testing.TB, address string, certificate *x509.Certificate) *Chromium {
	t.Helper()
	key := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return startChromium(t,
		chromedp.Flag("host-resolver-rules", "MAP *.example "+address+", MAP * ~NOTFOUND"),
		chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(key[:])),
	)
}

func startChromium(t testing.TB, more ...chromedp.ExecAllocatorOption) *Chromium {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(findChromium(t)),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.DisableGPU,
		chromedp.WindowSize(1440, 900),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		// A test that hangs for want of a prompt's answer must end by itself.
		chromedp.Flag("noerrdialogs", true),
		chromedp.Flag("hide-scrollbars", true),
	)
	options = append(options, more...)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return &Chromium{ctx: ctx}
}

func findChromium(t testing.TB) string {
	t.Helper()
	for _, name := range chromiumNames {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium found. On Debian or Ubuntu: sudo apt-get install chromium fonts-liberation")
	return ""
}
