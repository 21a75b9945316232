package siem

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/governance/detect"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// message is one entry as a sink gets it.
type message struct {
	seq    int64 // -1: a test event
	record *trail.Record
	body   []byte // one JSON object, without a line break

	blocked []detect.Kind // it is not sent: an outbound rule is against it
}

// wants reports whether an entry passes the stream's filter.
func (c *Config) wants(r *trail.Record) bool {
	if len(c.Outcomes) > 0 && !slices.Contains(c.Outcomes, r.Outcome) {
		return false
	}
	return len(c.Actions) == 0 || slices.ContainsFunc(c.Actions, func(prefix string) bool { return strings.HasPrefix(r.Action, prefix) })
}

// redacted returns an entry without the members that the stream leaves out. Every format is made of
// what it returns, so that none can tell more than another.
func (c *Config) redacted(r trail.Record) trail.Record {
	for _, member := range c.Redact {
		switch member {
		case "actor.name":
			r.Actor.Name, r.OnBehalfOf.Name = "", ""
		case "address":
			r.Address = netip.Addr{}
		case "userAgent":
			r.UserAgent = ""
		case "reason":
			r.Reason = ""
		case "before":
			r.Before = nil
		case "after":
			r.After = nil
		case "detail":
			r.Detail = nil
		case "requestId":
			r.RequestID = ""
		case "traceId":
			r.TraceID = ""
		}
	}
	r.Entry = "" // the text that was hashed holds all of it
	return r
}

// render writes an entry as the stream has it.
func (c *Config) render(tenant uuid.UUID, e *trail.Sequenced) (message, error) {
	r := c.redacted(e.Record)
	m := message{seq: e.Seq, record: &r}
	var err error
	m.body, m.blocked, err = c.outboundJSON(func(redacted []string) any {
		switch c.Format {
		case OCSF:
			return ocsfOf(tenant, e.Seq, &r, redacted)
		case ECS:
			return ecsOf(tenant, e.Seq, &r, redacted)
		case JSON:
		}
		return jsonOf(tenant, e.Seq, &r, redacted)
	})
	if err != nil {
		return m, fmt.Errorf("render audit entry %s: %w", r.ID, err)
	}
	return m, nil
}

// stamp is a time in JSON: RFC 3339, UTC, to the microsecond.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// jsonEvent is an entry as the API answers it, with its number and what was left out.
type jsonEvent struct {
	Seq        *int64          `json:"seq,omitempty"`
	ID         uuid.UUID       `json:"id"`
	TenantID   uuid.UUID       `json:"tenantId"`
	Time       string          `json:"time"`
	Action     string          `json:"action"`
	Outcome    string          `json:"outcome"`
	Reason     string          `json:"reason,omitempty"`
	Actor      *jsonActor      `json:"actor"`
	OnBehalfOf *jsonActor      `json:"onBehalfOf,omitempty"`
	Target     *jsonTarget     `json:"target,omitempty"`
	Address    string          `json:"address,omitempty"`
	UserAgent  string          `json:"userAgent,omitempty"`
	RequestID  string          `json:"requestId,omitempty"`
	TraceID    string          `json:"traceId,omitempty"`
	Before     json.RawMessage `json:"before,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
	Detail     json.RawMessage `json:"detail,omitempty"`
	Redacted   []string        `json:"redacted,omitempty"`
}

type jsonActor struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

type jsonTarget struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

func jsonOf(tenant uuid.UUID, seq int64, r *trail.Record, redacted []string) *jsonEvent {
	e := &jsonEvent{
		Seq: numbered(seq), ID: r.ID, TenantID: tenant, Time: stamp(r.At), Action: r.Action, Outcome: string(r.Outcome), Reason: r.Reason, Actor: jsonActorOf(r.Actor),
		Address: addressOf(r), UserAgent: r.UserAgent, RequestID: r.RequestID, TraceID: r.TraceID, Before: r.Before, After: r.After, Detail: r.Detail, Redacted: redacted,
	}
	if r.OnBehalfOf.Kind != "" {
		e.OnBehalfOf = jsonActorOf(r.OnBehalfOf)
	}
	if r.Target.Kind != "" {
		e.Target = &jsonTarget{r.Target.Kind, r.Target.ID}
	}
	return e
}

func jsonActorOf(a scope.Actor) *jsonActor { return &jsonActor{string(a.Kind), a.ID, a.Name} }

// numbered is a number of the log; nil for a test event, which has none.
func numbered(seq int64) *int64 {
	if seq < 0 {
		return nil
	}
	return &seq
}

func addressOf(r *trail.Record) string {
	if !r.Address.IsValid() {
		return ""
	}
	return r.Address.String()
}

// fingerprints are SHA-256 of certificates in PEM, one to a line.
func fingerprints(text string) string {
	var out []string
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		sum := sha256.Sum256(block.Bytes)
		out = append(out, hex.EncodeToString(sum[:]))
	}
	return strings.Join(out, "\n")
}
