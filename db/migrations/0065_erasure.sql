-- +goose Up
-- Which users were erased: for the certificate of each erasure, and for the ledger that is kept outside of the
-- database, by which a restored backup erases them again (ADR 0056). Nothing here tells who they were.
SET LOCAL lock_timeout = '5s';
CREATE TABLE erasures (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id          uuid NOT NULL, -- UUIDv7
  subject     bytea NOT NULL CHECK (octet_length(subject) = 32), -- hash of tenant and user
  user_id     uuid, -- NULL: erased before the backup that this database was restored from had the user
  at          timestamptz NOT NULL,
  erased_by   text NOT NULL, -- kind:id
  credentials bigint NOT NULL DEFAULT 0, -- how many were deleted
  sessions    bigint NOT NULL DEFAULT 0,
  contacts    bigint NOT NULL DEFAULT 0,
  evidence    bigint NOT NULL DEFAULT 0, -- records whose keys were destroyed
  replayed_at timestamptz, -- when it was carried out again, after a restore
  stored_at   timestamptz, -- since when the ledger outside has it
  certificate text, -- a JWS; NULL: nobody has asked for it yet
  issued_at   timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, subject)
);
SELECT wall('erasures');
CREATE INDEX erasures_at ON erasures (at);
CREATE INDEX erasures_waiting ON erasures (at) WHERE stored_at IS NULL;
GRANT SELECT, INSERT (id, subject, user_id, at, erased_by, credentials, sessions, contacts, evidence, replayed_at) ON erasures TO bc_app;
GRANT UPDATE (certificate, issued_at) ON erasures TO bc_app;

-- The ledger is one for all tenants: who keeps it sees hashes and times.
CREATE POLICY ledger ON erasures FOR ALL TO bc_control USING (true) WITH CHECK (true);
GRANT SELECT (tenant_id, id, subject, at, stored_at), UPDATE (stored_at) ON erasures TO bc_control;
