-- +goose Up
-- Who of the console's people works in a tenant, and as what. A person is a user of the
-- reserved tenant, which no reference can say: references end at the wall. Members of the
-- reserved tenant itself are its staff.
CREATE TABLE members (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id         uuid NOT NULL, -- UUIDv7
  person_id  uuid NOT NULL, -- users.id of the reserved tenant
  role       text NOT NULL CHECK (role IN ('owner', 'admin', 'security', 'developer', 'auditor', 'support', 'viewer', 'staff_admin', 'staff_support')),
  invited_by text NOT NULL, -- kind:id
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, person_id)
);
SELECT wall('members');
CREATE INDEX members_person ON members (person_id); -- the tenants of one person
GRANT SELECT, INSERT, UPDATE (role, updated_at), DELETE ON members TO bc_app;

-- The console asks in which tenants a person works, and sees no more.
CREATE POLICY memberships ON members FOR SELECT TO bc_control USING (true);
GRANT SELECT (tenant_id, person_id, role) ON members TO bc_control;

-- A link by which somebody becomes a member. Its token is a MAC of the id: nothing here is
-- secret. replaces is the owner who has lost every passkey and whose place it gives: an
-- owner's recovery has made it.
CREATE TABLE invitations (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id          uuid NOT NULL, -- UUIDv7
  role        text NOT NULL CHECK (role IN ('owner', 'admin', 'security', 'developer', 'auditor', 'support', 'viewer', 'staff_admin', 'staff_support')),
  label       text NOT NULL CHECK (char_length(label) BETWEEN 1 AND 100), -- whom it is for, in the inviter's words
  invited_by  text NOT NULL, -- kind:id
  created_at  timestamptz NOT NULL,
  expires_at  timestamptz NOT NULL,
  accepted_at timestamptz,
  accepted_by uuid, -- users.id of the reserved tenant
  revoked_at  timestamptz,
  replaces    uuid, -- members.id
  PRIMARY KEY (tenant_id, id)
);
SELECT wall('invitations');
GRANT SELECT, INSERT, UPDATE (accepted_at, accepted_by, revoked_at) ON invitations TO bc_app;

-- Browsers in the console: which session of the reserved tenant a cookie stands for. That
-- session's row has the address, the end and the revocation.
CREATE TABLE console_sessions (
  tenant_id    uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id           uuid NOT NULL, -- sessions.id
  cookie_hash  bytea NOT NULL CHECK (octet_length(cookie_hash) = 32), -- SHA-256 of the 256 random bits in the cookie
  person_id    uuid NOT NULL,
  proved_at    timestamptz NOT NULL, -- when a passkey was used last
  last_seen_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, cookie_hash)
);
SELECT wall('console_sessions');
GRANT SELECT, INSERT, UPDATE (last_seen_at), DELETE ON console_sessions TO bc_app;

-- An owner has lost every passkey: two of the staff agree, three days go by in which any
-- member may say no, and an invitation to the owner's place is made. EXPIRED and READY are
-- no states but times.
CREATE TABLE owner_recoveries (
  tenant_id    uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id           uuid NOT NULL, -- UUIDv7
  member_id    uuid NOT NULL, -- the owner; the row outlives the membership
  person_id    uuid NOT NULL, -- members.person_id
  state        text NOT NULL CHECK (state IN ('REQUESTED', 'WAITING', 'CANCELLED', 'RELEASED', 'COMPLETED')),
  reason       text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 256),
  ticket       text NOT NULL CHECK (char_length(ticket) BETWEEN 1 AND 100),
  requested_by text NOT NULL, -- kind:id, of the staff
  requested_at timestamptz NOT NULL,
  approved_by  text NOT NULL DEFAULT '', -- kind:id, somebody else of the staff
  approved_at  timestamptz,
  ready_at     timestamptz, -- 72 hours after the approval
  expires_at   timestamptz NOT NULL,
  invitation_id uuid,                 -- that it was released by
  ended_by     text NOT NULL DEFAULT '', -- kind:id of who cancelled or released it
  ended_at     timestamptz,
  end_reason   text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, id)
);
SELECT wall('owner_recoveries');
CREATE INDEX owner_recoveries_member ON owner_recoveries (tenant_id, member_id);
GRANT SELECT, INSERT, UPDATE (state, approved_by, approved_at, ready_at, expires_at, invitation_id, ended_by, ended_at, end_reason) ON owner_recoveries TO bc_app;

SET LOCAL lock_timeout = '5s';
ALTER TABLE console_sessions ADD FOREIGN KEY (tenant_id, id) REFERENCES sessions (tenant_id, id) ON DELETE CASCADE;
