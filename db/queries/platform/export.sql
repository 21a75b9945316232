-- name: ListTenantsWithExportsDue :many
-- As bc_jobs, whose policy admits only rows that are due, and which sees no more of them than the
-- tenant and the time. Index: exports_due.
SELECT tenant_id FROM exports WHERE due_at <= now() GROUP BY tenant_id ORDER BY min(due_at) LIMIT sqlc.arg(max_rows);
