-- name: LockAuditViews :exec
-- Advisory: views of a tenant are counted and added one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('biocore audit views ' || current_setting('app.tenant_id'), 0));

-- name: CountAuditViews :one
-- Index: audit_views_pkey; there are at most fifty.
SELECT count(*)::integer FROM audit_views;

-- name: InsertAuditView :execrows
-- None where there is one of this name. Index: audit_views_name.
INSERT INTO audit_views (id, name, outcome, target_kind, target, action, actor, days, created_by, created_at)
VALUES (sqlc.arg(id), sqlc.arg(name), sqlc.arg(outcome), sqlc.arg(target_kind), sqlc.arg(target), sqlc.arg(action), sqlc.arg(actor), sqlc.arg(days), sqlc.arg(by), sqlc.arg(now))
ON CONFLICT (tenant_id, lower(name)) DO NOTHING;

-- name: ListAuditViews :many
-- All of them, by name. Index: audit_views_pkey; there are at most fifty.
SELECT id, name, outcome, target_kind, target, action, actor, days, created_by, created_at FROM audit_views ORDER BY lower(name), id;

-- name: DeleteAuditView :one
-- Index: audit_views_pkey.
DELETE FROM audit_views WHERE id = $1 RETURNING name;
