-- name: InsertAuditEntry :exec
-- Index: audit_inbox_pkey, audit_inbox_target.
INSERT INTO audit_inbox (id, at, action, entry, target) VALUES ($1, $2, $3, $4, $5);

-- name: InsertSupportAuditEntry :exec
-- InsertAuditEntry by somebody of the staff: found again by what let them in. Index: audit_inbox_pkey, audit_inbox_support.
INSERT INTO audit_inbox (id, at, action, entry, target, support_grant_id)
VALUES (sqlc.arg(id), sqlc.arg(at), sqlc.arg(action), sqlc.arg(entry), sqlc.arg(target), sqlc.arg(grant_id)::uuid);

-- name: ListSupportAuditEntries :many
-- What was done by one grant. Keyset by id, the newest first. Index: audit_inbox_support, backwards.
SELECT id, at, action, entry FROM audit_inbox
WHERE support_grant_id = sqlc.arg(grant_id)::uuid AND (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid)
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: CountAuditEntries :one
-- Entries of one action that are not yet sequenced. Scans the tenant's part of audit_inbox_pkey.
SELECT count(*) FROM audit_inbox WHERE action = $1;

-- name: ListAuditInbox :many
-- Newest first, keyset by id. Index: audit_inbox_pkey, backwards.
SELECT id, at, action, entry FROM audit_inbox
WHERE sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: FindAuditEntries :many
-- The newest first, of the max_scanned entries between the ids: what is asked of the entry
-- itself is read out of its JSON. Index: audit_inbox_pkey, backwards.
SELECT id, at, action, entry FROM (
  SELECT * FROM audit_inbox
  WHERE id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_scanned)) i
WHERE (sqlc.narg(action)::text IS NULL OR action = sqlc.narg(action)::text)
  AND at >= sqlc.arg(since)::timestamptz AND at < sqlc.arg(until)::timestamptz
  AND (sqlc.narg(outcome)::text IS NULL OR entry::json ->> 'outcome' = sqlc.narg(outcome)::text)
  AND (sqlc.narg(actor)::text IS NULL OR entry::json -> 'actor' ->> 'id' = sqlc.narg(actor)::text)
  AND (sqlc.narg(target_kind)::text IS NULL OR target LIKE sqlc.narg(target_kind)::text || '/%')
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: FindAuditEntriesOfTarget :many
-- FindAuditEntries about one thing. Index: audit_inbox_target, backwards.
SELECT id, at, action, entry FROM (
  SELECT * FROM audit_inbox
  WHERE target = sqlc.arg(target)::text AND id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_scanned)) i
WHERE (sqlc.narg(action)::text IS NULL OR action = sqlc.narg(action)::text)
  AND at >= sqlc.arg(since)::timestamptz AND at < sqlc.arg(until)::timestamptz
  AND (sqlc.narg(outcome)::text IS NULL OR entry::json ->> 'outcome' = sqlc.narg(outcome)::text)
  AND (sqlc.narg(actor)::text IS NULL OR entry::json -> 'actor' ->> 'id' = sqlc.narg(actor)::text)
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: EndOfAuditEntries :one
-- The last of the max_scanned that FindAuditEntries looks at. Index: audit_inbox_pkey, backwards.
SELECT id FROM audit_inbox WHERE id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid
ORDER BY id DESC OFFSET sqlc.arg(max_scanned)::int - 1 LIMIT 1;

-- name: EndOfAuditEntriesOfTarget :one
-- The same of FindAuditEntriesOfTarget. Index: audit_inbox_target, backwards.
SELECT id FROM audit_inbox WHERE target = sqlc.arg(target)::text AND id < sqlc.arg(before_id)::uuid AND id >= sqlc.arg(from_id)::uuid
ORDER BY id DESC OFFSET sqlc.arg(max_scanned)::int - 1 LIMIT 1;

