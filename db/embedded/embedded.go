// Package embedded starts Postgres and Redis beside us, for `biocore dev` and
// for tests: one command on a fresh machine, and nothing to set up by hand.
//
//	StartPostgres  a child process on a data folder that outlives it
//	StartRedis     a child process where redis-server is installed, else in-process
//	Remove         what `dev --reset` does to a data folder
//
// Both listen on 127.0.0.1 only and ask for a password that was made by chance,
// so that other users of the machine stay out. Both end with us, even when we
// are killed with SIGKILL. As root we drop to an account that may not do much,
// because Postgres refuses to run as root. Production uses servers of its own
// and imports none of this. Linux and macOS; ADR-0001.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// NotFoundError says that a program is not installed here, or is too old, and
// what to run to change that.
type NotFoundError struct {
	Program string   // what was looked for, as people call it
	Looked  []string // where, in order
	Why     string   // what was wrong with the last candidate; empty if there was none
	Apt     string   // the line that installs it on Debian and Ubuntu
	Brew    string   // the line that installs it on macOS
}

func (e *NotFoundError) Error() string {
	why := ""
	if e.Why != "" {
		why = ": " + e.Why
	}
	return fmt.Sprintf("%s not found in %s%s; to install it: `%s` (Debian, Ubuntu) or `%s` (macOS)",
		e.Program, strings.Join(e.Looked, ", "), why, e.Apt, e.Brew)
}

// InUseError says that a live process of ours already works on the data folder.
type InUseError struct {
	Dir string
	PID int // 0 if it could not be read
}

func (e *InUseError) Error() string {
	by := "another process"
	if e.PID != 0 {
		by = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("data folder %s is in use by %s: stop that first, or choose another folder", e.Dir, by)
}

// VersionError says that the data folder was made by another major version of
// Postgres than the one found. Postgres cannot read it.
type VersionError struct {
	Dir    string
	Have   int    // the major version that made the folder
	Found  int    // the major version of BinDir
	BinDir string // where the programs were found
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("data folder %s was made by PostgreSQL %d, but %s has version %d: "+
		"install version %d beside it, or start anew, which loses the data", e.Dir, e.Have, e.BinDir, e.Found, e.Have)
}

// PortError says that the port asked for is taken.
type PortError struct {
	Port int
}

func (e *PortError) Error() string {
	return fmt.Sprintf("port %d on 127.0.0.1 is taken: stop what listens there, or choose another port", e.Port)
}

// Remove deletes the data folder with all that was kept for it elsewhere, so
// that the next start is a first start. A folder that does not exist is removed
// already. A folder in use is an *InUseError; a server that an earlier run left
// behind is stopped first.
func Remove(ctx context.Context, dataDir string) error {
	dirs := []string{dataDir}
	if elsewhere, err := recorded(dataDir); err != nil {
		return err
	} else if elsewhere != "" {
		dirs = []string{elsewhere, dataDir}
	}
	for _, dir := range dirs {
		if err := removeDir(ctx, dir); err != nil {
			return fmt.Errorf("remove data folder: %w", err)
		}
	}
	return nil
}

func removeDir(ctx context.Context, dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.release()
	if err := stopLeftover(ctx, filepath.Join(dir, clusterDir), slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if err := removeSocketDir(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
