-- name: LockDashboards :exec
-- Advisory: dashboards of a tenant are counted and added one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('biocore dashboards ' || current_setting('app.tenant_id'), 0));

-- name: CountDashboards :one
-- Index: dashboards_pkey; there are at most a hundred.
SELECT count(*)::integer FROM dashboards;

-- name: InsertDashboard :one
INSERT INTO dashboards (id, title, charts, created_by, created_at, updated_by, updated_at)
VALUES (sqlc.arg(id), sqlc.arg(title), sqlc.arg(charts), sqlc.arg(by), sqlc.arg(now), sqlc.arg(by), sqlc.arg(now))
RETURNING *;

-- name: ListDashboards :many
-- All of them, by title. Index: dashboards_pkey; there are at most a hundred.
SELECT * FROM dashboards ORDER BY lower(title), id;

-- name: GetDashboard :one
-- Index: dashboards_pkey.
SELECT * FROM dashboards WHERE id = $1;

-- name: LockDashboard :one
-- Lock: the row. Index: dashboards_pkey.
SELECT * FROM dashboards WHERE id = $1 FOR UPDATE;

-- name: UpdateDashboard :one
-- Under LockDashboard. Index: dashboards_pkey.
UPDATE dashboards SET title = sqlc.arg(title), charts = sqlc.arg(charts), updated_by = sqlc.arg(by), updated_at = sqlc.arg(now), version = version + 1
WHERE id = sqlc.arg(id) RETURNING *;

-- name: DeleteDashboard :exec
-- Under LockDashboard. Index: dashboards_pkey.
DELETE FROM dashboards WHERE id = $1;
