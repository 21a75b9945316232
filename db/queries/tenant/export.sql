-- name: InsertExport :one
-- Answers no row where one is open already; waits for a concurrent one to commit. Index: exports_pkey, exports_open.
INSERT INTO exports (id, state, reason, asked_by, asked_name, created_at, due_at)
VALUES (sqlc.arg(id), 'QUEUED', sqlc.arg(reason), sqlc.arg(asked_by), sqlc.arg(asked_name), sqlc.arg(now), sqlc.arg(now)::timestamptz)
ON CONFLICT (tenant_id) WHERE state IN ('QUEUED', 'RUNNING') DO NOTHING
RETURNING *;

-- name: GetExport :one
-- Index: exports_pkey.
SELECT * FROM exports WHERE id = $1;

-- name: ListExports :many
-- Keyset by id, newest first. Index: exports_pkey, backwards.
SELECT * FROM exports WHERE (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid) ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: NextStoredExport :one
-- The first, from an id on, whose archive is there. Index: exports_pkey.
SELECT * FROM exports WHERE id >= sqlc.arg(from_id)::uuid AND state = 'DONE' AND expires_at > sqlc.arg(now)::timestamptz AND archive_key IS NOT NULL ORDER BY id LIMIT 1;

-- name: CancelExport :one
-- No row where it has ended. Whoever writes the archive learns it by its next note. The key goes
-- at once, the parts when none can be on its way any more. Index: exports_pkey.
UPDATE exports SET state = 'CANCELLED', ended_at = sqlc.arg(now)::timestamptz, archive_key = NULL, due_at = sqlc.arg(clear_at)::timestamptz
WHERE id = sqlc.arg(id) AND state IN ('QUEUED', 'RUNNING') RETURNING *;

-- name: ClaimExport :one
-- The one that is open and due: the first time, or since nobody has noted anything of it for the
-- length of a lease. Lock: the row, so that of two servers one gets it. Index: exports_open.
UPDATE exports SET due_at = sqlc.arg(lease)::timestamptz
WHERE id = (SELECT e.id FROM exports e WHERE e.state IN ('QUEUED', 'RUNNING') AND e.due_at <= sqlc.arg(now)::timestamptz FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: StartExport :execrows
-- A new attempt, from nothing: what the one before has left is removed. 0 where it was cancelled
-- or another server has it. Index: exports_pkey.
UPDATE exports SET state = 'RUNNING', attempt = attempt + 1, started_at = sqlc.arg(now)::timestamptz, due_at = sqlc.arg(lease)::timestamptz,
  files_done = 0, files_total = sqlc.arg(files_total), rows_done = 0, size = 0, parts = 0, archive_key = sqlc.arg(archive_key)::bytea, key_version = sqlc.arg(key_version)
WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state IN ('QUEUED', 'RUNNING');

-- name: NoteExport :execrows
-- How far an attempt is, and that somebody is at it. 0: it is no longer this attempt's to go on. Index: exports_pkey.
UPDATE exports SET files_done = sqlc.arg(files_done), rows_done = sqlc.arg(rows_done), size = sqlc.arg(size), parts = sqlc.arg(parts),
  due_at = sqlc.arg(lease)::timestamptz
WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state = 'RUNNING';

-- name: FinishExport :execrows
-- The archive is whole. 0 as in NoteExport. Index: exports_pkey.
UPDATE exports SET state = 'DONE', ended_at = sqlc.arg(now)::timestamptz, expires_at = sqlc.arg(expires_at)::timestamptz, due_at = sqlc.arg(expires_at)::timestamptz,
  files_done = files_total, rows_done = sqlc.arg(rows_done), size = sqlc.arg(size), sha256 = sqlc.arg(sha256)::bytea
WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state = 'RUNNING';

-- name: PostponeExport :execrows
-- The attempt has failed and another follows at due_at. 0 as in NoteExport. Index: exports_pkey.
UPDATE exports SET failure = sqlc.arg(failure), due_at = sqlc.arg(due_at)::timestamptz
WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state IN ('QUEUED', 'RUNNING');

-- name: FailExport :execrows
-- No attempt follows: the key goes at once, and the parts next. 0 as in NoteExport. Index: exports_pkey.
UPDATE exports SET state = 'FAILED', failure = sqlc.arg(failure), ended_at = sqlc.arg(now)::timestamptz, archive_key = NULL, due_at = sqlc.arg(now)::timestamptz
WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state IN ('QUEUED', 'RUNNING');

-- name: ExpireExports :many
-- From here on nothing opens them; the parts go next. Index: exports_due.
UPDATE exports SET state = 'EXPIRED', archive_key = NULL, due_at = sqlc.arg(now)::timestamptz
WHERE state = 'DONE' AND expires_at <= sqlc.arg(now)::timestamptz RETURNING id;

-- name: ListEndedExports :many
-- What nothing opens any more, and whose parts are to go. Index: exports_due.
SELECT id, attempt, parts FROM exports WHERE state IN ('FAILED', 'CANCELLED', 'EXPIRED') AND due_at <= sqlc.arg(now)::timestamptz ORDER BY due_at LIMIT sqlc.arg(max_rows);

-- name: SetExportCleared :exec
-- Its parts are gone. Index: exports_pkey.
UPDATE exports SET parts = 0, due_at = NULL WHERE id = $1 AND state IN ('FAILED', 'CANCELLED', 'EXPIRED');

-- name: PostponeEndedExports :exec
-- Object storage does not serve: look again later at what is due. Index: exports_due.
UPDATE exports SET due_at = sqlc.arg(until)::timestamptz WHERE state IN ('FAILED', 'CANCELLED', 'EXPIRED') AND due_at <= sqlc.arg(now)::timestamptz;

-- name: EndExports :execrows
-- The tenant is being destroyed: no key is left, and no attempt goes on. Index: exports_pkey.
UPDATE exports SET state = CASE WHEN state = 'DONE' THEN 'EXPIRED' ELSE 'CANCELLED' END, ended_at = coalesce(ended_at, sqlc.arg(now)::timestamptz),
  archive_key = NULL, due_at = sqlc.arg(clear_at)::timestamptz
WHERE state IN ('QUEUED', 'RUNNING', 'DONE');

-- name: ListPutExports :many
-- Whose parts may be there. Index: exports_pkey.
SELECT id, attempt, parts, ended_at FROM exports WHERE parts > 0 ORDER BY id;

-- name: ListStaleExportKeys :many
-- Archive keys that another data key sealed than the one that seals now. Index: exports_pkey.
SELECT id, archive_key FROM exports WHERE key_version <> sqlc.arg(key_version) AND archive_key IS NOT NULL ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: ReplaceExportKey :execrows
-- Compare and set. 0 when it was destroyed meanwhile, or belongs to another attempt. Index: exports_pkey.
UPDATE exports SET archive_key = sqlc.arg(archive_key), key_version = sqlc.arg(key_version) WHERE id = sqlc.arg(id) AND archive_key = sqlc.arg(was);
