-- name: ClaimIdempotencyKey :execrows
-- 1 when this call is the first with its key. Lock: waits for a concurrent call with the
-- same key to end. Index: idempotency_keys_pkey.
INSERT INTO idempotency_keys (actor, method, key, body_hash, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING;

-- name: GetIdempotencyKey :one
-- Index: idempotency_keys_pkey.
SELECT body_hash, response, created_at FROM idempotency_keys WHERE actor = $1 AND method = $2 AND key = $3;

-- name: AnswerIdempotencyKey :exec
-- Keeps the answer, in the transaction that claimed the key. Index: idempotency_keys_pkey.
UPDATE idempotency_keys SET response = sqlc.arg(response) WHERE actor = sqlc.arg(actor) AND method = sqlc.arg(method) AND key = sqlc.arg(key);

-- name: DropIdempotencyKey :exec
-- Frees a key that is over 24 h old, before it is claimed again. Index: idempotency_keys_pkey.
DELETE FROM idempotency_keys WHERE actor = sqlc.arg(actor) AND method = sqlc.arg(method) AND key = sqlc.arg(key) AND created_at < sqlc.arg(older_than);

-- name: Notify :exec
-- Tells every server that a cached thing changed. Never inside a ceremony's transaction: it
-- serialises commits.
SELECT pg_notify('bc_change', sqlc.arg(payload)::text);
