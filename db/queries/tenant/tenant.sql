-- name: GetTenant :one
-- The caller's own tenant: the wall leaves one row. Lock: none. Index: tenants_pkey.
SELECT id, slug, name, mode, state, rp_id, rp_name, origins, direct_tokens, policy_version, suspend_reason,
  created_at, updated_at, delete_after, version, shredded_at
FROM tenants;
