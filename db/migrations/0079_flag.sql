-- +goose Up
-- Feature flags of a tenant's own applications, and of Biocore itself in the reserved tenant. A flag has variants; who gets
-- which of them is told for each environment apart. History keeps what was, whole.
SET LOCAL lock_timeout = '5s';
CREATE TABLE flags (
  tenant_id      uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  key            text NOT NULL CHECK (octet_length(key) <= 128),
  type           text NOT NULL CHECK (type IN ('BOOLEAN', 'STRING', 'NUMBER', 'OBJECT')),
  name           text NOT NULL CHECK (char_length(name) <= 128),
  description    text NOT NULL CHECK (char_length(description) <= 1000),
  owner          text NOT NULL CHECK (char_length(owner) <= 128), -- whom to ask; '' nobody
  remove_by      date, -- when it should be gone; NULL: it is to stay
  variants       jsonb NOT NULL, -- name: value
  client_visible boolean NOT NULL, -- publishable keys may evaluate it
  created_by     text NOT NULL, -- kind:id
  created_at     timestamptz NOT NULL,
  updated_by     text NOT NULL,
  updated_at     timestamptz NOT NULL,
  version        integer NOT NULL DEFAULT 1,
  PRIMARY KEY (tenant_id, key)
);
SELECT wall('flags');
GRANT SELECT, INSERT, UPDATE, DELETE ON flags TO bc_app;
GRANT SELECT ON flags TO bc_support;

CREATE TABLE flag_targeting (
  tenant_id       uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  flag_key        text NOT NULL,
  environment     text NOT NULL CHECK (octet_length(environment) <= 128),
  enabled         boolean NOT NULL,
  off_variant     text NOT NULL,
  default_variant text NOT NULL,
  rules           jsonb NOT NULL, -- in their order
  salt            text NOT NULL, -- of rollouts
  updated_by      text NOT NULL,
  updated_at      timestamptz NOT NULL,
  version         integer NOT NULL DEFAULT 1,
  PRIMARY KEY (tenant_id, environment, flag_key),
  FOREIGN KEY (tenant_id, flag_key) REFERENCES flags ON DELETE CASCADE
);
CREATE INDEX flag_targeting_flag ON flag_targeting (tenant_id, flag_key);
SELECT wall('flag_targeting');
GRANT SELECT, INSERT, UPDATE, DELETE ON flag_targeting TO bc_app;
GRANT SELECT ON flag_targeting TO bc_support;

CREATE TABLE flag_changes (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id          uuid NOT NULL, -- UUIDv7
  flag_key    text NOT NULL, -- of a flag that may be gone
  environment text NOT NULL, -- '': of all, since the flag itself changed
  action      text NOT NULL CHECK (action IN ('CREATED', 'UPDATED', 'DELETED')),
  before      jsonb, -- the flag as it was there; NULL: it was not
  after       jsonb, -- and as it is; NULL: it is gone
  reason      text NOT NULL,
  changed_by  text NOT NULL, -- kind:id
  changed_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX flag_changes_flag ON flag_changes (tenant_id, flag_key, id);
SELECT wall('flag_changes');
GRANT SELECT, INSERT ON flag_changes TO bc_app;
GRANT SELECT ON flag_changes TO bc_support;
