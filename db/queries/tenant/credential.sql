-- name: InsertCredential :one
-- Answers no row when the tenant has a credential of this id already (WebAuthn L3
-- #sctn-registering-a-new-credential: refuse it). Index: credentials_pkey.
INSERT INTO credentials (id, user_id, sign_count, backed_up, backup_eligible, public_key, algorithm, aaguid,
  attestation_format, attestation_type, transports, attachment, discoverable, nickname, registered_via,
  trust, certification, registered_aal, lowered, extensions, evidence_id, rp_id, created_at, updated_at)
VALUES (sqlc.arg(id), sqlc.arg(user_id), sqlc.arg(sign_count), sqlc.arg(backed_up), sqlc.arg(backup_eligible),
  sqlc.arg(public_key), sqlc.arg(algorithm), sqlc.arg(aaguid), sqlc.arg(attestation_format), sqlc.arg(attestation_type),
  sqlc.arg(transports), sqlc.arg(attachment), sqlc.narg(discoverable), sqlc.arg(nickname), sqlc.arg(registered_via),
  sqlc.arg(trust), sqlc.arg(certification), sqlc.arg(registered_aal), sqlc.arg(lowered), sqlc.arg(extensions), sqlc.narg(evidence_id), sqlc.arg(rp_id),
  sqlc.arg(now), sqlc.arg(now))
ON CONFLICT (tenant_id, id) DO NOTHING
RETURNING *;

-- name: GetCredential :one
-- Index: credentials_pkey.
SELECT * FROM credentials WHERE id = $1;

-- name: GetCredentialForSignIn :one
-- All that finish needs to verify an assertion, when the cache has not got it.
-- Index: credentials_pkey, users_pkey.
SELECT c.id, c.user_id, c.state, c.user_blocked, c.sign_count, c.backed_up, c.backup_eligible, c.public_key, c.algorithm, c.aaguid,
  c.attestation_format, c.attestation_type, c.transports, c.attachment, c.discoverable, c.nickname, c.registered_via, c.created_at, c.updated_at,
  c.last_used_at, c.revoked_at, c.version, c.trust, c.certification, c.registered_aal, c.lowered, c.vouched_at, c.vouched_by, c.disposition, c.extensions, c.evidence_id,
  u.handle, u.profile_sealed, u.state AS user_state, u.created_at AS user_created_at, u.updated_at AS user_updated_at, u.version AS user_version
FROM credentials c JOIN users u ON u.id = c.user_id AND u.tenant_id = c.tenant_id
WHERE c.id = $1;

-- name: LockUserOfCredential :one
-- FOR UPDATE on the owning user: two revocations at once could each count the other's
-- credential. Answers the user's id. Index: credentials_pkey, users_pkey.
SELECT u.id FROM users u JOIN credentials c ON c.user_id = u.id AND c.tenant_id = u.tenant_id
WHERE c.id = $1 FOR UPDATE OF u;

-- name: ListCredentialsOfUser :many
-- All of a user's credentials, oldest first: bounded by the policy's limit a user. Index: credentials_user.
SELECT * FROM credentials WHERE user_id = $1 ORDER BY created_at, id;

-- name: ListCredentials :many
-- One page of a user's, revoked ones included. Keyset by (created_at, id), newest first: ids are the
-- authenticators'. Index: credentials_user; what one user has is sorted.
SELECT * FROM credentials
WHERE user_id = sqlc.arg(user_id) AND state = ANY(sqlc.arg(states)::text[])
  AND (sqlc.narg(before_at)::timestamptz IS NULL OR (created_at, id) < (sqlc.narg(before_at)::timestamptz, sqlc.narg(before_id)::bytea))
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before)::timestamptz)
ORDER BY created_at DESC, id DESC LIMIT sqlc.arg(max_rows);

-- name: ListDescriptorsOfUser :many
-- For allowCredentials and excludeCredentials: live credentials, newest first. Index: credentials_user.
SELECT id, transports, state, created_at FROM credentials
WHERE user_id = $1 AND state <> 'REVOKED' ORDER BY created_at DESC, id;

-- name: CountLiveCredentials :one
-- Under LockUser or LockUserOfCredential. Index: credentials_user.
SELECT count(*)::integer FROM credentials WHERE user_id = $1 AND state = 'ACTIVE';

-- name: CountKeptCredentials :one
-- What counts against the policy's limit a user: all but revoked. Index: credentials_user.
SELECT count(*)::integer FROM credentials WHERE user_id = $1 AND state <> 'REVOKED';

-- name: RenameCredential :one
-- Index: credentials_pkey.
UPDATE credentials SET nickname = sqlc.arg(nickname), updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) RETURNING *;

-- name: RevokeCredential :one
-- Index: credentials_pkey.
UPDATE credentials SET state = 'REVOKED', revoked_at = sqlc.arg(now), updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) RETURNING *;

-- name: SetCredentialState :one
-- Suspends or resumes; never leaves REVOKED. Index: credentials_pkey.
UPDATE credentials SET state = sqlc.arg(state), updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) AND state <> 'REVOKED' RETURNING *;

-- name: SetUserBlocked :exec
-- Repeats users.state for the sign-in statement, in the transaction that changes it. Index: credentials_user.
UPDATE credentials SET user_blocked = sqlc.arg(blocked) WHERE user_id = sqlc.arg(user_id);

-- name: DeleteCredentialsOfUser :execrows
-- Erasure. Index: credentials_user.
DELETE FROM credentials WHERE user_id = $1;

-- name: HasCredentials :one
-- Whether the tenant has any, revoked ones too. Runs as bc_control as well. Index: credentials_pkey.
SELECT EXISTS (SELECT FROM credentials);

-- name: VouchForCredential :one
-- Under LockUserOfCredential. Index: credentials_pkey.
UPDATE credentials SET lowered = false, vouched_at = sqlc.arg(now)::timestamptz, vouched_by = sqlc.arg(vouched_by), updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) RETURNING *;

-- name: ListCredentialsToJudge :many
-- What a policy's draft is tried on: all of the tenant's but revoked ones. Keyset by id. Index: credentials_pkey.
SELECT id, user_id, state, aaguid, trust, certification, backup_eligible, algorithm, attachment, discoverable, disposition, registered_aal, lowered FROM credentials
WHERE state <> 'REVOKED' AND (sqlc.narg(after_id)::bytea IS NULL OR id > sqlc.narg(after_id)::bytea)
ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: ListCredentialsOfTenant :many
-- ListCredentials of all users, and more to narrow by. Under PlanByValue. Index: credentials_created or
-- credentials_model_created, backwards; what is neither created nor of a model is looked at row by row.
SELECT * FROM credentials
WHERE state = ANY(sqlc.arg(states)::text[])
  AND (sqlc.narg(before_at)::timestamptz IS NULL OR (created_at, id) < (sqlc.narg(before_at)::timestamptz, sqlc.narg(before_id)::bytea))
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before)::timestamptz)
  AND (sqlc.narg(aaguid)::uuid IS NULL OR aaguid = sqlc.narg(aaguid)::uuid)
  AND (NOT sqlc.arg(some_models)::boolean OR aaguid = ANY(sqlc.arg(models)::uuid[]))
  AND (NOT sqlc.arg(other_models)::boolean OR NOT aaguid = ANY(sqlc.arg(models)::uuid[]))
  AND (sqlc.narg(synced)::boolean IS NULL OR backup_eligible = sqlc.narg(synced)::boolean)
  AND (sqlc.narg(lowered)::boolean IS NULL OR lowered = sqlc.narg(lowered)::boolean)
  AND trust = ANY(sqlc.arg(trusts)::text[])
  AND (sqlc.narg(used_from)::timestamptz IS NULL OR last_used_at >= sqlc.narg(used_from)::timestamptz)
  AND (sqlc.narg(used_before)::timestamptz IS NULL OR COALESCE(last_used_at, created_at) < sqlc.narg(used_before)::timestamptz)
ORDER BY created_at DESC, id DESC LIMIT sqlc.arg(max_rows);

-- name: CountCredentialsOfTenant :one
-- How many there are that may sign in, and how many of them are synced, of the first max_rows. Index: credentials_created.
SELECT count(*)::integer AS credentials, (count(*) FILTER (WHERE c.backup_eligible))::integer AS synced
FROM (SELECT backup_eligible FROM credentials WHERE state = 'ACTIVE' LIMIT sqlc.arg(max_rows)) c;
