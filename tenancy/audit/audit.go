// Package audit records who did what, in the transaction that did it.
//
// An entry is JSON text in the one member order that AppendJSON writes; that text is what the
// tenant's log will hash, so it is never parsed and printed again. Entries wait in
// the inbox until they are sequenced; until then they are not tamper-evident.
//
// A refusal is recorded by Denials, in a transaction of its own: the refused
// call's transaction rolls back, and an entry in it would roll back too.
package audit

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Outcome is how an action ended.
type Outcome string

// The outcomes. The zero Outcome is written as Success.
const (
	Success Outcome = "success"
	Denied  Outcome = "denied" // a rule said no
	Failed  Outcome = "failed" // it was allowed and did not work
)

// Target is what was acted on. ID is opaque: no name, no address.
type Target struct {
	Kind string // the noun: credential, user, tenant
	ID   string
}

// String is kind/id, by which the entries about one thing are found: no kind holds a
// slash. The zero Target is "".
func (t Target) String() string {
	if t.Kind == "" {
		return ""
	}
	return t.Kind + "/" + t.ID
}

// Attr is one named value of an entry.
type Attr = attr.Attr

// Entry is what a service says of an action. Who, from where and in which request
// come from the scope; id and time from the transaction.
type Entry struct {
	Action  string // noun.verb, as credential.revoke
	Outcome Outcome
	Target  Target
	Reason  string // a person's words, or the reason of the fault that refused

	// Before and After hold the fields that a change changed; Detail what else a
	// reader must know. Personal data goes in sealed (attr.Bytes of Ring.Seal) or not at all.
	Before, After, Detail []Attr

	// Salt is for tests. The zero Salt means 16 random bytes: leaves of the log will
	// hold salted commitments, which must not be guessable from what they commit to.
	Salt [16]byte
}

// Append records e in tx: it is kept exactly if tx commits. An error must fail the
// transaction, since what cannot be recorded must not happen.
func Append(ctx context.Context, tx *db.TenantTx, e Entry) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("mint audit id: %w", err)
	}
	entry := AppendJSON(make([]byte, 0, 640), tx.Scope(), id, tx.Now(), e)
	if tx.Scope().IsSupport() {
		err = tx.InsertSupportAuditEntry(ctx, tenantq.InsertSupportAuditEntryParams{
			ID: id, At: tx.Now(), Action: e.Action, Entry: string(entry), Target: e.Target.String(), GrantID: tx.Scope().Support().GrantID,
		})
	} else {
		err = tx.InsertAuditEntry(ctx, tenantq.InsertAuditEntryParams{
			ID: id, At: tx.Now(), Action: e.Action, Entry: string(entry), Target: e.Target.String(),
		})
	}
	if err != nil {
		return fmt.Errorf("append audit entry %s: %w", e.Action, err)
	}
	return nil
}

// Version is the first member of every entry: of this member order. A reader that
// meets a greater one knows that it must not interpret the entry.
const Version = 1

// AppendJSON appends the entry that sc's actor leaves at the instant at, as JSON in
// its canonical member order:
//
//	v, id, tenantId, at, action, outcome, reason, actor{kind, id, name},
//	onBehalfOf{kind, id, name}, target{kind, id}, address, userAgent, requestId,
//	traceId, before, after, detail, salt
//
// onBehalfOf is whose power the actor used: who let support in. reason, actor.name,
// onBehalfOf, target, address, userAgent, requestId, traceId, before, after and detail
// are absent when empty. salt is base64url of 16 bytes.
func AppendJSON(dst []byte, sc scope.Scope, id uuid.UUID, at time.Time, e Entry) []byte {
	if e.Outcome == "" {
		e.Outcome = Success
	}
	if e.Salt == ([16]byte{}) {
		_, _ = rand.Read(e.Salt[:]) // never fails: crypto/rand ends the process instead
	}
	origin := sc.Origin()

	dst = append(dst, `{"v":1,"id":`...)
	dst = attr.AppendUUID(dst, id)
	dst = append(dst, `,"tenantId":`...)
	dst = attr.AppendUUID(dst, sc.Tenant())
	dst = append(dst, `,"at":`...)
	dst = attr.AppendTime(dst, at)
	dst = append(dst, `,"action":`...)
	dst = attr.AppendText(dst, e.Action)
	dst = append(dst, `,"outcome":`...)
	dst = attr.AppendText(dst, string(e.Outcome))
	dst = appendOptional(dst, `,"reason":`, e.Reason)
	dst = append(dst, `,"actor":`...)
	dst = appendActor(dst, sc.Actor())
	if by := sc.Support().By; by.Kind != "" {
		dst = append(dst, `,"onBehalfOf":`...)
		dst = appendActor(dst, by)
	}
	if e.Target.Kind != "" {
		dst = append(dst, `,"target":{"kind":`...)
		dst = attr.AppendText(dst, e.Target.Kind)
		dst = append(dst, `,"id":`...)
		dst = attr.AppendText(dst, e.Target.ID)
		dst = append(dst, '}')
	}
	if origin.Address.IsValid() {
		dst = append(dst, `,"address":"`...)
		dst = origin.Address.WithZone("").AppendTo(dst)
		dst = append(dst, '"')
	}
	dst = appendOptional(dst, `,"userAgent":`, origin.UserAgent)
	dst = appendOptional(dst, `,"requestId":`, origin.RequestID)
	dst = appendOptional(dst, `,"traceId":`, origin.TraceID)
	dst = appendObject(dst, `,"before":`, e.Before)
	dst = appendObject(dst, `,"after":`, e.After)
	dst = appendObject(dst, `,"detail":`, e.Detail)
	dst = append(dst, `,"salt":"`...)
	dst = base64.RawURLEncoding.AppendEncode(dst, e.Salt[:])
	return append(dst, `"}`...)
}

func appendActor(dst []byte, a scope.Actor) []byte {
	dst = append(dst, `{"kind":`...)
	dst = attr.AppendText(dst, string(a.Kind))
	dst = append(dst, `,"id":`...)
	dst = attr.AppendText(dst, a.ID)
	dst = appendOptional(dst, `,"name":`, a.Name)
	return append(dst, '}')
}

func appendOptional(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return attr.AppendText(append(dst, name...), value)
}

func appendObject(dst []byte, name string, attrs []Attr) []byte {
	if len(attrs) == 0 {
		return dst
	}
	return attr.AppendObject(append(dst, name...), attrs)
}
