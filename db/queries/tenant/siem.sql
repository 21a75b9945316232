-- name: LockSinks :exec
-- Advisory: sinks of a tenant are counted and added one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('biocore siem sinks ' || current_setting('app.tenant_id'), 0));

-- name: CountSinks :one
-- Index: siem_sinks_pkey; there are at most ten.
SELECT count(*)::integer FROM siem_sinks;

-- name: InsertSink :one
-- No row where the name is taken. Index: siem_sinks_tenant_id_name_key.
INSERT INTO siem_sinks (id, name, kind, format, address, index_name, acknowledge, credential, key_version, ca_certificates, actions, outcomes, redact, redact_kinds, block_kinds,
  state, created_by, created_at, updated_by, updated_at, next_seq, due_at)
VALUES (sqlc.arg(id), sqlc.arg(name), sqlc.arg(kind), sqlc.arg(format), sqlc.arg(address), sqlc.arg(index_name), sqlc.arg(acknowledge), sqlc.narg(credential), sqlc.arg(key_version),
  sqlc.arg(ca_certificates), sqlc.arg(actions)::text[], sqlc.arg(outcomes)::text[], sqlc.arg(redact)::text[], sqlc.arg(redact_kinds)::text[], sqlc.arg(block_kinds)::text[],
  'ACTIVE', sqlc.arg(by), sqlc.arg(now), sqlc.arg(by), sqlc.arg(now), sqlc.arg(next_seq), sqlc.arg(now))
ON CONFLICT (tenant_id, name) DO NOTHING
RETURNING *;

-- name: ListSinks :many
-- All of them, by name. Index: siem_sinks_pkey; there are at most ten.
SELECT * FROM siem_sinks ORDER BY name;

-- name: GetSink :one
-- Index: siem_sinks_pkey.
SELECT * FROM siem_sinks WHERE id = $1;

-- name: LockSink :one
-- Lock: the row. Index: siem_sinks_pkey.
SELECT * FROM siem_sinks WHERE id = $1 FOR UPDATE;

-- name: SinkNameTaken :one
-- Index: siem_sinks_tenant_id_name_key.
SELECT EXISTS (SELECT FROM siem_sinks WHERE name = sqlc.arg(name) AND id <> sqlc.arg(id));

-- name: UpdateSink :one
-- Under LockSink. Whoever delivers just now moves the cursor no more: it would by what was before. Index: siem_sinks_pkey.
UPDATE siem_sinks SET name = sqlc.arg(name), format = sqlc.arg(format), address = sqlc.arg(address), index_name = sqlc.arg(index_name), acknowledge = sqlc.arg(acknowledge),
  credential = sqlc.narg(credential), key_version = sqlc.arg(key_version), ca_certificates = sqlc.arg(ca_certificates), actions = sqlc.arg(actions)::text[],
  outcomes = sqlc.arg(outcomes)::text[], redact = sqlc.arg(redact)::text[],
  redact_kinds = sqlc.arg(redact_kinds)::text[], block_kinds = sqlc.arg(block_kinds)::text[], state = sqlc.arg(state), next_seq = sqlc.arg(next_seq),
  version = version + 1, updated_by = sqlc.arg(by), updated_at = sqlc.arg(now)::timestamptz, failures = 0, due_at = sqlc.arg(now)::timestamptz, lease = NULL, leased_until = NULL
WHERE id = sqlc.arg(id) RETURNING *;

-- name: DeleteSink :exec
-- Under LockSink. Index: siem_sinks_pkey.
DELETE FROM siem_sinks WHERE id = $1;

-- name: ClaimSink :one
-- For who is to deliver. No row while another does, before it is due, and when it is paused. Index: siem_sinks_pkey.
UPDATE siem_sinks SET lease = sqlc.arg(lease)::uuid, leased_until = sqlc.arg(until)::timestamptz
WHERE id = sqlc.arg(id) AND state = 'ACTIVE' AND due_at <= sqlc.arg(now)::timestamptz AND (leased_until IS NULL OR leased_until <= sqlc.arg(now)::timestamptz)
RETURNING *;

-- name: AdvanceSink :execrows
-- The sink has acknowledged all before next_seq. 0: it is another's by now, or was changed: what was sent is sent again. Index: siem_sinks_pkey.
UPDATE siem_sinks SET next_seq = sqlc.arg(next_seq), sent = sent + sqlc.arg(sent)::bigint, rejected = rejected + sqlc.arg(rejected)::bigint, missed = missed + sqlc.arg(missed)::bigint, blocked = blocked + sqlc.arg(blocked)::bigint,
  failures = CASE WHEN sqlc.arg(answered)::boolean THEN 0 ELSE failures END, last_success_at = CASE WHEN sqlc.arg(answered)::boolean THEN sqlc.arg(now)::timestamptz ELSE last_success_at END, leased_until = sqlc.arg(until)::timestamptz
WHERE id = sqlc.arg(id) AND lease = sqlc.arg(lease)::uuid AND next_seq = sqlc.arg(was);

-- name: ReleaseSink :exec
-- Nothing is left to deliver, or others have their turn. Index: siem_sinks_pkey.
UPDATE siem_sinks SET lease = NULL, leased_until = NULL WHERE id = sqlc.arg(id) AND lease = sqlc.arg(lease)::uuid;

-- name: FailSink :exec
-- A delivery has failed: not before due_at again. Index: siem_sinks_pkey.
UPDATE siem_sinks SET failures = failures + 1, last_error = sqlc.arg(error), last_error_at = sqlc.arg(now)::timestamptz, due_at = sqlc.arg(due_at)::timestamptz,
  lease = NULL, leased_until = NULL
WHERE id = sqlc.arg(id) AND lease = sqlc.arg(lease)::uuid;

-- name: NoteRejects :exec
-- After AdvanceSink, in its transaction. Index: siem_rejects_pkey.
INSERT INTO siem_rejects (sink_id, seq, at, reason)
SELECT sqlc.arg(sink_id)::uuid, unnest(sqlc.arg(seqs)::bigint[]), sqlc.arg(now)::timestamptz, unnest(sqlc.arg(reasons)::text[])
ON CONFLICT (tenant_id, sink_id, seq) DO UPDATE SET at = EXCLUDED.at, reason = EXCLUDED.reason;

-- name: TrimRejects :exec
-- All but the latest. Index: siem_rejects_pkey.
DELETE FROM siem_rejects r WHERE r.sink_id = sqlc.arg(sink_id)
  AND r.seq < (SELECT seq FROM siem_rejects WHERE sink_id = sqlc.arg(sink_id) ORDER BY seq DESC OFFSET sqlc.arg(keep)::int - 1 LIMIT 1);

-- name: ListRejects :many
-- The latest first. Index: siem_rejects_pkey, backwards.
SELECT seq, at, reason FROM siem_rejects WHERE sink_id = sqlc.arg(sink_id) ORDER BY seq DESC LIMIT sqlc.arg(max_rows);

-- name: DeleteRejects :exec
-- Of a sink that goes. Index: siem_rejects_pkey.
DELETE FROM siem_rejects WHERE sink_id = $1;

-- name: ListStaleSinkCredentials :many
-- Credentials that another data key sealed than the one that seals now. Index: siem_sinks_pkey; there are at most ten.
SELECT id, credential FROM siem_sinks WHERE key_version <> sqlc.arg(key_version) AND credential IS NOT NULL ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: ReplaceSinkCredential :execrows
-- Compare and set: the same credential, sealed anew. Index: siem_sinks_pkey.
UPDATE siem_sinks SET credential = sqlc.arg(credential)::bytea, key_version = sqlc.arg(key_version) WHERE id = sqlc.arg(id) AND credential = sqlc.arg(was)::bytea;
