// Package bundle is a piece of an audit log as a file, and what checks one: by nothing but
// the file and the key of the log. It needs no database, no service and no network, so that
// an auditor runs it where they like.
//
// A bundle is JSON lines. The first is the Header; each other one is an entry, in the order of
// the log. docs/audit.md describes it for those who write a verifier of their own.
package bundle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/audit/private"
)

// Format is what a Header calls itself.
const Format = "biocore-audit-log-v1"

// MediaType is that of a bundle: JSON lines.
const MediaType = "application/jsonl"

// FileName is what the bundle of a tenant's log from an entry on is called.
func FileName(tenant uuid.UUID, from int64) string {
	return "biocore-audit-" + tenant.String() + "-" + strconv.FormatInt(from, 10) + ".jsonl"
}

// Header is the first line. Hashes are base64 with padding.
type Header struct {
	Format      string        `json:"format"`
	TenantID    string        `json:"tenantId,omitempty"`
	Origin      string        `json:"origin"`      // of the log
	VerifierKey string        `json:"verifierKey"` // of the log, as signed notes have it
	From        int64         `json:"from"`        // number of the first entry
	To          int64         `json:"to"`          // of the last, and one
	Edge        []merkle.Hash `json:"edge"`        // roots of the complete subtrees of the entries before From, the largest first
	Checkpoints []string      `json:"checkpoints"` // signed notes over From+1 to To entries, the smallest first; the last is over To
}

// Line is one entry.
type Line struct {
	Seq         int64       `json:"seq"`
	SequencedAt time.Time   `json:"sequencedAt"`
	Leaf        merkle.Hash `json:"leaf"` // as the log has it
	Entry       string      `json:"entry"`
	Private     []Private   `json:"private,omitempty"` // one for each hash that the entry names, or none at all
}

// Private is what an entry holds of one person, kept apart so that it can be erased: in clear in an export,
// sealed in an archive, and neither once the person is erased.
type Private struct {
	Text   string `json:"text,omitempty"` // exactly what the entry has the hash of
	Sealed []byte `json:"sealed,omitempty"`
}

// Finding is one way in which a bundle is not what was signed. First and Last are the numbers
// of the entries that it is about.
type Finding struct {
	First, Last int64
	Problem     string
}

// String is the finding in words.
func (f Finding) String() string {
	if f.First == f.Last {
		return fmt.Sprintf("entry %d: %s", f.First, f.Problem)
	}
	return fmt.Sprintf("entries %d to %d: %s", f.First, f.Last, f.Problem)
}

// Report is what Verify has seen.
type Report struct {
	Header   Header
	Entries  int64     // that were read
	Earliest time.Time // when the first and the last were sequenced
	Latest   time.Time
	Signed   int // checkpoints that hold
	Anchored int // heads that were given, and that the log had
	Findings []Finding
}

// Valid reports whether nothing was found: each entry of the piece is there, once, at its place and as
// it was when its checkpoint was signed.
func (r *Report) Valid() bool { return len(r.Findings) == 0 }

// Errors of Verify: the file is no bundle at all, or not of the log that was asked for.
var (
	ErrFormat = errors.New("this is no bundle of an audit log")
	ErrKey    = errors.New("the bundle is not of the log that the key is of")
	ErrOrder  = errors.New("the bundles do not follow one another")
)

const (
	maxLine     = 8 << 20 // a header with 10,000 checkpoints; an entry is some kilobytes
	maxFindings = 100
)

// Verify reads a bundle to its end. key is the log's verifier key, kept from before; empty takes the
// bundle's own, which shows no more than that the bundle agrees with itself. Each of heads, which somebody else has kept,
// must be one that the log had: it is found of any that the bundle contradicts or does not reach. ErrFormat, ErrKey,
// and what reading fails with.
func Verify(r io.Reader, key string, heads ...merkle.Checkpoint) (*Report, error) {
	return VerifyAll([]io.Reader{r}, key, heads...)
}

// VerifyAll is Verify of a piece of the log that lies in several bundles, in its order: archives, and an export of the
// rest. Each begins where the one before ends, or ErrOrder. The Report's Header is of all of them together.
func VerifyAll(files []io.Reader, key string, heads ...merkle.Checkpoint) (*Report, error) {
	c := &check{Report: Report{Findings: []Finding{}}}
	for i, r := range files {
		if i > 0 {
			c.close()
		}
		if whole, err := c.file(r, i == 0, key, heads); err != nil {
			return nil, err
		} else if !whole {
			return &c.Report, nil
		}
	}
	c.end()
	return &c.Report, nil
}

// file reads one bundle, and reports whether it was read to its end.
func (c *check) file(r io.Reader, first bool, key string, heads []merkle.Checkpoint) (whole bool, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	if !lines.Scan() {
		return false, errors.Join(ErrFormat, lines.Err())
	}
	if first {
		if err := c.begin(lines.Bytes(), key); err != nil {
			return false, err
		}
		for _, h := range heads {
			if h.Origin != c.Header.Origin {
				return false, fmt.Errorf("%w: the head is of %s, the bundle of %s", ErrKey, h.Origin, c.Header.Origin)
			}
		}
		c.heads = slices.Clone(heads)
	} else if err := c.follow(lines.Bytes(), key); err != nil {
		return false, err
	}
	c.compare()
	for lines.Scan() && len(c.Findings) < maxFindings {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if !c.read(lines.Bytes()) {
			return false, nil
		}
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("read bundle: %w", err)
	}
	return true, nil
}

// From reads at which entry a bundle begins, and goes back to its beginning. ErrFormat.
func From(r io.ReadSeeker) (int64, error) {
	var h struct {
		From *int64 `json:"from"`
	}
	if err := json.NewDecoder(r).Decode(&h); err != nil || h.From == nil {
		return 0, ErrFormat
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("read bundle: %w", err)
	}
	return *h.From, nil
}

// check is a verification under way.
type check struct {
	Report

	edge  merkle.Edge // of all that the log says was there
	next  int64       // the number that the next line has
	since int64       // entries from here on are under no checkpoint that holds yet
	marks []merkle.Checkpoint
	heads []merkle.Checkpoint // not yet compared
	lost  bool                // the tree cannot be followed any more: an entry's hash is unknown
}

func (c *check) begin(text []byte, key string) error {
	h := &c.Header
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(h); err != nil || h.Format != Format && h.Format != HeadsFormat || (h.Format == Format) != (h.TenantID != "") {
		return ErrFormat
	}
	if key == "" {
		key = h.VerifierKey
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	if v.Name() != h.Origin {
		return fmt.Errorf("%w: the key is of %s, the bundle of %s", ErrKey, v.Name(), h.Origin)
	}
	flat := make([]byte, 0, len(h.Edge)*len(merkle.Hash{}))
	for i := range h.Edge {
		flat = append(flat, h.Edge[i][:]...)
	}
	if c.edge, err = merkle.ParseEdge(h.From, flat); err != nil || h.To <= h.From {
		return fmt.Errorf("%w: its bounds or its edge do not fit", ErrFormat)
	}
	c.next, c.since = h.From, h.From
	for _, text := range h.Checkpoints {
		mark, err := merkle.Open(text, v)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrKey, err)
		}
		c.marks = append(c.marks, mark)
	}
	sorted := slices.IsSortedFunc(c.marks, func(a, b merkle.Checkpoint) int { return int(a.Size - b.Size) })
	if !sorted || len(c.marks) == 0 || c.marks[0].Size <= h.From || c.marks[len(c.marks)-1].Size != h.To {
		return fmt.Errorf("%w: its checkpoints are not over what it holds", ErrFormat)
	}
	return nil
}

// follow takes the header of the bundle that goes on where the last one has ended.
func (c *check) follow(text []byte, key string) error {
	if key == "" {
		key = c.Header.VerifierKey
	}
	var next check
	if err := next.begin(text, key); err != nil {
		return err
	}
	is, was := &next.Header, &c.Header
	switch {
	case is.Format != was.Format || is.TenantID != was.TenantID:
		return fmt.Errorf("%w: they are of different logs", ErrOrder)
	case is.From != was.To:
		return fmt.Errorf("%w: one ends before entry %d, the next begins at entry %d", ErrOrder, was.To, is.From)
	case !c.lost && c.edge.Root() != next.edge.Root():
		c.find(0, is.From-1, "something of these is not what it was when the bundle was made that goes on after them")
	}
	was.To, was.Checkpoints = is.To, append(was.Checkpoints, is.Checkpoints...)
	c.edge, c.marks, c.next, c.since, c.lost = next.edge, next.marks, is.From, is.From, false
	return nil
}

func (c *check) find(first, last int64, problem string) {
	c.Findings = append(c.Findings, Finding{First: first, Last: last, Problem: problem})
}

// read takes the next line, and reports whether it is one: what follows another is not known.
func (c *check) read(text []byte) bool {
	var line Line
	if json.Unmarshal(text, &line) != nil {
		c.find(c.next, c.next, "its line cannot be read")
		return false
	}
	c.line(&line)
	return true
}

func (c *check) line(l *Line) {
	switch {
	case l.Seq < c.next || l.Seq >= c.Header.To:
		c.find(l.Seq, l.Seq, "stands at another place than its own, or twice")
		return
	case l.Seq > c.next:
		c.find(c.next, l.Seq-1, "missing")
		c.lost, c.next = true, l.Seq
	}
	if c.Entries == 0 {
		c.Earliest = l.SequencedAt
	} else if l.SequencedAt.Before(c.Latest) {
		c.find(l.Seq, l.Seq, "was sequenced before the one before it")
	}
	c.Latest = l.SequencedAt
	c.Entries++
	c.next++
	var about struct {
		TenantID string `json:"tenantId"`
	}
	if merkle.Leaf(l.Seq, l.Entry) != l.Leaf {
		c.find(l.Seq, l.Seq, "its text is not the one that the log has hashed")
	} else if json.Unmarshal([]byte(l.Entry), &about) != nil || c.Header.Format == Format && about.TenantID != c.Header.TenantID {
		c.find(l.Seq, l.Seq, "is not of this tenant")
	} else if !holds(l) {
		c.find(l.Seq, l.Seq, "what is private of it is not what it has the hash of")
	}
	if c.lost {
		return
	}
	c.edge.Append(l.Leaf)
	for len(c.marks) > 0 && c.marks[0].Size == c.edge.Size {
		if c.marks[0].Root != c.edge.Root() {
			c.find(c.since, c.edge.Size-1, "something of these was changed together with its hash: they are not what the checkpoint over them was signed for")
			c.lost = true // what follows hangs on this tree
			return
		}
		c.Signed++
		c.since, c.marks = c.edge.Size, c.marks[1:]
	}
	c.compare()
}

// compare holds the tree to the heads of its size.
func (c *check) compare() {
	c.heads = slices.DeleteFunc(c.heads, func(h merkle.Checkpoint) bool {
		if h.Size != c.edge.Size {
			return false
		}
		if h.Root == c.edge.Root() {
			c.Anchored++
		} else {
			c.find(0, h.Size-1, "something of these is not as it was when the head over them was anchored")
		}
		return true
	})
}

// holds reports whether what is in clear of a line is what its entry has the hash of.
func holds(l *Line) bool {
	if len(l.Private) == 0 {
		return true
	}
	parts, err := private.Parts(l.Entry)
	if err != nil || len(parts) != len(l.Private) {
		return false
	}
	for i, p := range l.Private {
		if p.Text != "" && !parts[i].Holds([]byte(p.Text)) {
			return false
		}
	}
	return true
}

// close ends a bundle.
func (c *check) close() {
	if c.next < c.Header.To && len(c.Findings) < maxFindings {
		c.find(c.next, c.Header.To-1, "missing")
		c.lost = true
	}
}

func (c *check) end() {
	c.close()
	for _, h := range c.heads {
		switch {
		case h.Size > c.Header.To:
			c.find(c.Header.To, h.Size-1, "missing: they were there when the head over them was anchored")
		case h.Size < c.Header.From:
			c.find(h.Size, c.Header.From-1, "before the bundle, which cannot be held to the head that was anchored")
		default: // what is lost, something else was found of
		}
	}
}
