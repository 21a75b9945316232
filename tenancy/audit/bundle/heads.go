package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/biocore-id/biocore/tenancy/audit/merkle"
)

// HeadsFormat is what the Header of an anchor calls itself: a piece of the log of heads, whose entries are an
// AnchoredAt and the Heads that have changed since the one before. It names no tenant.
const HeadsFormat = "biocore-audit-heads-v1"

// AnchoredAt is the first line of an anchor. By a clock that was set back it may be before the last one's.
type AnchoredAt struct {
	At    time.Time `json:"anchoredAt"`
	Heads int       `json:"heads"` // lines that follow it
}

// Head is the head of a tenant's log.
type Head struct {
	TenantID string      `json:"tenantId"`
	Origin   string      `json:"origin"` // of the log
	Size     int64       `json:"size"`
	Root     merkle.Hash `json:"root"`
}

// Checkpoint is what the head says of its log.
func (h *Head) Checkpoint() merkle.Checkpoint {
	return merkle.Checkpoint{Origin: h.Origin, Size: h.Size, Root: h.Root}
}

// ReadAnchor parses an anchor and holds its lines to its checkpoint, by the key that it names itself: who asks has
// it from where nobody else writes. ErrFormat, and what Verify finds.
func ReadAnchor(body []byte) (Header, []Line, error) {
	r, err := Verify(bytes.NewReader(body), "")
	switch {
	case err != nil:
		return Header{}, nil, err
	case r.Header.Format != HeadsFormat:
		return Header{}, nil, ErrFormat
	case !r.Valid():
		return Header{}, nil, fmt.Errorf("%w: %s", ErrFormat, r.Findings[0])
	}
	lines := make([]Line, 0, r.Entries)
	for i, text := range bytes.Split(bytes.TrimSpace(body), []byte("\n")) {
		if i == 0 {
			continue
		}
		var l Line
		if err := json.Unmarshal(text, &l); err != nil {
			return Header{}, nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		lines = append(lines, l)
	}
	return r.Header, lines, nil
}

// AnchoredHead shows that a head was in object storage: it is what AuditService.GetAuditAnchor answers, as far as
// a check needs it.
type AnchoredHead struct {
	Entry       string        `json:"entry"`    // text of its line: a Head
	Sequence    int64         `json:"sequence"` // of the line, in the log of heads
	Hashes      []merkle.Hash `json:"hashes"`   // inclusion proof
	Checkpoint  AnchorNote    `json:"checkpoint"`
	VerifierKey string        `json:"verifierKey"` // of the log of heads
	AnchoredAt  time.Time     `json:"anchoredAt"`  // told, not proven
}

// AnchorNote holds the signed note of an anchor.
type AnchorNote struct {
	Note string `json:"note"`
}

// ErrAnchor says that an AnchoredHead does not show what it is said to.
var ErrAnchor = errors.New("the anchor does not hold")

// Check answers the head, if the checkpoint is signed by key and the head is under it. key is the verifier key of the log
// of heads, kept from before; empty takes the proof's own. ErrAnchor.
func (a *AnchoredHead) Check(key string) (Head, error) {
	if key == "" {
		key = a.VerifierKey
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrAnchor, err)
	}
	c, err := merkle.Open(a.Checkpoint.Note, v)
	if err == nil {
		err = merkle.CheckEntry(c, a.Sequence, a.Entry, a.Hashes)
	}
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrAnchor, err)
	}
	var h Head
	if json.Unmarshal([]byte(a.Entry), &h) != nil || h.Origin == "" || h.TenantID == "" {
		return Head{}, fmt.Errorf("%w: its entry is no head", ErrAnchor)
	}
	return h, nil
}
