-- name: GetPolicy :one
-- Index: policies_pkey.
SELECT version, document, created_by, created_at FROM policies WHERE version = $1;

-- name: InsertPolicy :exec
-- Versions are never changed. Index: policies_pkey.
INSERT INTO policies (version, document, created_by, created_at) VALUES ($1, $2, $3, $4);
