-- +goose Up
-- The risk scoring service that a tenant has asked beside its own signals: at most one.
SET LOCAL lock_timeout = '5s';
CREATE TABLE risk_providers (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id          uuid NOT NULL, -- UUIDv7: pseudonyms are made with it
  config      jsonb NOT NULL,
  credential  bytea NOT NULL, -- sealed
  key_version bigint NOT NULL, -- of the data key that sealed credential
  updated_by  text NOT NULL, -- kind:id
  updated_at  timestamptz NOT NULL,
  version     integer NOT NULL DEFAULT 1,
  PRIMARY KEY (tenant_id)
);
SELECT wall('risk_providers');
GRANT SELECT, INSERT, UPDATE, DELETE ON risk_providers TO bc_app;
