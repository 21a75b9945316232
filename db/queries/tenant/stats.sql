-- name: EnsureStatsMark :exec
-- Index: stats_marks_pkey.
INSERT INTO stats_marks DEFAULT VALUES ON CONFLICT DO NOTHING;

-- name: LockStatsMark :one
-- Lock: the row, so that one server counts at a time. Index: stats_marks_pkey.
SELECT counted_to, counted_at, measured_at, measured_ms FROM stats_marks FOR UPDATE;

-- name: GetStatsMark :one
-- Index: stats_marks_pkey.
SELECT counted_to, counted_at, measured_at, measured_ms FROM stats_marks;

-- name: SetStatsCounted :exec
-- Under LockStatsMark.
UPDATE stats_marks SET counted_to = sqlc.arg(counted_to), counted_at = sqlc.arg(counted_at);

-- name: SetStatsMeasured :exec
-- Index: stats_marks_pkey.
UPDATE stats_marks SET measured_at = sqlc.arg(measured_at), measured_ms = sqlc.arg(measured_ms);

-- name: FirstCeremonyFrom :one
-- When the first ceremony from a time on was. No row: there is none. Index: ceremonies_pkey.
SELECT at FROM ceremonies WHERE at >= sqlc.arg(from_at) ORDER BY at LIMIT 1;

-- name: CountCeremonies :many
-- What the ceremonies of a stretch of time came to. had is how many credentials the user of
-- a registration had before, 2 standing for more; bucket is that of the latency, eight for each
-- doubling, and -1 where it is not known. Index: ceremonies_pkey of its month.
SELECT kind, outcome, reason,
  coalesce(facts::json ->> 'aaguid', '')::text AS aaguid,
  CASE WHEN kind = 'REGISTRATION' THEN least(coalesce((facts::json ->> 'credentials')::integer, 0), 2) ELSE 0 END::integer AS had,
  CASE WHEN latency_us IS NULL THEN -1 ELSE floor(8 * ln(greatest(latency_us, 1)::float8) / ln(2::float8))::integer END::integer AS bucket,
  sum(coalesce(repeats, 1))::bigint AS n
FROM ceremonies WHERE at >= sqlc.arg(from_at) AND at < sqlc.arg(to_at)
GROUP BY 1, 2, 3, 4, 5, 6;

-- name: PutStatsCounts :exec
-- Index: stats_counts_pkey.
INSERT INTO stats_counts (step, at, counts, answered, timed, prompt)
VALUES (sqlc.arg(step), sqlc.arg(at), sqlc.arg(counts), sqlc.arg(answered), sqlc.arg(timed), sqlc.arg(prompt))
ON CONFLICT (tenant_id, step, at) DO UPDATE SET counts = excluded.counts, answered = excluded.answered, timed = excluded.timed, prompt = excluded.prompt;

-- name: ListStatsCounts :many
-- In their order. Index: stats_counts_pkey.
SELECT at, counts FROM stats_counts WHERE step = sqlc.arg(step) AND at >= sqlc.arg(from_at) AND at < sqlc.arg(to_at) ORDER BY at;

-- name: DeleteStatsCounts :execrows
-- Index: stats_counts_pkey.
DELETE FROM stats_counts WHERE step = sqlc.arg(step) AND at < sqlc.arg(before_at);

-- name: MeasureUsers :one
-- Reads every user and credential of the tenant. Index: users_pkey, credentials_user.
SELECT (SELECT count(*) FROM users)::integer AS users,
  count(*)::integer AS enrolled,
  count(*) FILTER (WHERE c.n > 1)::integer AS several,
  count(*) FILTER (WHERE c.last_at > sqlc.arg(now)::timestamptz - interval '1 hour')::integer AS active_hour,
  count(*) FILTER (WHERE c.last_at > sqlc.arg(now)::timestamptz - interval '24 hours')::integer AS active_day,
  count(*) FILTER (WHERE c.last_at > sqlc.arg(now)::timestamptz - interval '168 hours')::integer AS active_week,
  count(*) FILTER (WHERE c.last_at > sqlc.arg(now)::timestamptz - interval '720 hours')::integer AS active_month
FROM (SELECT count(*) AS n, max(last_used_at) AS last_at FROM credentials WHERE state = 'ACTIVE' GROUP BY user_id) c;

-- name: PutStatsGauges :exec
-- Index: stats_gauges_pkey.
INSERT INTO stats_gauges (at, users, enrolled, several, active_hour, active_day, active_week, active_month)
VALUES (sqlc.arg(at), sqlc.arg(users), sqlc.arg(enrolled), sqlc.arg(several), sqlc.arg(active_hour), sqlc.arg(active_day), sqlc.arg(active_week), sqlc.arg(active_month))
ON CONFLICT (tenant_id, at) DO UPDATE SET users = excluded.users, enrolled = excluded.enrolled, several = excluded.several,
  active_hour = excluded.active_hour, active_day = excluded.active_day, active_week = excluded.active_week, active_month = excluded.active_month;

-- name: GetStatsGauges :one
-- The last measurement up to a time. Index: stats_gauges_pkey, backwards.
SELECT at, users, enrolled, several, active_hour, active_day, active_week, active_month FROM stats_gauges
WHERE at <= sqlc.arg(up_to) ORDER BY at DESC LIMIT 1;

-- name: ListStatsGauges :many
-- The last measurement of each stretch of so many seconds, in their order; at is when the
-- stretch begins. Index: stats_gauges_pkey.
SELECT DISTINCT ON (1) date_bin(make_interval(secs => sqlc.arg(step)::integer), at, 'epoch')::timestamptz AS begins,
  users, enrolled, several, active_hour, active_day, active_week, active_month
FROM stats_gauges WHERE at >= sqlc.arg(from_at) AND at < sqlc.arg(to_at) ORDER BY 1, at DESC;

-- name: ThinStatsGauges :execrows
-- Of old measurements the first of each stretch of so many seconds stays. Index: stats_gauges_pkey.
DELETE FROM stats_gauges g WHERE g.at < sqlc.arg(before_at)
  AND EXISTS (SELECT FROM stats_gauges o WHERE o.at < g.at AND o.at >= date_bin(make_interval(secs => sqlc.arg(step)::integer), g.at, 'epoch'));

-- name: AddStatsFaults :exec
-- Index: stats_faults_pkey.
INSERT INTO stats_faults (at, faults)
SELECT unnest(sqlc.arg(ats)::timestamptz[]), unnest(sqlc.arg(faults)::bigint[])
ON CONFLICT (tenant_id, at) DO UPDATE SET faults = stats_faults.faults + excluded.faults;

-- name: DeleteStatsFaults :execrows
-- Index: stats_faults_pkey.
DELETE FROM stats_faults WHERE at < sqlc.arg(before_at);

-- name: SumLevel :one
-- How the tenant's ceremonies fared since a time. Index: stats_counts_pkey, stats_faults_pkey.
SELECT coalesce(sum(c.answered), 0)::bigint AS answered, coalesce(sum(c.timed), 0)::bigint AS timed, coalesce(sum(c.prompt), 0)::bigint AS prompt,
  (SELECT coalesce(sum(f.faults), 0) FROM stats_faults f WHERE f.at >= sqlc.arg(from_at))::bigint AS faults
FROM stats_counts c WHERE c.step = sqlc.arg(step) AND c.at >= sqlc.arg(from_at);
