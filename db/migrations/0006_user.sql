-- +goose Up
-- The relying party's end user. What identifies a person (external id, name,
-- display name) is one sealed profile; the external id is found again by a keyed
-- hash of it. The handle is WebAuthn's user handle: 64 random bytes, not the id
-- (WebAuthn L3 #sctn-user-handle-privacy).
CREATE TABLE users (
  tenant_id      uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id             uuid NOT NULL,
  handle         bytea NOT NULL CHECK (octet_length(handle) BETWEEN 1 AND 64),
  external_index bytea NOT NULL CHECK (octet_length(external_index) = 32), -- HMAC of the external id under the tenant's index key
  profile_sealed bytea NOT NULL, -- JSON {externalId, name, displayName}; sealed: tenant, users, profile, id
  state          text NOT NULL DEFAULT 'ACTIVE' CHECK (state IN ('ACTIVE', 'BLOCKED')),
  created_at     timestamptz NOT NULL,
  updated_at     timestamptz NOT NULL,
  version        integer NOT NULL DEFAULT 1, -- the etag
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, external_index),
  UNIQUE (tenant_id, handle)
);
SELECT wall('users');
ALTER TABLE users ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
GRANT SELECT, INSERT, UPDATE, DELETE ON users TO bc_app;
