-- name: InsertTenant :one
-- Answers no row when the slug is taken, now or by a tenant that is gone. Index: tenants_pkey, tenants_slug_key.
INSERT INTO tenants (id, slug, name, mode, rp_id, rp_name, origins, created_at, updated_at)
VALUES (sqlc.arg(id), sqlc.arg(slug), sqlc.arg(name), sqlc.arg(mode), sqlc.arg(rp_id), sqlc.arg(rp_name), sqlc.arg(origins), sqlc.arg(now), sqlc.arg(now))
ON CONFLICT (slug) DO NOTHING
RETURNING *;

-- name: GetTenant :one
-- Index: tenants_pkey.
SELECT * FROM tenants WHERE id = $1;

-- name: GetTenantBySlug :one
-- Index: tenants_slug_key.
SELECT * FROM tenants WHERE slug = $1;

-- name: ListTenantsOfRPID :many
-- Whose a domain is: of two in one mode, nobody's. A live tenant's only once it is proven.
-- Index: tenants_rp_id, domain_proofs_pkey.
SELECT t.id, t.mode FROM tenants t LEFT JOIN domain_proofs p ON p.tenant_id = t.id AND p.rp_id = t.rp_id
WHERE t.rp_id = $1 AND t.state <> 'DELETING' AND t.slug <> 'platform' AND (t.mode = 'TEST' OR p.proven_at IS NOT NULL)
ORDER BY t.mode, t.id LIMIT 3;

-- name: LockTenant :one
-- FOR UPDATE: state changes of one tenant, one after the other. Index: tenants_pkey.
SELECT * FROM tenants WHERE id = $1 FOR UPDATE;

-- name: ListTenants :many
-- Keyset by id, newest first; without the reserved platform tenant. Index: tenants_pkey, backwards.
SELECT * FROM tenants
WHERE (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid)
  AND (sqlc.narg(slug)::text IS NULL OR slug = sqlc.narg(slug)::text)
  AND (sqlc.narg(mode)::text IS NULL OR mode = sqlc.narg(mode)::text)
  AND state = ANY (sqlc.arg(states)::text[])
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before)::timestamptz)
  AND slug <> 'platform'
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: UpdateTenant :one
-- Under LockTenant. Index: tenants_pkey.
UPDATE tenants SET name = sqlc.arg(name), rp_id = sqlc.arg(rp_id), rp_name = sqlc.arg(rp_name), origins = sqlc.arg(origins),
  direct_tokens = sqlc.arg(direct_tokens), updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) RETURNING *;

-- name: SetTenantState :one
-- Under LockTenant. Index: tenants_pkey.
UPDATE tenants SET state = sqlc.arg(state), suspend_reason = sqlc.narg(suspend_reason), updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) RETURNING *;

-- name: ListTenantsToMeasure :many
-- Keyset by id, the oldest first; without the reserved platform tenant and those that are being deleted. Index: tenants_pkey.
SELECT id, slug FROM tenants
WHERE id > sqlc.arg(after_id)::uuid AND (sqlc.narg(tenant_id)::uuid IS NULL OR id = sqlc.narg(tenant_id)::uuid)
  AND slug <> 'platform' AND state <> 'DELETING'
ORDER BY id LIMIT sqlc.arg(max_rows);
