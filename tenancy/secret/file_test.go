package secret_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// put writes a file of a mode in a folder of a mode.
func put(t *testing.T, folder, file fs.FileMode) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "secrets")
	path := filepath.Join(dir, "password")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(path, []byte(hunter), 0o600), os.Chmod(path, file), os.Chmod(dir, folder)); err != nil {
		t.Fatal(err)
	}
	return path
}

// The table is what an administrator meets, mode by mode.
func TestReadFile(t *testing.T) {
	for _, tt := range []struct {
		name         string
		folder, file fs.FileMode
		refusal      string // empty: read
		public       string // the same of ReadPublicFile
	}{
		{"its owner's alone", 0o700, 0o600, "", ""},
		{"read-only", 0o755, 0o400, "", ""},
		{"readable by its group, as Kubernetes mounts it", 0o755, 0o440, "", ""},
		{"readable by its group", 0o750, 0o640, "", ""},
		{"readable by others", 0o700, 0o604, "chmod 600", ""},
		{"readable by all, as Kubernetes mounts it by default", 0o755, 0o644, "defaultMode 0440 and an fsGroup", ""},
		{"writable by others", 0o700, 0o602, "chmod go-w", "chmod go-w"},
		{"writable by its group", 0o700, 0o660, "chmod go-w", "chmod go-w"},
		{"open to all", 0o700, 0o666, "chmod 600", "chmod 600"},
		{"a folder that others may write", 0o777, 0o600, "chmod o-w", "chmod o-w"},
		{"a sticky one, as /tmp", fs.ModeSticky | 0o777, 0o600, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := put(t, tt.folder, tt.file)
			refused := func(err error, refusal string) {
				t.Helper()
				var open *secret.OpenError
				switch {
				case refusal == "" && err != nil:
					t.Errorf("refused: %v", err)
				case refusal != "" && (!errors.As(err, &open) || !strings.Contains(err.Error(), refusal) || !strings.Contains(err.Error(), path)):
					t.Errorf("error = %v, want one that names the file and says %q", err, refusal)
				}
			}
			got, err := secret.ReadFile(path)
			refused(err, tt.refusal)
			if (string(got) == hunter) != (tt.refusal == "") {
				t.Errorf("ReadFile = %q", got)
			}
			got, exposed, err := secret.ReadPublicFile(path)
			refused(err, tt.public)
			if (string(got) == hunter) != (tt.public == "") {
				t.Errorf("ReadPublicFile = %q", got)
			}
			if tt.public == "" {
				refused(exposed, tt.refusal)
			}
		})
	}
}

// Kubernetes mounts a secret as a link to a link: what counts is where it leads.
func TestReadFileFollowsLinks(t *testing.T) {
	link := func(to string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if got, err := secret.ReadFile(link(link(put(t, 0o755, 0o440)))); err != nil || string(got) != hunter {
		t.Errorf("by two links: %v", err)
	}
	if _, err := secret.ReadFile(link(put(t, 0o755, 0o444))); err == nil {
		t.Error("read what others may read, by a link")
	}
	if _, err := secret.ReadFile(link(put(t, 0o777, 0o400))); err == nil {
		t.Error("read what others may replace, by a link")
	}
	loose := filepath.Dir(put(t, 0o777, 0o400)) // a link that others may turn elsewhere
	if err := os.Symlink(put(t, 0o755, 0o400), filepath.Join(loose, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.ReadFile(filepath.Join(loose, "link")); err == nil {
		t.Error("read by a link that others may turn elsewhere")
	}
}

func TestReadFileOfOtherKinds(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"a folder": dir, "a device": "/dev/zero", "no file": filepath.Join(dir, "absent"), "a large file": large} {
		if got, err := secret.ReadFile(path); err == nil {
			t.Errorf("%s: read %d bytes", name, len(got))
		}
	}
	pipe := filepath.Join(dir, "pipe") // as the shell's <(…) is
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	go func() { _ = os.WriteFile(pipe, []byte(hunter), 0o600) }()
	if got, err := secret.ReadFile(pipe); err != nil || string(got) != hunter {
		t.Errorf("a pipe: %v", err)
	}
}
