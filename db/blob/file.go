package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"time"
)

// folder keeps objects as files. It is for one server: another machine's folder is
// another store, unless both mount the same.
type folder struct{ root *os.Root }

func openFile(u *url.URL) (*folder, error) {
	if _, err := options(u); err != nil {
		return nil, err
	}
	if u.Host != "" || !filepath.IsAbs(u.Path) || filepath.Clean(u.Path) == "/" {
		return nil, errors.New("a folder for objects is given as file:///its/absolute/path")
	}
	if err := os.MkdirAll(u.Path, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for objects: %w", err)
	}
	root, err := os.OpenRoot(u.Path)
	if err != nil {
		return nil, fmt.Errorf("open the folder for objects: %w", err)
	}
	return &folder{root: root}, nil
}

// put writes beside the place, syncs, and moves: a crash leaves the old object or the
// new one. Whoever is told that it is there deletes the other copy, so that the
// folder's entry is synced as well.
func (f *folder) put(_ context.Context, key string, body []byte) error {
	dir := path.Dir(key)
	if err := f.root.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	temporary := key + ".tmp-" + rand.Text()
	if err := f.write(temporary, body); err != nil {
		_ = f.root.Remove(temporary) // it may not be there
		return err
	}
	if err := f.root.Rename(temporary, key); err != nil {
		_ = f.root.Remove(temporary)
		return fmt.Errorf("move object: %w", err)
	}
	return f.sync(dir)
}

func (f *folder) write(name string, body []byte) (err error) {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make object: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(body); err != nil {
		return fmt.Errorf("write object: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync object: %w", err)
	}
	return nil
}

// sync makes the entries of dir, and of the folders above it, survive a crash.
func (f *folder) sync(dir string) error {
	for {
		d, err := f.root.Open(dir)
		if err != nil {
			return fmt.Errorf("open folder: %w", err)
		}
		if err := errors.Join(d.Sync(), d.Close()); err != nil {
			return fmt.Errorf("sync folder: %w", err)
		}
		if dir == "." {
			return nil
		}
		dir = path.Dir(dir)
	}
}

func (f *folder) putLocked(ctx context.Context, key string, body []byte, _ time.Time) (Lock, error) {
	return Lock{Problem: "a folder locks nothing"}, f.put(ctx, key, body)
}

func (f *folder) get(_ context.Context, key, _ string, most int64) ([]byte, error) {
	file, err := f.root.Open(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	} else if err != nil {
		return nil, fmt.Errorf("open object: %w", err)
	}
	defer file.Close()
	body, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	return body, nil
}

func (f *folder) remove(_ context.Context, key string) error {
	if err := f.root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove object: %w", err)
	}
	return nil
}
