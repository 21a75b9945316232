-- name: MakePartitions :one
-- As bc_jobs. Answers how many were made.
SELECT make_partitions(sqlc.arg(at)::timestamptz);

-- name: DropPartitions :one
-- As bc_jobs. Answers how many were dropped.
SELECT drop_partitions(sqlc.arg(at)::timestamptz);

-- name: DeleteExpiredIdempotencyKeys :execrows
-- As bc_jobs, whose policy admits only what is over 24 h old. Scans the table: a job of each hour.
DELETE FROM idempotency_keys WHERE created_at < sqlc.arg(older_than);
