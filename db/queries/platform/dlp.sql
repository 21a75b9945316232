-- name: ListTenantsWithScansDue :many
-- Whose scans are to be begun, or gone on with, the longest due first. As bc_jobs, which sees the tenant and the time. Index: dlp_scans_due.
SELECT tenant_id FROM dlp_scans WHERE due_at <= now() GROUP BY tenant_id ORDER BY min(due_at) LIMIT sqlc.arg(max_rows);
