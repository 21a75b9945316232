-- name: CountCredentialsByRPID :many
-- All of the tenant's: a report, asked for by hand. Index: credentials_pkey, all of it.
SELECT coalesce(NULLIF(rp_id, ''), sqlc.arg(own)::text)::text AS rp_id, count(*)::integer AS credentials, count(DISTINCT user_id)::integer AS users,
  (count(*) FILTER (WHERE state = 'ACTIVE'))::integer AS active, (count(*) FILTER (WHERE state = 'SUSPENDED'))::integer AS suspended,
  (count(*) FILTER (WHERE state = 'REVOKED'))::integer AS revoked,
  (count(*) FILTER (WHERE discoverable))::integer AS discoverable, (count(*) FILTER (WHERE discoverable IS FALSE))::integer AS not_discoverable,
  (count(*) FILTER (WHERE last_used_at >= sqlc.arg(since)::timestamptz))::integer AS used_since, coalesce(max(last_used_at), sqlc.arg(never)::timestamptz)::timestamptz AS last_used_at
FROM credentials GROUP BY 1 ORDER BY 1;

-- name: CountUsersByRPID :one
-- Who can sign in, and who could no more if only the credentials of one RP ID were left. '' is the
-- tenant's own. Index: users_pkey, credentials_user, all of them.
SELECT count(*)::integer AS users,
  (count(*) FILTER (WHERE c.able))::integer AS able,
  (count(*) FILTER (WHERE c.able AND NOT c.kept))::integer AS stranded
FROM users u CROSS JOIN LATERAL (
  SELECT coalesce(bool_or(true), false) AS able, coalesce(bool_or(COALESCE(NULLIF(c.rp_id, ''), sqlc.arg(own)::text) = sqlc.arg(kept)::text), false) AS kept
  FROM credentials c WHERE c.user_id = u.id AND c.state = 'ACTIVE') c;
