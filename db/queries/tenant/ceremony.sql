-- name: SpendChallenge :execrows
-- 1 when this request is the first to spend it, 0 when it is spent. Lock: waits for a
-- concurrent insert of the same hash to end. Index: spent_challenges_pkey of its slot.
INSERT INTO spent_challenges (hash, slot, spender) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: GetSpender :one
-- Who spent it. Index: spent_challenges_pkey of its slot.
SELECT spender FROM spent_challenges WHERE hash = $1 AND slot = $2;

-- name: InsertCeremony :exec
-- Index: ceremonies_pkey of its month, and ceremonies_failed unless it is let in.
INSERT INTO ceremonies (at, id, kind, outcome, reason, user_id, credential_id, policy_version, facts,
  latency_us, trace_id, request_id, browser, api_key_id, repeats)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);

-- name: ListCeremonies :many
-- Newest first, keyset by (at, id). Index: ceremonies_pkey, backwards.
SELECT at, id, kind, outcome, reason, user_id, credential_id, policy_version, facts FROM ceremonies
WHERE (at, id) < (sqlc.arg(before_at)::timestamptz, sqlc.arg(before_id)::uuid)
ORDER BY at DESC, id DESC LIMIT sqlc.arg(max_rows);

-- name: FindCeremonies :many
-- The newest first, of the max_scanned ceremonies before (before_at, before_id): a filter
-- that matches little must not read all of them. Index: ceremonies_pkey, backwards.
SELECT * FROM (
  SELECT * FROM ceremonies
  WHERE (at, id) < (sqlc.arg(before_at)::timestamptz, sqlc.arg(before_id)::uuid) AND at >= sqlc.arg(since)::timestamptz AND at < sqlc.arg(until)::timestamptz
  ORDER BY at DESC, id DESC LIMIT sqlc.arg(max_scanned)) c
WHERE kind = ANY (sqlc.arg(kinds)::text[]) AND outcome = ANY (sqlc.arg(outcomes)::text[])
  AND (sqlc.narg(reason)::text IS NULL OR reason = sqlc.narg(reason)::text)
  AND (sqlc.narg(user_id)::uuid IS NULL OR user_id = sqlc.narg(user_id)::uuid)
  AND (sqlc.narg(credential_id)::bytea IS NULL OR credential_id = sqlc.narg(credential_id)::bytea)
  AND (sqlc.narg(trace_id)::text IS NULL OR trace_id = sqlc.narg(trace_id)::text)
  AND (sqlc.narg(request_id)::text IS NULL OR request_id = sqlc.narg(request_id)::text)
  AND (sqlc.narg(model)::text IS NULL OR facts LIKE '%"aaguid":"' || sqlc.narg(model)::text || '"%')
ORDER BY at DESC, id DESC LIMIT sqlc.arg(max_rows);

-- name: FindFailedCeremonies :many
-- FindCeremonies of those that were not let in. Index: ceremonies_failed, backwards.
SELECT * FROM (
  SELECT * FROM ceremonies
  WHERE outcome <> 'ALLOW' AND (at, id) < (sqlc.arg(before_at)::timestamptz, sqlc.arg(before_id)::uuid)
    AND at >= sqlc.arg(since)::timestamptz AND at < sqlc.arg(until)::timestamptz
  ORDER BY at DESC, id DESC LIMIT sqlc.arg(max_scanned)) c
WHERE kind = ANY (sqlc.arg(kinds)::text[]) AND outcome = ANY (sqlc.arg(outcomes)::text[])
  AND (sqlc.narg(reason)::text IS NULL OR reason = sqlc.narg(reason)::text)
  AND (sqlc.narg(user_id)::uuid IS NULL OR user_id = sqlc.narg(user_id)::uuid)
  AND (sqlc.narg(credential_id)::bytea IS NULL OR credential_id = sqlc.narg(credential_id)::bytea)
  AND (sqlc.narg(trace_id)::text IS NULL OR trace_id = sqlc.narg(trace_id)::text)
  AND (sqlc.narg(request_id)::text IS NULL OR request_id = sqlc.narg(request_id)::text)
  AND (sqlc.narg(model)::text IS NULL OR facts LIKE '%"aaguid":"' || sqlc.narg(model)::text || '"%')
ORDER BY at DESC, id DESC LIMIT sqlc.arg(max_rows);

-- name: EndOfCeremonies :one
-- The last of the max_scanned that FindCeremonies looks at. Index: ceremonies_pkey, backwards.
SELECT at, id FROM ceremonies
WHERE (at, id) < (sqlc.arg(before_at)::timestamptz, sqlc.arg(before_id)::uuid) AND at >= sqlc.arg(since)::timestamptz AND at < sqlc.arg(until)::timestamptz
ORDER BY at DESC, id DESC OFFSET sqlc.arg(max_scanned)::int - 1 LIMIT 1;

-- name: EndOfFailedCeremonies :one
-- EndOfCeremonies of FindFailedCeremonies. Index: ceremonies_failed, backwards.
SELECT at, id FROM ceremonies
WHERE outcome <> 'ALLOW' AND (at, id) < (sqlc.arg(before_at)::timestamptz, sqlc.arg(before_id)::uuid)
  AND at >= sqlc.arg(since)::timestamptz AND at < sqlc.arg(until)::timestamptz
ORDER BY at DESC, id DESC OFFSET sqlc.arg(max_scanned)::int - 1 LIMIT 1;

-- name: GetCeremony :one
-- Of a span, which its id tells nearly. Index: ceremonies_pkey.
SELECT * FROM ceremonies WHERE at >= sqlc.arg(since)::timestamptz AND at < sqlc.arg(until)::timestamptz AND id = sqlc.arg(id);

-- name: NewestCeremonies :many
-- Where the newest stand, back to since, the newest first: what a live tail compares with what
-- it has told. Index: ceremonies_pkey, backwards.
SELECT at, id FROM ceremonies WHERE at >= sqlc.arg(since)::timestamptz ORDER BY at DESC, id DESC LIMIT sqlc.arg(max_rows);

-- name: GetCeremonies :many
-- Some of a span, in order. Index: ceremonies_pkey.
SELECT * FROM ceremonies WHERE at >= sqlc.arg(since)::timestamptz AND at <= sqlc.arg(until)::timestamptz AND id = ANY (sqlc.arg(ids)::uuid[])
ORDER BY at, id;
