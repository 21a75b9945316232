package importer

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
)

// ParseID reads an id as clients send it. What is no id is ErrNotFound.
func ParseID(s string) (uuid.UUID, error) {
	if len(s) != 36 { // uuid.Parse takes other spellings too
		return uuid.UUID{}, ErrNotFound
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.UUID{}, ErrNotFound
	}
	return id, nil
}

// Counts are what became of the lines of a phase. In a check they say what a run would
// do, as far as the tenant stays as it is.
type Counts struct {
	Lines              int32 `json:"lines,omitempty"` // that hold a user: empty ones do not count
	UsersCreated       int32 `json:"usersCreated,omitempty"`
	UsersMerged        int32 `json:"usersMerged,omitempty"`
	UsersSkipped       int32 `json:"usersSkipped,omitempty"`
	LinesFailed        int32 `json:"linesFailed,omitempty"`
	CredentialsCreated int32 `json:"credentialsCreated,omitempty"`
	CredentialsSkipped int32 `json:"credentialsSkipped,omitempty"` // they exist, of the same user
}

func (c *Counts) attrs() []attr.Attr {
	return []attr.Attr{
		attr.Int("lines", int64(c.Lines)), attr.Int("usersCreated", int64(c.UsersCreated)), attr.Int("usersMerged", int64(c.UsersMerged)),
		attr.Int("usersSkipped", int64(c.UsersSkipped)), attr.Int("linesFailed", int64(c.LinesFailed)),
		attr.Int("credentialsCreated", int64(c.CredentialsCreated)), attr.Int("credentialsSkipped", int64(c.CredentialsSkipped)),
	}
}

func (c *Counts) text() (string, error) {
	out, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode counts: %w", err)
	}
	return string(out), nil
}

func fromRow(row tenantq.Import) (Import, error) {
	im := Import{Import: row}
	if err := json.Unmarshal([]byte(row.Counts), &im.Counts); err != nil {
		return Import{}, fmt.Errorf("counts of import %s: %w", row.ID, err)
	}
	if err := json.Unmarshal([]byte(row.CheckedCounts), &im.CheckedCounts); err != nil {
		return Import{}, fmt.Errorf("counts of import %s: %w", row.ID, err)
	}
	return im, nil
}

// Outcome is why a line is in the report.
type Outcome string

// The outcomes.
const (
	Failed  Outcome = "FAILED"  // it is not taken
	Skipped Outcome = "SKIPPED" // its user exists, and the import passes over such
)

// Phase names one of the two ways through the file.
type Phase string

// The phases.
const (
	Check Phase = "CHECK"
	Write Phase = "RUN"
)

// Finding is what is reported of a line.
type Finding struct {
	Line    int
	Outcome Outcome
	Problem
}
