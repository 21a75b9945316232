-- name: PlanByValue :exec
-- For the transaction: plans are made for the values that are asked for, since which index serves
-- a list depends on which of its filters are set.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true);

-- name: ListUserFactsNewest :many
-- Keyset by user, the newest first. Under PlanByValue.
-- Index: user_facts_pkey, user_facts_state or user_facts_bare, backwards.
SELECT user_id, last_sign_in_at FROM user_facts
WHERE (sqlc.narg(after_id)::uuid IS NULL OR user_id < sqlc.narg(after_id)::uuid)
  AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state)::text)
  AND (sqlc.narg(bare)::boolean IS NULL OR bare = sqlc.narg(bare)::boolean)
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before)::timestamptz)
  AND (sqlc.narg(sign_in_from)::timestamptz IS NULL OR last_sign_in_at >= sqlc.narg(sign_in_from)::timestamptz)
  AND (sqlc.narg(sign_in_before)::timestamptz IS NULL OR last_sign_in_at < sqlc.narg(sign_in_before)::timestamptz)
ORDER BY user_id DESC LIMIT sqlc.arg(max_rows);

-- name: ListUserFactsOldest :many
-- ListUserFactsNewest the other way. Index: the same, forwards.
SELECT user_id, last_sign_in_at FROM user_facts
WHERE (sqlc.narg(after_id)::uuid IS NULL OR user_id > sqlc.narg(after_id)::uuid)
  AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state)::text)
  AND (sqlc.narg(bare)::boolean IS NULL OR bare = sqlc.narg(bare)::boolean)
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before)::timestamptz)
  AND (sqlc.narg(sign_in_from)::timestamptz IS NULL OR last_sign_in_at >= sqlc.narg(sign_in_from)::timestamptz)
  AND (sqlc.narg(sign_in_before)::timestamptz IS NULL OR last_sign_in_at < sqlc.narg(sign_in_before)::timestamptz)
ORDER BY user_id LIMIT sqlc.arg(max_rows);

-- name: ListUserFactsLastSeen :many
-- Keyset by the last sign-in and user, the latest first. Under PlanByValue. Index: user_facts_sign_in, backwards.
SELECT user_id, last_sign_in_at FROM user_facts
WHERE (sqlc.narg(after_id)::uuid IS NULL OR (last_sign_in_at, user_id) < (sqlc.narg(after_at)::timestamptz, sqlc.narg(after_id)::uuid))
  AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state)::text)
  AND (sqlc.narg(bare)::boolean IS NULL OR bare = sqlc.narg(bare)::boolean)
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before)::timestamptz)
  AND (sqlc.narg(sign_in_from)::timestamptz IS NULL OR last_sign_in_at >= sqlc.narg(sign_in_from)::timestamptz)
  AND (sqlc.narg(sign_in_before)::timestamptz IS NULL OR last_sign_in_at < sqlc.narg(sign_in_before)::timestamptz)
ORDER BY last_sign_in_at DESC, user_id DESC LIMIT sqlc.arg(max_rows);

-- name: ListUserFactsLongestAway :many
-- ListUserFactsLastSeen the other way: who never signed in comes first. Index: the same, forwards.
SELECT user_id, last_sign_in_at FROM user_facts
WHERE (sqlc.narg(after_id)::uuid IS NULL OR (last_sign_in_at, user_id) > (sqlc.narg(after_at)::timestamptz, sqlc.narg(after_id)::uuid))
  AND (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state)::text)
  AND (sqlc.narg(bare)::boolean IS NULL OR bare = sqlc.narg(bare)::boolean)
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR created_at < sqlc.narg(created_before)::timestamptz)
  AND (sqlc.narg(sign_in_from)::timestamptz IS NULL OR last_sign_in_at >= sqlc.narg(sign_in_from)::timestamptz)
  AND (sqlc.narg(sign_in_before)::timestamptz IS NULL OR last_sign_in_at < sqlc.narg(sign_in_before)::timestamptz)
ORDER BY last_sign_in_at, user_id LIMIT sqlc.arg(max_rows);

-- name: GetUserFact :one
-- Index: user_facts_pkey.
SELECT state, bare, created_at, last_sign_in_at FROM user_facts WHERE user_id = $1;

-- name: SearchUserTerms :many
-- Who may be meant, the newest first: users who have the first term and all others, or the
-- alternative. The caller opens them and looks. Under PlanByValue. Index: user_terms_pkey,
-- backwards; users_pkey, user_facts_pkey.
SELECT u.id, u.profile_sealed, f.state, f.bare, f.created_at, f.last_sign_in_at
FROM (
  (SELECT t.user_id FROM user_terms t
   WHERE t.term = sqlc.narg(first)::integer AND (sqlc.narg(after_id)::uuid IS NULL OR t.user_id < sqlc.narg(after_id)::uuid)
     AND NOT EXISTS (SELECT FROM unnest(sqlc.arg(others)::integer[]) AS o(term)
       WHERE NOT EXISTS (SELECT FROM user_terms a WHERE a.term = o.term AND a.user_id = t.user_id))
   ORDER BY t.user_id DESC LIMIT sqlc.arg(max_rows))
  UNION
  (SELECT t.user_id FROM user_terms t
   WHERE t.term = sqlc.narg(alternative)::integer AND (sqlc.narg(after_id)::uuid IS NULL OR t.user_id < sqlc.narg(after_id)::uuid)
   ORDER BY t.user_id DESC LIMIT sqlc.arg(max_rows))
  ORDER BY user_id DESC LIMIT sqlc.arg(max_rows)
) m
JOIN users u ON u.id = m.user_id
JOIN user_facts f ON f.user_id = m.user_id
ORDER BY u.id DESC;

-- name: GetUserRows :many
-- A page of users, with the last sign-in and what their active passkeys are: SYNCED, PLATFORM
-- (in the device itself), PHONE (another device) or KEY, the oldest first. Index: users_pkey, credentials_user.
SELECT u.id, u.handle, u.external_index, u.profile_sealed, u.state, u.created_at, u.updated_at, u.version,
  l.last_used_at AS last_sign_in_at, COALESCE(c.kinds, '{}')::text[] AS kinds
FROM users u
LEFT JOIN LATERAL (SELECT k.last_used_at FROM credentials k WHERE k.user_id = u.id ORDER BY k.last_used_at DESC NULLS LAST LIMIT 1) l ON true
LEFT JOIN LATERAL (
  SELECT array_agg(
    CASE WHEN k.backup_eligible THEN 'SYNCED' WHEN k.attachment = 'platform' OR k.transports = '{internal}' THEN 'PLATFORM'
      WHEN k.transports && '{hybrid,internal}' THEN 'PHONE' ELSE 'KEY' END ORDER BY k.created_at, k.id) AS kinds
  FROM credentials k WHERE k.user_id = u.id AND k.state = 'ACTIVE'
) c ON true
WHERE u.id = ANY (sqlc.arg(ids)::uuid[]);

-- name: GetProfiles :many
-- What users are called, for a page of anything that names them. Index: users_pkey.
SELECT id, profile_sealed FROM users WHERE id = ANY (sqlc.arg(ids)::uuid[]);

-- name: ListProfiles :many
-- All, for a scan: keyset by id. Index: users_pkey.
SELECT id, profile_sealed FROM users WHERE (sqlc.narg(after_id)::uuid IS NULL OR id > sqlc.narg(after_id)::uuid) ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: CountUserFacts :one
-- How many users there are and how many of them have a passkey, of the first max_rows.
-- Index: user_facts_bare alone.
SELECT count(*)::integer AS users, (count(*) FILTER (WHERE NOT bare))::integer AS enrolled
FROM (SELECT bare FROM user_facts ORDER BY bare, user_id LIMIT sqlc.arg(max_rows)) f;

-- name: LockSignInMark :one
-- FOR UPDATE: two who look at sessions at once would each wait for the other's users. Index: sign_in_marks_pkey.
SELECT session_id, ordered_at FROM sign_in_marks FOR UPDATE;

-- name: InsertSignInMark :exec
INSERT INTO sign_in_marks (session_id) VALUES ('00000000-0000-0000-0000-000000000000') ON CONFLICT DO NOTHING;

-- name: SetSignInMark :exec
-- Under LockSignInMark.
UPDATE sign_in_marks SET session_id = sqlc.arg(session_id), ordered_at = sqlc.narg(ordered_at)
WHERE session_id <= sqlc.arg(session_id);

-- name: FoldSignIns :one
-- Takes the sessions after one, and moves their users' last sign-in forward. Answers how many
-- there were and the last of them. Under LockSignInMark. Lock: the users' facts.
-- Index: sessions_pkey, user_facts_pkey.
WITH batch AS MATERIALIZED (
  SELECT id, user_id, created_at FROM sessions WHERE id > sqlc.arg(after_id) ORDER BY id LIMIT sqlc.arg(max_rows)
), moved AS (
  UPDATE user_facts f SET last_sign_in_at = b.at
  FROM (SELECT user_id, max(created_at) AS at FROM batch GROUP BY user_id) b
  WHERE f.user_id = b.user_id AND f.last_sign_in_at < b.at
)
SELECT count(*)::integer AS sessions, COALESCE((SELECT id FROM batch ORDER BY id DESC LIMIT 1), sqlc.arg(after_id))::uuid AS last_id FROM batch;

-- name: ListTermlessUsers :many
-- Users whose terms are not made: rows of before. Index: users_termless.
SELECT id, profile_sealed FROM users WHERE terms IS NULL ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: SetUserTerms :exec
-- Unless the profile was written meanwhile, with its terms. Index: users_pkey.
UPDATE users SET terms = sqlc.arg(terms)::integer[] WHERE id = sqlc.arg(id) AND terms IS NULL;
