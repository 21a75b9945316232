-- +goose Up
-- One-time codes by which a user enrolls a passkey who has lost the others. A code has 100
-- random bits; the hash is a MAC under the tenant's root over user and code, so that a
-- row copied to another user or tenant opens nothing. A new set deletes the old.
CREATE TABLE recovery_codes (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  user_id    uuid NOT NULL,
  hash       bytea NOT NULL CHECK (octet_length(hash) = 32),
  created_at timestamptz NOT NULL,
  used_at    timestamptz, -- a used code stays, so that people are told when
  PRIMARY KEY (tenant_id, user_id, hash)
);
SELECT wall('recovery_codes');
GRANT SELECT, INSERT, UPDATE (used_at), DELETE ON recovery_codes TO bc_app;

-- Failures by the name that was given, whether or not somebody has it: what is counted
-- for everybody tells of nobody. In Postgres, so that a Redis that is gone unlocks nothing.
CREATE TABLE recovery_attempts (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  subject    bytea NOT NULL CHECK (octet_length(subject) = 32), -- MAC of the name
  failures   integer NOT NULL CHECK (failures >= 0),
  expires_at timestamptz NOT NULL, -- the failures count until then; whoever comes later deletes the row
  PRIMARY KEY (tenant_id, subject)
);
SELECT wall('recovery_attempts');
CREATE INDEX recovery_attempts_expires_at ON recovery_attempts (tenant_id, expires_at);
GRANT SELECT, INSERT, UPDATE (failures, expires_at), DELETE ON recovery_attempts TO bc_app;

-- A recovery lets a user enroll one passkey: by a code, or by a link that an administrator
-- made. Its token is a MAC of its id, so nothing here is secret. EXPIRED is not a state:
-- it is what PENDING and OPEN are after expires_at.
CREATE TABLE recoveries (
  tenant_id     uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id            uuid NOT NULL,
  user_id       uuid NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('CODE', 'LINK')),
  state         text NOT NULL CHECK (state IN ('PENDING', 'OPEN', 'REFUSED', 'REVOKED', 'COMPLETED')),
  rp_id         text NOT NULL,
  reason        text NOT NULL DEFAULT '',
  requested_by  text NOT NULL, -- kind:id of who asked for it
  created_at    timestamptz NOT NULL,
  expires_at    timestamptz NOT NULL,
  decided_by    text NOT NULL DEFAULT '', -- kind:id of who approved, refused or revoked it
  decided_at    timestamptz,
  completed_at  timestamptz,
  credential_id bytea, -- the passkey that came of it
  PRIMARY KEY (tenant_id, id)
);
SELECT wall('recoveries');
CREATE INDEX recoveries_user ON recoveries (tenant_id, user_id, id);
GRANT SELECT, INSERT, UPDATE (state, expires_at, decided_by, decided_at, completed_at, credential_id) ON recoveries TO bc_app;

-- The cascades: a server of the release before erases users and knows none of this.
SET LOCAL lock_timeout = '5s';
ALTER TABLE recovery_codes ADD FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE;
ALTER TABLE recoveries ADD FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE;
