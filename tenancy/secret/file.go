package secret

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFileBytes bounds a file that holds secrets: a certificate's key or a service
// account has a few kilobytes, and a path that leads to a device has no end.
const maxFileBytes = 1 << 20

const (
	othersRead  fs.FileMode = 0o004
	othersWrite fs.FileMode = 0o022 // the group's as well: nobody mounts a secret to have it changed

	othersWriteFolder fs.FileMode = 0o002 // a group's folder is common where each user has a group
)

// ReadFile returns the content of a file that holds a secret, at most 1 MiB. It refuses
// one that others may read, that its group or others may change, or that lies in a
// folder where others may put another in its place: an *OpenError. The group may read:
// that is how Kubernetes mounts secrets for a process that is not root. A link is judged
// by what it leads to. A pipe is nobody else's and is read as it is.
func ReadFile(path string) ([]byte, error) {
	content, exposed, err := ReadPublicFile(path)
	if err == nil && exposed != nil {
		err = exposed
	}
	if err != nil {
		return nil, err
	}
	return content, nil
}

// ReadPublicFile is ReadFile for a file that need not hold a secret: others may read it,
// but not change it. exposed is why it must not hold one, nil when nobody else reads it.
func ReadPublicFile(path string) (content []byte, exposed, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	// What is judged is what is read: a file that takes the place of this one meanwhile
	// is not opened again.
	if exposed, err = judge(path, f); err != nil {
		return nil, nil, err
	}
	content, err = io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, nil, err
	}
	if len(content) > maxFileBytes {
		return nil, nil, fmt.Errorf("%s has more than %d bytes", path, maxFileBytes)
	}
	return content, exposed, nil
}

// CheckFolders refuses a path that leads through a folder in which others may replace
// what is ours: one that they may write, unless it is sticky as /tmp is. Both the path
// as it is written and where its links lead are walked.
func CheckFolders(path string) error {
	written, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks(written)
	if err != nil {
		return err
	}
	for _, way := range []string{written, target} {
		for dir := filepath.Dir(way); ; dir = filepath.Dir(dir) {
			info, err := os.Stat(dir)
			if err != nil {
				return err
			}
			if info.Mode().Perm()&othersWriteFolder != 0 && info.Mode()&fs.ModeSticky == 0 {
				return &OpenError{Path: path, Folder: dir, Mode: info.Mode().Perm()}
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return nil
}

// judge refuses the open file f, which was found at path, if others may change it.
func judge(path string, f *os.File) (exposed, err error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeNamedPipe != 0:
		return nil, nil
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", path)
	}
	mode := info.Mode().Perm()
	open := &OpenError{Path: path, Mode: mode, Readable: mode&othersRead != 0}
	switch {
	case mode&othersWrite != 0:
		return nil, open
	case open.Readable:
		exposed = open
	}
	return exposed, CheckFolders(path)
}

// OpenError says who else may reach a file that holds a secret, and how to close it.
type OpenError struct {
	Path     string
	Folder   string      // above Path, and the culprit; empty: the file is
	Mode     fs.FileMode // of the culprit
	Readable bool        // others may read the file, and so may have read it
}

// Error implements error: what is wrong, and the command that puts it right.
func (e *OpenError) Error() string {
	switch {
	case e.Folder != "":
		return fmt.Sprintf("others may put another file in the place of %s, for they may write its folder %s (%04o): chmod o-w %s",
			e.Path, e.Folder, e.Mode, e.Folder)
	case e.Readable:
		return fmt.Sprintf("%s is open to others (%04o): chmod 600 it, and replace the secret if others may have read it; "+
			"in Kubernetes, mount it with defaultMode 0440 and an fsGroup", e.Path, e.Mode)
	}
	return fmt.Sprintf("others may change %s (%04o): chmod go-w it; in Kubernetes, mount it with defaultMode 0440 and an fsGroup", e.Path, e.Mode)
}
