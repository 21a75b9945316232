// Package event is the transactional outbox of domain events: what happened, for
// webhooks and live streams, kept exactly if the transaction that did it commits.
//
// Events carry ids and facts, no personal data: readers fetch the resource when
// they need more. Delivery is at least once; ID tells repeats.
package event

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Attr is one named value of an event.
type Attr = attr.Attr

// Event is something that happened in a tenant. What it is about stands first in
// its data; zero ids are absent.
type Event struct {
	Type         Type
	UserID       uuid.UUID
	CredentialID []byte // WebAuthn's credential ID
	SessionID    uuid.UUID
	Data         []Attr // what else the type's reader needs
}

// Append puts e into the outbox in tx.
func Append(ctx context.Context, tx *db.TenantTx, e Event) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("mint event id: %w", err)
	}
	payload := AppendJSON(make([]byte, 0, 384), tx.Scope(), id, tx.Now(), e)
	if err := tx.InsertEvent(ctx, tenantq.InsertEventParams{
		At: tx.Now(), ID: id, Type: string(e.Type), Payload: string(payload),
	}); err != nil {
		return fmt.Errorf("append event %s: %w", e.Type, err)
	}
	return nil
}

// AppendJSON appends the event as JSON: id, type, at, tenantId, data{userId,
// credentialId, sessionId, …}.
func AppendJSON(dst []byte, sc scope.Scope, id uuid.UUID, at time.Time, e Event) []byte {
	dst = append(dst, `{"id":`...)
	dst = attr.AppendUUID(dst, id)
	dst = append(dst, `,"type":`...)
	dst = attr.AppendText(dst, string(e.Type))
	dst = append(dst, `,"at":`...)
	dst = attr.AppendTime(dst, at)
	dst = append(dst, `,"tenantId":`...)
	dst = attr.AppendUUID(dst, sc.Tenant())
	dst = append(dst, `,"data":{`...)
	start := len(dst)
	member := func(a Attr) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = attr.AppendMember(dst, a)
	}
	if e.UserID != uuid.Nil {
		member(attr.UUID("userId", e.UserID))
	}
	if len(e.CredentialID) > 0 {
		member(attr.Bytes("credentialId", e.CredentialID))
	}
	if e.SessionID != uuid.Nil {
		member(attr.UUID("sessionId", e.SessionID))
	}
	for i := range e.Data {
		member(e.Data[i])
	}
	return append(dst, `}}`...)
}
