package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// Lock is how an object is kept.
type Lock struct {
	Version string    // of the object, for GetVersion; empty where the store keeps none
	Until   time.Time // before, nobody can remove or replace that version, as the store itself shows it; zero: it is not locked
	Problem string    // why it is not locked; empty when it is
}

// PutLocked stores body as Put does, and asks the store to let nobody remove or replace it before until,
// which counts in whole seconds: S3's object lock in compliance mode, Google's locked retention, Azure's locked
// immutability policy. Where the store has none of it, or no right to it was given, body is stored
// all the same and the Lock says why it is none. What it says is read from the object that
// is there. It may be called again with the same body. ErrUnavailable.
func (b *Bucket) PutLocked(ctx context.Context, sc scope.Scope, kind Kind, id uuid.UUID, body []byte, until time.Time) (Lock, error) {
	if len(body) > MaxBytes {
		return Lock{}, fmt.Errorf("put %s: %d bytes are more than %d", kind, len(body), MaxBytes)
	}
	var lock Lock
	err := b.do(ctx, sc, kind, id, func(ctx context.Context, key string) (err error) {
		lock, err = b.store.putLocked(ctx, key, body, until.UTC().Truncate(time.Second))
		return err
	})
	if err != nil {
		return Lock{}, err
	}
	return lock, nil
}

// lockSteps are what a service's own putLocked is made of.
type lockSteps struct {
	write func(ctx context.Context) (version string, err error) // with the lock
	plain func(ctx context.Context) (version string, err error) // without
	// shown is until when the object is locked by its own word; zero for not, or in a mode that can be lifted.
	shown func(ctx context.Context, version string) (time.Time, error)
	get   func(ctx context.Context, key, version string, most int64) ([]byte, error)
}

// locked stores with the lock, or else without, and looks at what is there.
func locked(ctx context.Context, key string, body []byte, until time.Time, steps lockSteps) (Lock, error) {
	version, refused := steps.write(ctx)
	if errors.Is(refused, errSilent) {
		return Lock{}, refused
	}
	if refused != nil {
		// It may be that it was stored before, and is locked: where no versions are kept, a repeat is refused.
		there, err := steps.get(ctx, key, "", MaxBytes+1)
		if errors.Is(err, errSilent) {
			return Lock{}, err
		}
		if err != nil || !bytes.Equal(there, body) {
			if version, err = steps.plain(ctx); err != nil {
				return Lock{}, err
			}
		}
	}
	lock := Lock{Version: version}
	end, err := steps.shown(ctx, version)
	switch {
	case errors.Is(err, errSilent):
		return Lock{}, err
	case err != nil:
		lock.Problem = "its lock cannot be seen: " + printable(err.Error())
	case !end.Before(until):
		lock.Until = end.UTC()
	case refused != nil:
		lock.Problem = printable(refused.Error())
	case end.IsZero():
		lock.Problem = "the lock was taken, and the object shows none"
	default:
		lock.Problem = "the object is locked until " + end.UTC().Format(time.RFC3339) + " and no longer"
	}
	return lock, nil
}

// versionQuery names a version in a query; empty for the last one.
func versionQuery(name, version string) string {
	if version == "" {
		return ""
	}
	return "?" + name + "=" + url.QueryEscape(version)
}

// parseTime reads what a service says of time; zero for what is none.
func parseTime(layout, text string) time.Time {
	t, err := time.Parse(layout, text)
	if err != nil {
		return time.Time{}
	}
	return t
}
