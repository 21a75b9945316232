-- +goose Up
-- Archives of audit logs: what is older than a tenant's policy keeps, as signed bundles in object storage (ADR 0054).

-- A piece of a tenant's log that is there. Pieces follow each other without gaps from entry 0 on. Its bundle is
-- what its objects hold, one after the other.
CREATE TABLE audit_archives (
  tenant_id    uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  from_seq     bigint NOT NULL CHECK (from_seq >= 0),
  to_seq       bigint NOT NULL,         -- number of the last entry and one: a checkpoint is over as many
  first_at     timestamptz NOT NULL,    -- when the first and the last were sequenced
  last_at      timestamptz NOT NULL,
  objects      uuid[] NOT NULL,
  versions     text[] NOT NULL,         -- of the objects; empty where the store keeps none
  bytes        bigint NOT NULL,
  sha256       bytea NOT NULL CHECK (octet_length(sha256) = 32), -- of the bundle
  archived_at  timestamptz NOT NULL,
  locked_until timestamptz,             -- the earliest of the objects, as the store shows it
  problem      text NOT NULL DEFAULT '', -- why it is not locked
  PRIMARY KEY (tenant_id, from_seq),
  CONSTRAINT audit_archives_piece CHECK (to_seq > from_seq AND cardinality(objects) > 0 AND cardinality(objects) = cardinality(versions) AND (locked_until IS NULL) = (problem <> ''))
);
SELECT wall('audit_archives');
GRANT SELECT, INSERT ON audit_archives TO bc_app;
