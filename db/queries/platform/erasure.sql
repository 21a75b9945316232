-- name: ListErasuresWaiting :many
-- As bc_control, which sees hashes and times: those that the ledger outside has not. Index: erasures_waiting.
SELECT tenant_id, id, subject, at FROM erasures WHERE stored_at IS NULL ORDER BY at LIMIT sqlc.arg(max_rows);

-- name: ListErasuresBetween :many
-- As ListErasuresWaiting, all of some days. Index: erasures_at.
SELECT tenant_id, id, subject, at FROM erasures WHERE at >= sqlc.arg(from_at)::timestamptz AND at < sqlc.arg(to_at)::timestamptz ORDER BY at, tenant_id, id;

-- name: MarkErasuresStored :execrows
-- Index: erasures_pkey.
UPDATE erasures SET stored_at = sqlc.arg(now)::timestamptz
WHERE tenant_id = ANY (sqlc.arg(tenants)::uuid[]) AND id = ANY (sqlc.arg(ids)::uuid[]) AND stored_at IS NULL;
