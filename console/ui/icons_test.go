package ui_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named are icons as pages name them: by a call, by a field, and in the tables of kinds.
var named = regexp.MustCompile(`(?:Icon\(|Icon: |icon\(|Nothing\(|Tile\("[^"]*", |: +\{)"([a-z0-9]+)"`)

// A name that the sprite lacks draws nothing, and nobody is told.
func TestIconsAreInTheSprite(t *testing.T) {
	sprite, err := os.ReadFile("../../web/static/icons.svg")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, pattern := range []string{"../*.templ", "../*.go", "*.templ", "*.go", "../../web/static/console/*.js"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files, %v", pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "_templ.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			table := strings.HasSuffix(file, "action.go")
			for _, match := range named.FindAllSubmatch(source, -1) {
				if strings.HasPrefix(string(match[0]), ":") && !table {
					continue // of another table
				}
				found++
				if !strings.Contains(string(sprite), `<symbol id="`+string(match[1])+`"`) {
					t.Errorf("%s draws %q", file, match[1])
				}
			}
		}
	}
	if found < 150 {
		t.Errorf("only %d icons were found", found)
	}
}
