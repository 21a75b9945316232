package user

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// contactField is sealed in SQL, and indexed there. Renaming it loses what is stored.
var contactField = keys.Field{Table: "contacts", Column: "value"}

// ErrKeyLogged keeps contact data closed on a Postgres that would write bound
// parameters, and with them the tenant's key, into its log. It is no fault: the
// operator must act, as `biocore doctor` says.
var ErrKeyLogged = errors.New("postgres would log the key of contact data: " +
	"set log_parameter_max_length to 0 for bc_app (`biocore migrate up --bootstrap` as a superuser does), or stop logging statements")

// DamagedError names a contact or profile that does not open, or a contact that is not
// the one that its index says: it was changed, or moved from another row, kind or
// tenant. It is a keys.ErrSealed.
type DamagedError struct {
	User ID
	Kind ContactKind // empty: the profile
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("open %s of user %s: %v", e.what(), e.User, keys.ErrSealed)
}

func (e *DamagedError) what() string {
	if e.Kind == "" {
		return "PROFILE"
	}
	return string(e.Kind)
}

// Unwrap returns keys.ErrSealed.
func (e *DamagedError) Unwrap() error { return keys.ErrSealed }

// admitKeys comes before the first statement of tx that takes a key. found says
// whether any of the users has a contact; with none named the key is needed anyway.
// ErrKeyLogged, unless it is not needed.
func admitKeys(ctx context.Context, tx *db.TenantTx, users ...uuid.UUID) (found bool, err error) {
	row, err := tx.AdmitKeys(ctx, users)
	if err != nil {
		return false, fmt.Errorf("prepare for keys: %w", err)
	}
	if row.Logged && (row.Found || len(users) == 0) {
		return false, ErrKeyLogged
	}
	return row.Found, nil
}

// openContacts fills in the contacts of users, and returns those that do not open:
// the caller decides what goes on without them.
func openContacts(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, users []User) ([]*DamagedError, error) {
	if len(users) == 0 || tx.Scope().IsSupport() { // how people are reached is not shown to support
		return nil, nil
	}
	ids, at := make([]uuid.UUID, len(users)), make(map[uuid.UUID]*User, len(users))
	for i := range users {
		ids[i] = users[i].ID.UUID()
		at[ids[i]] = &users[i]
	}
	if found, err := admitKeys(ctx, tx, ids...); err != nil || !found {
		return nil, err
	}
	secrets, versions := sqlKeys(ring)
	rows, err := tx.OpenContacts(ctx, tenantq.OpenContactsParams{Keys: secrets, Versions: versions, UserIds: ids})
	if err != nil {
		return nil, fmt.Errorf("open contacts: %w", err)
	}
	var damaged []*DamagedError
	for _, row := range rows {
		u, kind := at[row.UserID], ContactKind(row.Kind)
		if !intact(ring, kind, row.Value, row.MatchIndex) {
			damaged = append(damaged, &DamagedError{User: u.ID, Kind: kind})
			continue
		}
		*contactOf(&u.Contact, kind) = row.Value
	}
	return damaged, nil
}

// ContactsOf opens the contacts of users by their ids, in tx. What does not open is empty:
// who exports everything says so, and goes on. ErrKeyLogged.
func ContactsOf(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, ids []ID) (map[ID]Contact, error) {
	users := make([]User, len(ids))
	for i, id := range ids {
		users[i].ID = id
	}
	if _, err := openContacts(ctx, tx, ring, users); err != nil {
		return nil, err
	}
	of := make(map[ID]Contact, len(users))
	for i := range users {
		of[users[i].ID] = users[i].Contact
	}
	return of, nil
}

// intact reports that a row opened, and that its index is of what it holds: else a
// search would find somebody else.
func intact(ring *keys.Ring, kind ContactKind, value string, index []byte) bool {
	if value == "" {
		return false
	}
	c, err := compared(kind, value)
	return err == nil && hmac.Equal(index, ring.SQLIndex(contactField, c))
}

// withContact returns u with its contacts; a *DamagedError when one does not open.
func withContact(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, u User) (User, error) {
	one := []User{u}
	damaged, err := openContacts(ctx, tx, ring, one)
	if err != nil {
		return User{}, err
	}
	if len(damaged) > 0 {
		return User{}, damaged[0]
	}
	return one[0], nil
}

// writeContacts stores of next what differs from was, under the user's lock or in the
// transaction that makes the user.
func writeContacts(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, id ID, was, next Contact) error {
	if was == next {
		return nil
	}
	if next != (Contact{}) {
		if _, err := admitKeys(ctx, tx); err != nil {
			return err
		}
	}
	for _, kind := range contactKinds {
		before, value := *contactOf(&was, kind), *contactOf(&next, kind)
		switch {
		case before == value:
		case value == "":
			if _, err := tx.DeleteContact(ctx, tenantq.DeleteContactParams{UserID: id.UUID(), Kind: string(kind)}); err != nil {
				return fmt.Errorf("delete contact: %w", err)
			}
		default:
			if err := putContact(ctx, tx, ring, id, kind, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func putContact(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, id ID, kind ContactKind, value string) error {
	c, err := compared(kind, value)
	if err != nil {
		return err
	}
	key := ring.SQLKey(contactField)
	if err := tx.PutContact(ctx, tenantq.PutContactParams{
		UserID: id.UUID(), Kind: string(kind), Value: value, Compared: c,
		Key: key.Reveal(), KeyVersion: int32(key.Version()), //nolint:gosec // small, by data_keys' check
		IndexKey: ring.SQLIndexKey(contactField).Reveal(), Now: tx.Now(),
	}); err != nil {
		return fmt.Errorf("put contact: %w", err)
	}
	return nil
}

// sqlKeys are the keys of contacts and their versions, in one order.
func sqlKeys(ring *keys.Ring) (secrets [][]byte, versions []int32) {
	for _, k := range ring.SQLKeys(contactField) {
		secrets = append(secrets, k.Reveal())
		versions = append(versions, int32(k.Version())) //nolint:gosec // small, by data_keys' check
	}
	return secrets, versions
}

// alarm records a contact or profile that does not open, in a transaction of its own: that of the
// call is over, or only reads. It returns err, or why it could not be recorded.
func (s *Service) alarm(ctx context.Context, sc scope.Scope, err error) error {
	d, ok := errors.AsType[*DamagedError](err)
	if !ok {
		return err
	}
	return errors.Join(err, s.recordDamage(ctx, sc, []*DamagedError{d}))
}

func (s *Service) recordDamage(ctx context.Context, sc scope.Scope, damaged []*DamagedError) error {
	return s.store.InTenantApart(ctx, sc, func(tx *db.TenantTx) error { return appendDamage(ctx, tx, damaged) })
}

func appendDamage(ctx context.Context, tx *db.TenantTx, damaged []*DamagedError) error {
	for _, d := range damaged {
		action := "contact.open"
		if d.Kind == "" {
			action = "user.open"
		}
		if err := audit.Append(ctx, tx, audit.Entry{
			Action: action, Outcome: audit.Failed, Target: audit.Target{Kind: "user", ID: d.User.String()},
			Fault: "a sealed value does not open", Detail: []attr.Attr{attr.Text("kind", d.what())},
		}); err != nil {
			return err
		}
	}
	return nil
}
