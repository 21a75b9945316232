-- name: LastAnchor :one
-- As bc_control. The last anchor that is stored. Index: audit_anchors_size_key, backwards.
SELECT size, heads, refused, bytes, at, stored_at, locked_until, problem FROM audit_anchors WHERE stored_at IS NOT NULL ORDER BY size DESC LIMIT 1;

-- name: GetAnchor :one
-- As bc_control. An anchor that is stored. Index: audit_anchors_pkey.
SELECT id, size, at, stored_at, version, locked_until, problem FROM audit_anchors WHERE id = sqlc.arg(id) AND stored_at IS NOT NULL;
