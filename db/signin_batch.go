package db

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// The statements of a batch. Columns are named once, in signInColumns, whose order
// is that of the parameters.
const (
	// signInGiven is what the requests bring, one row each; signInLone is the same for
	// one request, whose values the planner then sees as such (a fifth cheaper).
	signInGiven = `WITH i AS (SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::int[], $4::bytea[], $5::uuid[], $6::bigint[], $7::boolean[],
    $8::boolean[], $9::boolean[], $10::smallint[], $11::boolean[], $12::inet[], $13::text[], $14::int[], $15::timestamptz[], $16::int[],
    $17::text[], $18::text[], $19::text[], $20::int[], $21::text[], $22::text[], $23::text[], $24::uuid[], $25::text[], $26::bytea[])
  AS r(id, hash, slot, credential_id, user_id, sign_count, any_count, backup_eligible, backed_up, aal, user_verified, address, user_agent,
    lifetime, at, policy_version, facts, entry, event, latency_us, trace_id, request_id, browser, api_key_id, target, private)),
`
	signInLone = `WITH i AS NOT MATERIALIZED (SELECT $1::uuid AS id, $2::bytea AS hash, $3::int AS slot, $4::bytea AS credential_id, $5::uuid AS user_id,
    $6::bigint AS sign_count, $7::boolean AS any_count, $8::boolean AS backup_eligible, $9::boolean AS backed_up, $10::smallint AS aal,
    $11::boolean AS user_verified, $12::inet AS address, $13::text AS user_agent, $14::int AS lifetime, $15::timestamptz AS at,
    $16::int AS policy_version, $17::text AS facts, $18::text AS entry, $19::text AS event, $20::int AS latency_us, $21::text AS trace_id,
    $22::text AS request_id, $23::text AS browser, $24::uuid AS api_key_id, $25::text AS target, $26::bytea AS private),
`
	signInSpend = `x AS (INSERT INTO spent_challenges AS s (hash, slot, spender) SELECT hash, slot, id FROM i ON CONFLICT DO NOTHING RETURNING s.spender),
`
	// signInUpdate decides: what it does not return has failed. A stale cache admits
	// nothing that is not in this WHERE. Index: credentials_pkey.
	signInUpdate = `u AS (UPDATE credentials c SET sign_count = i.sign_count, last_used_at = now(), backed_up = i.backed_up
  FROM i JOIN x ON x.spender = i.id
  WHERE c.id = i.credential_id AND c.user_id = i.user_id AND c.state = 'ACTIVE' AND NOT c.user_blocked AND c.backup_eligible = i.backup_eligible
    AND (c.sign_count < i.sign_count OR c.sign_count = 0 AND i.sign_count = 0)
  RETURNING i.*, c.sign_count AS kept, false AS rolled_back),
`
	// signInUpdateAny is signInUpdate for batches in which some row takes any count. It
	// locks first, since an UPDATE does not return what it replaces. The higher count
	// stays, so that the lower of two authenticators is reported each time.
	signInUpdateAny = `o AS (SELECT c.id, c.sign_count, i.id AS request FROM i JOIN x ON x.spender = i.id JOIN credentials c ON c.id = i.credential_id
  WHERE c.user_id = i.user_id AND c.state = 'ACTIVE' AND NOT c.user_blocked AND c.backup_eligible = i.backup_eligible
  FOR NO KEY UPDATE OF c),
u AS (UPDATE credentials c SET sign_count = GREATEST(c.sign_count, i.sign_count), last_used_at = now(), backed_up = i.backed_up
  FROM o JOIN i ON i.id = o.request
  WHERE c.id = o.id AND (i.any_count OR o.sign_count < i.sign_count OR o.sign_count = 0 AND i.sign_count = 0)
  RETURNING i.*, c.sign_count AS kept, (o.sign_count >= i.sign_count AND o.sign_count <> 0) AS rolled_back),
`
	// signInWrite follows from what the update returned. The session's times are
	// Postgres's own.
	signInWrite = `s AS (INSERT INTO sessions (id, user_id, credential_id, aal, user_verified, address, user_agent, created_at, last_used_at, expires_at)
  SELECT id, user_id, credential_id, aal, user_verified, address, user_agent, now(), now(), now() + lifetime * interval '1 second' FROM u),
a AS (INSERT INTO audit_inbox (id, at, action, entry, private, target) SELECT id, at, '` + SignInAction + `', entry, private, target FROM u),
e AS (INSERT INTO event_outbox (at, id, type, payload) SELECT at, id, '` + SignInEvent + `', event FROM u),
f AS (INSERT INTO ceremonies (at, id, kind, outcome, reason, user_id, credential_id, policy_version, facts, latency_us, trace_id, request_id, browser, api_key_id)
  SELECT at, id, 'AUTHENTICATION', 'ALLOW', CASE WHEN rolled_back THEN 'SIGN_COUNT_ROLLBACK' ELSE '' END, user_id, credential_id, policy_version, facts,
    latency_us, trace_id, request_id, browser, api_key_id FROM u)
SELECT id, now(), rolled_back, kept FROM u`
)

// The prepared statements of a writer's connection, by their place in
// signInStatements.
const (
	statementTenant = iota
	statementPatience
	statementLone
	statementLoneAny
	statementMany
	statementManyAny
	statementCount
)

var signInStatements = [statementCount]struct{ name, sql string }{
	statementTenant:   {"tenant", setTenant},
	statementPatience: {"patience", `SELECT set_config('lock_timeout', $1, true)`},
	statementLone:     {"sign_in", signInLone + signInSpend + signInUpdate + signInWrite},
	statementLoneAny:  {"sign_in_any", signInLone + signInSpend + signInUpdateAny + signInWrite},
	statementMany:     {"sign_ins", signInGiven + signInSpend + signInUpdate + signInWrite},
	statementManyAny:  {"sign_ins_any", signInGiven + signInSpend + signInUpdateAny + signInWrite},
}

var (
	textFormat   = []int16{pgtype.TextFormatCode}
	binaryFormat = []int16{pgtype.BinaryFormatCode}
)

// write sends rows, which are sorted by tenant, as one transaction: one Sync, no
// BEGIN. An error anywhere rolls back everything. It fills in each row's outcome,
// which counts only when write returned nil: that is after the commit.
func (w *writer) write(ctx context.Context, rows []*signInRow) error {
	pg, err := w.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { w.used = w.clock() }()
	var batch pgconn.Batch
	if w.lane == lanePatient {
		batch.ExecStatement(w.statements[statementPatience], [][]byte{[]byte(patience)}, textFormat, binaryFormat)
	}
	eachTenant(rows, func(pair []*signInRow) {
		statement := w.statements[statementFor(pair)]
		var tenant [36]byte
		encodeUUID(&tenant, pair[0].tenant)
		batch.ExecStatement(w.statements[statementTenant], [][]byte{tenant[:]}, textFormat, binaryFormat)
		batch.ExecStatement(statement, w.encoder.encode(pair), binaryFormat, binaryFormat)
	})
	results := pg.ExecBatch(ctx, &batch)
	if w.lane == lanePatient {
		skip(results)
	}
	eachTenant(rows, func(pair []*signInRow) {
		skip(results)
		if results.NextResult() {
			rr := results.ResultReader()
			for rr.NextRow() {
				if e := accept(pair, rr.Values()); e != nil && err == nil {
					err = e
				}
			}
		}
	})
	// Close reads up to ReadyForQuery: it carries the error of any statement and of
	// the commit itself.
	if e := results.Close(); e != nil {
		return e
	}
	return err
}

func statementFor(pair []*signInRow) int {
	lone := len(pair) == 1
	for _, r := range pair {
		switch {
		case r.AnySignCount && lone:
			return statementLoneAny
		case r.AnySignCount:
			return statementManyAny
		}
	}
	if lone {
		return statementLone
	}
	return statementMany
}

func skip(results *pgconn.MultiResultReader) {
	if results.NextResult() {
		_, _ = results.ResultReader().Close() // its error is the batch's, which Close returns
	}
}

// eachTenant calls fn with each run of rows of one tenant.
func eachTenant(rows []*signInRow, fn func(pair []*signInRow)) {
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].tenant == rows[0].tenant {
			n++
		}
		fn(rows[:n])
		rows = rows[n:]
	}
}

// postgresEpoch is where timestamptz counts from.
const postgresEpoch = 946684800 * int64(time.Second/time.Microsecond)

// accept reads one returned row: id, created_at, rolled_back, sign_count.
func accept(pair []*signInRow, values [][]byte) error {
	if len(values) != 4 || len(values[0]) != 16 || len(values[1]) != 8 || len(values[2]) != 1 || len(values[3]) != 8 {
		return fmt.Errorf("db: the sign-in statement returned %d columns of other types", len(values))
	}
	for _, r := range pair {
		if string(r.ID[:]) != string(values[0]) {
			continue
		}
		micros := int64(binary.BigEndian.Uint64(values[1])) //nolint:gosec // two's complement, as Postgres sends it
		created := time.UnixMicro(micros + postgresEpoch).UTC()
		r.outcome = SignInOutcome{
			Accepted: true, RolledBack: values[2][0] != 0,
			SignCount: binary.BigEndian.Uint32(values[3][4:]), // of eight bytes: the table holds 32 bits
			CreatedAt: created, ExpiresAt: created.Add(r.Lifetime.Truncate(time.Second)),
		}
		return nil
	}
	return fmt.Errorf("db: the sign-in statement returned a row that was not asked for")
}
