-- name: InsertRecoveryCode :exec
-- Under LockUser. Index: recovery_codes_pkey.
INSERT INTO recovery_codes (user_id, hash, created_at) VALUES ($1, $2, $3);

-- name: DeleteRecoveryCodes :one
-- A user's whole set. Answers how many there were, and how many of them unused. Under LockUser: of two
-- new sets at once the later is left, whole. Index: recovery_codes_pkey.
WITH gone AS (DELETE FROM recovery_codes WHERE user_id = $1 RETURNING used_at)
SELECT count(*)::integer AS codes, (count(*) FILTER (WHERE used_at IS NULL))::integer AS unused FROM gone;

-- name: CountRecoveryCodes :one
-- Index: recovery_codes_pkey.
SELECT count(*)::integer AS codes, (count(*) FILTER (WHERE used_at IS NULL))::integer AS unused,
  coalesce(max(created_at), 'epoch')::timestamptz AS created_at, coalesce(max(used_at), 'epoch')::timestamptz AS used_at
FROM recovery_codes WHERE user_id = $1;

-- name: SpendRecoveryCode :execrows
-- 1 when this call is the first to use it. Lock: the code's row; a concurrent call waits, and finds it
-- used. Index: recovery_codes_pkey.
UPDATE recovery_codes SET used_at = sqlc.arg(now)::timestamptz
WHERE user_id = sqlc.arg(user_id) AND hash = sqlc.arg(hash) AND used_at IS NULL;

-- name: FindRecoverySubject :one
-- Who has a name, and whether they may sign in; no more, and no lock: what is done for somebody must take
-- as long for nobody. Index: users_tenant_id_external_index_key.
SELECT id, state FROM users WHERE external_index = $1;

-- name: LockRecoveryAttempts :one
-- What was counted for a name, made if nothing was. Lock: the row, so that guesses at one name come one by
-- one. Index: recovery_attempts_pkey.
INSERT INTO recovery_attempts AS a (subject, failures, expires_at) VALUES (sqlc.arg(subject), 0, sqlc.arg(expires_at))
ON CONFLICT (tenant_id, subject) DO UPDATE SET failures = a.failures
RETURNING a.failures, a.expires_at;

-- name: SetRecoveryAttempts :exec
-- Under LockRecoveryAttempts. Index: recovery_attempts_pkey.
UPDATE recovery_attempts SET failures = sqlc.arg(failures), expires_at = sqlc.arg(expires_at) WHERE subject = sqlc.arg(subject);

-- name: DropRecoveryAttempts :exec
-- Some of those that count no more, so that made-up names do not pile up. Who holds a row needs it.
-- Index: recovery_attempts_expires_at.
DELETE FROM recovery_attempts WHERE subject IN (
  SELECT subject FROM recovery_attempts WHERE expires_at < sqlc.arg(now)::timestamptz ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED);

-- name: InsertRecovery :one
-- Index: recoveries_pkey.
INSERT INTO recoveries (id, user_id, kind, state, rp_id, reason, requested_by, created_at, expires_at)
VALUES (sqlc.arg(id), sqlc.arg(user_id), sqlc.arg(kind), sqlc.arg(state), sqlc.arg(rp_id), sqlc.arg(reason), sqlc.arg(requested_by),
  sqlc.arg(created_at), sqlc.arg(expires_at))
RETURNING *;

-- name: GetRecovery :one
-- Index: recoveries_pkey.
SELECT * FROM recoveries WHERE id = $1;

-- name: LockRecovery :one
-- FOR UPDATE: who decides about it, and who enrolls by it, come one after the other. Index: recoveries_pkey.
SELECT * FROM recoveries WHERE id = $1 FOR UPDATE;

-- name: DecideRecovery :one
-- Approves, refuses or revokes. Under LockRecovery. Index: recoveries_pkey.
UPDATE recoveries SET state = sqlc.arg(state), decided_by = sqlc.arg(decided_by), decided_at = sqlc.arg(now)::timestamptz, expires_at = sqlc.arg(expires_at)
WHERE id = sqlc.arg(id) RETURNING *;

-- name: RevokeSupportLinks :exec
-- The open enrollment links that somebody of the staff made since they asked for access: their UUIDv7 is later.
-- Index: recoveries_pkey.
UPDATE recoveries SET state = 'REVOKED', decided_by = sqlc.arg(decided_by), decided_at = sqlc.arg(now)::timestamptz
WHERE id >= sqlc.arg(since) AND requested_by = sqlc.arg(requested_by) AND kind = 'LINK' AND state = 'OPEN';

-- name: CompleteRecovery :exec
-- Under LockRecovery. Index: recoveries_pkey.
UPDATE recoveries SET state = 'COMPLETED', completed_at = sqlc.arg(now)::timestamptz, credential_id = sqlc.arg(credential_id) WHERE id = sqlc.arg(id);

-- name: ListRecoveries :many
-- Keyset by id, newest first; the filters are exact. Index: recoveries_user or recoveries_pkey, backwards.
SELECT * FROM recoveries
WHERE (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid)
  AND (sqlc.narg(user_id)::uuid IS NULL OR user_id = sqlc.narg(user_id)::uuid)
  AND kind = ANY(sqlc.arg(kinds)::text[])
  AND (CASE WHEN state IN ('PENDING', 'OPEN') AND expires_at <= sqlc.arg(now)::timestamptz THEN 'EXPIRED' ELSE state END) = ANY(sqlc.arg(states)::text[])
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before)::timestamptz)
ORDER BY id DESC LIMIT sqlc.arg(max_rows);
