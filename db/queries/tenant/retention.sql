-- name: RemoveCeremonies :execrows
-- The oldest max_rows of before a time (and what is of the same microsecond): ask again until it
-- answers fewer. The policy aged holds it to what is 30 days old. Index: ceremonies_pkey of each month.
DELETE FROM ceremonies WHERE at <= (
  SELECT max(oldest.at) FROM (
    SELECT c.at FROM ceremonies c WHERE c.at < sqlc.arg(before) ORDER BY c.at LIMIT sqlc.arg(max_rows)
  ) oldest
);

-- name: RemoveSessions :one
-- Walks max_rows sessions in the order of their ids, which is that in which they began, and removes
-- those that ended before a time. before_id is the least id of that time. Answers the id to go on
-- after, and how many went. No row: there are no more. Index: sessions_pkey.
WITH page AS (
  SELECT id, least(expires_at, revoked_at) AS ended FROM sessions
  WHERE id > sqlc.arg(after_id)::uuid AND id < sqlc.arg(before_id)::uuid ORDER BY id LIMIT sqlc.arg(max_rows)
), gone AS (
  DELETE FROM sessions s USING page p WHERE s.id = p.id AND p.ended < sqlc.arg(before)::timestamptz RETURNING s.id
)
SELECT id AS last_id, (SELECT count(*) FROM gone) AS removed FROM page ORDER BY id DESC LIMIT 1;
