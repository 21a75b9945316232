-- name: AddFlagCounts :exec
-- Of flags that are still there. The caller sorts, so that two servers lock rows in one order. Index: flag_counts_pkey, flags_pkey.
INSERT INTO flag_counts AS c (environment, flag_key, day, variant, served, last_at)
SELECT n.environment, n.flag_key, sqlc.arg(day), n.variant, n.served, sqlc.arg(now)
FROM (SELECT unnest(sqlc.arg(environments)::text[]) AS environment, unnest(sqlc.arg(flag_keys)::text[]) AS flag_key, unnest(sqlc.arg(variants)::text[]) AS variant, unnest(sqlc.arg(served)::bigint[]) AS served) n
WHERE EXISTS (SELECT FROM flags f WHERE f.key = n.flag_key)
ON CONFLICT (tenant_id, environment, flag_key, day, variant) DO UPDATE SET served = c.served + EXCLUDED.served, last_at = greatest(c.last_at, EXCLUDED.last_at);

-- name: DeleteFlagCounts :exec
-- What is old, but for the newest day of each flag, which says when it was evaluated last. Index: flag_counts_pkey.
DELETE FROM flag_counts c WHERE c.day < sqlc.arg(before)
  AND EXISTS (SELECT FROM flag_counts n WHERE n.environment = c.environment AND n.flag_key = c.flag_key AND n.day > c.day);

-- name: SumFlagCounts :many
-- Of all flags since a day, by environment and variant; served is 0 of those that are older. Index: flag_counts_pkey; reads all of the tenant's.
SELECT environment, flag_key, variant, coalesce(sum(served) FILTER (WHERE day >= sqlc.arg(since)), 0)::bigint AS served, min(day)::date AS first_day, max(last_at)::timestamptz AS last_at
FROM flag_counts GROUP BY environment, flag_key, variant ORDER BY environment, flag_key, variant;
