-- name: ListTenantsWithReportsDue :many
-- Whose reports are to be written or removed, or made by a schedule, the longest due first. As bc_jobs, which sees the tenant
-- and the time. Index: reports_due, report_schedules_due.
SELECT tenant_id FROM (
  SELECT tenant_id, due_at FROM reports WHERE due_at <= now()
  UNION ALL
  SELECT tenant_id, due_at FROM report_schedules WHERE due_at <= now()) d
GROUP BY tenant_id ORDER BY min(due_at) LIMIT sqlc.arg(max_rows);
