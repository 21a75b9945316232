package browsertest_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/archive"
	"github.com/biocore-id/biocore/web/browsertest"
)

// TestConsoleExports is how somebody takes all of a tenant away: asked for with a reason and a
// passkey, watched without a reload, downloaded with a passkey, and verified.
func TestConsoleExports(t *testing.T) {
	biocore, chromium := browsertest.StartBiocore(t), browsertest.StartChromium(t)
	ana := colleague{Visitor: chromium.Visitor(t), url: biocore.ConsoleURL}
	ana.device = ana.PlatformAuthenticator()
	ana.Open(biocore.ConsoleEnrollURL)
	ana.joinAs("Ana Sousa")
	ana.SeeURL("/console/t/acme")

	ana.Open(ana.url + "/t/acme/settings")
	ana.Follow(`a[href$="/settings/exports"]`)
	ana.See("#exports", "Nobody has exported this tenant yet")
	ana.Inspect("console-exports-empty")
	browsertest.Eval[bool](ana.Visitor, `(document.querySelector('form[action$="/exports"]').noValidate = true)`)
	ana.confirm(`form[action$="/exports"]`)
	ana.See("#export-reason-error", "1 to 256 characters")
	ana.SeeFocus("#export-reason")
	ana.Inspect("console-exports-refused")

	// One that was a mistake.
	ana.Type("#export-reason", "The wrong tenant")
	ana.confirm(`form[action$="/exports"]`)
	ana.See(".toast", "Asked for")
	ana.See("#exports", "An export is being written")
	ana.SeeNothing("#export-reason")
	ana.Follow(`form[action$="/cancel"] button`)
	ana.See(".toast", "The export is cancelled")
	ana.See("#exports li", "Cancelled")

	// And one in earnest: the page tells by itself when it is done.
	ana.Type("#export-reason", "The contract ends")
	ana.confirm(`form[action$="/exports"]`)
	ana.See("#exports", "An export is being written")
	ana.Inspect("console-exports-running")
	ana.See("#exports li", "Done")
	ana.SeeNothing("#exports progress")
	name, file := ana.Download(func() {
		browsertest.Eval[string](ana.Visitor, `document.querySelector('form[action$="/download"]').dataset.freshUntil = "2020-01-01T00:00:00Z"`)
		ana.device.SetPresence(true)
		ana.Click(`form[action$="/download"] button`)
	})
	if !regexp.MustCompile(`^biocore-export-[0-9a-f-]{36}\.zip$`).MatchString(name) {
		t.Errorf("the file's name is %s", name)
	}
	r, err := archive.Verify(bytes.NewReader(file), int64(len(file)), nil)
	if err != nil || !r.Valid() || r.Manifest.Slug != "acme" {
		t.Errorf("Verify = %+v, %v", r, err)
	}
	// The page stays as it was: the same button downloads it once more.
	if browsertest.Eval[bool](ana.Visitor, `document.querySelector('form[action$="/download"] button').disabled`) {
		t.Error("the button is dead once the file has come")
	}
	ana.Open(ana.url + "/t/acme/settings/exports")
	ana.See("#exports", "kept until")
	if at := ana.Read("#exports"); !strings.Contains(at, "The contract ends") || !strings.Contains(at, "Ana Sousa") {
		t.Errorf("the list says %q", at)
	}
	ana.See(`form[action$="/exports"]`, "Export all of this tenant")
	ana.Inspect("console-exports")
}
