-- name: GetPolicy :one
-- Index: policies_pkey.
SELECT version, document, created_by, created_at FROM policies WHERE version = $1;

-- name: InsertPolicy :exec
-- Versions are never changed. Index: policies_pkey.
INSERT INTO policies (version, document, created_by, created_at) VALUES ($1, $2, $3, $4);

-- name: ListPolicies :many
-- One page, the newest first. Keyset by version. Index: policies_pkey, backwards.
SELECT version, document, created_by, created_at FROM policies
WHERE sqlc.narg(before)::integer IS NULL OR version < sqlc.narg(before)::integer
ORDER BY version DESC LIMIT sqlc.arg(max_rows);
