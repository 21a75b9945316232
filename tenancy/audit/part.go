package audit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/audit/private"
	"github.com/biocore-id/biocore/tenancy/scope"
)

const (
	saltBytes = 16
	maxParts  = 3 // of the actor, of on whose behalf it acted, of nobody
)

// parts writes what is private of one entry, each part after its length in two bytes, which
// the longest fits into, since attr cuts texts.
type parts struct {
	text  []byte
	salts []byte
	all   [maxParts]private.Part
	n     int
	start int // of the part that is being written, after its length
}

func (p *parts) write(sc scope.Scope, e Entry) {
	actor, origin, by := sc.Actor(), sc.Origin(), sc.Support().By
	subject := subjectOf(actor)
	theirs := subject != uuid.Nil // the actor is a person
	if !theirs {
		subject = e.Subject
	}
	var name string // of nobody who could be erased
	if !theirs {
		name = actor.Name
	}
	p.begin()
	if origin.Address.IsValid() {
		p.member(`"address":"`)
		p.text = origin.Address.WithZone("").AppendTo(p.text)
		p.text = append(p.text, '"')
	}
	p.optional(`"userAgent":`, origin.UserAgent)
	if theirs {
		p.named(`"actor":`, actor.Name)
	}
	if subject != uuid.Nil {
		p.end(subject)
		if by.Name != "" {
			p.begin()
			p.named(`"onBehalfOf":`, by.Name)
			p.end(subjectOf(by))
		}
		p.begin()
	}
	p.named(`"actor":`, name)
	p.optional(`"reason":`, e.Reason)
	p.end(uuid.Nil)
}

// subjectOf is the person that a is, or Nil: operators, users and support have their ids.
func subjectOf(a scope.Actor) uuid.UUID {
	switch a.Kind {
	case scope.ActorOperator, scope.ActorUser, scope.ActorSupport:
		id, err := uuid.Parse(a.ID)
		if err == nil {
			return id
		}
	case scope.ActorAPIKey, scope.ActorPlatform, scope.ActorSystem:
	}
	return uuid.Nil
}

func (p *parts) begin() {
	p.text = append(p.text, 0, 0)
	p.start = len(p.text)
}

// end ends a part of a subject, or takes back one in which nothing is.
func (p *parts) end(subject uuid.UUID) {
	if len(p.text) == p.start {
		p.text = p.text[:p.start-2]
		return
	}
	p.member(`"salt":"`)
	p.text = base64.RawURLEncoding.AppendEncode(p.text, p.salts[p.n*saltBytes:][:saltBytes])
	p.text = append(p.text, `"}`...)
	part := p.text[p.start:]
	binary.BigEndian.PutUint16(p.text[p.start-2:], uint16(len(part))) //nolint:gosec // texts are cut: attr.MaxBytes
	p.all[p.n] = private.Part{Subject: subject, Hash: sha256.Sum256(part)}
	p.n++
}

func (p *parts) member(name string) {
	if len(p.text) == p.start {
		p.text = append(p.text, '{')
	} else {
		p.text = append(p.text, ',')
	}
	p.text = append(p.text, name...)
}

func (p *parts) optional(name, value string) {
	if value != "" {
		p.member(name)
		p.text = attr.AppendText(p.text, value)
	}
}

func (p *parts) named(who, name string) {
	if name != "" {
		p.member(who)
		p.text = append(attr.AppendText(append(p.text, `{"name":`...), name), '}')
	}
}

func (p *parts) appendHashes(dst []byte) []byte {
	if p.n == 0 {
		return dst
	}
	dst = append(dst, `,"private":[`...)
	for i := range p.all[:p.n] {
		part := &p.all[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		if part.Subject != uuid.Nil {
			dst = append(attr.AppendUUID(append(dst, `"subject":`...), part.Subject), ',')
		}
		dst = append(dst, `"hash":"`...)
		dst = append(base64.RawURLEncoding.AppendEncode(dst, part.Hash[:]), `"}`...)
	}
	return append(dst, ']')
}
