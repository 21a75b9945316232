-- name: InsertAPIKey :one
-- Index: api_keys_pkey, api_keys_tenant_id_key_id_key.
INSERT INTO api_keys (id, key_id, kind, name, prefix, secret_hash, scopes, allowed_cidrs, created_by, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
RETURNING id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at;

-- name: GetAPIKeyForAuthentication :one
-- What authentication needs, by the printed key's own id. Index: api_keys_tenant_id_key_id_key.
SELECT id, kind, name, secret_hash, scopes, allowed_cidrs, expires_at, revoked_at
FROM api_keys WHERE key_id = $1;

-- name: ListAPIKeys :many
-- Keyset by id, newest first. Index: api_keys_pkey, backwards.
SELECT id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at
FROM api_keys
WHERE sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: RevokeAPIKey :one
-- Keeps the first revocation's time. Lock: the row. Index: api_keys_pkey.
UPDATE api_keys SET revoked_at = COALESCE(revoked_at, sqlc.arg(revoked_at)::timestamptz) WHERE id = sqlc.arg(id)
RETURNING id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at;

-- name: TouchAPIKey :exec
-- Last use, to the minute: called at most once a minute a key and server. Index: api_keys_tenant_id_key_id_key.
UPDATE api_keys SET last_used_at = sqlc.arg(used_at)::timestamptz
WHERE key_id = sqlc.arg(key_id) AND (last_used_at IS NULL OR last_used_at < sqlc.arg(used_at)::timestamptz);
