-- name: GetTenant :one
-- The caller's own tenant: the wall leaves one row. Lock: none. Index: tenants_pkey.
SELECT * FROM tenants;

-- name: LockTenant :one
-- FOR UPDATE: changes of one's own settings, one after the other. Index: tenants_pkey.
SELECT * FROM tenants WHERE id = $1 FOR UPDATE;

-- name: UpdateSettings :one
-- Under LockTenant; only the columns that bc_app may change. Index: tenants_pkey.
UPDATE tenants SET rp_id = sqlc.arg(rp_id), rp_name = sqlc.arg(rp_name), origins = sqlc.arg(origins),
  direct_tokens = sqlc.arg(direct_tokens), token_audience = sqlc.narg(token_audience), token_encryption_key = sqlc.narg(token_encryption_key),
  related_origins = sqlc.arg(related_origins), android_apps = sqlc.arg(android_apps), ios_apps = sqlc.arg(ios_apps),
  passkey_enroll_url = sqlc.narg(passkey_enroll_url), passkey_manage_url = sqlc.narg(passkey_manage_url), passkey_prf_url = sqlc.narg(passkey_prf_url),
  accent_color = sqlc.arg(accent_color), accent_color_dark = sqlc.arg(accent_color_dark), support_url = sqlc.arg(support_url),
  support_email = sqlc.arg(support_email), logo_sha256 = sqlc.arg(logo_sha256),
  updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) RETURNING *;

-- name: SetPolicyVersion :exec
-- Under LockTenant, to a version that was inserted in the same transaction. Index: tenants_pkey.
UPDATE tenants SET policy_version = sqlc.arg(policy_version), updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id);
