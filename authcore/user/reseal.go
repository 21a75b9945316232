package user

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// resealBatch bounds the rows of one statement, and is ResealContacts' own bound in SQL:
// what it opens stays in Postgres's memory, and its locks are held for tens of milliseconds.
const resealBatch = 250

// Reseal seals anew, under the data key that seals now, up to limit contacts and
// profiles that an older one sealed. done below limit says that none is left. It may be
// called at any time, by several servers at once. Errors are ResealContacts'.
func (s *Service) Reseal(ctx context.Context, sc scope.Scope, limit int) (done int, err error) {
	contacts, err := s.ResealContacts(ctx, sc, limit)
	profiles, more := s.ResealProfiles(ctx, sc, limit-contacts)
	return contacts + profiles, errors.Join(err, more)
}

// ResealContacts is Reseal for contacts, in one transaction. A contact that is changed
// meanwhile keeps the change. What does not open is left alone, and does not keep the
// others: an error names it (*DamagedError) once only that is left, beside how many
// were done. The data key that it needs had better stay until somebody has looked.
func (s *Service) ResealContacts(ctx context.Context, sc scope.Scope, limit int) (done int, err error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	key := ring.SQLKey(contactField)
	var damaged []*DamagedError
	err = s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		done, damaged = 0, nil // this may be the second run
		if _, err := admitKeys(ctx, tx); err != nil {
			return err
		}
		secrets, versions := sqlKeys(ring)
		q := tenantq.ResealContactsParams{
			Keys: secrets, Versions: versions, Key: key.Reveal(),
			KeyVersion: int32(key.Version()), //nolint:gosec // small, by data_keys' check
		}
		for done < limit {
			q.MaxRows = int32(min(limit-done, resealBatch)) //nolint:gosec // at most resealBatch
			rows, err := tx.ResealContacts(ctx, q)
			if err != nil {
				return fmt.Errorf("reseal contacts: %w", err)
			}
			for _, row := range rows {
				q.AfterVersion, q.AfterID, q.AfterKind = row.KeyVersion, row.UserID, row.Kind
				if row.Written {
					done++
				} else if !row.Opened {
					damaged = append(damaged, &DamagedError{User: ID(row.UserID), Kind: ContactKind(row.Kind)})
				}
			}
			if len(rows) < int(q.MaxRows) {
				break
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if done < limit && len(damaged) > 0 {
		return done, errors.Join(s.recordDamage(ctx, sc, damaged), damaged[0])
	}
	return done, nil
}

// ResealProfiles is ResealContacts for the profiles, which are opened and sealed here.
// Etags and times of change stay: nothing that anybody sees has changed. Rows from before
// the schema noted which key sealed a profile, or had terms, get them first, and count as
// done. The error that remains is a *DamagedError.
func (s *Service) ResealProfiles(ctx context.Context, sc scope.Scope, limit int) (done int, err error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	var damaged error
	err = s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error {
		damaged = nil // this may be the second run
		if done, err = fillVersions(ctx, tx, limit); err != nil {
			return err
		}
		if done, err = fillTerms(ctx, tx, ring, done, limit); err != nil {
			return err
		}
		q := tenantq.ListStaleProfilesParams{ProfileVersion: int64(ring.SealingVersion())}
		for done < limit {
			q.MaxRows = int32(min(limit-done, resealBatch)) //nolint:gosec // at most resealBatch
			rows, err := tx.ListStaleProfiles(ctx, q)
			if err != nil {
				return fmt.Errorf("list stale profiles: %w", err)
			}
			for _, row := range rows {
				q.AfterVersion, q.AfterID = row.SealedBy, row.ID
				written, err := resealProfile(ctx, tx, ring, row.ID, row.ProfileSealed)
				switch {
				case errors.Is(err, keys.ErrSealed):
					if damaged == nil { // one is enough to go and look
						damaged = err
					}
				case err != nil:
					return err
				case written:
					done++
				}
			}
			if len(rows) < int(q.MaxRows) {
				break
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if done < limit {
		return done, s.alarm(ctx, sc, damaged)
	}
	return done, nil
}

// fillVersions notes for up to limit profiles which data key sealed them.
func fillVersions(ctx context.Context, tx *db.TenantTx, limit int) (done int, err error) {
	for done < limit {
		n, err := tx.FillProfileVersions(ctx, int32(min(limit-done, resealBatch))) //nolint:gosec // at most resealBatch
		if err != nil {
			return done, fmt.Errorf("fill profile versions: %w", err)
		}
		if done += int(n); n == 0 { // and not below the batch: a row may have been written meanwhile
			break
		}
	}
	return done, nil
}

// fillTerms makes the terms of users from before there were any, until limit is reached.
func fillTerms(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, done, limit int) (int, error) {
	for done < limit {
		rows, err := tx.ListTermlessUsers(ctx, int32(min(limit-done, resealBatch))) //nolint:gosec // at most resealBatch
		if err != nil {
			return done, fmt.Errorf("list users without terms: %w", err)
		}
		if len(rows) == 0 {
			return done, nil
		}
		for _, row := range rows {
			p, err := OpenProfile(ring, ID(row.ID), row.ProfileSealed)
			terms := []int32{} // of what does not open: nothing finds it, and it does not come again
			if err == nil {
				terms = termsOf(ring, p)
			}
			if err := tx.SetUserTerms(ctx, tenantq.SetUserTermsParams{ID: row.ID, Terms: terms}); err != nil {
				return done, fmt.Errorf("set terms: %w", err)
			}
			done++
		}
	}
	return done, nil
}

// resealProfile seals one profile anew. written is false when it was changed meanwhile.
func resealProfile(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, id uuid.UUID, was []byte) (written bool, err error) {
	// The bytes and not the parsed profile: what a newer release put in stays.
	plain, err := ring.Open(profileField, id[:], was)
	if err != nil {
		return false, &DamagedError{User: ID(id)}
	}
	sealed, err := ring.Seal(profileField, id[:], plain)
	if err != nil {
		return false, fmt.Errorf("seal profile: %w", err)
	}
	// Compare and set: an update under way holds the row, and this waits for it.
	n, err := tx.ReplaceProfile(ctx, tenantq.ReplaceProfileParams{ID: id, ProfileSealed: sealed, Was: was})
	if err != nil {
		return false, fmt.Errorf("replace profile: %w", err)
	}
	return n == 1, nil
}
