-- name: ListAuditCheckpointsWithin :many
-- Those that are kept over a piece of the log, the latest first. Index: audit_checkpoints_pkey, backwards.
SELECT size, checkpoint FROM audit_checkpoints WHERE size > sqlc.arg(from_size) AND size <= sqlc.arg(to_size) ORDER BY size DESC LIMIT sqlc.arg(max_rows);

-- name: NextAuditCheckpoint :one
-- The smallest that is kept over so many entries or more. Index: audit_checkpoints_pkey.
SELECT size FROM audit_checkpoints WHERE size >= sqlc.arg(least) ORDER BY size LIMIT 1;

-- name: LastAuditArchive :one
-- How far the log is archived. Index: audit_archives_pkey, backwards.
SELECT to_seq FROM audit_archives ORDER BY from_seq DESC LIMIT 1;

-- name: InsertAuditArchive :execrows
-- None where another server has archived the same piece. Index: audit_archives_pkey.
INSERT INTO audit_archives (from_seq, to_seq, first_at, last_at, objects, versions, bytes, sha256, archived_at, locked_until, problem, names)
VALUES (sqlc.arg(from_seq), sqlc.arg(to_seq), sqlc.arg(first_at), sqlc.arg(last_at), sqlc.arg(objects), sqlc.arg(versions), sqlc.arg(bytes), sqlc.arg(sha256), sqlc.arg(archived_at),
  sqlc.narg(locked_until), sqlc.arg(problem), sqlc.arg(names)::bytea)
ON CONFLICT (tenant_id, from_seq) DO NOTHING;

-- name: ListAuditArchives :many
-- The latest first, keyset by from_seq. Index: audit_archives_pkey, backwards.
SELECT from_seq, to_seq, first_at, last_at, objects, versions, bytes, sha256, archived_at, locked_until, problem FROM audit_archives
WHERE from_seq < sqlc.arg(before_seq) ORDER BY from_seq DESC LIMIT sqlc.arg(max_rows);

-- name: GetAuditArchive :one
-- Index: audit_archives_pkey.
SELECT from_seq, to_seq, first_at, last_at, objects, versions, bytes, sha256, archived_at, locked_until, problem FROM audit_archives WHERE from_seq = sqlc.arg(from_seq);

-- name: RemoveAuditEntries :one
-- Of the first entries of the log, those that have been archived for a week; answers how many. Index: audit_entries_pkey.
SELECT remove_audit_entries(sqlc.arg(max_rows)::integer);

-- name: GetAuditArchiveOfTime :one
-- The first archive of entries below a number that has some of a time. Scans the tenant's archives.
SELECT from_seq FROM audit_archives
WHERE first_at <= sqlc.arg(until)::timestamptz AND last_at >= sqlc.arg(since)::timestamptz AND from_seq < sqlc.arg(below)::bigint ORDER BY from_seq LIMIT 1;

-- name: GetAuditArchiveBelow :one
-- The last archive that begins below a number. Index: audit_archives_pkey, backwards.
SELECT last_at FROM audit_archives WHERE from_seq < sqlc.arg(below)::bigint ORDER BY from_seq DESC LIMIT 1;

-- name: ListAuditArchiveNames :many
-- Archives of entries between two numbers, in the log's order, with the filter of the ids that they name. Index: audit_archives_pkey.
SELECT from_seq, to_seq, first_at, last_at, objects, versions, bytes, sha256, archived_at, locked_until, problem, names FROM audit_archives
WHERE from_seq >= sqlc.arg(from_seq)::bigint AND from_seq < sqlc.arg(below)::bigint ORDER BY from_seq LIMIT sqlc.arg(max_rows);
