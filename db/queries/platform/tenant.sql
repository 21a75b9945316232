-- name: InsertTenant :one
-- Answers no row when the slug is taken, now or by a tenant that is gone. Index: tenants_pkey, tenants_slug_key.
INSERT INTO tenants (id, slug, name, mode, rp_id, rp_name, origins, plan, created_at, updated_at)
VALUES (sqlc.arg(id), sqlc.arg(slug), sqlc.arg(name), sqlc.arg(mode), sqlc.arg(rp_id), sqlc.arg(rp_name), sqlc.arg(origins), sqlc.arg(plan), sqlc.arg(now), sqlc.arg(now))
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
  AND (sqlc.narg(availability_below)::float8 IS NULL OR month_answered < sqlc.narg(availability_below)::float8 * (month_answered + month_faults))
  AND (sqlc.narg(availability_from)::float8 IS NULL OR month_answered + month_faults > 0 AND month_answered >= sqlc.narg(availability_from)::float8 * (month_answered + month_faults))
  AND slug <> 'platform'
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: ListTenantsBy :many
-- ListTenants in another order: by a key that is text, so that one query serves all four, and by id where it is the same.
-- What was never active, and what nothing is known of, has an empty key. Reads and sorts all that match: 20 to 31 ms where there are 10,000 tenants.
SELECT sqlc.embed(t), k.sort_key::text AS sort_key
FROM tenants t CROSS JOIN LATERAL (SELECT (CASE sqlc.arg(by)::text
  WHEN 'name' THEN lower(t.name)
  WHEN 'users' THEN lpad(t.user_count::text, 12, '0')
  WHEN 'lastActiveAt' THEN COALESCE(to_char(t.last_active_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS'), '')
  WHEN 'availability' THEN CASE WHEN t.month_answered + t.month_faults > 0
    THEN lpad(trunc(1e9 * t.month_answered / (t.month_answered + t.month_faults))::text, 10, '0') ELSE '' END
  ELSE '' END) COLLATE "C" AS sort_key) k
WHERE (sqlc.narg(slug)::text IS NULL OR t.slug = sqlc.narg(slug)::text)
  AND (sqlc.narg(mode)::text IS NULL OR t.mode = sqlc.narg(mode)::text)
  AND t.state = ANY (sqlc.arg(states)::text[])
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR t.created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR t.created_at < sqlc.narg(created_before)::timestamptz)
  AND (sqlc.narg(availability_below)::float8 IS NULL OR t.month_answered < sqlc.narg(availability_below)::float8 * (t.month_answered + t.month_faults))
  AND (sqlc.narg(availability_from)::float8 IS NULL OR t.month_answered + t.month_faults > 0 AND t.month_answered >= sqlc.narg(availability_from)::float8 * (t.month_answered + t.month_faults))
  AND t.slug <> 'platform'
  AND (sqlc.narg(after_id)::uuid IS NULL OR CASE WHEN sqlc.arg(down)::boolean
    THEN (k.sort_key, t.id) < (sqlc.arg(after_key)::text, sqlc.narg(after_id)::uuid)
    ELSE (k.sort_key, t.id) > (sqlc.arg(after_key)::text, sqlc.narg(after_id)::uuid) END)
ORDER BY
  CASE WHEN sqlc.arg(down)::boolean THEN k.sort_key END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN k.sort_key END,
  CASE WHEN sqlc.arg(down)::boolean THEN t.id END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN t.id END
LIMIT sqlc.arg(max_rows);

-- name: UpdateTenant :one
-- Under LockTenant. Index: tenants_pkey.
UPDATE tenants SET name = sqlc.arg(name), rp_id = sqlc.arg(rp_id), rp_name = sqlc.arg(rp_name), origins = sqlc.arg(origins),
  direct_tokens = sqlc.arg(direct_tokens), plan = sqlc.arg(plan), region = sqlc.arg(region), updated_at = sqlc.arg(now), version = version + 1
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

-- name: SetTenantDeleting :one
-- Under LockTenant. Index: tenants_pkey.
UPDATE tenants SET state = 'DELETING', delete_after = sqlc.arg(delete_after)::timestamptz, delete_reason = sqlc.arg(reason)::text,
  delete_asked_by = sqlc.arg(asked_by), delete_by_tenant = sqlc.arg(by_tenant), updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) RETURNING *;

-- name: RestoreTenant :one
-- Under LockTenant, within the grace. What was suspended is suspended again. Index: tenants_pkey.
UPDATE tenants SET state = CASE WHEN suspend_reason IS NULL THEN 'ACTIVE' ELSE 'SUSPENDED' END, delete_after = NULL, delete_reason = NULL,
  delete_asked_by = '', delete_by_tenant = false, updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) RETURNING *;

-- name: SetTenantDestroying :exec
-- Under LockTenant, after the grace. Index: tenants_pkey.
UPDATE tenants SET destroying_at = sqlc.arg(now)::timestamptz, updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) AND destroying_at IS NULL;

-- name: DestroyTenantRows :one
-- The function judges by itself whether the tenant is to be destroyed.
SELECT destroy_rows(sqlc.arg(id), sqlc.arg(max_rows));

-- name: SetTenantEmptied :one
-- Under LockTenant, when DestroyTenantRows has answered 0: id and slug stay, so that they never come back. Index: tenants_pkey.
UPDATE tenants SET emptied_at = sqlc.arg(now)::timestamptz, name = slug, rp_id = '', rp_name = slug, origins = '{}', related_origins = '{}',
  android_apps = '{}', ios_apps = '{}', passkey_enroll_url = NULL, passkey_manage_url = NULL, passkey_prf_url = NULL,
  token_audience = NULL, token_encryption_key = NULL, suspend_reason = NULL, quotas_exceeded = '{}', limits = '{}', user_count = 0, month_answered = 0, month_faults = 0, updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) RETURNING *;

-- name: ListTenantsToDestroy :many
-- As bc_jobs, whose policy admits only tenants that are due. Index: tenants_delete_after.
SELECT id FROM tenants WHERE delete_after <= now() AND emptied_at IS NULL ORDER BY delete_after LIMIT sqlc.arg(max_rows);

-- name: SetTenantLimits :one
-- Under LockTenant. Index: tenants_pkey.
UPDATE tenants SET limits = sqlc.arg(limits), updated_at = sqlc.arg(now), version = version + 1 WHERE id = sqlc.arg(id) RETURNING *;

-- name: SetTenantMeasured :exec
-- Under LockTenant. It is no change of what somebody has read: the etag stays. Index: tenants_pkey.
UPDATE tenants SET quotas_exceeded = sqlc.arg(quotas_exceeded), user_count = sqlc.arg(user_count), last_active_at = sqlc.narg(last_active_at),
  month_answered = sqlc.arg(month_answered), month_faults = sqlc.arg(month_faults)
WHERE id = sqlc.arg(id);
