-- name: InsertSupportGrant :one
-- A request, as bc_control. Answers no row when the person has one that is open, or a grant. Index: support_grants_pkey, support_grants_open.
INSERT INTO support_grants (id, person_id, person_name, reason, ticket, wanted_access, wanted_minutes, requested_by, requested_at, open_until)
VALUES (sqlc.arg(id), sqlc.arg(person_id), sqlc.arg(person_name), sqlc.arg(reason), sqlc.arg(ticket), sqlc.arg(wanted_access), sqlc.arg(wanted_minutes),
  sqlc.arg(requested_by), sqlc.arg(now), sqlc.arg(open_until))
ON CONFLICT (tenant_id, person_id) WHERE state IN ('REQUESTED', 'GRANTED') DO NOTHING
RETURNING *;

-- name: ExpireSupportGrants :exec
-- Writes down what the clock has ended, so that somebody may ask again; as bc_control, of this tenant. By the database's clock, as the policies of bc_support judge.
-- Index: support_grants_open.
UPDATE support_grants SET state = 'EXPIRED'
WHERE person_id = sqlc.arg(person_id) AND (state = 'REQUESTED' AND open_until <= statement_timestamp() OR state = 'GRANTED' AND expires_at <= statement_timestamp());

-- name: CountOpenSupportRequests :one
-- As bc_control, whom the wall shows every tenant's: hence the tenant. Index: support_grants_open.
SELECT count(*)::integer FROM support_grants WHERE tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid AND state = 'REQUESTED' AND open_until > statement_timestamp();

-- name: LockSupportGrant :one
-- FOR UPDATE: who decides about it and who ends it come one after the other. Index: support_grants_pkey.
SELECT * FROM support_grants WHERE id = $1 FOR UPDATE;

-- name: GetSupportGrant :one
-- Index: support_grants_pkey.
SELECT * FROM support_grants WHERE id = $1;

-- name: GrantSupport :one
-- Under LockSupportGrant. The hour is counted by the database's clock, which also ends it. Index: support_grants_pkey.
UPDATE support_grants SET state = 'GRANTED', access = sqlc.arg(access)::text, decided_by = sqlc.arg(decided_by), decided_name = sqlc.arg(decided_name),
  decided_at = statement_timestamp(), expires_at = statement_timestamp() + make_interval(mins => sqlc.arg(minutes)::integer), decide_reason = sqlc.arg(reason)
WHERE id = sqlc.arg(id) AND state = 'REQUESTED' AND open_until > statement_timestamp() RETURNING *;

-- name: RefuseSupport :one
-- Under LockSupportGrant. Index: support_grants_pkey.
UPDATE support_grants SET state = 'REFUSED', decided_by = sqlc.arg(decided_by), decided_name = sqlc.arg(decided_name), decided_at = statement_timestamp(),
  decide_reason = sqlc.arg(reason)
WHERE id = sqlc.arg(id) AND state = 'REQUESTED' AND open_until > statement_timestamp() RETURNING *;

-- name: EndSupport :one
-- Revokes a grant, or gives it back, or takes a request back: from the next statement on it shows nothing. Under LockSupportGrant.
-- Index: support_grants_pkey.
UPDATE support_grants SET state = sqlc.arg(state), ended_by = sqlc.arg(ended_by), ended_name = sqlc.arg(ended_name), ended_at = statement_timestamp(),
  end_reason = sqlc.arg(reason)
WHERE id = sqlc.arg(id) AND (state = 'REQUESTED' AND open_until > statement_timestamp() OR state = 'GRANTED' AND expires_at > statement_timestamp()) RETURNING *;

-- name: ListSupportGrants :many
-- Keyset by id, the newest first. Index: support_grants_pkey, backwards.
SELECT * FROM support_grants WHERE sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: ListOpenSupportGrants :many
-- Requests that wait, and grants that run: what every page of the tenant tells. Index: support_grants_open.
SELECT * FROM support_grants
WHERE state = 'REQUESTED' AND open_until > statement_timestamp() OR state = 'GRANTED' AND expires_at > statement_timestamp()
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: GetSupportGrantEnd :one
-- Of a running one. Index: support_grants_pkey.
SELECT expires_at::timestamptz FROM support_grants WHERE id = $1 AND state = 'GRANTED';
