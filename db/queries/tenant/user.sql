-- name: InsertUser :one
-- Answers no row when the external id is taken. Index: users_pkey, users_tenant_id_external_index_key.
INSERT INTO users (id, handle, external_index, profile_sealed, terms, created_at, updated_at)
VALUES (sqlc.arg(id), sqlc.arg(handle), sqlc.arg(external_index), sqlc.arg(profile_sealed), sqlc.arg(terms)::integer[], sqlc.arg(now), sqlc.arg(now))
ON CONFLICT (tenant_id, external_index) DO NOTHING
RETURNING id, handle, external_index, profile_sealed, state, created_at, updated_at, version;

-- name: GetUser :one
-- With the last sign-in, which is the latest of the user's credentials: a column of
-- its own would be one more write a sign-in. Index: users_pkey, credentials_user.
SELECT u.id, u.handle, u.external_index, u.profile_sealed, u.state, u.created_at, u.updated_at, u.version,
  l.last_used_at AS last_sign_in_at
FROM users u
LEFT JOIN LATERAL (SELECT c.last_used_at FROM credentials c WHERE c.user_id = u.id ORDER BY c.last_used_at DESC NULLS LAST LIMIT 1) l ON true
WHERE u.id = $1;

-- name: GetUserByExternalIndex :one
-- Index: users_tenant_id_external_index_key, credentials_user.
SELECT u.id, u.handle, u.external_index, u.profile_sealed, u.state, u.created_at, u.updated_at, u.version,
  l.last_used_at AS last_sign_in_at
FROM users u
LEFT JOIN LATERAL (SELECT c.last_used_at FROM credentials c WHERE c.user_id = u.id ORDER BY c.last_used_at DESC NULLS LAST LIMIT 1) l ON true
WHERE u.external_index = $1;

-- name: FindUserID :one
-- Whose a sign-in is, by either name, and nothing else of them: what is read of a user must not tell by
-- its time that there is one. Index: users_pkey, users_tenant_id_external_index_key.
SELECT id FROM users WHERE id = sqlc.narg(id)::uuid
UNION ALL
SELECT id FROM users WHERE external_index = sqlc.narg(external_index)::bytea;

-- name: LockUser :one
-- FOR UPDATE: whoever counts or changes a user's credentials takes this lock first. Index: users_pkey.
SELECT id, handle, external_index, profile_sealed, state, created_at, updated_at, version
FROM users WHERE id = $1 FOR UPDATE;

-- name: UpdateUser :one
-- Under LockUser. Index: users_pkey.
UPDATE users SET external_index = sqlc.arg(external_index), profile_sealed = sqlc.arg(profile_sealed),
  terms = sqlc.arg(terms)::integer[], state = sqlc.arg(state), updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id)
RETURNING id, handle, external_index, profile_sealed, state, created_at, updated_at, version;

-- name: SetUserState :one
-- Under LockUser. Nothing sealed is written, so that nothing need open. Index: users_pkey.
UPDATE users SET state = sqlc.arg(state), updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id)
RETURNING updated_at, version;

-- name: DeleteUser :execrows
-- The last step of an erasure: credentials and sessions go first. Index: users_pkey.
DELETE FROM users WHERE id = $1;
