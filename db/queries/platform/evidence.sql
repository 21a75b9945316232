-- name: ListTenantsWithEvidenceDue :many
-- As bc_jobs, whose policy admits only rows that are due, and which sees no more of them than the
-- tenant and the time. Index: evidence_due.
SELECT tenant_id FROM evidence WHERE due_at <= now() GROUP BY tenant_id ORDER BY min(due_at) LIMIT sqlc.arg(max_rows);
