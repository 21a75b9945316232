-- +goose Up
-- The plain key is shown once; only a SHA-256 of its 256-bit secret is kept
-- (uniformly random, so a slow hash would add nothing). key_id is the 64-bit part
-- of the printed key; it is random, so it tells nothing of how many keys exist.
CREATE TABLE api_keys (
  tenant_id     uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id            uuid NOT NULL,
  key_id        bigint NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('SECRET', 'PUBLISHABLE', 'PLATFORM')),
  name          text NOT NULL,
  prefix        text NOT NULL, -- what people see of it: the key up to its id's first characters
  secret_hash   bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
  scopes        text[] NOT NULL,
  allowed_cidrs cidr[] NOT NULL DEFAULT '{}', -- empty: from anywhere
  created_by    text NOT NULL,
  created_at    timestamptz NOT NULL,
  last_used_at  timestamptz, -- to the minute
  expires_at    timestamptz,
  revoked_at    timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, key_id)
);
SELECT wall('api_keys');
ALTER TABLE api_keys ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
GRANT SELECT, INSERT, UPDATE (last_used_at, expires_at, revoked_at) ON api_keys TO bc_app, bc_control;
