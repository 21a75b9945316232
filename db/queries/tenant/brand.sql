-- name: PutLogo :exec
-- Under LockTenant. Index: logos_pkey.
INSERT INTO logos (png) VALUES (sqlc.arg(png)) ON CONFLICT (tenant_id) DO UPDATE SET png = excluded.png;

-- name: DeleteLogo :exec
-- Under LockTenant. Index: logos_pkey.
DELETE FROM logos;

-- name: GetLogo :one
-- The tenant's, if its digest is still the one that was read. Index: logos_pkey, tenants_pkey.
SELECT l.png FROM logos l JOIN tenants t ON t.id = l.tenant_id WHERE t.logo_sha256 = sqlc.arg(sha256);
