package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockFile stands in each data folder. It is never removed alone, only with the
// folder: its lock, not its existence, says that the folder is in use.
const lockFile = "lock"

// dirLock is our claim on a data folder. The kernel drops it when we end,
// however we end, so that no claim is ever stale.
type dirLock struct {
	file *os.File
}

// Claim makes this process the only one to work in the folder dir, which exists,
// until release is called or the process ends, however it ends. A folder that
// another process has claimed is an *InUseError.
func Claim(dir string) (release func(), err error) {
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return lock.release, nil
}

// lockDir claims dir, or returns an *InUseError.
func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, lockFile)
	for {
		// O_NOFOLLOW: as root in a normal user's folder, a link planted there
		// would have us truncate what it leads to.
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock data folder: %w", err)
		}
		lock := &dirLock{file: file}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			defer lock.release()
			if !errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("lock %s: %w", path, err)
			}
			return nil, &InUseError{Dir: dir, PID: lock.holder()}
		}
		// Remove may have deleted the folder between our open and our lock, and
		// another process made it anew: then we hold a file that no path leads to.
		if !lock.isAt(path) {
			lock.release()
			if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("lock data folder: %w", err)
			}
			continue
		}
		if err := lock.sign(); err != nil {
			lock.release()
			return nil, fmt.Errorf("lock data folder: %w", err)
		}
		return lock, nil
	}
}

// isAt reports whether our file is the one at path.
func (l *dirLock) isAt(path string) bool {
	ours, err := l.file.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(path)
	return err == nil && os.SameFile(ours, theirs)
}

// sign leaves our process number for those who find the folder in use.
func (l *dirLock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder returns the number that the holder signed with, or 0.
func (l *dirLock) holder() int {
	buf := make([]byte, 32)
	n, _ := l.file.ReadAt(buf, 0) // a short file ends in io.EOF, with n bytes read
	pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// release gives the claim up. Closing the file drops its lock.
func (l *dirLock) release() {
	_ = l.file.Close()
}
