package report_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/report"
)

// folder is one with files in it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What an installation's folder holds is refused by file and line, all of it at once.
func TestReadCatalogues(t *testing.T) {
	dir := folder(t, map[string]string{"ours.yaml": good, "README.md": "no catalogue"})
	all, err := report.ReadCatalogues(dir)
	if err != nil || len(all) != 1 || all[0].Name != "ours" || !all[0].Shared || all[0].BuiltIn || all[0].Text != good {
		t.Errorf("ReadCatalogues = %+v, %v", all, err)
	}
	dir = folder(t, map[string]string{
		"control.yaml": strings.Replace(good, "members.owners", "members.owner", 1), "member.yaml": strings.Replace(good, "version", "release", 1), "syntax.yaml": "a: 1\nb: [",
		"theirs.yaml": good, "soc2.yaml": strings.Replace(good, "name: ours", "name: soc2", 1), "large.yaml": strings.Repeat("x", 200<<10),
	})
	_, err = report.ReadCatalogues(dir)
	if err == nil {
		t.Fatal("what cannot be read is taken")
	}
	for file, want := range map[string]string{
		"control.yaml": `:12: there is no measurement "members.owner"`, "member.yaml": `:5: there is no member "release" here`, "syntax.yaml": ":2: ", "theirs.yaml": ":2: name: expected theirs, as the file is called",
		"soc2.yaml": ":2: name: soc2 is the release's", "large.yaml": ": it has more than 128 KiB",
	} {
		if !strings.Contains(err.Error(), filepath.Join(dir, file)+want) {
			t.Errorf("%s: no %q in\n%v", file, want, err)
		}
	}
	if _, err := report.ReadCatalogues(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder = %v", err)
	}
}

// Every tenant sees the installation's catalogues, and none changes them; a tenant's own that was there first stays what it is.
func TestSharedCatalogue(t *testing.T) {
	p := newPress(t)
	p.log(t, p.acme, "user.create")
	ctx := t.Context()
	put := report.PutCatalogueRequest{Name: "ours", Text: strings.Replace(good, "title: Ours", "title: Globex’s", 1)}
	if _, err := p.PutCatalogue(ctx, p.globex, put); err != nil {
		t.Fatal(err)
	}
	shared, err := report.ReadCatalogues(folder(t, map[string]string{"ours.yaml": good}))
	if err != nil {
		t.Fatal(err)
	}
	p.shared = shared
	p.Service = p.on(p.store.Store)
	if o := p.made(t, p.acme, "ours", today()); o.Body.Catalogue.Title != "Ours" {
		t.Errorf("report = %+v", o.Body.Catalogue)
	}
	all, err := p.Catalogues(ctx, p.acme)
	if doc, err := p.GetCatalogue(ctx, p.acme, "ours"); err != nil || !doc.Shared || len(all) != 10 {
		t.Errorf("%d catalogues, %+v, %v", len(all), doc, err)
	}
	if err != nil {
		t.Error(err)
	}
	if _, err := p.PutCatalogue(ctx, p.acme, put); !errors.Is(err, report.ErrShared) {
		t.Errorf("PutCatalogue = %v", err)
	}
	if err := p.DeleteCatalogue(ctx, p.acme, "ours", "", ""); !errors.Is(err, report.ErrShared) {
		t.Errorf("DeleteCatalogue = %v", err)
	}
	if doc, err := p.GetCatalogue(ctx, p.globex, "ours"); err != nil || doc.Shared || doc.Title != "Globex’s" {
		t.Errorf("theirs = %+v, %v", doc, err)
	}
	if all, err := p.Catalogues(ctx, p.globex); err != nil || len(all) != 10 {
		t.Errorf("theirs = %d, %v", len(all), err)
	}
	if err := p.DeleteCatalogue(ctx, p.globex, "ours", "", ""); err != nil {
		t.Error(err)
	}
	if doc, err := p.GetCatalogue(ctx, p.globex, "ours"); err != nil || !doc.Shared {
		t.Errorf("after theirs is deleted = %+v, %v", doc, err)
	}
}

// The example of docs/reports.md is a catalogue, and a report is made by it.
func TestExampleOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/reports.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(text), "```yaml\n")
	example, _, ended := strings.Cut(example, "```")
	if !found || !ended {
		t.Fatal("the page has no example")
	}
	p := newPress(t)
	p.log(t, p.acme, "user.create", "user.delete")
	c, err := report.ParseCatalogue([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.PutCatalogue(t.Context(), p.acme, report.PutCatalogueRequest{Name: c.Name, Text: example}); err != nil {
		t.Fatal(err)
	}
	o := p.made(t, p.acme, c.Name, today())
	for id, want := range map[string]report.Result{"ACME-1": report.NoEvidence, "ACME-2": report.Met, "ACME-3": report.NoEvidence} {
		if got := control(t, o, id); got.Result != want {
			t.Errorf("%s = %+v, want %s", id, got, want)
		}
	}
}
