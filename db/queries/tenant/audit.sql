-- name: InsertAuditEntry :exec
-- Index: audit_inbox_pkey, audit_inbox_order.
INSERT INTO audit_inbox (id, at, action, entry, private, target)
VALUES (sqlc.arg(id), sqlc.arg(at), sqlc.arg(action), sqlc.arg(entry), coalesce(sqlc.arg(private)::bytea, ''), sqlc.arg(target));

-- name: InsertSupportAuditEntry :exec
-- InsertAuditEntry by somebody of the staff: found again by what let them in. Index: as there.
INSERT INTO audit_inbox (id, at, action, entry, private, target, support_grant_id)
VALUES (sqlc.arg(id), sqlc.arg(at), sqlc.arg(action), sqlc.arg(entry), coalesce(sqlc.arg(private)::bytea, ''), sqlc.arg(target), sqlc.arg(grant_id)::uuid);

-- name: ListSupportAuditEntries :many
-- What was done by one grant. Keyset by id, the newest first. Index: audit_entries_support, backwards; the inbox, which is short.
SELECT seq, id, at, action, entry, private FROM (
  (SELECT NULL::bigint AS seq, id, at, action, entry, private FROM audit_inbox
   WHERE support_grant_id = sqlc.arg(grant_id)::uuid AND id < sqlc.arg(before_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_rows))
  UNION ALL
  (SELECT seq, id, at, action, entry, private FROM audit_entries
   WHERE support_grant_id = sqlc.arg(grant_id)::uuid AND id < sqlc.arg(before_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_rows))) u
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: CountAuditEntries :one
-- Entries of one action. Scans all of the tenant's.
SELECT count(*) FROM audit_records WHERE action = $1;

-- name: ListAuditRecords :many
-- Newest first. Scans all of the tenant's.
SELECT id, at, action, entry, private FROM audit_records ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: FindAuditEntries :many
-- The newest first, of the max_scanned entries between the ids: what is asked of the entry
-- itself is read out of its JSON. Index: audit_inbox_pkey and audit_entries_id, backwards.
SELECT seq, id, at, action, entry, private FROM (
  SELECT * FROM (
    (SELECT NULL::bigint AS seq, id, at, action, target, entry, private FROM audit_inbox
     WHERE id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_scanned))
    UNION ALL
    (SELECT seq, id, at, action, target, entry, private FROM audit_entries
     WHERE id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_scanned))) u
  ORDER BY id DESC LIMIT sqlc.arg(max_scanned)) i
WHERE (sqlc.narg(action)::text IS NULL OR action = sqlc.narg(action)::text)
  AND at >= sqlc.arg(since)::timestamptz AND at < sqlc.arg(until)::timestamptz
  AND (sqlc.narg(outcome)::text IS NULL OR entry::json ->> 'outcome' = sqlc.narg(outcome)::text)
  AND (sqlc.narg(actor)::text IS NULL OR entry::json -> 'actor' ->> 'id' = sqlc.narg(actor)::text)
  AND (sqlc.narg(target_kind)::text IS NULL OR target LIKE sqlc.narg(target_kind)::text || '/%')
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: FindAuditEntriesOfTarget :many
-- FindAuditEntries about one thing. Index: audit_entries_target, backwards; the inbox, which is short.
SELECT seq, id, at, action, entry, private FROM (
  SELECT * FROM (
    (SELECT NULL::bigint AS seq, id, at, action, target, entry, private FROM audit_inbox
     WHERE target = sqlc.arg(target)::text AND id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_scanned))
    UNION ALL
    (SELECT seq, id, at, action, target, entry, private FROM audit_entries
     WHERE target = sqlc.arg(target)::text AND target <> '' AND id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_scanned))) u
  ORDER BY id DESC LIMIT sqlc.arg(max_scanned)) i
WHERE (sqlc.narg(action)::text IS NULL OR action = sqlc.narg(action)::text)
  AND at >= sqlc.arg(since)::timestamptz AND at < sqlc.arg(until)::timestamptz
  AND (sqlc.narg(outcome)::text IS NULL OR entry::json ->> 'outcome' = sqlc.narg(outcome)::text)
  AND (sqlc.narg(actor)::text IS NULL OR entry::json -> 'actor' ->> 'id' = sqlc.narg(actor)::text)
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: EndOfAuditEntries :one
-- The last of the max_scanned that FindAuditEntries looks at. Index: as there.
SELECT id FROM (
  (SELECT id FROM audit_inbox WHERE id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_scanned))
  UNION ALL
  (SELECT id FROM audit_entries WHERE id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_scanned))) u
ORDER BY id DESC OFFSET sqlc.arg(max_scanned)::int - 1 LIMIT 1;

-- name: EndOfAuditEntriesOfTarget :one
-- The same of FindAuditEntriesOfTarget. Index: as there.
SELECT id FROM (
  (SELECT id FROM audit_inbox WHERE target = sqlc.arg(target)::text AND id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid
   ORDER BY id DESC LIMIT sqlc.arg(max_scanned))
  UNION ALL
  (SELECT id FROM audit_entries WHERE target = sqlc.arg(target)::text AND target <> '' AND id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid
   ORDER BY id DESC LIMIT sqlc.arg(max_scanned))) u
ORDER BY id DESC OFFSET sqlc.arg(max_scanned)::int - 1 LIMIT 1;

-- name: GetAuditLog :one
-- The head of the log. Index: audit_logs_pkey.
SELECT size, origin, public_key, signed_size, signed_at, checkpoint FROM audit_logs;

-- name: GetAuditEntry :one
-- An entry, its number -1 while it waits. One statement: an entry that moves between two would
-- be missed by both. Index: audit_entries_id, audit_inbox_pkey.
SELECT seq, sequenced_at, entry, private FROM audit_entries WHERE audit_entries.id = sqlc.arg(id)
UNION ALL
SELECT -1::bigint, to_timestamp(0), '', NULL FROM audit_inbox WHERE audit_inbox.id = sqlc.arg(id);

-- name: ListSequencedEntries :many
-- A piece of the log, in its order. Index: audit_entries_pkey.
SELECT seq, sequenced_at, id, at, action, entry, leaf, private FROM audit_entries WHERE seq >= sqlc.arg(from_seq) AND seq < sqlc.arg(to_seq) ORDER BY seq LIMIT sqlc.arg(max_rows);

-- name: ListAuditLeaves :many
-- Hashes of a piece of the log, in its order. Index: audit_entries_pkey.
SELECT leaf FROM audit_entries WHERE seq >= sqlc.arg(from_seq) AND seq < sqlc.arg(to_seq) ORDER BY seq;

-- name: GetAuditTile :one
-- Index: audit_tiles_pkey.
SELECT hashes FROM audit_tiles WHERE level = sqlc.arg(level) AND n = sqlc.arg(n);

-- name: ListAuditTileRoots :many
-- In their order. Index: audit_tiles_pkey.
SELECT root FROM audit_tiles WHERE level = sqlc.arg(level) AND n >= sqlc.arg(from_n) AND n < sqlc.arg(to_n) ORDER BY n;

-- name: ListAuditCheckpoints :many
-- The latest first, keyset by size. Index: audit_checkpoints_pkey, backwards.
SELECT size, signed_at, checkpoint FROM audit_checkpoints WHERE size < sqlc.arg(before_size) ORDER BY size DESC LIMIT sqlc.arg(max_rows);

-- name: GetSequencedAt :one
-- When the first entry from a number on was sequenced. Index: audit_entries_pkey.
SELECT seq, sequenced_at FROM audit_entries WHERE seq >= sqlc.arg(from_seq) ORDER BY seq LIMIT 1;

-- name: ListSubjectSalts :many
-- Those of persons who are not erased. Index: subject_keys_pkey.
SELECT subject_id, salt FROM subject_keys WHERE subject_id = ANY (sqlc.arg(subjects)::uuid[]) AND salt IS NOT NULL;

-- name: EraseSubject :exec
-- What is sealed of a person does not open any more, and nothing of them is kept from now on. Index: subject_keys_pkey.
INSERT INTO subject_keys (subject_id, erased_at) VALUES (sqlc.arg(subject_id), sqlc.arg(now)::timestamptz)
ON CONFLICT (tenant_id, subject_id) DO UPDATE SET salt = NULL, erased_at = excluded.erased_at WHERE subject_keys.erased_at IS NULL;

-- name: GetAnchoredHead :one
-- The last head of the log that is in object storage. Index: audit_anchor_heads_pkey.
SELECT size, root, seq, anchor_id FROM audit_anchor_heads;

-- name: TallyAuditEntries :many
-- How often each action stands in a piece of the log, by outcome, and the first and last number of each. The outcome is a member that comes before
-- anything that somebody else has worded. Index: audit_entries_pkey.
SELECT action, coalesce(substring(entry FROM '"outcome":"([a-z]+)"'), '')::text AS outcome, count(*)::bigint AS n, min(seq)::bigint AS first_seq, max(seq)::bigint AS last_seq
FROM audit_entries WHERE seq >= sqlc.arg(from_seq) AND seq < sqlc.arg(to_seq) GROUP BY 1, 2;

-- name: ListActionsOfAuditEntries :many
-- Entries of some actions in a piece of the log, in its order. Index: audit_entries_pkey.
SELECT seq, id, at, action, entry, private FROM audit_entries
WHERE seq >= sqlc.arg(from_seq) AND seq < sqlc.arg(to_seq) AND action = ANY (sqlc.arg(actions)::text[]) ORDER BY seq LIMIT sqlc.arg(max_rows);

-- name: ListAuditCheckpointsBetween :many
-- The kept ones that were signed in a time, the oldest first. Scans the tenant's, one a minute at most.
SELECT size, signed_at, checkpoint FROM audit_checkpoints WHERE signed_at >= sqlc.arg(since) AND signed_at < sqlc.arg(until) ORDER BY size LIMIT sqlc.arg(max_rows);

-- name: CountAuditEntriesOfPerson :many
-- Of the log below each of some numbers: those whose text names a person's id, as who acted, was acted for or on. In the order of the
-- numbers. Scans the tenant's log once, for all of them. begins is the first that is there: what is before it is in archives; -1: none is.
WITH named AS MATERIALIZED (SELECT seq FROM audit_entries WHERE strpos(entry, sqlc.arg(person)::text) > 0)
SELECT count(n.seq) AS entries, coalesce(min(n.seq), -1)::bigint AS first_seq, coalesce(max(n.seq), -1)::bigint AS last_seq,
  coalesce((SELECT e.seq FROM audit_entries e ORDER BY e.seq LIMIT 1), -1)::bigint AS begins
FROM unnest(sqlc.arg(below)::bigint[]) WITH ORDINALITY AS b (below, place) LEFT JOIN named n ON n.seq < b.below GROUP BY b.place ORDER BY b.place;
