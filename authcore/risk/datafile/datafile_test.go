package datafile_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/authcore/risk/datafile"
)

// What is read, what is left alone, and what is told of it.
func TestLook(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "data")
	read := 0
	f := datafile.New(datafile.Options[string]{
		Path: path, MaxBytes: 16, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Unix(1_000_000, 0) },
		Parse: func(raw []byte) (*string, error) {
			read++
			if text := string(raw); !strings.HasPrefix(text, "bad") {
				return &text, nil
			}
			return nil, errors.New("it is bad")
		},
	})
	put := func(text string, at int64) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name     string
		do       func()
		current  string
		reads    int
		wrong    string
		failures int64
	}{
		{"none there", func() {}, "", 0, "no such file", 1},
		{"one", func() { put("one", 1) }, "one", 1, "", 1},
		{"the same again", func() {}, "one", 1, "", 1},
		{"as long, and later", func() { put("two", 2) }, "two", 2, "", 1},
		{"at the same time, and longer", func() { put("three", 2) }, "three", 3, "", 1},
		{"a bad one", func() { put("bad", 3) }, "three", 4, "it is bad", 2},
		{"the bad one again is not read", func() {}, "three", 4, "it is bad", 3},
		{"too long", func() { put(strings.Repeat("x", 17), 4) }, "three", 4, "more than", 4},
		{"empty", func() { put("", 5) }, "", 5, "", 4},
		{"a good one", func() { put("four", 6) }, "four", 6, "", 4},
		{"another of the same time and length, by a rename", func() {
			old := path
			path = filepath.Join(dir, "next")
			put("five", 6)
			if err := os.Rename(path, old); err != nil {
				t.Fatal(err)
			}
			path = old
		}, "five", 7, "", 4},
		{"gone", func() {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, "five", 7, "no such file", 5},
		{"a folder", func() {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "five", 7, "no regular file", 6},
	} {
		step.do()
		f.Look(t.Context())
		current, s := "", f.Status()
		if f.Current() != nil {
			current = *f.Current()
		}
		if current != step.current || read != step.reads || (s.Err == nil) != (step.wrong == "") || s.Err != nil && !strings.Contains(s.Err.Error(), step.wrong) || s.Failures != step.failures {
			t.Errorf("%s: %q after %d reads, %+v", step.name, current, read, s)
		}
		if step.current != "" && (s.Path != path || s.Bytes != int64(len(step.current)) || s.ModifiedAt.IsZero() || s.LoadedAt.Unix() != 1_000_000) {
			t.Errorf("%s: %+v", step.name, s)
		}
	}
}
