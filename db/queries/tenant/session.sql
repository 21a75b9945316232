-- name: InsertSession :exec
-- Sessions outside the sign-in batch. Index: sessions_pkey, sessions_user.
INSERT INTO sessions (id, user_id, credential_id, aal, user_verified, address, user_agent, created_at, last_used_at, expires_at)
VALUES (sqlc.arg(id), sqlc.arg(user_id), sqlc.arg(credential_id), sqlc.arg(aal), sqlc.arg(user_verified), sqlc.narg(address),
  sqlc.arg(user_agent), sqlc.arg(created_at), sqlc.arg(created_at), sqlc.arg(expires_at));

-- name: GetSession :one
-- Index: sessions_pkey.
SELECT * FROM sessions WHERE id = $1;

-- name: GetSessionState :one
-- What verify asks on each call. Index: sessions_pkey.
SELECT last_used_at, expires_at, revoked_at FROM sessions WHERE id = $1;

-- name: LockSession :one
-- FOR UPDATE: two refreshes with one token at once: one rotates, the other is reuse. Index: sessions_pkey.
SELECT * FROM sessions WHERE id = $1 FOR UPDATE;

-- name: RotateRefresh :one
-- Under LockSession. Index: sessions_pkey.
UPDATE sessions SET refresh_generation = refresh_generation + 1, last_used_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) RETURNING *;

-- name: ListSessionsOfUser :many
-- Keyset by id, newest first; the filters are exact. Index: sessions_user, backwards.
SELECT * FROM sessions
WHERE user_id = sqlc.arg(user_id) AND (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid)
  AND (sqlc.narg(credential_id)::bytea IS NULL OR credential_id = sqlc.narg(credential_id)::bytea)
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before)::timestamptz)
  AND (sqlc.narg(expires_from)::timestamptz IS NULL OR expires_at >= sqlc.narg(expires_from)::timestamptz)
  AND (sqlc.narg(expires_before)::timestamptz IS NULL OR expires_at < sqlc.narg(expires_before)::timestamptz)
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: RevokeSession :one
-- Keeps the first revocation. Index: sessions_pkey.
UPDATE sessions SET revoked_at = COALESCE(revoked_at, sqlc.arg(now)::timestamptz), revoke_reason = COALESCE(revoke_reason, sqlc.arg(reason)::text)
WHERE id = sqlc.arg(id) RETURNING *;

-- name: RevokeSessionsOfUser :many
-- Live ones only; answers their ids. Index: sessions_user.
UPDATE sessions SET revoked_at = sqlc.arg(now)::timestamptz, revoke_reason = sqlc.arg(reason)::text
WHERE user_id = sqlc.arg(user_id) AND revoked_at IS NULL AND expires_at > sqlc.arg(now)::timestamptz
RETURNING id;

-- name: RevokeSessionsOfCredential :many
-- Live ones only; answers their ids. Index: sessions_user.
UPDATE sessions SET revoked_at = sqlc.arg(now)::timestamptz, revoke_reason = sqlc.arg(reason)::text
WHERE user_id = sqlc.arg(user_id) AND credential_id = sqlc.arg(credential_id) AND revoked_at IS NULL AND expires_at > sqlc.arg(now)::timestamptz
RETURNING id;

-- name: DeleteSessionsOfUser :execrows
-- Erasure. Index: sessions_user.
DELETE FROM sessions WHERE user_id = $1;

-- name: ListSessionsOfTenant :many
-- Sessions of all users. Keyset by id, newest first; from_id and until_id bound the walk to times.
-- Under PlanByValue. Index: sessions_pkey or sessions_user, backwards.
SELECT * FROM sessions
WHERE (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid)
  AND (sqlc.narg(from_id)::uuid IS NULL OR id >= sqlc.narg(from_id)::uuid)
  AND (sqlc.narg(until_id)::uuid IS NULL OR id < sqlc.narg(until_id)::uuid)
  AND (sqlc.narg(user_id)::uuid IS NULL OR user_id = sqlc.narg(user_id)::uuid)
  AND (sqlc.narg(credential_id)::bytea IS NULL OR credential_id = sqlc.narg(credential_id)::bytea)
  AND (sqlc.narg(aal)::smallint IS NULL OR aal = sqlc.narg(aal)::smallint)
  AND (sqlc.narg(active)::boolean IS NULL OR (revoked_at IS NULL AND expires_at > sqlc.arg(now)::timestamptz) = sqlc.narg(active)::boolean)
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before)::timestamptz)
  AND (sqlc.narg(expires_from)::timestamptz IS NULL OR expires_at >= sqlc.narg(expires_from)::timestamptz)
  AND (sqlc.narg(expires_before)::timestamptz IS NULL OR expires_at < sqlc.narg(expires_before)::timestamptz)
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: LockSessions :many
-- FOR UPDATE, in the order of ids: refreshes under way end first. Index: sessions_pkey.
SELECT * FROM sessions WHERE id = ANY(sqlc.arg(ids)::uuid[]) ORDER BY id FOR UPDATE;

-- name: RevokeSessions :exec
-- Under LockSessions. Index: sessions_pkey.
UPDATE sessions SET revoked_at = sqlc.arg(now)::timestamptz, revoke_reason = sqlc.arg(reason)::text
WHERE id = ANY(sqlc.arg(ids)::uuid[]) AND revoked_at IS NULL;
