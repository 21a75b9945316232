// Package importer moves users and their public keys in from other systems, and out.
//
// Both ways the form is the same: JSON lines, one user each, with the credentials that
// the user signs in with. A line is taken whole or not at all. An import goes through
// the file twice: a check that writes no user and reports what is wrong by line, and a
// run that writes. Either is fed in batches, each one transaction together with the
// position in the file, so that whoever was cut off goes on where the import stands
// and no line counts twice.
//
// Public keys are no secrets, and what an import brings proves nothing about
// authenticators: credentials come in without attestation (trust NONE), registered by
// IMPORT. A tenant whose policy asks for proof has no import.
package importer

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/authcore/webauthn"
)

// Bounds of a line.
const (
	MaxLineBytes          = 32 << 10 // fits a request of 64 KiB as a JSON string; twenty RSA keys take 20 KiB
	maxHandleBytes        = 64       // WebAuthn L3 #user-handle
	maxTextBytes          = 2 << 10  // the profile's own bounds are tighter, and in characters
	maxBase64Bytes        = 1 << 11  // a credential ID has at most 1023 bytes
	maxTransports         = 16
	maxTransportBytes     = 32
	maxCredentialsPerLine = 100 // as the policy's highest limit a user
)

// Rules are what a tenant takes.
type Rules struct {
	RPID           string
	Algorithms     []int
	MaxCredentials int // a user
	Denied         []uuid.UUID
	RefuseSynced   bool // credentials that may be backed up
	Now            time.Time
}

// Record is a line that can be taken, as far as it says so itself.
type Record struct {
	Profile     user.Profile
	Contact     user.Contact
	Handle      []byte // nil: none was given, and none is needed
	Blocked     bool
	CreatedAt   *time.Time
	Credentials []Credential
}

// Credential is a credential of a Record.
type Credential struct {
	ID             credential.ID
	PublicKey      []byte // COSE_Key
	Algorithm      webauthn.Algorithm
	SignCount      uint32
	Transports     []string // sorted, as a registration keeps them
	Attachment     string
	AAGUID         uuid.UUID
	BackupEligible bool
	BackedUp       bool
	Discoverable   *bool
	Nickname       string
	Suspended      bool
	CreatedAt      *time.Time
	LastUsedAt     *time.Time
}

// Parse reads one line, and judges it by the rules. With problems, the Record is of no
// use. It keeps no reference to raw.
func Parse(raw []byte, rules *Rules) (Record, []Problem) {
	if len(raw) > MaxLineBytes {
		return Record{}, []Problem{{Reason: LineTooLong}}
	}
	all, err := members(raw)
	if err != nil {
		return Record{}, []Problem{{Reason: JSONInvalid, Detail: "a line is one JSON object in UTF-8, and has each name once"}}
	}
	var problems []Problem
	r := reader{left: all, problems: &problems}
	record := Record{Profile: r.profile(), Contact: r.contact()}
	record.Handle = r.binary("userHandle", maxHandleBytes)
	record.Blocked = r.choice("state", string(user.Active), string(user.Blocked)) == string(user.Blocked)
	record.CreatedAt = r.time("createdAt", rules.Now)
	record.Credentials = r.credentials(rules)
	r.end()
	if record.Handle == nil && len(problems) == 0 && slices.ContainsFunc(record.Credentials, mayBeDiscoverable) {
		r.refuse("userHandle", HandleRequired, "a credential carries its user's handle unless discoverable is false")
	}
	if len(problems) > 0 {
		return Record{}, problems
	}
	return record, nil
}

// mayBeDiscoverable: what a client did not say may be so.
func mayBeDiscoverable(c Credential) bool { return c.Discoverable == nil || *c.Discoverable }

func (r *reader) profile() user.Profile {
	p := user.Profile{ExternalID: r.text("externalId", maxTextBytes), Name: r.text("name", maxTextBytes), DisplayName: r.text("displayName", maxTextBytes)}
	if p.ExternalID == "" {
		r.refuse("externalId", FieldMissing, "")
		return user.Profile{}
	}
	if p.Name == "" {
		p.Name = p.ExternalID // many systems know users by one name
	}
	clean, err := p.Clean()
	if err != nil {
		r.refuseBy(field(err), "", err)
	}
	return clean
}

func (r *reader) contact() user.Contact {
	c, err := user.Contact{Email: r.text("email", maxTextBytes), Phone: r.text("phone", maxTextBytes)}.Clean()
	if err != nil {
		r.refuseBy(field(err), "", err)
	}
	return c
}

// binary takes 1 to maxBytes bytes in base64; nil when the member is absent or empty.
func (r *reader) binary(name string, maxBytes int) []byte {
	s := r.text(name, maxBase64Bytes)
	if s == "" {
		return nil
	}
	b, err := decode(s)
	if err != nil || len(b) == 0 || len(b) > maxBytes {
		r.refuse(name, FieldInvalid, "is 1 or more bytes in base64url, and not too many")
		return nil
	}
	return b
}

// time takes an RFC 3339 time of this millennium that is not to come.
func (r *reader) time(name string, now time.Time) *time.Time {
	var t time.Time
	if !r.take(name, &t, "a time as 2030-01-02T03:04:05Z") {
		return nil
	}
	if t.Year() < 2000 || t.After(now) {
		r.refuse(name, FieldInvalid, "is before 2000 or in the future")
		return nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	return &t
}

func (r *reader) credentials(rules *Rules) []Credential {
	var list []json.RawMessage
	r.take("credentials", &list, "an array")
	if len(list) > min(rules.MaxCredentials, maxCredentialsPerLine) {
		r.refuse("credentials", TooMany, "more than the policy allows a user")
		return nil
	}
	out := make([]Credential, 0, len(list))
	for i, raw := range list {
		at := "credentials[" + strconv.Itoa(i) + "]"
		m, err := members(raw)
		if err != nil {
			r.refuse(at, JSONInvalid, "")
			continue
		}
		one := reader{prefix: at + ".", left: m, problems: r.problems}
		c := one.credential(rules)
		if slices.ContainsFunc(out, func(o Credential) bool { return o.ID == c.ID }) && c.ID != "" {
			one.refuse("id", Repeated, "")
		}
		out = append(out, c)
	}
	return out
}

func (r *reader) credential(rules *Rules) Credential {
	c := Credential{
		ID:         credential.ID(r.binary("id", 1023)), // WebAuthn L3 #credential-id
		Attachment: r.choice("attachment", "", "platform", "cross-platform"),
		Suspended:  r.choice("state", string(credential.Active), string(credential.Suspended)) == string(credential.Suspended),
		CreatedAt:  r.time("createdAt", rules.Now), LastUsedAt: r.time("lastUsedAt", rules.Now),
	}
	if c.ID == "" {
		r.refuse("id", FieldMissing, "")
	}
	if rp := r.text("rpId", 253); rp != "" && rp != rules.RPID {
		r.refuse("rpId", RPIDMismatch, "the tenant's RP ID is another one: this credential would never answer")
	}
	r.key(&c, rules)
	r.take("signCount", &c.SignCount, "a whole number below 2^32")
	r.take("backupEligible", &c.BackupEligible, "true or false")
	r.take("backedUp", &c.BackedUp, "true or false")
	r.take("discoverable", &c.Discoverable, "true, false or null")
	switch {
	case c.BackedUp && !c.BackupEligible:
		r.refuse("backedUp", BackupInvalid, "a credential that is backed up is eligible for it")
	case c.BackupEligible && rules.RefuseSynced:
		r.refuse("backupEligible", SyncedRefused, "")
	}
	r.model(&c, rules)
	c.Transports = r.transports()
	nickname, err := credential.CleanNickname(r.text("nickname", maxTextBytes))
	if err != nil {
		r.refuseBy("nickname", "", err)
	}
	c.Nickname = nickname
	r.end()
	return c
}

func (r *reader) key(c *Credential, rules *Rules) {
	var algorithm int32
	r.take("algorithm", &algorithm, "a COSE algorithm identifier, as -7")
	raw, ok := r.left["publicKey"]
	delete(r.left, "publicKey")
	if !ok || string(raw) == "null" || string(raw) == `""` {
		r.refuse("publicKey", FieldMissing, "")
		return
	}
	cose, key, err := publicKey(raw, webauthn.Algorithm(algorithm))
	if err != nil {
		if errors.Is(err, webauthn.ErrAlgorithm) {
			r.refuse("publicKey", AlgorithmRefused, "its algorithm is not supported")
			return
		}
		r.refuse("publicKey", KeyInvalid, "no public key of its algorithm, in COSE, as JWK or as SubjectPublicKeyInfo")
		return
	}
	if !slices.Contains(rules.Algorithms, int(key.Algorithm())) {
		r.refuse("publicKey", AlgorithmRefused, key.Algorithm().String()+" is not among the policy's algorithms")
	}
	c.PublicKey, c.Algorithm = cose, key.Algorithm()
}

func (r *reader) model(c *Credential, rules *Rules) {
	s := r.text("aaguid", maxWordBytes)
	if s == "" {
		return
	}
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		r.refuse("aaguid", FieldInvalid, "is a UUID")
		return
	}
	if slices.Contains(rules.Denied, id) {
		r.refuse("aaguid", ModelRefused, "")
	}
	c.AAGUID = id
}

func (r *reader) transports() []string {
	list := []string{}
	r.take("transports", &list, "an array of strings")
	ok := len(list) <= maxTransports
	for _, t := range list {
		ok = ok && t != "" && len(t) <= maxTransportBytes && !slices.ContainsFunc([]byte(t), func(c byte) bool { return c <= ' ' || c > '~' || c == ',' })
	}
	if !ok {
		r.refuse("transports", FieldInvalid, "has at most 16 words of at most 32 visible ASCII characters without commas")
		return nil
	}
	slices.Sort(list)
	return slices.Compact(list)
}
