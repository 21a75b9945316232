-- name: ListSinksDue :many
-- As bc_control, which sees of a stream how far it is, and of a log how long. The longest due first;
-- failing ones apart, so that they hold nobody up. Reads all active streams. Index: audit_logs_pkey.
SELECT s.tenant_id, s.id FROM siem_sinks s JOIN audit_logs l ON l.tenant_id = s.tenant_id
WHERE s.state = 'ACTIVE' AND s.next_seq < l.size AND s.due_at <= sqlc.arg(now)::timestamptz AND (s.leased_until IS NULL OR s.leased_until <= sqlc.arg(now)::timestamptz)
  AND (s.failures > 0) = sqlc.arg(failing)::boolean
ORDER BY s.due_at LIMIT sqlc.arg(max_rows);

-- name: SumSinks :one
-- How many streams are failing, and how many entries all of them together are behind. Reads all active streams. Index: audit_logs_pkey.
SELECT count(*)::bigint AS active, (count(*) FILTER (WHERE s.failures > 0))::bigint AS failing, coalesce(sum(greatest(l.size - s.next_seq, 0)), 0)::bigint AS behind
FROM siem_sinks s LEFT JOIN audit_logs l ON l.tenant_id = s.tenant_id WHERE s.state = 'ACTIVE';
