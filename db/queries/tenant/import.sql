-- name: InsertImport :one
-- Index: imports_pkey.
INSERT INTO imports (id, state, on_duplicate, rp_id, created_by, created_at, updated_at)
VALUES (sqlc.arg(id), 'CHECKING', sqlc.arg(on_duplicate), sqlc.arg(rp_id), sqlc.arg(created_by), sqlc.arg(now), sqlc.arg(now))
RETURNING *;

-- name: CountOpenImports :one
-- Those that lines can still be given to. A tenant has few imports. Index: imports_pkey.
SELECT count(*)::integer FROM imports WHERE state IN ('CHECKING', 'CHECKED', 'RUNNING');

-- name: GetImport :one
-- Index: imports_pkey.
SELECT * FROM imports WHERE id = $1;

-- name: LockImport :one
-- FOR UPDATE: two batches at once could each be of the same lines. Index: imports_pkey.
SELECT * FROM imports WHERE id = $1 FOR UPDATE;

-- name: ListImports :many
-- Keyset by id, newest first. Index: imports_pkey, backwards.
SELECT * FROM imports
WHERE (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid) AND state = ANY(sqlc.arg(states)::text[])
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: MoveImport :one
-- Under LockImport: where it stands after a batch. Index: imports_pkey.
UPDATE imports SET position = sqlc.arg(position), digest = sqlc.arg(digest), counts = sqlc.arg(counts), updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) RETURNING *;

-- name: EndImportCheck :one
-- Under LockImport. Index: imports_pkey.
UPDATE imports SET state = 'CHECKED', checked_lines = position, checked_digest = digest, checked_counts = counts, updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) RETURNING *;

-- name: StartImport :one
-- Under LockImport: the run begins at the first line. Index: imports_pkey.
UPDATE imports SET state = 'RUNNING', position = 0, digest = '', counts = '{}', started_at = sqlc.arg(now), updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) RETURNING *;

-- name: EndImport :one
-- Under LockImport: DONE or CANCELLED. Index: imports_pkey.
UPDATE imports SET state = sqlc.arg(state), ended_at = sqlc.arg(now), updated_at = sqlc.arg(now)
WHERE id = sqlc.arg(id) RETURNING *;

-- name: InsertImportFindings :exec
-- A batch's. Index: import_findings_pkey.
INSERT INTO import_findings (import_id, phase, line, ordinal, outcome, field, reason, detail)
SELECT sqlc.arg(import_id), sqlc.arg(phase), unnest(sqlc.arg(lines)::integer[]), unnest(sqlc.arg(ordinals)::smallint[]),
  unnest(sqlc.arg(outcomes)::text[]), unnest(sqlc.arg(fields)::text[]), unnest(sqlc.arg(reasons)::text[]), unnest(sqlc.arg(details)::text[]);

-- name: ListImportFindings :many
-- One page of one phase, by line. Index: import_findings_pkey.
SELECT line, ordinal, outcome, field, reason, detail FROM import_findings
WHERE import_id = sqlc.arg(import_id) AND phase = sqlc.arg(phase) AND (line, ordinal) > (sqlc.arg(after_line)::integer, sqlc.arg(after_ordinal)::smallint)
ORDER BY line, ordinal LIMIT sqlc.arg(max_rows);

-- name: InsertImportMarks :many
-- Answers those that were not there. Index: import_marks_pkey.
INSERT INTO import_marks (import_id, mark) SELECT sqlc.arg(import_id), unnest(sqlc.arg(marks)::uuid[])
ON CONFLICT (tenant_id, import_id, mark) DO NOTHING RETURNING mark;

-- name: DeleteImportMarks :exec
-- Index: import_marks_pkey.
DELETE FROM import_marks WHERE import_id = $1;

-- name: FindUsersOfImport :many
-- Who of a batch exists, by either name. Index: users_tenant_id_external_index_key, users_tenant_id_handle_key.
SELECT id, handle, external_index, state FROM users
WHERE external_index = ANY(sqlc.arg(external_indexes)::bytea[]) OR handle = ANY(sqlc.arg(handles)::bytea[]);

-- name: LockUsersOfImport :many
-- FindUsersOfImport FOR UPDATE, in the order of ids: whoever counts or changes their credentials waits.
SELECT id, handle, external_index, state FROM users
WHERE external_index = ANY(sqlc.arg(external_indexes)::bytea[]) OR handle = ANY(sqlc.arg(handles)::bytea[])
ORDER BY id FOR UPDATE;

-- name: FindCredentialsOfImport :many
-- Whose they are. Index: credentials_pkey, users_pkey.
SELECT c.id, u.external_index FROM credentials c JOIN users u ON u.tenant_id = c.tenant_id AND u.id = c.user_id
WHERE c.id = ANY(sqlc.arg(ids)::bytea[]);

-- name: CountCredentialsOfUsers :many
-- What counts against the policy's limit a user. Index: credentials_user.
SELECT user_id, count(*)::integer AS kept FROM credentials WHERE user_id = ANY(sqlc.arg(user_ids)::uuid[]) AND state <> 'REVOKED' GROUP BY user_id;

-- name: InsertImportedUsers :execrows
-- Fewer rows than were given: somebody else was first with one. Index: users_pkey and both unique keys.
INSERT INTO users (id, handle, external_index, profile_sealed, terms, state, created_at, updated_at)
SELECT unnest(sqlc.arg(ids)::uuid[]), unnest(sqlc.arg(handles)::bytea[]), unnest(sqlc.arg(external_indexes)::bytea[]),
  unnest(sqlc.arg(profiles)::bytea[]), string_to_array(unnest(sqlc.arg(terms)::text[]), ',')::integer[], unnest(sqlc.arg(states)::text[]), unnest(sqlc.arg(created)::timestamptz[]), sqlc.arg(now)
ON CONFLICT DO NOTHING;

-- name: InsertImportedCredentials :execrows
-- Fewer rows than were given: somebody else was first with one. An import proves nothing about
-- authenticators. NULL has no place in an array of sqlc's: '' is not said, the year 1 never.
-- Index: credentials_pkey.
INSERT INTO credentials (id, user_id, state, user_blocked, sign_count, backed_up, backup_eligible, public_key, algorithm, aaguid,
  attestation_format, attestation_type, transports, attachment, discoverable, nickname, registered_via, rp_id, created_at, updated_at, last_used_at)
SELECT r.id, r.user_id, r.state, r.user_blocked, r.sign_count, r.backed_up, r.backup_eligible, r.public_key, r.algorithm, r.aaguid,
  'none', 'NONE', string_to_array(r.transports, ','), r.attachment, NULLIF(r.discoverable, '')::boolean, r.nickname, 'IMPORT',
  sqlc.arg(rp_id)::text, r.created_at, sqlc.arg(now)::timestamptz, NULLIF(r.last_used_at, sqlc.arg(never)::timestamptz)
FROM (SELECT unnest(sqlc.arg(ids)::bytea[]) AS id, unnest(sqlc.arg(user_ids)::uuid[]) AS user_id, unnest(sqlc.arg(states)::text[]) AS state,
  unnest(sqlc.arg(blocked)::boolean[]) AS user_blocked, unnest(sqlc.arg(sign_counts)::bigint[]) AS sign_count,
  unnest(sqlc.arg(backed_up)::boolean[]) AS backed_up, unnest(sqlc.arg(backup_eligible)::boolean[]) AS backup_eligible,
  unnest(sqlc.arg(public_keys)::bytea[]) AS public_key, unnest(sqlc.arg(algorithms)::integer[]) AS algorithm, unnest(sqlc.arg(aaguids)::uuid[]) AS aaguid,
  unnest(sqlc.arg(transports)::text[]) AS transports, unnest(sqlc.arg(attachments)::text[]) AS attachment,
  unnest(sqlc.arg(discoverable)::text[]) AS discoverable, unnest(sqlc.arg(nicknames)::text[]) AS nickname,
  unnest(sqlc.arg(created)::timestamptz[]) AS created_at, unnest(sqlc.arg(last_used)::timestamptz[]) AS last_used_at) r
ON CONFLICT (tenant_id, id) DO NOTHING;

-- name: ListExportedUsers :many
-- One page, oldest first. Index: users_pkey.
SELECT id, handle, profile_sealed, state, created_at FROM users
WHERE (sqlc.narg(after_id)::uuid IS NULL OR id > sqlc.narg(after_id)::uuid) ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: ListExportedCredentials :many
-- Those of a page's users that can sign in, or could when they are resumed. Index: credentials_user.
SELECT * FROM credentials WHERE user_id = ANY(sqlc.arg(user_ids)::uuid[]) AND state <> 'REVOKED' ORDER BY user_id, created_at, id;
