-- name: InsertMember :one
-- Answers no row when the person is a member already. Index: members_pkey, members_tenant_id_person_id_key.
INSERT INTO members (id, person_id, role, invited_by, created_at, updated_at)
VALUES (sqlc.arg(id), sqlc.arg(person_id), sqlc.arg(role), sqlc.arg(invited_by), sqlc.arg(now), sqlc.arg(now))
ON CONFLICT (tenant_id, person_id) DO NOTHING
RETURNING *;

-- name: GetMember :one
-- Index: members_pkey.
SELECT * FROM members WHERE id = $1;

-- name: GetMemberOfPerson :one
-- Index: members_tenant_id_person_id_key.
SELECT * FROM members WHERE person_id = $1;

-- name: ListMembers :many
-- A tenant has at most some hundreds. Index: members_pkey.
SELECT * FROM members ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: LockMembers :many
-- FOR UPDATE: changes of roles come one after the other, so that two owners cannot each remove the other. Index: members_pkey.
SELECT * FROM members ORDER BY id FOR UPDATE;

-- name: ListBlockedPeople :many
-- Those of some people of the console, as the reserved tenant knows them, who may not sign in. Index: users_pkey.
SELECT id FROM users WHERE id = ANY (sqlc.arg(ids)::uuid[]) AND state <> 'ACTIVE';

-- name: ListLastSeenOfPeople :many
-- When some people of the console were there last, as the reserved tenant knows them: without those of whom no session is kept.
-- Index: sessions_user, console_sessions_pkey.
SELECT s.user_id, max(c.last_seen_at)::timestamptz AS last_seen_at
FROM sessions s JOIN console_sessions c ON c.tenant_id = s.tenant_id AND c.id = s.id
WHERE s.user_id = ANY (sqlc.arg(ids)::uuid[]) GROUP BY s.user_id;

-- name: CountPasskeysOfPeople :many
-- With how many passkeys some people of the console can sign in, as the reserved tenant knows them: without those who have none. Index: credentials_user.
SELECT user_id, count(*)::integer AS passkeys FROM credentials WHERE user_id = ANY (sqlc.arg(ids)::uuid[]) AND state = 'ACTIVE' GROUP BY user_id;

-- name: SetMemberRole :one
-- Under LockMembers. Index: members_pkey.
UPDATE members SET role = sqlc.arg(role), updated_at = sqlc.arg(now) WHERE id = sqlc.arg(id) RETURNING *;

-- name: DeleteMember :execrows
-- Under LockMembers. Index: members_pkey.
DELETE FROM members WHERE id = $1;

-- name: InsertInvitation :one
-- Index: invitations_pkey.
INSERT INTO invitations (id, role, label, invited_by, created_at, expires_at, replaces, email_sealed, founds_mode, founds_plan, founds_quotas)
VALUES (sqlc.arg(id), sqlc.arg(role), sqlc.arg(label), sqlc.arg(invited_by), sqlc.arg(now), sqlc.arg(expires_at), sqlc.narg(replaces), sqlc.narg(email_sealed),
  sqlc.narg(founds_mode), sqlc.arg(founds_plan), coalesce(sqlc.narg(founds_quotas)::jsonb, '[]'))
RETURNING *;

-- name: GetInvitation :one
-- Index: invitations_pkey.
SELECT * FROM invitations WHERE id = $1;

-- name: LockInvitation :one
-- FOR UPDATE: who accepts it and who revokes it come one after the other. Index: invitations_pkey.
SELECT * FROM invitations WHERE id = $1 FOR UPDATE;

-- name: ListOpenInvitations :many
-- Neither accepted, revoked nor over, nor of an owner's recovery, the newest first. Index: invitations_pkey, backwards.
SELECT * FROM invitations WHERE replaces IS NULL AND founds_mode IS NULL AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > sqlc.arg(now) ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: ListOpenFoundings :many
-- Those by which somebody makes a tenant, the newest first. Index: invitations_pkey, backwards.
SELECT * FROM invitations WHERE founds_mode IS NOT NULL AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > sqlc.arg(now) ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: InsertFounder :exec
-- The owner of a tenant that the same transaction makes, as bc_control. Index: members_pkey.
INSERT INTO members (id, person_id, role, invited_by, created_at, updated_at)
VALUES (sqlc.arg(id), sqlc.arg(person_id), sqlc.arg(role), sqlc.arg(invited_by), sqlc.arg(now), sqlc.arg(now));

-- name: CountOpenInvitations :one
-- Index: invitations_pkey.
SELECT count(*)::integer FROM invitations WHERE accepted_at IS NULL AND revoked_at IS NULL AND expires_at > sqlc.arg(now);

-- name: AcceptInvitation :one
-- Under LockInvitation. Index: invitations_pkey.
UPDATE invitations SET email_sealed = NULL, accepted_at = sqlc.arg(now)::timestamptz, accepted_by = sqlc.arg(person_id)::uuid WHERE id = sqlc.arg(id) RETURNING *;

-- name: InsertInvitedAccount :execrows
-- The account that an invitation makes, of the reserved tenant; none when it has made one. Index: invited_accounts_pkey.
INSERT INTO invited_accounts (invitation_id, person_id, created_at) VALUES (sqlc.arg(invitation_id), sqlc.arg(person_id), sqlc.arg(now)) ON CONFLICT DO NOTHING;

-- name: GetInvitedAccount :one
-- Index: invited_accounts_pkey.
SELECT person_id FROM invited_accounts WHERE invitation_id = sqlc.arg(invitation_id);

-- name: SetInvitationMailed :exec
-- What was sent need not be known any more. Index: invitations_pkey.
UPDATE invitations SET email_sealed = NULL, mailed_at = sqlc.arg(now)::timestamptz WHERE id = sqlc.arg(id);

-- name: ListPeopleToNotify :many
-- The owners and admins: at most some hundreds. Index: members_pkey.
SELECT person_id FROM members WHERE role IN ('owner', 'admin') ORDER BY id LIMIT 500;

-- name: RevokeInvitation :one
-- Under LockInvitation. Index: invitations_pkey.
UPDATE invitations SET email_sealed = NULL, revoked_at = sqlc.arg(now)::timestamptz WHERE id = sqlc.arg(id) RETURNING *;

-- name: RevokeInvitationsOf :execrows
-- The open ones that somebody made, and those to certain roles. Under LockMembers. Index: invitations_pkey.
UPDATE invitations SET email_sealed = NULL, revoked_at = sqlc.arg(now)::timestamptz
WHERE (invited_by = sqlc.arg(invited_by) OR role = ANY(sqlc.arg(roles)::text[])) AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > sqlc.arg(now);

-- name: InsertConsoleSession :exec
-- Index: console_sessions_pkey, console_sessions_tenant_id_cookie_hash_key, sessions_pkey.
INSERT INTO console_sessions (id, cookie_hash, person_id, proved_at, last_seen_at)
VALUES (sqlc.arg(id), sqlc.arg(cookie_hash), sqlc.arg(person_id), sqlc.arg(now), sqlc.arg(now));

-- name: GetConsoleSession :one
-- Who a browser is, if its session still stands. Index: console_sessions_tenant_id_cookie_hash_key, sessions_pkey, users_pkey.
SELECT c.id, c.person_id, c.proved_at, c.last_seen_at, s.created_at, s.expires_at
FROM console_sessions c
JOIN sessions s ON s.tenant_id = c.tenant_id AND s.id = c.id AND s.user_id = c.person_id
JOIN users u ON u.tenant_id = c.tenant_id AND u.id = c.person_id
WHERE c.cookie_hash = sqlc.arg(cookie_hash) AND s.revoked_at IS NULL AND s.expires_at > sqlc.arg(now) AND s.created_at > sqlc.arg(signed_in_since)
  AND c.last_seen_at > sqlc.arg(idle_since)
  AND u.state = 'ACTIVE';

-- name: ListConsoleSessionsOfPerson :many
-- A person's browsers that are signed in, the newest first. Index: sessions_user, console_sessions_pkey.
SELECT c.id, c.last_seen_at, s.created_at, s.address, s.user_agent
FROM sessions s
JOIN console_sessions c ON c.tenant_id = s.tenant_id AND c.id = s.id
WHERE s.user_id = sqlc.arg(person_id) AND c.person_id = sqlc.arg(person_id) AND s.revoked_at IS NULL AND s.expires_at > sqlc.arg(now)
  AND s.created_at > sqlc.arg(signed_in_since) AND c.last_seen_at > sqlc.arg(idle_since)
ORDER BY s.id DESC LIMIT 200;

-- name: TouchConsoleSession :exec
-- Index: console_sessions_pkey.
UPDATE console_sessions SET last_seen_at = sqlc.arg(now) WHERE id = sqlc.arg(id);

-- name: InsertOwnerRecovery :one
-- Under LockMembers. Index: owner_recoveries_pkey, members_pkey.
INSERT INTO owner_recoveries (id, member_id, person_id, state, reason, ticket, requested_by, requested_at, expires_at)
VALUES (sqlc.arg(id), sqlc.arg(member_id), sqlc.arg(person_id), 'REQUESTED', sqlc.arg(reason), sqlc.arg(ticket), sqlc.arg(requested_by),
  sqlc.arg(now), sqlc.arg(expires_at))
RETURNING *;

-- name: LockOwnerRecovery :one
-- FOR UPDATE: whoever decides about it comes one after the other. Index: owner_recoveries_pkey.
SELECT * FROM owner_recoveries WHERE id = $1 FOR UPDATE;

-- name: ListOpenOwnerRecoveries :many
-- Those that have not come to an end. Index: owner_recoveries_pkey, backwards.
SELECT * FROM owner_recoveries WHERE state IN ('REQUESTED', 'WAITING', 'RELEASED') AND expires_at > sqlc.arg(now) ORDER BY id DESC LIMIT 20;

-- name: ListOwnerRecoveries :many
-- The newest first. Index: owner_recoveries_pkey, backwards.
SELECT * FROM owner_recoveries ORDER BY id DESC LIMIT 20;

-- name: DecideOwnerRecovery :one
-- Under LockOwnerRecovery. Index: owner_recoveries_pkey.
UPDATE owner_recoveries SET state = sqlc.arg(state), approved_by = sqlc.arg(approved_by), approved_at = sqlc.narg(approved_at)::timestamptz,
  ready_at = sqlc.narg(ready_at)::timestamptz, expires_at = sqlc.arg(expires_at), invitation_id = sqlc.narg(invitation_id), ended_by = sqlc.arg(ended_by),
  ended_at = sqlc.narg(ended_at)::timestamptz, end_reason = sqlc.arg(end_reason)
WHERE id = sqlc.arg(id) RETURNING *;

-- name: CompleteOwnerRecovery :exec
-- Its invitation is accepted. Index: owner_recoveries_pkey.
UPDATE owner_recoveries SET state = 'COMPLETED' WHERE invitation_id = sqlc.arg(invitation_id)::uuid AND state = 'RELEASED';
