package user

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/event"
	"github.com/biocore-id/biocore/tenancy/keys"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// UpdateRequest changes the fields that are not nil, under Profile's and Contact's rules.
type UpdateRequest struct {
	ID          ID
	ExternalID  *string
	Name        *string
	DisplayName *string // empty removes it
	Email       *string // empty removes it
	Phone       *string // empty removes it
	IfMatch     string  // an etag that must still be current; empty for any
}

// Update changes a user and returns it as it is then. A request that changes nothing
// leaves no trace. ErrNotFound, etag.ErrMismatch, ErrExists when the external id is
// another user's, ErrExternalID, ErrName, ErrEmail, ErrPhone. A *DamagedError when a
// contact does not open that the request does not replace.
func (s *Service) Update(ctx context.Context, sc scope.Scope, req UpdateRequest) (User, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return User{}, fmt.Errorf("keys: %w", err)
	}
	var updated User
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// Two updates of different fields at once would each write back the other's
		// old value, since the profile is one blob.
		current, err := lock(ctx, tx, ring, req.ID)
		if err != nil {
			return err
		}
		if err := etag.Match(req.IfMatch, current.ETag); err != nil {
			return err
		}
		if current, err = req.withContact(ctx, tx, ring, current); err != nil {
			return err
		}
		next, changed, err := req.apply(current)
		if err != nil {
			return err
		}
		if len(changed) == 0 {
			updated = current
			tx.Result(updated)
			return nil
		}
		if updated, err = s.write(ctx, tx, ring, next); err != nil {
			return err
		}
		if err := writeContacts(ctx, tx, ring, req.ID, current.Contact, next.Contact); err != nil {
			return err
		}
		tx.Result(updated)
		// The values are personal data: the log says which fields, not what they hold.
		fields := []attr.Attr{attr.Texts("fields", changed)}
		return record(ctx, tx, req.ID,
			audit.Entry{Action: "user.update", Detail: fields}, event.Event{Type: event.UserUpdated, Data: fields})
	})
	return updated, s.alarm(ctx, sc, err)
}

// unreadable stands for the old value of a contact that does not open and is to be
// replaced: no clean value is it, so that the new one is written.
const unreadable = "\x00"

// withContact is the function of that name, for an update: what it replaces need not open.
func (req UpdateRequest) withContact(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, u User) (User, error) {
	one := []User{u}
	damaged, err := openContacts(ctx, tx, ring, one)
	if err != nil {
		return User{}, err
	}
	for _, d := range damaged {
		if d.Kind == Email && req.Email == nil || d.Kind == Phone && req.Phone == nil {
			return User{}, d
		}
		*contactOf(&one[0].Contact, d.Kind) = unreadable
	}
	return one[0], nil
}

// apply returns u with the request's values, and the names of the fields that differ.
func (req UpdateRequest) apply(u User) (User, []string, error) {
	p := Profile{ExternalID: u.ExternalID, Name: u.Name, DisplayName: u.DisplayName}
	for _, f := range []struct{ to, from *string }{
		{&p.ExternalID, req.ExternalID}, {&p.Name, req.Name}, {&p.DisplayName, req.DisplayName},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	p, err := p.Clean()
	if err != nil {
		return User{}, nil, err
	}
	c := u.Contact
	for kind, from := range map[ContactKind]*string{Email: req.Email, Phone: req.Phone} {
		if from != nil {
			*contactOf(&c, kind) = *from
		}
	}
	if c, err = c.Clean(); err != nil {
		return User{}, nil, err
	}
	var changed []string
	for _, f := range []struct {
		name string
		old  *string
		next string
	}{
		{"externalId", &u.ExternalID, p.ExternalID}, {"name", &u.Name, p.Name}, {"displayName", &u.DisplayName, p.DisplayName},
		{"email", &u.Contact.Email, c.Email}, {"phone", &u.Contact.Phone, c.Phone},
	} {
		if *f.old != f.next {
			*f.old = f.next
			changed = append(changed, f.name)
		}
	}
	return u, changed, nil
}

// BlockRequest names a user to block or to unblock.
type BlockRequest struct {
	ID     ID
	Reason string // for the audit log; may be empty
}

// Block refuses the user's sign-ins from now on and ends the open sessions. Blocking
// a blocked user changes nothing. Sealed values that do not open, or may not, are empty
// in the answer and keep nobody from being blocked; the log has what is damaged.
// ErrNotFound, and what Options.MayLeave refuses.
func (s *Service) Block(ctx context.Context, sc scope.Scope, req BlockRequest) (User, error) {
	if err := s.leaves(ctx, sc, req.ID); err != nil {
		return User{}, err
	}
	return s.setState(ctx, sc, req, Blocked, func(tx *db.TenantTx) error {
		// Credentials before sessions: a sign-in under way holds its credential's row, so
		// either it commits first and its session is revoked here, or it waits and then
		// finds user_blocked.
		if err := tx.SetUserBlocked(ctx, tenantq.SetUserBlockedParams{Blocked: true, UserID: req.ID.UUID()}); err != nil {
			return fmt.Errorf("block credentials: %w", err)
		}
		ended, err := tx.RevokeSessionsOfUser(ctx, tenantq.RevokeSessionsOfUserParams{
			UserID: req.ID.UUID(), Now: tx.Now(), Reason: "user blocked",
		})
		if err != nil {
			return fmt.Errorf("revoke sessions: %w", err)
		}
		if len(ended) > 0 {
			if err := tx.Changed(ctx, db.NounSession, ""); err != nil { // many: all of the tenant's are read again
				return err
			}
		}
		return record(ctx, tx, req.ID,
			audit.Entry{Action: "user.block", Reason: req.Reason, Detail: []attr.Attr{attr.Int("sessionsRevoked", int64(len(ended)))}},
			event.Event{Type: event.UserBlocked})
	})
}

// Unblock lets a blocked user sign in again. Sessions that Block ended stay ended.
// Unblocking an active user changes nothing. Sealed values are as in Block. ErrNotFound.
func (s *Service) Unblock(ctx context.Context, sc scope.Scope, req BlockRequest) (User, error) {
	return s.setState(ctx, sc, req, Active, func(tx *db.TenantTx) error {
		if err := tx.SetUserBlocked(ctx, tenantq.SetUserBlockedParams{Blocked: false, UserID: req.ID.UUID()}); err != nil {
			return fmt.Errorf("unblock credentials: %w", err)
		}
		return record(ctx, tx, req.ID, audit.Entry{Action: "user.unblock", Reason: req.Reason}, event.Event{Type: event.UserUnblocked})
	})
}

// setState runs effects when the user is not yet in the state.
func (s *Service) setState(ctx context.Context, sc scope.Scope, req BlockRequest, to State, effects func(*db.TenantTx) error) (User, error) {
	ring, err := s.keys.Ring(ctx, sc)
	if err != nil {
		return User{}, fmt.Errorf("keys: %w", err)
	}
	var u User
	err = s.store.InTenant(ctx, sc, func(tx *db.TenantTx) error {
		// A registration that finishes meanwhile takes the same lock: its new credential
		// is blocked here, or it finds the user blocked.
		current, damaged, err := lockAnyhow(ctx, tx, ring, req.ID)
		if err != nil {
			return err
		}
		if err := appendDamage(ctx, tx, damaged); err != nil {
			return err
		}
		if current.State == to {
			u = current
			tx.Result(u)
			return nil
		}
		row, err := tx.SetUserState(ctx, tenantq.SetUserStateParams{ID: req.ID.UUID(), State: string(to), Now: tx.Now()})
		if err != nil {
			return fmt.Errorf("set state: %w", err)
		}
		u = current
		u.State, u.UpdatedAt, u.ETag = to, row.UpdatedAt, etag.Of("user", u.ID[:], row.Version)
		if err := changed(ctx, tx, u.ID); err != nil {
			return err
		}
		tx.Result(u)
		return effects(tx)
	})
	return u, err
}

// write stores u's profile, and tells every server.
func (s *Service) write(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, u User) (User, error) {
	p := Profile{ExternalID: u.ExternalID, Name: u.Name, DisplayName: u.DisplayName}
	sealed, err := p.seal(ring, u.ID)
	if err != nil {
		return User{}, err
	}
	row, err := tx.UpdateUser(ctx, tenantq.UpdateUserParams{
		ID: u.ID.UUID(), ExternalIndex: ring.Index(externalID, u.ExternalID), ProfileSealed: sealed,
		Terms: termsOf(ring, p), State: string(u.State), Now: tx.Now(),
	})
	if db.IsConstraint(err, "users_tenant_id_external_index_key") {
		return User{}, ErrExists
	} else if err != nil {
		return User{}, fmt.Errorf("update user: %w", err)
	}
	u.UpdatedAt = row.UpdatedAt
	u.ETag = etag.Of("user", row.ID[:], row.Version)
	return u, changed(ctx, tx, u.ID)
}

// changed tells every server that the user is stale, and with it each credential:
// sign-ins read the user's name and state beside the credential.
func changed(ctx context.Context, tx *db.TenantTx, id ID) error {
	if err := tx.Changed(ctx, db.NounUser, id.String()); err != nil {
		return err
	}
	credentials, err := tx.ListDescriptorsOfUser(ctx, id.UUID())
	if err != nil {
		return fmt.Errorf("list credentials: %w", err)
	}
	for _, c := range credentials {
		if err := tx.Changed(ctx, db.NounCredential, base64.RawURLEncoding.EncodeToString(c.ID)); err != nil {
			return err
		}
	}
	return nil
}

// record appends what was done to user id: the audit entry and the event.
func record(ctx context.Context, tx *db.TenantTx, id ID, e audit.Entry, ev event.Event) error {
	e.Target = audit.Target{Kind: "user", ID: id.String()}
	if err := audit.Append(ctx, tx, e); err != nil {
		return err
	}
	ev.UserID = id.UUID()
	return event.Append(ctx, tx, ev)
}
