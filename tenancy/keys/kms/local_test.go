package kms

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLocalKMSFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		name string
		path string
	}{
		{"readable by the group", write("group", 32, 0o640)},
		{"readable by all", write("all", 32, 0o604)},
		{"writable by all", write("write", 32, 0o602)},
		{"short", write("short", 31, 0o600)},
		{"long", write("long", 33, 0o600)},
		{"empty", write("empty", 0, 0o600)},
		{"absent", filepath.Join(dir, "absent")},
		{"a directory", dir},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Open(t.Context(), "local:"+tt.path); err == nil {
				t.Error("Open succeeded")
			}
		})
	}
	counting := make([]byte, 32)
	for i := range counting {
		counting[i] = byte(i)
	}
	down := slices.Clone(counting)
	slices.Reverse(down)
	for name, key := range map[string][]byte{
		"zeros": make([]byte, 32), "one byte": bytes.Repeat([]byte{0xA5}, 32), "counting": counting, "counting down": down,
		"text": []byte("correct horse battery staple 123"), "hex": []byte("0f1e2d3c4b5a69788796a5b4c3d2e1f0"), "a line": []byte("0123456789abcdef0123456789abcde\n"),
	} {
		path := filepath.Join(dir, "example "+name)
		if err := os.WriteFile(path, key, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenLocal(path); err == nil || !strings.Contains(err.Error(), "is an example and not random") {
			t.Errorf("a key of %s: %v", name, err)
		}
	}
	path := filepath.Join(dir, "made")
	if err := CreateLocal(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("key file: %v, %v", info, err)
	}
	if err := CreateLocal(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("creating it again = %v, want ErrExist", err)
	}
	for _, url := range []string{"", "local", "vault:x", "/etc/key"} {
		if _, err := Open(t.Context(), url); err == nil {
			t.Errorf("Open(%q) succeeded", url)
		}
	}
}

func TestLocalWrap(t *testing.T) {
	open := func() *Local {
		t.Helper()
		path := filepath.Join(t.TempDir(), "key")
		if err := CreateLocal(path); err != nil {
			t.Fatal(err)
		}
		l, err := OpenLocal(path)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	ours, other := open(), open()
	key := bytes.Repeat([]byte{7}, 32)
	wrapped, err := ours.Wrap(t.Context(), key, []byte("tenant one"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ours.Unwrap(t.Context(), ours.KeyName(), wrapped, []byte("tenant one")); err != nil || !bytes.Equal(got, key) {
		t.Fatalf("Unwrap = %x, %v", got, err)
	}
	if bytes.Contains(wrapped, key[:8]) {
		t.Error("the wrapped key shows the key")
	}
	if _, err := ours.Unwrap(t.Context(), ours.KeyName(), wrapped, []byte("tenant two")); err == nil {
		t.Error("opened for another tenant")
	}
	if _, err := ours.Unwrap(t.Context(), ours.KeyName(), wrapped[:len(wrapped)-1], []byte("tenant one")); err == nil {
		t.Error("opened although cut")
	}
	if _, err := ours.Unwrap(t.Context(), ours.KeyName(), nil, nil); err == nil {
		t.Error("opened nothing")
	}
	_, err = other.Unwrap(t.Context(), ours.KeyName(), wrapped, []byte("tenant one"))
	if err == nil || !strings.Contains(err.Error(), ours.KeyName()) || !strings.Contains(err.Error(), other.KeyName()) {
		t.Errorf("another key file: %v, want both names", err)
	}
}
