package user

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// Incoming is a newcomer who was a user of another system: with the handle that
// authenticators there were told, where there is one.
type Incoming struct {
	Newcomer

	Contact   Contact // clean
	State     State
	CreatedAt time.Time
}

// MintIncoming returns one with a new id, and a new handle when handle is nil. The
// profile is cleaned. ErrExternalID, ErrName.
func MintIncoming(rand io.Reader, p Profile, handle []byte) (Incoming, error) {
	n, err := Mint(rand, p)
	if handle != nil {
		n.Handle = handle
	}
	return Incoming{Newcomer: n}, err
}

// ErrRaced says that somebody else took an external id or a handle first: the
// transaction is of no use, and another one finds out which.
var ErrRaced = errors.New("a user of the same external id or handle was made meanwhile")

// Known is a user who exists, as far as an import must know.
type Known struct {
	ID     ID
	Handle []byte
	Index  [32]byte // of the external id: see IndexOf
	State  State
}

// IndexOf is the blind index by which an external id is found.
func IndexOf(ring *keys.Ring, external string) [32]byte {
	return [32]byte(ring.Index(externalID, external))
}

// FindIncoming returns the users who have one of the external ids or handles; to write
// for them, lock them.
func FindIncoming(ctx context.Context, tx *db.TenantTx, indexes, handles [][]byte, lock bool) ([]Known, error) {
	if !lock {
		rows, err := tx.FindUsersOfImport(ctx, tenantq.FindUsersOfImportParams{ExternalIndexes: indexes, Handles: handles})
		if err != nil {
			return nil, fmt.Errorf("find users: %w", err)
		}
		return known(rows), nil
	}
	locked, err := tx.LockUsersOfImport(ctx, tenantq.LockUsersOfImportParams{ExternalIndexes: indexes, Handles: handles})
	if err != nil {
		return nil, fmt.Errorf("lock users: %w", err)
	}
	rows := make([]tenantq.FindUsersOfImportRow, len(locked))
	for i, row := range locked {
		rows[i] = tenantq.FindUsersOfImportRow(row)
	}
	return known(rows), nil
}

func known(rows []tenantq.FindUsersOfImportRow) []Known {
	out := make([]Known, len(rows))
	for i, row := range rows {
		out[i] = Known{ID: ID(row.ID), Handle: row.Handle, Index: [32]byte(row.ExternalIndex), State: State(row.State)}
	}
	return out
}

// InsertIncoming adds all of them in one statement, and their contacts one by one.
// ErrRaced. The caller records what it does: there is no audit entry and no event for
// each of them.
func InsertIncoming(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, list []Incoming) error {
	if len(list) == 0 {
		return nil
	}
	p := tenantq.InsertImportedUsersParams{Now: tx.Now()}
	for i := range list {
		in := &list[i]
		sealed, err := in.Profile.seal(ring, in.ID)
		if err != nil {
			return err
		}
		p.Ids = append(p.Ids, uuid.UUID(in.ID))
		p.Handles = append(p.Handles, in.Handle)
		p.ExternalIndexes = append(p.ExternalIndexes, ring.Index(externalID, in.Profile.ExternalID))
		p.Profiles = append(p.Profiles, sealed)
		p.Terms = append(p.Terms, joined(termsOf(ring, in.Profile)))
		p.States = append(p.States, string(in.State))
		p.Created = append(p.Created, in.CreatedAt)
	}
	n, err := tx.InsertImportedUsers(ctx, p)
	if err != nil {
		return fmt.Errorf("insert users: %w", err)
	}
	if int(n) != len(list) {
		return ErrRaced
	}
	for i := range list {
		if err := writeContacts(ctx, tx, ring, list[i].ID, Contact{}, list[i].Contact); err != nil {
			return err
		}
	}
	return nil
}

// joined is terms in a text: an array of arrays has the same length everywhere.
func joined(terms []int32) string {
	var b []byte
	for i, t := range terms {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(t), 10)
	}
	return string(b)
}

// ListExported returns up to limit users after one, in the order in which they were
// made; contacts only when they are asked for. A *DamagedError for a profile or contact
// that does not open: a line without it would be believed.
func ListExported(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, after *uuid.UUID, limit int, contacts bool) ([]Incoming, error) {
	rows, err := tx.ListExportedUsers(ctx, tenantq.ListExportedUsersParams{AfterID: after, MaxRows: int32(limit)}) //nolint:gosec // a page's size
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	users := make([]User, len(rows))
	out := make([]Incoming, len(rows))
	for i, row := range rows {
		p, err := OpenProfile(ring, ID(row.ID), row.ProfileSealed)
		if err != nil {
			return nil, err
		}
		users[i].ID = ID(row.ID)
		out[i] = Incoming{
			Newcomer: Newcomer{ID: ID(row.ID), Handle: row.Handle, Profile: p}, State: State(row.State), CreatedAt: row.CreatedAt,
		}
	}
	if !contacts {
		return out, nil
	}
	damaged, err := openContacts(ctx, tx, ring, users)
	if err != nil {
		return nil, err
	}
	if len(damaged) > 0 {
		return nil, damaged[0]
	}
	for i := range out {
		out[i].Contact = users[i].Contact
	}
	return out, nil
}
