-- name: InsertEvidence :exec
-- In the transaction of its ceremony. Index: evidence_pkey, users_pkey.
INSERT INTO evidence (id, ceremony_id, at, outcome, reason, user_id, credential_id, aaguid, format, trust, mds_number, policy_version,
  sha256, size, record_key, key_version, body, retention_days, expires_at, due_at)
VALUES (sqlc.arg(id), sqlc.arg(ceremony_id), sqlc.arg(at), sqlc.arg(outcome), sqlc.arg(reason), sqlc.narg(user_id), sqlc.narg(credential_id),
  sqlc.arg(aaguid), sqlc.arg(format), sqlc.arg(trust), sqlc.arg(mds_number), sqlc.arg(policy_version),
  sqlc.arg(sha256), sqlc.arg(size), sqlc.arg(record_key), sqlc.arg(key_version), sqlc.arg(body), sqlc.arg(retention_days),
  sqlc.arg(expires_at), sqlc.arg(due_at));

-- name: GetEvidence :one
-- What is left of an erased piece is none, and what has expired is gone though nobody has cleared it away. Index: evidence_pkey.
SELECT * FROM evidence WHERE id = sqlc.arg(id) AND record_key IS NOT NULL AND expires_at > sqlc.arg(now);

-- name: ListEvidence :many
-- Keyset by id, newest first; the filters are exact. Without the record. Index: evidence_pkey, backwards; evidence_credential, evidence_user.
SELECT id, ceremony_id, at, outcome, reason, user_id, credential_id, aaguid, format, trust, mds_number, policy_version, sha256, size,
  stored_at, expires_at
FROM evidence
WHERE record_key IS NOT NULL AND expires_at > sqlc.arg(now)
  AND (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid)
  AND (sqlc.narg(credential_id)::bytea IS NULL OR credential_id = sqlc.narg(credential_id)::bytea)
  AND (sqlc.narg(user_id)::uuid IS NULL OR user_id = sqlc.narg(user_id)::uuid)
  AND (sqlc.narg(aaguid)::uuid IS NULL OR aaguid = sqlc.narg(aaguid)::uuid)
  AND outcome = ANY (sqlc.arg(outcomes)::text[])
  AND trust = ANY (sqlc.arg(trusts)::text[])
  AND (sqlc.narg(at_from)::timestamptz IS NULL OR at >= sqlc.narg(at_from)::timestamptz)
  AND (sqlc.narg(at_before)::timestamptz IS NULL OR at < sqlc.narg(at_before)::timestamptz)
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: ListWaitingEvidence :many
-- What object storage does not have yet, the oldest first. Index: evidence_waiting.
SELECT id, body FROM evidence WHERE body IS NOT NULL AND record_key IS NOT NULL ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: SetEvidenceStored :execrows
-- Object storage has it: nothing waits here any more. 0 when it was erased meanwhile. Index: evidence_pkey.
UPDATE evidence SET body = NULL, stored_at = sqlc.arg(now)::timestamptz, due_at = expires_at WHERE id = sqlc.arg(id) AND body IS NOT NULL;

-- name: SetEvidenceRetention :execrows
-- Reckons anew what another retention was reckoned by. Index: evidence_retention.
UPDATE evidence SET retention_days = sqlc.arg(days), expires_at = at + make_interval(days => sqlc.arg(days)),
  due_at = CASE WHEN body IS NULL THEN at + make_interval(days => sqlc.arg(days)) ELSE LEAST(due_at, at + make_interval(days => sqlc.arg(days))) END
WHERE id IN (SELECT e.id FROM evidence e WHERE e.retention_days <> sqlc.arg(days) AND e.record_key IS NOT NULL LIMIT sqlc.arg(max_rows));

-- name: ShredExpiredEvidence :execrows
-- From here on nothing opens it; the object and the row go next. Index: evidence_due.
UPDATE evidence SET record_key = NULL, body = NULL WHERE id IN (
  SELECT e.id FROM evidence e WHERE e.due_at <= sqlc.arg(now) AND e.expires_at <= sqlc.arg(now) AND e.record_key IS NOT NULL LIMIT sqlc.arg(max_rows));

-- name: ShredEvidence :execrows
-- All of the tenant's, and what was put off comes up at once. Index: evidence_pkey.
UPDATE evidence SET record_key = NULL, body = NULL, due_at = sqlc.arg(now) WHERE id IN (
  SELECT e.id FROM evidence e WHERE e.record_key IS NOT NULL OR e.due_at > sqlc.arg(now) LIMIT sqlc.arg(max_rows));

-- name: ListShreddedEvidence :many
-- What nothing opens any more, and whose object is to go. Index: evidence_due.
SELECT id, stored_at FROM evidence WHERE due_at <= sqlc.arg(now) AND record_key IS NULL ORDER BY due_at LIMIT sqlc.arg(max_rows);

-- name: DeleteEvidence :execrows
-- Its object is gone. Index: evidence_pkey.
DELETE FROM evidence WHERE id = $1 AND record_key IS NULL;

-- name: PostponeEvidence :execrows
-- Object storage does not serve: look again later at what is due. Index: evidence_due.
UPDATE evidence SET due_at = sqlc.arg(until) WHERE due_at <= sqlc.arg(now);

-- name: ListStaleEvidenceKeys :many
-- Record keys that another data key sealed than the one that seals now, in order of version and id. Index: evidence_version.
SELECT id, key_version, record_key FROM evidence
WHERE key_version <> sqlc.arg(key_version) AND record_key IS NOT NULL
  AND (key_version, id) > (sqlc.arg(after_version)::bigint, sqlc.arg(after_id)::uuid)
ORDER BY key_version, id LIMIT sqlc.arg(max_rows);

-- name: ReplaceEvidenceKey :execrows
-- Compare and set. 0 when it was sealed anew or erased meanwhile. Index: evidence_pkey.
UPDATE evidence SET record_key = sqlc.arg(record_key), key_version = sqlc.arg(key_version) WHERE id = sqlc.arg(id) AND record_key = sqlc.arg(was);
