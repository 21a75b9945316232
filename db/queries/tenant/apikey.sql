-- name: InsertAPIKey :one
-- Index: api_keys_pkey, api_keys_tenant_id_key_id_key.
INSERT INTO api_keys (id, key_id, kind, name, prefix, secret_hash, scopes, allowed_cidrs, created_by, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
RETURNING id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at, locked_at, replaced_by;

-- name: GetAPIKeyForAuthentication :one
-- What authentication needs, by the printed key's own id. Index: api_keys_tenant_id_key_id_key.
SELECT id, kind, name, secret_hash, scopes, allowed_cidrs, expires_at, revoked_at, locked_at
FROM api_keys WHERE key_id = $1;

-- name: GetAPIKey :one
-- Index: api_keys_pkey.
SELECT id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at, locked_at, replaced_by FROM api_keys WHERE id = $1;

-- name: GetAPIKeyForUpdate :one
-- A key that is to be changed. Lock: the row. Index: api_keys_pkey.
SELECT id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at, locked_at, replaced_by FROM api_keys WHERE id = $1 FOR UPDATE;

-- name: ListAPIKeys :many
-- Keyset by id, newest first. The filters look at each of the tenant's keys, which are few. Index: api_keys_pkey, backwards.
SELECT id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at, locked_at, replaced_by
FROM api_keys
WHERE kind = ANY (sqlc.arg(kinds)::text[])
  AND created_at >= COALESCE(sqlc.narg(created_from)::timestamptz, '-infinity')
  AND created_at < COALESCE(sqlc.narg(created_before)::timestamptz, 'infinity')
  AND CASE
      WHEN revoked_at IS NOT NULL THEN 'REVOKED'
      WHEN expires_at <= sqlc.arg(now)::timestamptz THEN 'EXPIRED'
      WHEN locked_at IS NOT NULL THEN 'LOCKED'
      WHEN replaced_by IS NOT NULL THEN 'RETIRING'
      ELSE 'ACTIVE' END = ANY (sqlc.arg(states)::text[])
  AND (sqlc.narg(after_id)::uuid IS NULL OR id < sqlc.narg(after_id)::uuid)
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: ListAPIKeysByName :many
-- Keyset by name and id. Sorts the tenant's keys, which are few. Index: api_keys_pkey.
SELECT id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at, locked_at, replaced_by
FROM api_keys
WHERE kind = ANY (sqlc.arg(kinds)::text[])
  AND created_at >= COALESCE(sqlc.narg(created_from)::timestamptz, '-infinity')
  AND created_at < COALESCE(sqlc.narg(created_before)::timestamptz, 'infinity')
  AND CASE
      WHEN revoked_at IS NOT NULL THEN 'REVOKED'
      WHEN expires_at <= sqlc.arg(now)::timestamptz THEN 'EXPIRED'
      WHEN locked_at IS NOT NULL THEN 'LOCKED'
      WHEN replaced_by IS NOT NULL THEN 'RETIRING'
      ELSE 'ACTIVE' END = ANY (sqlc.arg(states)::text[])
  AND (sqlc.narg(after_id)::uuid IS NULL OR (lower(name), id) > (lower(sqlc.arg(after_name)::text), sqlc.narg(after_id)::uuid))
ORDER BY lower(name), id LIMIT sqlc.arg(max_rows);

-- name: ListAPIKeysByLastUse :many
-- Keyset by last use and id, the latest first, never used ones last. Sorts as by name. Index: api_keys_pkey.
SELECT id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at, locked_at, replaced_by
FROM api_keys
WHERE kind = ANY (sqlc.arg(kinds)::text[])
  AND created_at >= COALESCE(sqlc.narg(created_from)::timestamptz, '-infinity')
  AND created_at < COALESCE(sqlc.narg(created_before)::timestamptz, 'infinity')
  AND CASE
      WHEN revoked_at IS NOT NULL THEN 'REVOKED'
      WHEN expires_at <= sqlc.arg(now)::timestamptz THEN 'EXPIRED'
      WHEN locked_at IS NOT NULL THEN 'LOCKED'
      WHEN replaced_by IS NOT NULL THEN 'RETIRING'
      ELSE 'ACTIVE' END = ANY (sqlc.arg(states)::text[])
  AND (sqlc.narg(after_id)::uuid IS NULL OR (COALESCE(last_used_at, '-infinity'), id) < (COALESCE(sqlc.narg(after_time)::timestamptz, '-infinity'), sqlc.narg(after_id)::uuid))
ORDER BY COALESCE(last_used_at, '-infinity') DESC, id DESC LIMIT sqlc.arg(max_rows);

-- name: ListAPIKeysByExpiry :many
-- Keyset by expiry and id, the soonest first, those that do not end last. Sorts as by name. Index: api_keys_pkey.
SELECT id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at, locked_at, replaced_by
FROM api_keys
WHERE kind = ANY (sqlc.arg(kinds)::text[])
  AND created_at >= COALESCE(sqlc.narg(created_from)::timestamptz, '-infinity')
  AND created_at < COALESCE(sqlc.narg(created_before)::timestamptz, 'infinity')
  AND CASE
      WHEN revoked_at IS NOT NULL THEN 'REVOKED'
      WHEN expires_at <= sqlc.arg(now)::timestamptz THEN 'EXPIRED'
      WHEN locked_at IS NOT NULL THEN 'LOCKED'
      WHEN replaced_by IS NOT NULL THEN 'RETIRING'
      ELSE 'ACTIVE' END = ANY (sqlc.arg(states)::text[])
  AND (sqlc.narg(after_id)::uuid IS NULL OR (COALESCE(expires_at, 'infinity'), id) > (COALESCE(sqlc.narg(after_time)::timestamptz, 'infinity'), sqlc.narg(after_id)::uuid))
ORDER BY COALESCE(expires_at, 'infinity'), id LIMIT sqlc.arg(max_rows);

-- name: RevokeAPIKey :one
-- Keeps the first revocation's time. Lock: the row. Index: api_keys_pkey.
UPDATE api_keys SET revoked_at = COALESCE(revoked_at, sqlc.arg(revoked_at)::timestamptz) WHERE id = sqlc.arg(id)
RETURNING id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at, locked_at, replaced_by;

-- name: SetAPIKeyLock :one
-- After GetAPIKeyForUpdate. Lock: the row. Index: api_keys_pkey.
UPDATE api_keys SET locked_at = sqlc.narg(locked_at)::timestamptz WHERE id = sqlc.arg(id)
RETURNING id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at, locked_at, replaced_by;

-- name: ReplaceAPIKey :one
-- After GetAPIKeyForUpdate. Never prolongs the key's life. Lock: the row. Index: api_keys_pkey.
UPDATE api_keys SET replaced_by = sqlc.arg(replaced_by)::uuid, expires_at = LEAST(expires_at, sqlc.arg(ends_at)::timestamptz)
WHERE id = sqlc.arg(id)
RETURNING id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at, locked_at, replaced_by;

-- name: TouchAPIKey :exec
-- Last use, to the minute: called at most once a minute a key and server. Index: api_keys_tenant_id_key_id_key.
UPDATE api_keys SET last_used_at = sqlc.arg(used_at)::timestamptz
WHERE key_id = sqlc.arg(key_id) AND (last_used_at IS NULL OR last_used_at < sqlc.arg(used_at)::timestamptz);

-- name: GetAPIKeyMaker :one
-- Who made a key, as kind:id, and what it may. Index: api_keys_pkey.
SELECT created_by, scopes FROM api_keys WHERE id = $1;
