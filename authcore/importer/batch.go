package importer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/attr"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// batch is a run of lines, judged by what they say themselves. What the tenant has is
// asked in the transaction: commit may run more than once.
type batch struct {
	ring  *keys.Ring
	max   int // credentials a user
	first int // number of the first line
	lines []line
}

type line struct {
	hash     [32]byte // of the text: what the digest of the file is made of
	blank    bool
	problems []Problem
	record   Record
	incoming user.Incoming // minted once, so that a second commit writes the same
	index    [32]byte      // of the external id
}

func (s *Service) judge(ring *keys.Ring, rules *Rules, req *AppendRequest) (*batch, error) {
	b := &batch{ring: ring, max: rules.MaxCredentials, first: req.FirstLine, lines: make([]line, len(req.Lines))}
	metadata := s.metadata()
	for i, text := range req.Lines {
		l := &b.lines[i]
		l.hash = sha256.Sum256([]byte(text))
		if l.blank = strings.TrimSpace(text) == ""; l.blank {
			continue
		}
		if l.record, l.problems = Parse([]byte(text), rules); len(l.problems) > 0 {
			continue
		}
		for j := range l.record.Credentials {
			if c := &l.record.Credentials[j]; c.Nickname == "" { // as at a registration
				c.Nickname = credential.DefaultNickname(authenticator.Name(c.AAGUID, metadata))
			}
		}
		in, err := user.MintIncoming(s.rand, l.record.Profile, l.record.Handle)
		if err != nil {
			return nil, err
		}
		in.Contact, in.State, in.CreatedAt = l.record.Contact, user.Active, rules.Now
		if l.record.Blocked {
			in.State = user.Blocked
		}
		if l.record.CreatedAt != nil {
			in.CreatedAt = *l.record.CreatedAt
		}
		l.incoming, l.index = in, user.IndexOf(ring, in.Profile.ExternalID)
	}
	return b, nil
}

// commit is the transaction: what is left of the batch after the import's position.
func (b *batch) commit(ctx context.Context, tx *db.TenantTx, im Import) (Import, error) {
	state := State(im.State)
	if state != Checking && state != Running {
		return Import{}, ErrState.With("state", im.State)
	}
	done := int(im.Position) - (b.first - 1)
	switch {
	case done < 0:
		return Import{}, ErrPosition.With("position", fmt.Sprint(im.Position))
	case done >= len(b.lines):
		return im, nil
	case state == Running && b.first-1+len(b.lines) > int(im.CheckedLines):
		return Import{}, ErrTooLong
	}
	left := b.lines[done:]
	p := plan{
		onDuplicate: OnDuplicate(im.OnDuplicate), max: b.max, counts: im.Counts, now: tx.Now(),
		users: map[[32]byte]*account{}, handles: map[string][32]byte{}, owners: map[credential.ID][32]byte{},
	}
	if err := p.look(ctx, tx, left, state == Running); err != nil {
		return Import{}, err
	}
	if state == Checking {
		if err := p.compare(ctx, tx, im.ID, left); err != nil {
			return Import{}, err
		}
	}
	digest := im.Digest
	for i := range left {
		digest = extend(digest, left[i].hash)
		p.take(int(im.Position)+i+1, &left[i])
	}
	if state == Running {
		if err := p.write(ctx, tx, b.ring, im.RpID); err != nil {
			return Import{}, err
		}
		if err := record(ctx, tx, &im, "import.write", append([]attr.Attr{
			attr.Int("fromLine", int64(im.Position)+1), attr.Int("toLine", int64(im.Position)+int64(len(left))), attr.Text("digest", digest),
		}, p.counts.attrs()...)...); err != nil {
			return Import{}, err
		}
	}
	if err := p.report(ctx, tx, im.ID, state); err != nil {
		return Import{}, err
	}
	counts, err := p.counts.text()
	if err != nil {
		return Import{}, err
	}
	row, err := tx.MoveImport(ctx, tenantq.MoveImportParams{
		ID: im.ID, Position: im.Position + int32(len(left)), Digest: digest, Counts: counts, Now: tx.Now(), //nolint:gosec // at most MaxBatchLines
	})
	if err != nil {
		return Import{}, fmt.Errorf("move import: %w", err)
	}
	return fromRow(row)
}

// Extend is the digest of a file that is one line longer: of "" for the first line. By
// it, whoever has the file can tell whether an import has begun with the same.
func Extend(digest, line string) string { return extend(digest, sha256.Sum256([]byte(line))) }

// extend is the digest of a file that is one line longer.
func extend(digest string, line [32]byte) string {
	sum := sha256.Sum256(append([]byte(digest), line[:]...))
	return hex.EncodeToString(sum[:])
}

// account is a user whom a line may meet: of the tenant, or of an earlier line of the
// same batch.
type account struct {
	id      user.ID
	handle  []byte
	blocked bool
	kept    int // credentials that count against the limit
	// repeated: it is another line's, and not the tenant's.
	repeated bool
}

// plan is what a batch comes to, given what the tenant has.
type plan struct {
	onDuplicate OnDuplicate
	max         int
	now         time.Time
	counts      Counts

	users   map[[32]byte]*account // by the index of the external id
	handles map[string][32]byte   // whose they are
	owners  map[credential.ID][32]byte
	known   map[string]bool // in a check: marks that earlier lines have left

	create      []user.Incoming
	credentials tenantq.InsertImportedCredentialsParams
	findings    []Finding
}

// look reads what the tenant has of what the lines name, and locks the users whom a run
// may give credentials to.
func (p *plan) look(ctx context.Context, tx *db.TenantTx, lines []line, lock bool) error {
	var indexes, handles, ids [][]byte
	for i := range lines {
		l := &lines[i]
		if l.blank || len(l.problems) > 0 {
			continue
		}
		indexes = append(indexes, l.index[:])
		if l.record.Handle != nil {
			handles = append(handles, l.record.Handle)
		}
		for _, c := range l.record.Credentials {
			ids = append(ids, c.ID.Bytes())
		}
	}
	if len(indexes) == 0 {
		return nil
	}
	found, err := user.FindIncoming(ctx, tx, indexes, handles, lock)
	if err != nil {
		return err
	}
	byID, accounts := map[uuid.UUID]*account{}, []uuid.UUID{}
	for _, k := range found {
		a := &account{id: k.ID, handle: k.Handle, blocked: k.State == user.Blocked}
		p.users[k.Index], p.handles[string(k.Handle)], byID[k.ID.UUID()] = a, k.Index, a
		accounts = append(accounts, k.ID.UUID())
	}
	if len(accounts) > 0 {
		kept, err := tx.CountCredentialsOfUsers(ctx, accounts)
		if err != nil {
			return fmt.Errorf("count credentials: %w", err)
		}
		for _, row := range kept {
			byID[row.UserID].kept = int(row.Kept)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	owned, err := tx.FindCredentialsOfImport(ctx, ids)
	if err != nil {
		return fmt.Errorf("find credentials: %w", err)
	}
	for _, row := range owned {
		p.owners[credential.ID(row.ID)] = [32]byte(row.ExternalIndex)
	}
	return nil
}

// Marks are what a check remembers of the lines before: that a thing was there, and
// whose it was.
func mark(kind string, parts ...[]byte) string {
	h := sha256.New()
	h.Write([]byte(kind))
	for _, p := range parts {
		h.Write([]byte{byte(len(p) >> 8), byte(len(p))}) //nolint:gosec // the low sixteen bits, which say all: no part is longer
		h.Write(p)
	}
	return string(h.Sum(nil)[:16])
}

func (l *line) marks() []string {
	out := []string{mark("user", l.index[:])}
	if h := l.record.Handle; h != nil {
		out = append(out, mark("handle", h), mark("handle of", h, l.index[:]))
	}
	for _, c := range l.record.Credentials {
		out = append(out, mark("credential", c.ID.Bytes()), mark("credential of", c.ID.Bytes(), l.index[:]))
	}
	return out
}

// compare leaves the marks of lines, and notes which were there before this batch.
func (p *plan) compare(ctx context.Context, tx *db.TenantTx, id uuid.UUID, lines []line) error {
	p.known = map[string]bool{}
	var all []uuid.UUID
	for i := range lines {
		if lines[i].blank || len(lines[i].problems) > 0 {
			continue
		}
		for _, m := range lines[i].marks() {
			if !p.known[m] {
				p.known[m] = true
				all = append(all, uuid.UUID([]byte(m)))
			}
		}
	}
	fresh, err := tx.InsertImportMarks(ctx, tenantq.InsertImportMarksParams{ImportID: id, Marks: all})
	if err != nil {
		return fmt.Errorf("insert marks: %w", err)
	}
	for _, m := range fresh {
		delete(p.known, string(m[:]))
	}
	return nil
}

// take decides one line.
func (p *plan) take(number int, l *line) {
	if l.blank {
		return
	}
	p.counts.Lines++
	if len(l.problems) > 0 {
		p.fail(number, l.problems)
		return
	}
	if p.known != nil {
		p.recall(l)
	}
	if a := p.users[l.index]; a != nil {
		p.meet(number, l, a)
	} else {
		p.welcome(number, l)
	}
}

// recall makes of marks what a run would find in the tenant: the user, handles and
// credentials of lines before this batch.
func (p *plan) recall(l *line) {
	var somebody [32]byte // who is not this line's user
	whose := func(kind string, id []byte) ([32]byte, bool) {
		switch {
		case p.known[mark(kind+" of", id, l.index[:])]:
			return l.index, true
		case p.known[mark(kind, id)]:
			return somebody, true
		}
		return somebody, false
	}
	h := l.record.Handle
	if owner, met := whose("handle", h); met && h != nil {
		p.handles[string(h)] = owner
	}
	if p.users[l.index] == nil && p.known[mark("user", l.index[:])] {
		a := &account{repeated: true}
		if p.handles[string(h)] == l.index {
			a.handle = h
		}
		p.users[l.index] = a
	}
	for _, c := range l.record.Credentials {
		if _, owned := p.owners[c.ID]; owned {
			continue
		}
		if owner, met := whose("credential", c.ID.Bytes()); met {
			p.owners[c.ID] = owner
		}
	}
}

// welcome takes a user who is not there yet.
func (p *plan) welcome(number int, l *line) {
	var problems []Problem
	if _, taken := p.handles[string(l.record.Handle)]; taken && l.record.Handle != nil {
		problems = append(problems, Problem{Field: "userHandle", Reason: HandleTaken})
	}
	for i, c := range l.record.Credentials {
		if _, owned := p.owners[c.ID]; owned {
			problems = append(problems, foreign(i))
		}
	}
	if len(problems) > 0 {
		p.fail(number, problems)
		return
	}
	a := &account{id: l.incoming.ID, handle: l.incoming.Handle, blocked: l.record.Blocked, repeated: true}
	p.users[l.index], p.handles[string(a.handle)] = a, l.index
	p.create = append(p.create, l.incoming)
	p.counts.UsersCreated++
	p.add(l, a, l.record.Credentials)
}

// meet does with a user who is there what the import was told to.
func (p *plan) meet(number int, l *line, a *account) {
	exists := Problem{Field: "externalId", Reason: UserExists}
	if a.repeated {
		exists.Reason = Repeated
	}
	switch p.onDuplicate {
	case Skip:
		p.counts.UsersSkipped++
		if p.counts.UsersSkipped <= maxFindings {
			p.findings = append(p.findings, Finding{number, Skipped, exists})
		}
		return
	case Merge:
	case Fail:
		p.fail(number, []Problem{exists})
		return
	default: // nothing that was ever stored
		p.fail(number, []Problem{exists})
		return
	}
	var problems []Problem
	if h := l.record.Handle; h != nil && !bytes.Equal(h, a.handle) {
		problems = append(problems, Problem{Field: "userHandle", Reason: HandleDiffers})
	}
	fresh := make([]Credential, 0, len(l.record.Credentials))
	for i, c := range l.record.Credentials {
		switch owner, owned := p.owners[c.ID]; {
		case !owned:
			fresh = append(fresh, c)
		case owner != l.index:
			problems = append(problems, foreign(i))
		}
	}
	if a.kept+len(fresh) > p.max {
		problems = append(problems, Problem{Field: "credentials", Reason: TooMany, Detail: "with those that the user has, more than the policy allows"})
	}
	if len(problems) > 0 {
		p.fail(number, problems)
		return
	}
	p.counts.UsersMerged++
	p.counts.CredentialsSkipped += int32(len(l.record.Credentials) - len(fresh)) //nolint:gosec // a line's
	p.add(l, a, fresh)
}

func foreign(i int) Problem {
	return Problem{Field: "credentials[" + strconv.Itoa(i) + "].id", Reason: CredentialForeign}
}

func (p *plan) fail(number int, problems []Problem) {
	p.counts.LinesFailed++
	if p.counts.LinesFailed > maxFindings {
		return
	}
	for _, one := range problems {
		p.findings = append(p.findings, Finding{number, Failed, one})
	}
}

// add gives the user credentials that nobody has.
func (p *plan) add(l *line, a *account, list []Credential) {
	a.kept += len(list)
	p.counts.CredentialsCreated += int32(len(list)) //nolint:gosec // a line's
	q := &p.credentials
	for i := range list {
		c := &list[i]
		p.owners[c.ID] = l.index
		state, discoverable, created := credential.Active, "", p.now
		if c.Suspended {
			state = credential.Suspended
		}
		if c.Discoverable != nil {
			discoverable = strconv.FormatBool(*c.Discoverable)
		}
		if c.CreatedAt != nil {
			created = *c.CreatedAt
		}
		q.Ids, q.UserIds = append(q.Ids, c.ID.Bytes()), append(q.UserIds, a.id.UUID())
		q.States, q.Blocked = append(q.States, string(state)), append(q.Blocked, a.blocked)
		q.SignCounts = append(q.SignCounts, int64(c.SignCount))
		q.BackedUp, q.BackupEligible = append(q.BackedUp, c.BackedUp), append(q.BackupEligible, c.BackupEligible)
		q.PublicKeys, q.Algorithms = append(q.PublicKeys, c.PublicKey), append(q.Algorithms, int32(c.Algorithm))
		q.Aaguids, q.Transports = append(q.Aaguids, c.AAGUID), append(q.Transports, strings.Join(c.Transports, ","))
		q.Attachments, q.Discoverable = append(q.Attachments, c.Attachment), append(q.Discoverable, discoverable)
		q.Nicknames, q.Created = append(q.Nicknames, c.Nickname), append(q.Created, created)
		used := never
		if c.LastUsedAt != nil {
			used = *c.LastUsedAt
		}
		q.LastUsed = append(q.LastUsed, used)
	}
}

// never stands for no time in an array that has no NULL.
var never = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)

// write inserts what the lines came to. user.ErrRaced when somebody else was first with
// a user or a credential: then the whole batch is decided anew.
func (p *plan) write(ctx context.Context, tx *db.TenantTx, ring *keys.Ring, rpID string) error {
	if err := user.InsertIncoming(ctx, tx, ring, p.create); err != nil {
		return err
	}
	q := p.credentials
	if len(q.Ids) == 0 {
		return nil
	}
	q.RpID, q.Now, q.Never = rpID, p.now, never
	n, err := tx.InsertImportedCredentials(ctx, q)
	if err != nil {
		return fmt.Errorf("insert credentials: %w", err)
	}
	if int(n) != len(q.Ids) {
		return user.ErrRaced
	}
	return nil
}

func (p *plan) report(ctx context.Context, tx *db.TenantTx, id uuid.UUID, state State) error {
	if len(p.findings) == 0 {
		return nil
	}
	q := tenantq.InsertImportFindingsParams{ImportID: id, Phase: string(phaseOf(state))}
	ordinal := map[int]int16{}
	for _, f := range p.findings {
		ordinal[f.Line]++
		q.Lines, q.Ordinals = append(q.Lines, int32(f.Line)), append(q.Ordinals, ordinal[f.Line]) //nolint:gosec // at most MaxLines
		q.Outcomes, q.Fields = append(q.Outcomes, string(f.Outcome)), append(q.Fields, f.Field)
		q.Reasons, q.Details = append(q.Reasons, string(f.Reason)), append(q.Details, f.Detail)
	}
	if err := tx.InsertImportFindings(ctx, q); err != nil {
		return fmt.Errorf("insert findings: %w", err)
	}
	return nil
}

func phaseOf(s State) Phase {
	if s == Checking || s == Checked {
		return Check
	}
	return Write
}
