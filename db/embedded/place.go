package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// locationFile stands in a data folder whose contents had to go elsewhere, and
// says where.
const locationFile = "location"

// place makes the data folder for dir and returns where it is: dir itself
// unless we are root and the account cannot get there, as in a checkout in
// root's home. Nobody's modes are changed for that. The state then lies in a
// folder named after dir, and dir keeps a note of it.
func place(ctx context.Context, dir string, acct account) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if acct.isSelf() {
		return dir, makePrivate(dir)
	}
	if elsewhere, err := recorded(dir); err != nil {
		return "", err
	} else if elsewhere != "" {
		return elsewhere, makeOwn(elsewhere)
	}
	//nolint:gosec // G301: a parent holds no secret, and the account must pass through it.
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	//nolint:gosec // G301: the account must pass through to what is its own, and need not see the rest.
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	reason := canEnter(ctx, dir, acct)
	if !errors.Is(reason, fs.ErrPermission) {
		return dir, reason
	}
	if _, err := os.Lstat(filepath.Join(dir, clusterDir)); err == nil {
		return "", fmt.Errorf("user %s can no longer reach the data folder %s: %w", acct, dir, reason)
	}
	for _, base := range elsewhereBases() {
		elsewhere := filepath.Join(base, elsewhereName(dir))
		if makeOwn(base) != nil || makeOwn(elsewhere) != nil {
			continue
		}
		if err := canEnter(ctx, elsewhere, acct); errors.Is(err, fs.ErrPermission) {
			continue
		} else if err != nil {
			return "", err
		}
		return elsewhere, writeFile(filepath.Join(dir, locationFile), elsewhere+"\n", 0o600)
	}
	return "", fmt.Errorf("user %s can reach neither %s nor any of %s: %w",
		acct, dir, strings.Join(elsewhereBases(), ", "), reason)
}

// elsewhereBases are the folders that may stand in, best first: the one that
// outlives a reboot, then temporary ones.
func elsewhereBases() []string {
	own := "biocore-" + strconv.Itoa(os.Getuid())
	return []string{"/var/lib/biocore", filepath.Join(os.TempDir(), own), filepath.Join("/tmp", own)}
}

// elsewhereName is the same for the same data folder on each start, and differs
// between two checkouts.
func elsewhereName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "dev-" + hex.EncodeToString(sum[:8])
}

// recorded returns where the contents of dir went, or "". A note that came here
// with a copied checkout names the folder of the original and does not count:
// two servers must not meet on one folder.
func recorded(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	note, err := os.ReadFile(filepath.Join(dir, locationFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	elsewhere := strings.TrimSpace(string(note))
	if !filepath.IsAbs(elsewhere) || filepath.Base(elsewhere) != elsewhereName(dir) {
		return "", nil
	}
	return elsewhere, nil
}

// canEnter finds out by doing it whether the account can change into dir:
// modes, access lists and mandatory access control then all have their say. A no
// is fs.ErrPermission; anything else says nothing about dir.
func canEnter(ctx context.Context, dir string, acct account) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", ":")
	cmd.Dir = dir
	_, err := runChild(cmd, acct)
	return err
}

// makePrivate makes dir ours alone, parents included, or checks that it is.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return checkOurs(dir)
}

// makeOwn makes the folder dir in an existing one. In a temporary folder others
// could have made it before us, to read or replace what we put there.
func makeOwn(dir string) error {
	//nolint:gosec // G301: the account must pass through to what is its own, and need not see the rest.
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return checkOurs(dir)
}

// checkOurs returns an error unless dir is a folder that we own and that nobody
// else may write.
func checkOurs(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	if uid := owner(info); int(uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d: it was made by another user (with sudo?); "+
			"remove it, or run as that user", dir, uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s may be written by others (mode %04o): close it or choose another folder",
			dir, info.Mode().Perm())
	}
	return nil
}

// owner returns the user id that a file belongs to.
func owner(info fs.FileInfo) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return 0 // not reached on Unix; root is the cautious answer
}

// writeFile replaces the file at path in one step. The old file may be another
// user's, and may be read meanwhile.
func writeFile(path, text string, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already if all went well
	if _, err := tmp.WriteString(text); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Chmod(mode), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
