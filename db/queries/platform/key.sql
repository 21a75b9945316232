-- name: ListTenantsWithKeysDue :many
-- As bc_jobs, whose policies admit only rows that are due, and which sees no more of them than
-- the tenant and the time. Index: data_keys_due, signing_keys_due.
SELECT tenant_id FROM (
  SELECT d.tenant_id, d.due_at FROM data_keys d WHERE d.due_at <= now()
  UNION ALL
  SELECT s.tenant_id, s.due_at FROM signing_keys s WHERE s.due_at <= now()
) due GROUP BY tenant_id ORDER BY min(due_at) LIMIT sqlc.arg(max_rows);

-- name: ListTenantIDs :many
-- Keyset by id, the platform's own included, oldest first. As bc_control. Index: tenants_pkey.
SELECT id, slug, state FROM tenants WHERE id > sqlc.arg(after_id) ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: CountTenants :one
-- As bc_control.
SELECT count(*) FROM tenants;

-- name: SetTenantShredded :one
-- Under LockTenant. Index: tenants_pkey.
UPDATE tenants SET state = 'DELETING', shredded_at = sqlc.arg(now)::timestamptz, updated_at = sqlc.arg(now)::timestamptz, version = version + 1
WHERE id = sqlc.arg(id) RETURNING *;
