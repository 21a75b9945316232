// Package ledger keeps which users were erased where no restore of the database reaches: in object storage, by day. A
// backup that is restored holds persons who were erased since; the ledger names them, so that they are erased again
// before anybody is served (authcore/erasure). It tells nobody who they were: a subject is a hash of tenant and user
// id, and objects are sealed under a key of the platform's root, which every backup of the same installation has.
package ledger

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/db/platformq"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ErrWithoutStorage refuses to read the ledger where none is kept.
var ErrWithoutStorage = fault.New(fault.Precondition, "LEDGER_WITHOUT_STORAGE", "the ledger of erasures is kept in object storage, and none is configured")

// Subject is a hash of a tenant and a user of it. A user id has 74 random bits, so that nobody guesses whose it is.
type Subject [32]byte

// SubjectOf returns the subject of a user.
func SubjectOf(tenant, user uuid.UUID) Subject {
	text := append([]byte("biocore erased subject\n"), tenant[:]...)
	return sha256.Sum256(append(text, user[:]...))
}

// Entry is one erasure.
type Entry struct {
	ID      uuid.UUID `json:"id"`
	Tenant  uuid.UUID `json:"tenant"`
	Subject Subject   `json:"subject"`
	At      time.Time `json:"at"`
}

// MarshalText spells a subject in hexadecimal.
func (s Subject) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", s[:]), nil }

// UnmarshalText reads MarshalText's.
func (s *Subject) UnmarshalText(text []byte) error {
	var read []byte
	if n, err := fmt.Sscanf(string(text), "%x", &read); n != 1 || err != nil || len(read) != len(s) {
		return errors.New("a subject is 32 bytes in hexadecimal")
	}
	copy(s[:], read)
	return nil
}

const (
	objectKind blob.Kind = "erasures"

	// purpose derives the ledger's key from the platform's root, which stays when the data key changes: a restored
	// database opens what was sealed after its backup.
	purpose keys.Purpose = "erasure ledger"

	// maxEntries bounds an object to some four megabytes.
	maxEntries = 20_000
	// maxWaiting bounds a turn; the next one takes what is left.
	maxWaiting = 10_000
)

// Options is what a Ledger needs.
type Options struct {
	Store   *db.Store     // required
	Keys    *keys.Service // required
	Objects *blob.Bucket  // nil: erasures wait in the database, where a restore forgets them
	Log     *slog.Logger  // nil means slog.Default
}

// Ledger keeps erasures. It is safe for concurrent use.
type Ledger struct {
	o    Options
	home scope.Scope

	afterRead func() // for tests; nil: nobody waits there
}

// New returns a Ledger.
func New(o Options) *Ledger {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Ledger{o: o, home: scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "erasures"})}
}

// Kept reports whether there is object storage to keep it in.
func (l *Ledger) Kept() bool { return l.o.Objects != nil }

// Store writes what the database has and the ledger has not: each day's object anew, with what was in it before. It is
// idempotent, and marks an erasure as stored only after it was read back. Two at once may write over each other, as may one that
// was thought dead: so each turn holds the objects of today and yesterday to the database, and puts again what they lack, marked or not.
func (l *Ledger) Store(ctx context.Context) error {
	if l.o.Objects == nil {
		return nil
	}
	var waiting []platformq.ListErasuresWaitingRow
	err := l.o.Store.InPlatform(ctx, "keep erasures outside of the database", func(tx *db.PlatformTx) (err error) {
		waiting, err = tx.ListErasuresWaiting(ctx, maxWaiting)
		return err
	})
	if err != nil {
		return fmt.Errorf("list erasures: %w", err)
	}
	today := dayOf(l.o.Store.Now())
	of := map[time.Time][]platformq.ListErasuresWaitingRow{today: nil, today.AddDate(0, 0, -1): nil}
	for _, w := range waiting {
		of[dayOf(w.At)] = append(of[dayOf(w.At)], w)
	}
	for day, waiting := range of {
		if err := l.storeDay(ctx, day, waiting); err != nil {
			return fmt.Errorf("erasures of %s: %w", day.Format(time.DateOnly), err)
		}
	}
	return nil
}

func dayOf(at time.Time) time.Time { return at.UTC().Truncate(24 * time.Hour) }

func (l *Ledger) storeDay(ctx context.Context, day time.Time, waiting []platformq.ListErasuresWaitingRow) error {
	known, err := l.day(ctx, day)
	if err != nil {
		return err
	}
	var rows []platformq.ListErasuresBetweenRow
	err = l.o.Store.InPlatform(ctx, "keep erasures outside of the database", func(tx *db.PlatformTx) (err error) {
		rows, err = tx.ListErasuresBetween(ctx, platformq.ListErasuresBetweenParams{FromAt: day, ToAt: day.Add(24 * time.Hour)})
		return err
	})
	if err != nil {
		return fmt.Errorf("list a day's erasures: %w", err)
	}
	if l.afterRead != nil {
		l.afterRead()
	}
	all, there := slices.Clone(known), map[Subject]bool{}
	for i := range known {
		there[known[i].Subject] = true
	}
	for _, row := range rows {
		if e := entryOf(row.ID, row.TenantID, row.Subject, row.At); !there[e.Subject] {
			there[e.Subject], all = true, append(all, e)
		}
	}
	for part := len(known) / maxEntries; len(all) > len(known) && part*maxEntries < len(all); part++ { // those before are full
		if err := l.put(ctx, day, part, all[part*maxEntries:min((part+1)*maxEntries, len(all))]); err != nil {
			return err
		}
	}
	if known, err = l.day(ctx, day); err != nil { // what is read is what is there
		return err
	}
	clear(there)
	for i := range known {
		there[known[i].Subject] = true
	}
	if len(waiting) == 0 {
		return nil
	}
	var stored platformq.MarkErasuresStoredParams
	for _, w := range waiting {
		if there[Subject(w.Subject)] {
			stored.Tenants, stored.Ids = append(stored.Tenants, w.TenantID), append(stored.Ids, w.ID)
		}
	}
	return l.o.Store.InPlatform(ctx, "keep erasures outside of the database", func(tx *db.PlatformTx) error {
		stored.Now = l.o.Store.Now()
		n, err := tx.MarkErasuresStored(ctx, stored)
		if err != nil {
			return fmt.Errorf("mark erasures: %w", err)
		}
		l.o.Log.DebugContext(ctx, "erasures are in the ledger", "count", n)
		return nil
	})
}

func entryOf(id, tenant uuid.UUID, subject []byte, at time.Time) Entry {
	return Entry{ID: id, Tenant: tenant, Subject: Subject(subject), At: at.UTC()}
}

// Read returns the erasures from the day of since on, the oldest day first. ErrWithoutStorage.
func (l *Ledger) Read(ctx context.Context, since time.Time) ([]Entry, error) {
	if l.o.Objects == nil {
		return nil, ErrWithoutStorage
	}
	var all []Entry
	for day := since.UTC().Truncate(24 * time.Hour); !day.After(l.o.Store.Now().Add(24 * time.Hour)); day = day.Add(24 * time.Hour) {
		of, err := l.day(ctx, day)
		if err != nil {
			return nil, fmt.Errorf("erasures of %s: %w", day.Format(time.DateOnly), err)
		}
		all = append(all, of...)
	}
	return all, nil
}

// day reads one day's objects.
func (l *Ledger) day(ctx context.Context, day time.Time) ([]Entry, error) {
	var all []Entry
	for part := 0; ; part++ {
		sealed, err := l.o.Objects.Get(ctx, l.home, objectKind, objectID(day, part))
		if errors.Is(err, blob.ErrNotFound) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("get: %w", err)
		}
		aead, err := l.key(ctx)
		if err != nil {
			return nil, err
		}
		id := objectID(day, part)
		text, err := aead.Open(nil, nil, sealed, id[:])
		if err != nil {
			return nil, keys.ErrSealed
		}
		var entries []Entry
		if err := json.Unmarshal(text, &entries); err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		all = append(all, entries...)
		if len(entries) < maxEntries {
			return all, nil
		}
	}
}

func (l *Ledger) put(ctx context.Context, day time.Time, part int, entries []Entry) error {
	aead, err := l.key(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	id := objectID(day, part)
	sealed := aead.Seal(nil, nil, bytes.Clone(text), id[:]) //nolint:gosec // G407: the AEAD brings a nonce of its own, by chance
	if err := l.o.Objects.Put(ctx, l.home, objectKind, id, sealed); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	return nil
}

// objectID names a day's object: what is restored must find it without knowing of it.
func objectID(day time.Time, part int) uuid.UUID {
	return uuid.NewSHA1(scope.PlatformTenant, []byte("erasures "+day.Format(time.DateOnly)+" "+strconv.Itoa(part)))
}

func (l *Ledger) key(ctx context.Context) (cipher.AEAD, error) {
	ring, err := l.o.Keys.Ring(ctx, l.home)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	key := ring.MAC(purpose, []byte("objects"))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("key of the ledger: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("key of the ledger: %w", err)
	}
	return aead, nil
}
