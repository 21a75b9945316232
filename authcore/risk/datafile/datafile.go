// Package datafile keeps what was made of a file that somebody else replaces, and makes it anew when they have.
//
// The file is read whole and never mapped into memory: one that is overwritten in place would end a server that
// has it mapped (SIGBUS). What is being written while it is read is left until the next look, and what cannot be
// used leaves the one before in use. Readers take no lock.
package datafile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Every is how often Run looks at a file.
const Every = time.Minute

// Options configures a File. Path, MaxBytes and Parse are required.
type Options[T any] struct {
	Path     string
	MaxBytes int64
	// Parse makes of a file what is used of it. It keeps raw if it likes; nobody else does. Its errors are for the operator.
	Parse func(raw []byte) (*T, error)
	Now   func() time.Time // nil means time.Now
	Log   *slog.Logger     // nil means slog.Default
}

// File is a file and what is in use of it. It is safe for concurrent use.
type File[T any] struct {
	o       Options[T]
	current atomic.Pointer[T]

	mu     sync.Mutex // one look at a time
	seen   fs.FileInfo
	status atomic.Pointer[Status]
}

// Status is how a file is.
type Status struct {
	Path       string
	Bytes      int64     // of what is in use
	ModifiedAt time.Time // of what is in use; zero: nothing is
	LoadedAt   time.Time // when it came into use
	Err        error     // why the file as it is now is not in use; nil: it is
	Failures   int64     // looks, since the start, that found a file which cannot be used
}

// errMoving is that of a file which changes while it is read.
var errMoving = errors.New("it is being written")

// New returns a File of which nothing is in use until Look is called.
func New[T any](o Options[T]) *File[T] {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	f := &File[T]{o: o}
	f.status.Store(&Status{Path: o.Path})
	return f
}

// Current is what is in use; nil until a file was good.
func (f *File[T]) Current() *T { return f.current.Load() }

// Status tells how the file is.
func (f *File[T]) Status() Status { return *f.status.Load() }

// Run looks at the file every minute, until ctx ends.
func (f *File[T]) Run(ctx context.Context) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.Look(ctx)
		}
	}
}

// Look reads the file if it is another than at the last look. What comes of it is in Status and in the log.
func (f *File[T]) Look(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	status := f.Status()
	raw, info, err := f.read()
	switch {
	case err == nil && raw == nil: // the one that was looked at before, good or bad
		if status.Err != nil {
			status.Failures++
		}
		f.status.Store(&status)
		return
	case errors.Is(err, errMoving):
		return
	}
	var made *T
	if err == nil {
		made, err = f.o.Parse(raw)
	}
	if err != nil {
		first := status.Err == nil || status.Err.Error() != err.Error()
		f.seen, status.Err = info, err
		status.Failures++
		f.status.Store(&status)
		if first {
			f.o.Log.ErrorContext(ctx, "a data file cannot be used: what was read before stays in use", "path", f.o.Path, "err", err)
		}
		return
	}
	f.current.Store(made)
	f.seen = info
	f.status.Store(&Status{Path: f.o.Path, Bytes: int64(len(raw)), ModifiedAt: info.ModTime(), LoadedAt: f.o.Now(), Failures: status.Failures})
	f.o.Log.InfoContext(ctx, "a data file is in use", "path", f.o.Path, "bytes", len(raw))
}

// read returns the file, or nothing if it is the one that was seen. Its info goes with it as far as it is known.
func (f *File[T]) read() ([]byte, fs.FileInfo, error) {
	file, err := os.Open(f.o.Path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	switch {
	case f.seen != nil && same(f.seen, before):
		return nil, before, nil
	case !before.Mode().IsRegular():
		return nil, before, fmt.Errorf("%s is no regular file", f.o.Path)
	case before.Size() > f.o.MaxBytes:
		return nil, before, fmt.Errorf("%s has more than %d MiB", f.o.Path, f.o.MaxBytes>>20)
	}
	raw := make([]byte, before.Size())
	if _, err := io.ReadFull(file, raw); errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return nil, nil, errMoving // it is shorter than it was
	} else if err != nil {
		return nil, before, err
	}
	after, err := file.Stat()
	if err != nil {
		return nil, before, err
	}
	if !same(before, after) {
		return nil, nil, errMoving
	}
	return raw, before, nil
}

func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
