-- +goose Up
-- The first answer to an Idempotency-Key, written in the transaction of the call
-- that gave it. response NULL: the answer held a secret and is not kept.
CREATE TABLE idempotency_keys (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  actor      text NOT NULL,
  method     text NOT NULL,
  key        text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
  body_hash  bytea NOT NULL CHECK (octet_length(body_hash) = 32),
  response   bytea,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, actor, method, key)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at); -- what is to be deleted
SELECT wall('idempotency_keys');
CREATE POLICY expired ON idempotency_keys FOR ALL TO bc_jobs USING (created_at < now() - interval '24 hours');
GRANT SELECT, INSERT, UPDATE (response), DELETE ON idempotency_keys TO bc_app, bc_control;
GRANT SELECT (created_at), DELETE ON idempotency_keys TO bc_jobs;
