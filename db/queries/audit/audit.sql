-- name: Lead :one
-- As bc_audit. One server at a time moves entries: until the transaction ends.
SELECT pg_try_advisory_xact_lock(7163093018);

-- name: ClaimEntries :many
-- The oldest entries of all tenants but some, taken out of the inbox. Index: audit_inbox_order.
WITH claimed AS (
  DELETE FROM audit_inbox WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM audit_inbox WHERE tenant_id <> ALL (sqlc.arg(not_of)::uuid[]) ORDER BY id LIMIT sqlc.arg(most)))
  RETURNING tenant_id, id, at, action, target, entry, private, support_grant_id
)
SELECT tenant_id, id, at, action, target, entry, private, support_grant_id FROM claimed ORDER BY tenant_id, id;

-- name: ListSubjects :many
-- Those of these that have a key or are erased. Index: subject_keys_pkey.
SELECT k.tenant_id, k.subject_id, k.salt FROM subject_keys k
JOIN (SELECT unnest(sqlc.arg(tenants)::uuid[]) AS tenant_id, unnest(sqlc.arg(subjects)::uuid[]) AS subject_id) u USING (tenant_id, subject_id);

-- name: InsertSubjects :exec
-- Keys of persons who have none; somebody erased meanwhile stays so. Index: subject_keys_pkey.
INSERT INTO subject_keys (tenant_id, subject_id, salt)
SELECT unnest(sqlc.arg(tenants)::uuid[]), unnest(sqlc.arg(subjects)::uuid[]), unnest(sqlc.arg(salts)::bytea[])
ON CONFLICT (tenant_id, subject_id) DO NOTHING;

-- name: OpenLogs :exec
-- Begins the logs of tenants that have none. Index: audit_logs_pkey.
INSERT INTO audit_logs (tenant_id, sequenced_at) SELECT unnest(sqlc.arg(tenants)::uuid[]), sqlc.arg(now)::timestamptz
ON CONFLICT (tenant_id) DO NOTHING;

-- name: LockLogs :many
-- The heads of logs, until the transaction ends; in one order, so that nobody waits in a circle. Index: audit_logs_pkey.
SELECT tenant_id, size, edge, sequenced_at FROM audit_logs WHERE tenant_id = ANY (sqlc.arg(tenants)::uuid[]) ORDER BY tenant_id FOR UPDATE;

-- name: InsertEntries :exec
-- Index: those of audit_entries.
INSERT INTO audit_entries (tenant_id, seq, sequenced_at, id, at, action, target, entry, leaf, private, support_grant_id)
SELECT unnest(sqlc.arg(tenants)::uuid[]), unnest(sqlc.arg(seqs)::bigint[]), unnest(sqlc.arg(sequenced)::timestamptz[]), unnest(sqlc.arg(ids)::uuid[]),
  unnest(sqlc.arg(ats)::timestamptz[]), unnest(sqlc.arg(actions)::text[]), unnest(sqlc.arg(targets)::text[]), unnest(sqlc.arg(entries)::text[]),
  unnest(sqlc.arg(leaves)::bytea[]), unnest(sqlc.arg(privates)::bytea[]), NULLIF(unnest(sqlc.arg(grants)::uuid[]), '00000000-0000-0000-0000-000000000000');

-- name: AdvanceLogs :execrows
-- The new heads. Answers how many were still as they were read: all, or somebody else writes. Index: audit_logs_pkey.
UPDATE audit_logs l SET size = u.size, edge = u.edge, sequenced_at = u.sequenced_at
FROM (SELECT unnest(sqlc.arg(tenants)::uuid[]) AS tenant_id, unnest(sqlc.arg(was)::bigint[]) AS was, unnest(sqlc.arg(sizes)::bigint[]) AS size,
  unnest(sqlc.arg(edges)::bytea[]) AS edge, unnest(sqlc.arg(sequenced)::timestamptz[]) AS sequenced_at) u
WHERE l.tenant_id = u.tenant_id AND l.size = u.was;

-- name: InsertLeafTile :exec
-- A complete tile of level 0, of the leaves that it holds. Index: audit_entries_pkey, audit_tiles_pkey.
INSERT INTO audit_tiles (tenant_id, level, n, root, hashes)
SELECT sqlc.arg(tenant)::uuid, 0, sqlc.arg(n)::bigint, sqlc.arg(root)::bytea, string_agg(e.leaf, ''::bytea ORDER BY e.seq)
FROM audit_entries e WHERE e.tenant_id = sqlc.arg(tenant)::uuid AND e.seq >= sqlc.arg(n)::bigint * 256 AND e.seq < (sqlc.arg(n)::bigint + 1) * 256;

-- name: InsertTile :exec
-- A complete tile of a higher level, of the roots of the tiles below it. Index: audit_tiles_pkey.
INSERT INTO audit_tiles (tenant_id, level, n, root, hashes)
SELECT sqlc.arg(tenant)::uuid, sqlc.arg(level)::smallint, sqlc.arg(n)::bigint, sqlc.arg(root)::bytea, string_agg(t.root, ''::bytea ORDER BY t.n)
FROM audit_tiles t WHERE t.tenant_id = sqlc.arg(tenant)::uuid AND t.level = sqlc.arg(level)::smallint - 1
  AND t.n >= sqlc.arg(n)::bigint * 256 AND t.n < (sqlc.arg(n)::bigint + 1) * 256;

-- name: UnsignedLogs :many
-- Tenants whose log has grown since its last checkpoint. Reads all heads: asked rarely.
SELECT tenant_id FROM audit_logs WHERE size > signed_size ORDER BY tenant_id;

-- name: LockLog :one
-- One head with its key. Index: audit_logs_pkey.
SELECT tenant_id, size, edge, signed_size, origin, public_key, seed FROM audit_logs WHERE tenant_id = sqlc.arg(tenant)::uuid FOR UPDATE;

-- name: SetLogKey :exec
-- The key of a log that has none. Index: audit_logs_pkey.
UPDATE audit_logs SET origin = sqlc.arg(origin)::text, public_key = sqlc.arg(public_key)::bytea, seed = sqlc.arg(seed)::bytea
WHERE tenant_id = sqlc.arg(tenant)::uuid AND seed IS NULL;

-- name: ReplaceLogSeed :exec
-- The same key, sealed anew. Index: audit_logs_pkey.
UPDATE audit_logs SET seed = sqlc.arg(seed)::bytea WHERE tenant_id = sqlc.arg(tenant)::uuid AND seed IS NOT NULL;

-- name: SetCheckpoint :exec
-- The log's last checkpoint, which is kept for good if none was for a minute. Index: audit_logs_pkey, audit_checkpoints_pkey.
WITH signed AS (
  UPDATE audit_logs SET signed_size = sqlc.arg(size)::bigint, signed_at = sqlc.arg(now)::timestamptz, checkpoint = sqlc.arg(checkpoint)::text,
    kept_at = CASE WHEN kept_at > sqlc.arg(now)::timestamptz - interval '1 minute' THEN kept_at ELSE sqlc.arg(now)::timestamptz END
  WHERE tenant_id = sqlc.arg(tenant)::uuid AND signed_size < sqlc.arg(size)::bigint
  RETURNING tenant_id, kept_at
)
INSERT INTO audit_checkpoints (tenant_id, size, signed_at, checkpoint)
SELECT tenant_id, sqlc.arg(size)::bigint, sqlc.arg(now)::timestamptz, sqlc.arg(checkpoint)::text FROM signed WHERE kept_at = sqlc.arg(now)::timestamptz;
