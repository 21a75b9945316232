package mds

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// excerpt is the payload of a BLOB, cut down to few entries and without icons.
type excerpt struct {
	No         int            `json:"no"`
	NextUpdate string         `json:"nextUpdate"`
	Entries    []excerptEntry `json:"entries"`
}

type excerptEntry struct {
	AAGUID         string          `json:"aaguid,omitempty"`
	KeyIdentifiers []string        `json:"attestationCertificateKeyIdentifiers,omitempty"`
	Statement      json.RawMessage `json:"metadataStatement,omitempty"`
	Reports        []excerptReport `json:"statusReports"`
}

type excerptReport struct {
	Status      string `json:"status"`
	Effective   string `json:"effectiveDate,omitempty"`
	Certificate string `json:"certificate,omitempty"`
}

// Excerpt returns what s says of some entries, in the form of a BLOB's payload: number,
// next update, and those entries without their icons. ReadExcerpt reads it again, years
// later, and what is judged by it is judged as by s, as far as it goes by these entries.
func (s *Snapshot) Excerpt(entries ...*Entry) ([]byte, error) {
	out := excerpt{No: s.Number, NextUpdate: s.NextUpdate.Format(time.DateOnly), Entries: []excerptEntry{}}
	for _, e := range entries {
		one, err := excerptOf(e)
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, one)
	}
	return json.Marshal(out)
}

func excerptOf(e *Entry) (excerptEntry, error) {
	one := excerptEntry{}
	if e.AAGUID != uuid.Nil {
		one.AAGUID = e.AAGUID.String()
	}
	for _, k := range e.KeyIdentifiers {
		one.KeyIdentifiers = append(one.KeyIdentifiers, hex.EncodeToString(k))
	}
	for _, r := range e.Reports {
		report := excerptReport{Status: r.Status, Certificate: base64.StdEncoding.EncodeToString(r.Certificate)}
		if !r.Effective.IsZero() {
			report.Effective = r.Effective.Format(time.DateOnly)
		}
		one.Reports = append(one.Reports, report)
	}
	if e.Statement != nil {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(e.Statement, &members); err != nil {
			return one, fmt.Errorf("excerpt: %w", err)
		}
		delete(members, "icon")
		var err error
		if one.Statement, err = json.Marshal(members); err != nil {
			return one, fmt.Errorf("excerpt: %w", err)
		}
	}
	return one, nil
}

// ReadExcerpt reads what Excerpt made. Nothing is verified: whoever kept it vouches for
// it. ErrMalformed, ErrUnparsed.
func ReadExcerpt(payload []byte) (*Snapshot, error) { return read(payload, 0) }
