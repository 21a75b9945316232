-- name: InsertAuditEntry :exec
-- Index: audit_inbox_pkey.
INSERT INTO audit_inbox (id, at, action, entry) VALUES ($1, $2, $3, $4);

-- name: CountAuditEntries :one
-- Entries of one action that are not yet sequenced. Scans the tenant's part of audit_inbox_pkey.
SELECT count(*) FROM audit_inbox WHERE action = $1;

-- name: ListAuditInbox :many
-- Newest first, keyset by id. Index: audit_inbox_pkey, backwards.
SELECT id, at, action, entry FROM audit_inbox
WHERE sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid
ORDER BY id DESC LIMIT sqlc.arg(max_rows);
