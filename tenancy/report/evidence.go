package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
)

// Names of what a report is shown by, beside its bodies: signed as they are.
const (
	AuditName  = "audit.json"
	JWKSName   = "jwks.json"
	ReadMeName = "README.txt"
)

// AuditFormat is what AuditName calls itself.
const AuditFormat = "biocore-report-audit/1"

// Audited are the entries of the audit log that a report names by their numbers, each with what shows that it is in the log.
type Audited struct {
	Format      string          `json:"format"`
	Checkpoint  string          `json:"checkpoint"`  // the signed note; empty: nothing was signed yet
	VerifierKey string          `json:"verifierKey"` // of the log, as signed notes have it
	Size        int64           `json:"size"`        // of the log under the checkpoint
	Entries     []AuditedEntry  `json:"entries"`
	Unproven    []UnprovenEntry `json:"unproven"` // numbers that the report names, and that nothing here shows
}

// AuditedEntry is an entry with its audit path (RFC 6962, 2.1.1). What is private of it is not here: the entry holds its hash.
type AuditedEntry struct {
	Seq   int64         `json:"seq"`
	Entry string        `json:"entry"` // the text that is hashed
	Proof []merkle.Hash `json:"proof"`
}

// UnprovenEntry is a number without a proof.
type UnprovenEntry struct {
	Seq int64  `json:"seq"`
	Why string `json:"why"`
}

// maxProofs bounds what is proven: a kilobyte or two each. Findings go before lists.
const maxProofs = 500

// unbounded is why a number is beyond maxProofs.
const unbounded = "proofs are made for the first 500 numbers alone: the audit log's own export has all"

// numbersOf are the numbers of the audit log that a body names, the smallest first, and those that are too many to be proven.
func numbersOf(b *Body) (proven, more []int64) {
	seen := map[int64]bool{}
	add := func(n int64) {
		if seen[n] {
			return
		}
		seen[n] = true
		if len(proven) < maxProofs {
			proven = append(proven, n)
		} else {
			more = append(more, n)
		}
	}
	for i := range b.Controls {
		for _, f := range b.Controls[i].Findings {
			for _, n := range []*int64{f.Evidence.First, f.Evidence.Last} {
				if n != nil {
					add(*n)
				}
			}
		}
	}
	for _, l := range b.Lists {
		for at, column := range l.Columns {
			if column != "sequence" && !strings.HasSuffix(column, "_sequence") {
				continue
			}
			for _, row := range l.Rows {
				if n, err := strconv.ParseInt(row[at], 10, 64); err == nil {
					add(n)
				}
			}
		}
	}
	slices.Sort(proven)
	slices.Sort(more)
	return proven, more
}

// audited makes AuditName of what was proven; checkpoint is nil while nothing is signed.
func audited(b *Body, checkpoint *trail.Checkpoint, proofs []trail.Proof, unproven []trail.Unproven) ([]byte, error) {
	a := Audited{Format: AuditFormat, Entries: []AuditedEntry{}, Unproven: []UnprovenEntry{}}
	asked, more := numbersOf(b)
	if checkpoint == nil {
		for _, n := range asked {
			a.Unproven = append(a.Unproven, UnprovenEntry{n, "nothing was signed yet"})
		}
	} else {
		a.Checkpoint, a.VerifierKey, a.Size = checkpoint.Note, checkpoint.VerifierKey, checkpoint.Size
	}
	for _, p := range proofs {
		a.Entries = append(a.Entries, AuditedEntry{p.Seq, p.Entry, p.Hashes})
	}
	for _, u := range unproven {
		a.Unproven = append(a.Unproven, UnprovenEntry(u))
	}
	for _, n := range more {
		a.Unproven = append(a.Unproven, UnprovenEntry{n, unbounded})
	}
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", AuditName, err)
	}
	return append(text, '\n'), nil
}

// evidence are the files beside the bodies.
func evidence(audit, jwks []byte) []file {
	return []file{{AuditName, audit}, {JWKSName, slices.Concat(bytes.TrimSpace(jwks), []byte("\n"))}, {ReadMeName, []byte(readMe)}}
}

// readMe tells an auditor what lies before them. It names no report: it is the same in each.
const readMe = `A COMPLIANCE REPORT, AND WHAT SHOWS IT

report.pdf      the report, for people
report.csv      its controls, for a spreadsheet
report.json     all of it, for programs: each figure with the query that made it and the numbers of the
                audit entries that record it
list-*.csv      lists beside the controls
manifest.json   when and for whom it was made, the SHA-256 of each file, the last checkpoint of the audit
                log, and the public key that signed
audit.json      the audit entries that the report names by number, each with its proof that it is in the
                log under that checkpoint; and those that it could not be shown of, with the reason
jwks.json       the public keys of the tenant when it was made
*.jws           a signature of the file beside it: a detached JWS (RFC 7515, appendix F)

TO CHECK ALL OF IT, with no network and no account:

    biocore report verify THIS.zip --jwks keys.json

The second file is the tenant's key set. Take it from the tenant's own address, /t/NAME/.well-known/jwks.json,
or from a copy that you have kept, and not from this file: jwks.json is here for the day on which the
key has been replaced, and shows by itself only that everything is whole.

The command ends with 1 and names what is wrong: a figure or any other byte that was edited, a part that is
missing or was added, the key of another tenant, an entry or proof that was tampered with.

BY HAND. A signature: take the text before ".." of the .jws, a dot, and the base64url of the file; the text
after ".." signs that, by the key of the header's kid. An entry: its leaf is SHA-256 of 0x00, its number in
decimal, a line feed and the text of the entry; hash it with its proof as RFC 6962, 2.1.1 has it, and compare
with the root in the checkpoint, a signed note (https://c2sp.org/signed-note).

A report says what the records show. Whether that makes anybody compliant is for you to say.
`

// checkAudit holds the entries that a report names to the checkpoint of its manifest.
func (v *Verified) checkAudit(text []byte, b *Body) {
	var a Audited
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil || a.Format != AuditFormat {
		v.find("%s: it cannot be read: %v", AuditName, errors.Join(err, errors.New("its format is "+a.Format)))
		return
	}
	shown := map[int64]bool{}
	for _, u := range a.Unproven {
		shown[u.Seq] = true
	}
	v.Unproven = a.Unproven
	if l := v.Manifest.Log; (l == nil) != (a.Checkpoint == "") || l != nil && (l.Checkpoint != a.Checkpoint || l.VerifierKey != a.VerifierKey) {
		v.find("%s: its checkpoint is not that of the manifest", AuditName)
	}
	if a.Checkpoint != "" {
		checkpoint, err := openCheckpoint(a.Checkpoint, a.VerifierKey)
		if err != nil {
			v.find("%s: the checkpoint is not signed by the log's key: %v", AuditName, err)
			return
		}
		if !strings.HasSuffix(checkpoint.Origin, "/audit/"+v.Manifest.TenantID.String()) {
			v.find("%s: the checkpoint is of another tenant's log: %s", AuditName, checkpoint.Origin)
		}
		for _, e := range a.Entries {
			shown[e.Seq] = true
			if err := merkle.CheckEntry(checkpoint, e.Seq, e.Entry, e.Proof); err != nil {
				v.find("%s: entry %d is not in the log under the checkpoint", AuditName, e.Seq)
				continue
			}
			v.Proven++
		}
	}
	asked, more := numbersOf(b)
	for _, n := range append(asked, more...) {
		if !shown[n] {
			v.find("%s: entry %d, which the report names, is missing", AuditName, n)
		}
	}
}

func openCheckpoint(signed, key string) (merkle.Checkpoint, error) {
	by, err := note.NewVerifier(key)
	if err != nil {
		return merkle.Checkpoint{}, err
	}
	return merkle.Open(signed, by)
}

// checkBody holds report.json to the manifest that it came with.
func (v *Verified) checkBody(b *Body) {
	m := &v.Manifest
	if b.Tenant.ID != m.TenantID || b.Catalogue.Name != m.Catalogue || !b.Period.From.Equal(m.From) || !b.Period.To.Equal(m.To) {
		v.find("%s: it is of another tenant, catalogue or period than its manifest", JSONName)
	}
}
