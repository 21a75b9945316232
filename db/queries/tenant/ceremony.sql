-- name: SpendChallenge :execrows
-- 1 when this request is the first to spend it, 0 when it is spent. Lock: waits for a
-- concurrent insert of the same hash to end. Index: spent_challenges_pkey of its slot.
INSERT INTO spent_challenges (hash, slot, spender) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: GetSpender :one
-- Who spent it. Index: spent_challenges_pkey of its slot.
SELECT spender FROM spent_challenges WHERE hash = $1 AND slot = $2;

-- name: InsertCeremony :exec
-- Index: ceremonies_pkey of its month.
INSERT INTO ceremonies (at, id, kind, outcome, reason, user_id, credential_id, policy_version, facts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: ListCeremonies :many
-- Newest first, keyset by (at, id). Index: ceremonies_pkey, backwards.
SELECT at, id, kind, outcome, reason, user_id, credential_id, policy_version, facts FROM ceremonies
WHERE (at, id) < (sqlc.arg(before_at)::timestamptz, sqlc.arg(before_id)::uuid)
ORDER BY at DESC, id DESC LIMIT sqlc.arg(max_rows);
