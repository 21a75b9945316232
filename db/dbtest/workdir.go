package dbtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/biocore-id/biocore/db/embedded"
)

// binEnv is where Postgres's programs are, when not in a usual place. .ci/setup
// knows it too.
const binEnv = "BIOCORE_PG_BIN"

// What we keep is in one folder of the user's cache:
//
//	lock              held while folders are made and swept
//	template/15       a fresh cluster, to be copied
//	running/NAME      of one process, which holds its file `owner` for life:
//	running/NAME/…    the data folders of its servers
const (
	cacheDir    = "biocore-test"
	cacheLock   = "lock"
	templateDir = "template"
	runningDir  = "running"
	ownerLock   = "owner"
)

// work is the folder of this process.
type work struct {
	dir   string
	owner *os.File // locked; kept here, or its finalizer would close it
}

// workDir is the folder of this process. A process cannot remove it at its end, when
// its servers still write there: the next process does, and finds out by the lock.
var workDir = sync.OnceValues(func() (work, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	base, err := cacheBase()
	if err != nil {
		return work{}, err
	}
	running := filepath.Join(base, runningDir)
	if err := os.MkdirAll(running, 0o700); err != nil {
		return work{}, err
	}
	// A new folder whose owner is not yet locked looks abandoned.
	making, err := lockFile(filepath.Join(base, cacheLock), syscall.LOCK_EX)
	if err != nil {
		return work{}, err
	}
	defer func() { _ = making.Close() }()
	if err := sweep(ctx, running); err != nil {
		return work{}, fmt.Errorf("sweep %s: %w", running, err)
	}
	dir := filepath.Join(running, rand.Text()[:12])
	if err := os.Mkdir(dir, 0o700); err != nil {
		return work{}, err
	}
	owner, err := lockFile(filepath.Join(dir, ownerLock), syscall.LOCK_EX)
	if err != nil {
		return work{}, err
	}
	return work{dir: dir, owner: owner}, nil
})

func cacheBase() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("where to keep data folders: %w", err)
	}
	return filepath.Join(cache, cacheDir), nil
}

// newDataDir names a data folder in workDir.
func newDataDir() (string, error) {
	ours, err := workDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(ours.dir, rand.Text()[:12]), nil
}

// postgresOptions are those of a server of ours, on a data folder of its own.
func postgresOptions() (embedded.PostgresOptions, error) {
	dir, err := newDataDir()
	if err != nil {
		return embedded.PostgresOptions{}, err
	}
	base, err := cacheBase()
	if err != nil {
		return embedded.PostgresOptions{}, err
	}
	return embedded.PostgresOptions{
		DataDir:  dir,
		BinDir:   os.Getenv(binEnv),
		Template: filepath.Join(base, templateDir),
		Log:      logger(),
		Settings: map[string]string{"max_connections": "300"}, // tests in parallel, each with pools
	}, nil
}

// sweep removes the folders of processes that are gone.
func sweep(ctx context.Context, running string) error {
	dirs, err := os.ReadDir(running)
	if err != nil {
		return err
	}
	for _, entry := range dirs {
		dir := filepath.Join(running, entry.Name())
		owner, err := lockFile(filepath.Join(dir, ownerLock), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		} else if err != nil {
			return err
		}
		err = errors.Join(removeAll(ctx, dir), owner.Close())
		if err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes dir with the data folders in it, some of which may have had to go
// elsewhere.
func removeAll(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		if err := embedded.Remove(ctx, filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// lockFile locks the file at path. Closing it drops the lock, and so does the end of
// the process.
func lockFile(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
	}
}
