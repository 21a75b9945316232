-- name: InsertEvent :exec
-- Index: event_outbox_pkey of its day.
INSERT INTO event_outbox (at, id, type, payload) VALUES ($1, $2, $3, $4);

-- name: ListEvents :many
-- In order, after (at, id). Index: event_outbox_pkey.
SELECT at, id, type, payload FROM event_outbox
WHERE (at, id) > (sqlc.arg(after_at)::timestamptz, sqlc.arg(after_id)::uuid)
ORDER BY at, id LIMIT sqlc.arg(max_rows);
