-- name: MakePartitions :one
-- As bc_jobs. Answers how many were made.
SELECT make_partitions(sqlc.arg(at)::timestamptz);

-- name: DropPartitions :one
-- As bc_jobs. Answers how many were dropped.
SELECT drop_partitions(sqlc.arg(at)::timestamptz);

-- name: DeleteExpiredIdempotencyKeys :execrows
-- As bc_jobs, whose policy admits only what is over 24 h old, and which sees no more than the times.
-- The oldest max_rows (and what is of the same microsecond), so that no statement holds locks for
-- long: ask again until it answers fewer. Index: idempotency_keys_created_at_idx.
DELETE FROM idempotency_keys WHERE created_at <= (
  SELECT max(oldest.created_at) FROM (
    SELECT k.created_at FROM idempotency_keys k WHERE k.created_at < sqlc.arg(older_than) ORDER BY k.created_at LIMIT sqlc.arg(max_rows)
  ) oldest
);

-- name: ThinAnchors :one
-- As bc_jobs. Answers how many were removed: ask again until it is fewer than max_rows. Scans what is stored of anchors.
SELECT thin_anchors(sqlc.arg(max_rows)::integer);
