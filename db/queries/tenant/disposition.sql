-- name: MeasureModel :one
-- What the credentials of a model are, revoked ones left out. Index: credentials_model; it
-- reads each of them once.
SELECT count(*)::integer AS credentials,
  count(*) FILTER (WHERE c.trust = 'MDS')::integer AS proven,
  count(*) FILTER (WHERE c.state = 'ACTIVE')::integer AS active,
  count(*) FILTER (WHERE c.state = 'SUSPENDED')::integer AS suspended,
  count(*) FILTER (WHERE c.disposition <> '')::integer AS disposed,
  count(*) FILTER (WHERE c.last_used_at > sqlc.arg(used_since)::timestamptz)::integer AS used,
  count(DISTINCT c.user_id)::integer AS users
FROM credentials c WHERE c.aaguid = sqlc.arg(aaguid) AND c.state <> 'REVOKED';

-- name: CountUsersOfModelAlone :one
-- The users of a model's credentials who can sign in with nothing else.
-- Index: credentials_model, credentials_user.
SELECT count(DISTINCT c.user_id)::integer FROM credentials c
WHERE c.aaguid = sqlc.arg(aaguid) AND c.state <> 'REVOKED'
  AND NOT EXISTS (SELECT FROM credentials o WHERE o.user_id = c.user_id AND o.tenant_id = c.tenant_id AND o.state = 'ACTIVE' AND o.aaguid <> sqlc.arg(aaguid));

-- name: CountSessionsOfModel :one
-- The open sessions that a model's credentials began. Index: credentials_model, sessions_user.
SELECT count(*)::integer FROM sessions s JOIN credentials c ON c.id = s.credential_id AND c.user_id = s.user_id AND c.tenant_id = s.tenant_id
WHERE c.aaguid = sqlc.arg(aaguid) AND s.revoked_at IS NULL AND s.expires_at > sqlc.arg(now)::timestamptz;

-- name: ListCredentialsOfModel :many
-- One page, revoked ones left out. Keyset by id. Index: credentials_model.
SELECT * FROM credentials
WHERE aaguid = sqlc.arg(aaguid) AND state <> 'REVOKED' AND (sqlc.narg(after_id)::bytea IS NULL OR id > sqlc.narg(after_id)::bytea)
ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: ListModels :many
-- The models of the tenant's credentials, revoked ones left out, the most used first.
-- Index: credentials_model, all of it.
SELECT aaguid, count(*)::integer AS credentials, count(*) FILTER (WHERE trust = 'MDS')::integer AS proven,
  count(DISTINCT user_id)::integer AS users
FROM credentials WHERE state <> 'REVOKED' GROUP BY aaguid ORDER BY 2 DESC, aaguid LIMIT sqlc.arg(max_rows);

-- name: CountModels :many
-- How many of each model's credentials a disposition would change: ListOwnersToDispose's. Index: credentials_model.
SELECT aaguid, count(*)::integer AS credentials FROM credentials
WHERE aaguid = ANY (sqlc.arg(aaguids)::uuid[]) AND state <> 'REVOKED' AND disposition = ANY (sqlc.arg(below)::text[])
  AND (sqlc.arg(disposition)::text <> 'SUSPEND' OR state = 'ACTIVE')
GROUP BY aaguid;

-- name: InsertDisposition :one
-- Index: dispositions_pkey.
INSERT INTO dispositions (id, aaguid, disposition, automatic, reports, mds_number, reason, created_by, created_at)
VALUES (sqlc.arg(id), sqlc.arg(aaguid), sqlc.arg(disposition), sqlc.arg(automatic), sqlc.arg(reports), sqlc.arg(mds_number),
  sqlc.arg(reason), sqlc.arg(created_by), sqlc.arg(created_at))
RETURNING *;

-- name: GetDisposition :one
-- Index: dispositions_pkey.
SELECT * FROM dispositions WHERE id = $1;

-- name: GetNewestDisposition :one
-- The last word on a model. Index: dispositions_model, backwards.
SELECT * FROM dispositions WHERE aaguid = $1 ORDER BY id DESC LIMIT 1;

-- name: ListDispositions :many
-- One page, the newest first. Keyset by id. Index: dispositions_pkey, backwards.
SELECT * FROM dispositions
WHERE (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid)
  AND (sqlc.narg(aaguid)::uuid IS NULL OR aaguid = sqlc.narg(aaguid)::uuid)
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: AdvanceDisposition :exec
-- Under LockModel. Index: dispositions_pkey.
UPDATE dispositions SET credentials = credentials + sqlc.arg(changed)::integer, finished_at = sqlc.narg(finished_at) WHERE id = sqlc.arg(id);

-- name: LockModel :exec
-- Advisory: orders on one model of a tenant are made, and their batches run, one after the
-- other.
SELECT pg_advisory_xact_lock(hashtextextended('biocore model ' || sqlc.arg(aaguid)::uuid::text || current_setting('app.tenant_id'), 0));

-- name: ListOwnersToDispose :many
-- The owners of the next credentials that an order is to change: those with another
-- disposition, and for SUSPEND those that are active. What it changes drops out of this
-- list. Index: credentials_model.
SELECT id, user_id FROM credentials
WHERE aaguid = sqlc.arg(aaguid) AND state <> 'REVOKED' AND disposition = ANY (sqlc.arg(from_dispositions)::text[])
  AND (sqlc.arg(disposition)::text <> 'SUSPEND' OR state = 'ACTIVE')
ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: LockUsers :many
-- FOR UPDATE, in the order of ids, so that two of these never wait for each other: whoever
-- changes credentials holds their owners. Index: users_pkey.
SELECT id FROM users WHERE id = ANY (sqlc.arg(ids)::uuid[]) ORDER BY id FOR UPDATE;

-- name: Dispose :many
-- Under LockUsers of the owners. SUSPEND suspends, and what it suspended is resumed by any
-- other; what was suspended by itself stays so. Answers what it was and is. Index: credentials_pkey.
UPDATE credentials c SET disposition = sqlc.arg(disposition),
  state = CASE WHEN sqlc.arg(disposition)::text = 'SUSPEND' THEN 'SUSPENDED' WHEN o.disposition = 'SUSPEND' THEN 'ACTIVE' ELSE o.state END,
  updated_at = sqlc.arg(now), version = c.version + 1
FROM (SELECT p.tenant_id, p.id, p.state, p.disposition FROM credentials p
  WHERE p.id = ANY (sqlc.arg(ids)::bytea[]) AND p.state <> 'REVOKED' AND p.disposition = ANY (sqlc.arg(from_dispositions)::text[])
    AND (sqlc.arg(disposition)::text <> 'SUSPEND' OR p.state = 'ACTIVE')) o
WHERE c.id = o.id AND c.tenant_id = o.tenant_id
RETURNING c.id, c.user_id, o.state AS state_before, c.state, o.disposition AS disposition_before, c.disposition;

-- name: MeasureModels :many
-- What the credentials of some models are, revoked ones left out. Index: credentials_model; it reads each of them once.
SELECT c.aaguid, count(*)::integer AS credentials,
  count(*) FILTER (WHERE c.trust = 'MDS')::integer AS proven,
  count(*) FILTER (WHERE c.state = 'ACTIVE')::integer AS active,
  count(*) FILTER (WHERE c.state = 'SUSPENDED')::integer AS suspended,
  count(*) FILTER (WHERE c.disposition <> '')::integer AS disposed,
  count(DISTINCT c.user_id)::integer AS users
FROM credentials c WHERE c.aaguid = ANY (sqlc.arg(aaguids)::uuid[]) AND c.state <> 'REVOKED' GROUP BY c.aaguid ORDER BY c.aaguid;

-- name: ListNewestDispositions :many
-- The last word on each of some models. Index: dispositions_model.
SELECT DISTINCT ON (aaguid) * FROM dispositions WHERE aaguid = ANY (sqlc.arg(aaguids)::uuid[]) ORDER BY aaguid, id DESC;
