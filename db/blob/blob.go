// Package blob keeps what is too large or too rarely read for Postgres in object
// storage: a folder, S3 (and what speaks like it), Google Cloud Storage or Azure Blob
// Storage, named by a URL.
//
// Keys are built from a Scope: kind/tenant/id. Nobody hands in a string, so that no
// tenant's object is reached by another's. What is put here must be sealed already:
// whoever may read the bucket may read the bytes.
//
// Each service is spoken to in its own HTTP interface, with the credentials that its
// machines and clusters have (ADR 0033). Objects are put whole: they are small, and the
// caller that is told they are there may drop its own copy.
package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrUnavailable says that object storage gave no answer or will not serve us: its cause
// says which.
var ErrUnavailable = fault.New(fault.Unavailable, "OBJECT_STORAGE_UNAVAILABLE",
	"object storage cannot be reached").WithRetryAfter(10 * time.Second)

// ErrNotFound says that there is no such object. What it means is the caller's to say.
var ErrNotFound = errors.New("no such object")

// MaxBytes bounds an object.
const MaxBytes = 8 << 20

// Kind is what an object is: a constant of the package that stores it, of small
// letters. It is the first part of the key, by which a bucket's rules tell them apart.
type Kind string

// store is one service. Keys consist of small letters, digits, '-' and '/'.
type store interface {
	// put stores body, over what was there, and returns when it will survive a crash.
	put(ctx context.Context, key string, body []byte) error
	// putLocked stores body so that nobody can remove or replace it before until, or stores it without and
	// says why. What it says of the lock is what the service shows of the object that is there.
	putLocked(ctx context.Context, key string, body []byte, until time.Time) (Lock, error)
	// get returns ErrNotFound when there is nothing, or else the first most bytes: of a version that
	// putLocked has named, or of the last if version is empty.
	get(ctx context.Context, key, version string, most int64) ([]byte, error)
	// remove succeeds also when there is nothing.
	remove(ctx context.Context, key string) error
}

// Bucket is a place for objects. It is safe for concurrent use.
type Bucket struct {
	name   string
	prefix string
	store  store

	calls, failures atomic.Int64
}

// Open reads a URL:
//
//	file:///folder                             made if it is not there
//	s3://bucket[/prefix]?region=…&endpoint=…&pathStyle=true
//	gs://bucket[/prefix]?credentials=file&endpoint=…
//	azblob://container[/prefix]?account=…&keyFile=…&sasFile=…&clientId=…&endpoint=…
//
// A URL holds no secret: credentials come from where the vendor's own programs find
// them, or from files that the URL names. Open asks nothing of the network: a server
// must start without its object storage.
func Open(ctx context.Context, raw string) (*Bucket, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the object storage URL cannot be read") // its text would show what is in it
	}
	if u.User != nil || u.Fragment != "" {
		return nil, errors.New("an object storage URL holds no credentials and no fragment")
	}
	b := &Bucket{name: u.Scheme + "://" + u.Host + u.Path}
	if u.Scheme != "file" {
		if b.prefix = strings.Trim(u.Path, "/"); b.prefix != "" {
			b.prefix += "/"
		}
		if !validPrefix(b.prefix) {
			return nil, errors.New("the prefix in the object storage URL has small letters, digits, '-' and '/' alone")
		}
	}
	switch u.Scheme {
	case "file":
		b.store, err = openFile(u)
	case "s3":
		b.store, err = openS3(ctx, u)
	case "gs":
		b.store, err = openGCS(u)
	case "azblob":
		b.store, err = openAzure(u)
	default:
		err = errors.New("an object storage URL begins with file://, s3://, gs:// or azblob://")
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

func validPrefix(prefix string) bool {
	for _, c := range prefix {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '/' {
			return false
		}
	}
	return !strings.Contains(prefix, "//")
}

// Name is the bucket's URL without options, for people.
func (b *Bucket) Name() string { return b.name }

// Put stores body under (sc, kind, id), over what was there. When it returns nil the
// object is there to stay. ErrUnavailable.
func (b *Bucket) Put(ctx context.Context, sc scope.Scope, kind Kind, id uuid.UUID, body []byte) error {
	if len(body) > MaxBytes {
		return fmt.Errorf("put %s: %d bytes are more than %d", kind, len(body), MaxBytes)
	}
	return b.do(ctx, sc, kind, id, func(ctx context.Context, key string) error { return b.store.put(ctx, key, body) })
}

// Get returns what Put stored. ErrNotFound; ErrUnavailable.
func (b *Bucket) Get(ctx context.Context, sc scope.Scope, kind Kind, id uuid.UUID) ([]byte, error) {
	return b.GetVersion(ctx, sc, kind, id, "")
}

// GetVersion returns what PutLocked stored, whatever was put over it since: version is the lock's.
// ErrNotFound; ErrUnavailable.
func (b *Bucket) GetVersion(ctx context.Context, sc scope.Scope, kind Kind, id uuid.UUID, version string) ([]byte, error) {
	var body []byte
	err := b.do(ctx, sc, kind, id, func(ctx context.Context, key string) (err error) {
		body, err = b.store.get(ctx, key, version, MaxBytes+1)
		return err
	})
	if err == nil && len(body) > MaxBytes {
		return nil, fmt.Errorf("get %s: more than %d bytes", kind, MaxBytes)
	}
	return body, err
}

// Delete removes what Put stored, if it is there. ErrUnavailable.
func (b *Bucket) Delete(ctx context.Context, sc scope.Scope, kind Kind, id uuid.UUID) error {
	return b.do(ctx, sc, kind, id, b.store.remove)
}

// Probe writes, reads and removes an object of its own: whether the bucket can be used
// as it must be. ErrUnavailable; an error of its own when what was read is not what was
// written.
func (b *Bucket) Probe(ctx context.Context) error {
	key, body := b.prefix+"probe/"+strings.ToLower(rand.Text()), []byte(rand.Text())
	if err := b.call(ctx, func(ctx context.Context) error { return b.store.put(ctx, key, body) }); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	var got []byte
	err := b.call(ctx, func(ctx context.Context) (err error) {
		got, err = b.store.get(ctx, key, "", MaxBytes)
		return err
	})
	switch {
	case err != nil:
		err = fmt.Errorf("read: %w", err)
	case !bytes.Equal(got, body):
		err = errors.New("what is read is not what was written")
	}
	if removed := b.call(ctx, func(ctx context.Context) error { return b.store.remove(ctx, key) }); removed != nil && err == nil {
		err = fmt.Errorf("delete: %w", removed)
	}
	return err
}

// Address is where Put stores an object, for people: the bucket's name and the object's.
func (b *Bucket) Address(sc scope.Scope, kind Kind, id uuid.UUID) string {
	return b.name + "/" + pathOf(sc, kind, id)
}

// Stats count since the start.
type Stats struct {
	Calls    int64 // puts, gets and deletes
	Failures int64 // those that ended without an answer, or with a refusal
}

// Stats returns the counts, for metrics.
func (b *Bucket) Stats() Stats { return Stats{Calls: b.calls.Load(), Failures: b.failures.Load()} }

func (b *Bucket) do(ctx context.Context, sc scope.Scope, kind Kind, id uuid.UUID, fn func(context.Context, string) error) error {
	if sc.IsZero() || kind == "" || id == uuid.Nil {
		return errors.New("blob: an object has a scope, a kind and an id")
	}
	key := b.prefix + pathOf(sc, kind, id)
	return b.call(ctx, func(ctx context.Context) error { return fn(ctx, key) })
}

func pathOf(sc scope.Scope, kind Kind, id uuid.UUID) string {
	return string(kind) + "/" + sc.Tenant().String() + "/" + id.String()
}

// callTime bounds a call with its second attempt: eight megabytes at 1 MB/s.
const (
	callTime  = 20 * time.Second
	firstTime = 10 * time.Second
)

// call runs attempt, and once more if the first gave no answer: all verbs may happen
// twice. A refusal and an absence are answers.
func (b *Bucket) call(ctx context.Context, attempt func(context.Context) error) error {
	b.calls.Add(1)
	whole, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	first, cancelFirst := context.WithTimeout(whole, firstTime)
	defer cancelFirst()
	err := attempt(first)
	if errors.Is(err, errSilent) && whole.Err() == nil {
		err = attempt(whole)
	}
	switch {
	case err == nil || errors.Is(err, ErrNotFound):
		return err
	case errors.Is(ctx.Err(), context.Canceled): // the caller has gone, which says nothing of the storage
		return fmt.Errorf("ask object storage: %w", context.Canceled)
	}
	b.failures.Add(1)
	// As text: a context's error in the chain would be taken for the caller's own.
	return ErrUnavailable.WithCause(errors.New(printable(err.Error())))
}

// errSilent is the error of an attempt that got no answer, or one that speaks of the
// server and not of the request.
var errSilent = errors.New("no answer")

// printable makes a service's text fit for a log line: short, and ASCII alone.
func printable(text string) string {
	const most = 300
	out := make([]byte, 0, min(len(text), most))
	for _, r := range text {
		switch {
		case len(out) == most:
			return string(append(out, "..."...))
		case r == '\n' || r == '\t':
			out = append(out, ' ')
		case r < ' ' || r > '~':
			out = append(out, '?')
		default:
			out = append(out, byte(r))
		}
	}
	return string(out)
}
