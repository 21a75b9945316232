-- name: LockAnchorLog :one
-- The head of the log of heads, until the transaction ends; no row while another server has it.
SELECT size, edge, at, origin, public_key, seed FROM audit_anchor_log FOR UPDATE SKIP LOCKED;

-- name: SetAnchorKey :exec
-- The key of the log of heads, which has none.
UPDATE audit_anchor_log SET origin = sqlc.arg(origin)::text, public_key = sqlc.arg(public_key)::bytea, seed = sqlc.arg(seed)::bytea WHERE seed IS NULL;

-- name: ReplaceAnchorSeed :exec
-- The same key, sealed anew.
UPDATE audit_anchor_log SET seed = sqlc.arg(seed)::bytea WHERE seed IS NOT NULL;

-- name: AdvanceAnchorLog :exec
UPDATE audit_anchor_log SET size = sqlc.arg(size), edge = sqlc.arg(edge), at = sqlc.arg(at)::timestamptz;

-- name: WaitingAnchor :one
-- The anchor that is signed and not stored. Index: audit_anchors_waiting.
SELECT id, size, body, tried_at FROM audit_anchors WHERE body IS NOT NULL;

-- name: TryAnchor :exec
-- Somebody stores it now. Index: audit_anchors_pkey.
UPDATE audit_anchors SET tried_at = sqlc.arg(now)::timestamptz WHERE id = sqlc.arg(id);

-- name: InsertAnchor :exec
INSERT INTO audit_anchors (id, size, heads, refused, at, body, bytes, tried_at)
VALUES (sqlc.arg(id), sqlc.arg(size), sqlc.arg(heads), sqlc.arg(refused), sqlc.arg(at), sqlc.arg(body)::bytea, octet_length(sqlc.arg(body)::bytea), sqlc.arg(at));

-- name: SetAnchorStored :execrows
-- It is in object storage. Index: audit_anchors_pkey.
UPDATE audit_anchors SET body = NULL, stored_at = sqlc.arg(now)::timestamptz, version = sqlc.arg(version), locked_until = sqlc.narg(locked_until), problem = sqlc.arg(problem)
WHERE id = sqlc.arg(id) AND body IS NOT NULL;

-- name: SetAnchoredHeads :exec
-- Heads that are stored. Index: audit_anchor_heads_pkey.
INSERT INTO audit_anchor_heads (tenant_id, size, root, seq, anchor_id)
SELECT unnest(sqlc.arg(tenants)::uuid[]), unnest(sqlc.arg(sizes)::bigint[]), unnest(sqlc.arg(roots)::bytea[]), unnest(sqlc.arg(seqs)::bigint[]), sqlc.arg(anchor_id)::uuid
ON CONFLICT (tenant_id) DO UPDATE SET size = excluded.size, root = excluded.root, seq = excluded.seq, anchor_id = excluded.anchor_id;

-- name: ListChangedHeads :many
-- Heads that are signed and not anchored, with what is: those of one size and two roots among them. Reads all heads, once a minute.
SELECT l.tenant_id, l.signed_size, l.checkpoint::text AS checkpoint, coalesce(h.size, -1)::bigint AS anchored_size, h.root AS anchored_root
FROM audit_logs l LEFT JOIN audit_anchor_heads h ON h.tenant_id = l.tenant_id
WHERE l.checkpoint IS NOT NULL AND (h.size IS NULL OR h.size <> l.signed_size OR split_part(l.checkpoint, E'\n', 3) <> encode(h.root, 'base64'))
ORDER BY l.tenant_id LIMIT sqlc.arg(max_rows);
