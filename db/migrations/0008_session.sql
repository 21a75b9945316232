-- +goose Up
-- One row a sign-in. No foreign keys: two composite ones cost 0.05 CPU-ms of a
-- sign-in (docs/adr, group commit); erasing a user deletes its sessions in the same
-- transaction. Refresh tokens are not stored: a token names its session and
-- generation under a MAC, and refresh_generation says which one is current.
CREATE TABLE sessions (
  tenant_id          uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id                 uuid NOT NULL,
  user_id            uuid NOT NULL,
  credential_id      bytea NOT NULL,
  aal                smallint NOT NULL CHECK (aal BETWEEN 1 AND 3), -- NIST SP 800-63B-4
  user_verified      boolean NOT NULL,
  address            inet,
  user_agent         text NOT NULL DEFAULT '',
  created_at         timestamptz NOT NULL,
  last_used_at       timestamptz NOT NULL,
  expires_at         timestamptz NOT NULL,
  revoked_at         timestamptz,
  revoke_reason      text,
  refresh_generation integer NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX sessions_user ON sessions (tenant_id, user_id, id);
SELECT wall('sessions');
GRANT SELECT, UPDATE, DELETE ON sessions TO bc_app;
GRANT INSERT ON sessions TO bc_app, bc_writer;
