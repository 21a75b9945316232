// Package audit records who did what, in the transaction that did it.
//
// An entry is JSON text in the one member order that AppendJSON writes; that text is what the
// tenant's log hashes, so it is never parsed and printed again. What tells of a person is kept apart from
// it, and the entry holds a salted hash of that: so it can be erased, and the log holds. Entries wait in
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

// OutcomeTexts writes outcomes as they are stored and told; never nil.
func OutcomeTexts(list []Outcome) []string {
	out := make([]string, len(list))
	for i, o := range list {
		out[i] = string(o)
	}
	return out
}

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
	// Reason is a person's words, which are kept apart from the text. Fault is the reason of the fault that refused, and stands
	// in it. Readers meet either as the reason.
	Reason, Fault string

	// Before and After hold the fields that a change changed; Detail what else a
	// reader must know. All are read by whoever reads the log, and are never erased: no
	// personal data.
	Before, After, Detail []Attr

	// Subject is the person whose browser or device asked, where the actor is none: an API key that acts
	// for somebody. The zero Subject means that nobody is known.
	Subject uuid.UUID

	// Salt is for tests. The zero Salt means 16 random bytes: a leaf of the log must
	// not be guessable from what it is the hash of.
	Salt [16]byte
}

// Append records e in tx: it is kept exactly if tx commits. An error must fail the
// transaction, since what cannot be recorded must not happen.
func Append(ctx context.Context, tx *db.TenantTx, e Entry) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("mint audit id: %w", err)
	}
	entry, private := AppendJSON(make([]byte, 0, 1024), tx.Scope(), id, tx.Now(), e)
	if tx.Scope().IsSupport() {
		err = tx.InsertSupportAuditEntry(ctx, tenantq.InsertSupportAuditEntryParams{
			ID: id, At: tx.Now(), Action: e.Action, Entry: string(entry), Private: private, Target: e.Target.String(), GrantID: tx.Scope().Support().GrantID,
		})
	} else {
		err = tx.InsertAuditEntry(ctx, tenantq.InsertAuditEntryParams{
			ID: id, At: tx.Now(), Action: e.Action, Entry: string(entry), Private: private, Target: e.Target.String(),
		})
	}
	if err != nil {
		return fmt.Errorf("append audit entry %s: %w", e.Action, err)
	}
	return nil
}

// Version is the first member of every entry: of this member order. A reader that
// meets a greater one knows that it must not interpret the entry. Version 1 had what is
// private among the other members.
const Version = 2

// AppendJSON returns the entry that sc's actor leaves at the instant at, as JSON in
// its canonical member order, appended to dst, and before it in the same buffer its private parts:
//
//	v, id, tenantId, at, action, outcome, reason, actor{kind, id},
//	onBehalfOf{kind, id}, target{kind, id}, requestId,
//	traceId, before, after, detail, private[{subject, hash}], salt
//
// onBehalfOf is whose power the actor used: who let support in. reason,
// onBehalfOf, target, requestId, traceId, before, after, detail and private
// are absent when empty. salt is base64url of 16 bytes. See Part for what is private.
func AppendJSON(dst []byte, sc scope.Scope, id uuid.UUID, at time.Time, e Entry) (entry, private []byte) {
	if e.Outcome == "" {
		e.Outcome = Success
	}
	var salts [(1 + maxParts) * saltBytes]byte
	_, _ = rand.Read(salts[:]) // never fails: crypto/rand ends the process instead
	if e.Salt == ([saltBytes]byte{}) {
		e.Salt = [saltBytes]byte(salts[:])
	}
	p := parts{text: dst, salts: salts[saltBytes:]}
	p.write(sc, e)
	private = p.text

	dst = private[len(private):]
	dst = append(dst, `{"v":2,"id":`...)
	dst = attr.AppendUUID(dst, id)
	dst = append(dst, `,"tenantId":`...)
	dst = attr.AppendUUID(dst, sc.Tenant())
	dst = append(dst, `,"at":`...)
	dst = attr.AppendTime(dst, at)
	dst = append(dst, `,"action":`...)
	dst = attr.AppendText(dst, e.Action)
	dst = append(dst, `,"outcome":`...)
	dst = attr.AppendText(dst, string(e.Outcome))
	dst = appendOptional(dst, `,"reason":`, e.Fault)
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
	origin := sc.Origin()
	dst = appendOptional(dst, `,"requestId":`, origin.RequestID)
	dst = appendOptional(dst, `,"traceId":`, origin.TraceID)
	dst = appendObject(dst, `,"before":`, e.Before)
	dst = appendObject(dst, `,"after":`, e.After)
	dst = appendObject(dst, `,"detail":`, e.Detail)
	dst = p.appendHashes(dst)
	dst = append(dst, `,"salt":"`...)
	dst = base64.RawURLEncoding.AppendEncode(dst, e.Salt[:])
	return append(dst, `"}`...), private
}

func appendActor(dst []byte, a scope.Actor) []byte {
	dst = append(dst, `{"kind":`...)
	dst = attr.AppendText(dst, string(a.Kind))
	dst = append(dst, `,"id":`...)
	dst = attr.AppendText(dst, a.ID)
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
