package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxSocketPath is the longest path of a Unix socket, in bytes, on macOS; Linux
// has room for 107.
const maxSocketPath = 103

// longestSocketName is what Postgres calls its socket on the highest port.
const longestSocketName = "/.s.PGSQL.65535"

// shortPrefix marks the folders that we may delete again.
const shortPrefix = "biocore-pg-"

// makeSocketDir makes the folder for the socket anew: what was in it belonged to
// a server that is gone. Where the path would be too long, the folder is a short
// temporary one, closed to others, and a link in the data folder leads there.
func makeSocketDir(ctx context.Context, dir string, acct account) (string, error) {
	if err := removeSocketDir(dir); err != nil {
		return "", err
	}
	path := filepath.Join(dir, socketDir)
	if len(path)+len(longestSocketName) <= maxSocketPath {
		if err := os.Mkdir(path, 0o700); err != nil {
			return "", err
		}
		return path, acct.own(path)
	}
	for _, base := range []string{os.TempDir(), "/tmp"} {
		short, err := os.MkdirTemp(base, shortPrefix) // mode 0700
		if err != nil {
			continue
		}
		if len(short)+len(longestSocketName) <= maxSocketPath && acct.own(short) == nil && canEnter(ctx, short, acct) == nil {
			return short, os.Symlink(short, path)
		}
		if err := os.Remove(short); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("no folder for a socket: %s is too long, and neither %s nor /tmp can be used",
		path, os.TempDir())
}

// removeSocketDir removes what makeSocketDir made.
func removeSocketDir(dir string) error {
	path := filepath.Join(dir, socketDir)
	short, err := os.Readlink(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil: // a folder
		return os.RemoveAll(path)
	case strings.HasPrefix(filepath.Base(short), shortPrefix):
		if err := os.RemoveAll(short); err != nil {
			return err
		}
	}
	return os.Remove(path)
}
