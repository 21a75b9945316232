-- name: CountCeremoniesOfSpan :one
-- What was finished from a time to another, at most a day. Index: ceremonies_pkey, one partition or two.
SELECT count(*) AS ceremonies, count(*) FILTER (WHERE kind = 'AUTHENTICATION' AND outcome = 'ALLOW') AS sign_ins,
  coalesce(sum(pg_column_size(facts) + 200), 0)::bigint AS bytes -- 200: the other columns, the row's head, its index
FROM ceremonies WHERE at >= sqlc.arg(since) AND at < sqlc.arg(before);

-- name: MeasureAuditOfSpan :one
-- Bytes of audit entries whose UUIDv7 is of a span: 250 for the other columns, indexes and hashes. Index: audit_inbox_pkey, audit_entries_id.
SELECT coalesce(sum(pg_column_size(entry) + 250), 0)::bigint FROM audit_records WHERE id >= sqlc.arg(since) AND id < sqlc.arg(before);

-- name: NoteActiveUsers :exec
-- Who was signed in in a span: sessions by their UUIDv7. Index: sessions_pkey, active_users_pkey.
INSERT INTO active_users (month, user_id)
SELECT DISTINCT sqlc.arg(month)::date, s.user_id FROM sessions s WHERE s.id >= sqlc.arg(since) AND s.id < sqlc.arg(before)
ON CONFLICT DO NOTHING;

-- name: CountActiveUsers :one
-- Index: active_users_pkey.
SELECT count(*) FROM active_users WHERE month = sqlc.arg(month)::date;

-- name: DeleteActiveUsers :execrows
-- Of months that are settled. Index: active_users_pkey.
DELETE FROM active_users WHERE month < sqlc.arg(before)::date;

-- name: MeasureStored :one
-- Bytes of what is kept now, by sizes and counts; of ceremonies and audit entries, by what each day before has written.
-- The constants are the other columns of a row, its head and its indexes. Scans users, credentials and sessions of the
-- tenant: for a job alone.
SELECT ((SELECT coalesce(sum(e.size), 0) FROM evidence e)
  + (SELECT coalesce(sum(pg_column_size(u.profile_sealed) + 300), 0) FROM users u)
  + (SELECT coalesce(sum(pg_column_size(c.public_key) + 500), 0) FROM credentials c)
  + (SELECT count(*) * 350 FROM sessions s)
  + (SELECT coalesce(sum(d.written_bytes), 0) FROM usage_days d WHERE d.day < sqlc.arg(today)::date))::bigint;

-- name: CountAllUsers :one
-- Reads each user's entry in the index: for a job alone. Index: users_pkey.
SELECT count(*) FROM users;

-- name: GetLastCeremonyTime :one
-- Index: ceremonies_pkey of each partition, backwards.
SELECT at FROM ceremonies ORDER BY at DESC LIMIT 1;

-- name: UpsertUsageDay :exec
-- Index: usage_days_pkey.
INSERT INTO usage_days (day, ceremonies, sign_ins, monthly_active_users, written_bytes, stored_bytes, measured_at)
VALUES (sqlc.arg(day)::date, sqlc.arg(ceremonies), sqlc.arg(sign_ins), sqlc.arg(monthly_active_users), sqlc.arg(written_bytes), sqlc.arg(stored_bytes), sqlc.arg(now))
ON CONFLICT (tenant_id, day) DO UPDATE SET ceremonies = excluded.ceremonies, sign_ins = excluded.sign_ins, monthly_active_users = excluded.monthly_active_users,
  written_bytes = excluded.written_bytes, stored_bytes = excluded.stored_bytes, measured_at = excluded.measured_at;

-- name: GetLastUsageDay :one
-- Index: usage_days_pkey, backwards.
SELECT day, stored_bytes FROM usage_days ORDER BY day DESC LIMIT 1;

-- name: ListUsageDays :many
-- At most 400. Index: usage_days_pkey.
SELECT day, ceremonies, sign_ins, monthly_active_users, stored_bytes, measured_at FROM usage_days
WHERE day >= sqlc.arg(since)::date AND day <= sqlc.arg(until)::date ORDER BY day LIMIT 400;

-- name: ListQuotas :many
-- Index: quotas_pkey.
SELECT kind, most, hard, updated_by, updated_at FROM quotas ORDER BY kind;

-- name: UpsertQuota :exec
-- As bc_control, under LockTenant. Index: quotas_pkey.
INSERT INTO quotas (kind, most, hard, updated_by, updated_at) VALUES (sqlc.arg(kind), sqlc.arg(most), sqlc.arg(hard), sqlc.arg(updated_by), sqlc.arg(now))
ON CONFLICT (tenant_id, kind) DO UPDATE SET most = excluded.most, hard = excluded.hard, updated_by = excluded.updated_by, updated_at = excluded.updated_at;

-- name: DeleteQuota :exec
-- As bc_control, under LockTenant. Index: quotas_pkey.
DELETE FROM quotas WHERE kind = sqlc.arg(kind);

-- name: InsertUsageAlert :execrows
-- None when the month's is there already. Index: usage_alerts_pkey.
INSERT INTO usage_alerts (month, kind, percent, used, most, at)
VALUES (sqlc.arg(month)::date, sqlc.arg(kind), sqlc.arg(percent), sqlc.arg(used), sqlc.arg(most), sqlc.arg(now))
ON CONFLICT DO NOTHING;

-- name: ListUsageAlerts :many
-- Of one month. Index: usage_alerts_pkey.
SELECT kind, percent, used, most, at FROM usage_alerts WHERE month = sqlc.arg(month)::date ORDER BY kind, percent, at;
