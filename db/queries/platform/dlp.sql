-- name: ListTenantsWithScansDue :many
-- Whose scans are to be begun, or gone on with, and who has a schedule that is to be looked at, the longest due first. As bc_jobs, whose
-- policies show what is due alone. Index: dlp_scans_due, dlp_schedules_due.
SELECT d.tenant_id FROM (SELECT tenant_id, due_at FROM dlp_scans WHERE due_at <= now() UNION ALL SELECT tenant_id, due_at FROM dlp_schedules) d
GROUP BY d.tenant_id ORDER BY min(d.due_at) LIMIT sqlc.arg(max_rows);
