package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxShared is how many catalogues a folder may hold.
const maxShared = 100

// ReadCatalogues reads an installation's own catalogues: every file of a folder whose name ends in .yaml, NAME.yaml for the
// catalogue NAME. An error names the file and the line, and is of all files at once.
func ReadCatalogues(folder string) ([]Document, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var all []Document
	var errs []error
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".yaml") {
			continue
		}
		if len(all)+len(errs) == maxShared {
			return nil, fmt.Errorf("%s: there are more than %d catalogues", folder, maxShared)
		}
		doc, err := readCatalogue(filepath.Join(folder, e.Name()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, *doc)
	}
	return all, errors.Join(errs...)
}

func readCatalogue(path string) (*Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxCatalogueBytes+1))
	if err != nil {
		return nil, err
	}
	c, err := parseCatalogue(text)
	if err != nil {
		said, line := err.Error(), ""
		if at := inLine.FindStringSubmatch(said); at != nil {
			said, line = strings.TrimPrefix(said, at[0]), ":"+at[1]
		}
		return nil, fmt.Errorf("%s%s: %s", path, line, said)
	}
	at := fmt.Sprintf("%s:%d: name: ", path, lineIn(c.lines, "name"))
	if builtIn, err := builtInOf(c.Name); err != nil {
		return nil, err
	} else if builtIn != nil {
		return nil, fmt.Errorf("%s%s is the release's: give it another", at, c.Name)
	}
	if name := strings.TrimSuffix(filepath.Base(path), ".yaml"); c.Name != name {
		return nil, fmt.Errorf("%sexpected %s, as the file is called", at, name)
	}
	return &Document{Catalogue: c, Text: string(text), Shared: true}, nil
}
