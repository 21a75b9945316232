-- name: ListTenantsWithStatsDue :many
-- As bc_jobs, which sees of ceremonies no more than tenant and time. Those first that have
-- ceremonies which are not counted for good. A row of ceremonies is looked for in each tenant
-- by itself, in the order of the index: any other plan would read them all.
-- Index: tenants_pkey, stats_marks_pkey, ceremonies_pkey.
SELECT t.id FROM tenants t
LEFT JOIN stats_marks m ON m.tenant_id = t.id
LEFT JOIN LATERAL (
  SELECT c.at FROM ceremonies c WHERE c.tenant_id = t.id AND c.at >= m.counted_to ORDER BY c.at DESC LIMIT 1
) fresh ON true
WHERE m.tenant_id IS NULL OR fresh.at IS NOT NULL OR m.measured_at < sqlc.arg(measured_before)
ORDER BY fresh.at IS NULL, m.counted_to NULLS FIRST LIMIT sqlc.arg(max_rows);

-- name: SumLevels :one
-- How the ceremonies of all tenants fared since a time, without those of the console's own
-- people. Each tenant's rows are looked up by themselves: the index begins with the tenant.
-- Index: stats_counts_pkey. stats_faults is read as a whole: most five minutes have no row.
SELECT coalesce(sum(c.answered), 0)::bigint AS answered, coalesce(sum(c.timed), 0)::bigint AS timed, coalesce(sum(c.prompt), 0)::bigint AS prompt,
  (SELECT coalesce(sum(f.faults), 0) FROM stats_faults f WHERE f.at >= sqlc.arg(from_at))::bigint AS faults
FROM tenants t CROSS JOIN LATERAL (
  SELECT sum(s.answered) AS answered, sum(s.timed) AS timed, sum(s.prompt) AS prompt FROM stats_counts s
  WHERE s.tenant_id = t.id AND s.step = sqlc.arg(step) AND s.at >= sqlc.arg(from_at)
) c WHERE t.slug <> 'platform';
